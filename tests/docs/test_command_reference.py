"""The pages of the commands: one for each, and everything that a command takes is in its text."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from generate_docs import __main__ as generate_docs
from generate_docs.classic_spellings import classic_table
from generate_docs.command_options import definition, prose
from generate_docs.commands import described
from page_blocks import DOCS

from ov_mobilenet.cli.classic_options import (
    ClassicCommand,
    ClassicTable,
    IgnoredOption,
    MappedOption,
    RefusedOption,
    renamed,
)
from ov_mobilenet.cli.main import COMMANDS, cli


@click.command("paint", epilog="not shown")
@click.argument("walls", nargs=-1, required=True, metavar="WALL…")
@click.option("-n", "--coats", type=click.IntRange(1, 5), default=2, metavar="N", help="Number of coats.")
@click.option("--main-colour", "--main_colour", multiple=True, required=True, help="A colour.")
@click.option("--finish", type=click.Choice(["matt", "satin"]), default="matt", show_default=True, help="See --dry.")
@click.option("--dry/--no-dry", default=True, help="Wait.")
@click.option("--rush", is_flag=True, hidden=True, help="Old spelling of --no-dry.")
@click.option("--folder", type=click.Path(path_type=Path), default=None, envvar="PAINT_DIR", help="Where to look.")
def paint(**_: object) -> None:
    """Paint each WALL.

    \b
    Examples:
      paint north --main-colour blue
      paint south \\
        --main-colour red
    """


def text_of(command: click.Command) -> str:
    return described(command, click.Context(command, info_name=command.name))


def test_everything_that_click_knows_of_a_command_is_in_its_text() -> None:
    assert text_of(paint) == (
        "```text\npaint [OPTIONS] WALL…\n```\n\n"
        "Paint each WALL.\n\n"
        "## Examples\n\n"
        "<!-- not run: examples, whose files the reader has -->\n"
        "```sh\npaint north --main-colour blue\npaint south \\\n  --main-colour red\n```\n\n"
        "## Options\n\n"
        "`-n`, `--coats N`\n:   Number of coats. At least 1, at most 5. Default: `2`.\n\n"
        "`--main-colour TEXT`\n:   A colour. Required. Repeatable. Also accepted: `--main_colour`.\n\n"
        "`--finish matt|satin`\n:   See `--dry`. Default: `matt`.\n\n"
        "`--dry`, `--no-dry`\n:   Wait. Default: `--dry`.\n\n"
        "`--rush`\n:   Old spelling of `--no-dry`. Not shown by `--help`.\n\n"
        "`--folder PATH`\n:   Where to look. Variable: `PAINT_DIR`."
    )


def test_a_page_that_lacks_a_new_option_is_out_of_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_parts = generate_docs.with_parts
    monkeypatch.setattr(generate_docs, "with_parts", lambda text: with_parts(text, {"paint": lambda: text_of(paint)}))
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").touch()
    page = tmp_path / "docs" / "paint.md"
    page.write_text("<!-- generated: paint -->\n<!-- /generated -->\n", "utf-8")
    assert generate_docs.main(["--root", str(tmp_path)]) == 0
    assert generate_docs.main(["--root", str(tmp_path), "--check"]) == 0
    monkeypatch.setattr(paint, "params", [*paint.params, click.Option(["--ladder"], help="Take a ladder.")])
    assert generate_docs.main(["--root", str(tmp_path), "--check"]) == 1
    assert "paint.md: out of date" in capsys.readouterr().out


def test_the_options_of_a_replaced_program_are_listed_with_what_they_do() -> None:
    def only_u8(value: str | None) -> tuple[str, ...]:
        if value != "u8":
            raise click.UsageError("only u8")
        return ()

    classic: ClassicTable = {
        "--input_model": renamed("--source"),
        "-m": renamed("--other"),
        "-ip": MappedOption(only_u8),
        "-pc": MappedOption(lambda value: ("-pc",), "boolean"),
        "--silent": IgnoredOption("use -q"),
        **dict.fromkeys(("--k", "--caffe_parser"), RefusedOption("no Caffe")),
    }
    command = ClassicCommand("paint", program="mo", classic=classic)
    assert classic_table(command, "##")[2:] == [
        "`--input_model`\n:   `--input_model VALUE` is `--source VALUE`.",
        "`-m`\n:   `-m VALUE` is `--other VALUE`.",
        "`-ip`\n:   `-ip u8` is accepted and changes nothing.",
        "`-pc`\n:   A flag.",
        "`--silent`\n:   No effect: use `-q`.",
        "`--k`, `--caffe_parser`\n:   Refused: no Caffe.",
    ]
    assert classic_table(paint, "##") == []


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("use -q, or --max-rate=0.", "use `-q`, or `--max-rate=0`."),
        ("`convert -o DIR` and -o", "`convert -o DIR` and `-o`"),
        ("@LIST.txt, - for stdin; # a comment", "@LIST.txt, `-` for stdin; \\# a comment"),
        ("NAME_A=B_C; top-1 of a*b <c>", "`NAME_A=B_C`; top-1 of a\\*b \\<c>"),
    ],
)
def test_text_of_a_command_becomes_markdown(text: str, markdown: str) -> None:
    assert prose(text) == markdown


def test_a_long_definition_is_indented() -> None:
    assert definition("`-a`", "word " * 30).splitlines()[1:] == [
        f":   {' '.join(['word'] * 23)}", f"    {' '.join(['word'] * 7)}",
    ]  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_page_with_all_its_options(name: str) -> None:
    page = (DOCS / "reference" / "commands" / f"{name}.md").read_text("utf-8")
    assert page.startswith(f"# ov-mobilenet {name}\n\n<!-- generated: command-{name} -->\n")
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    below = command.commands.values() if isinstance(command, click.Group) else [command]
    for option in (parameter for one in below for parameter in one.params if isinstance(parameter, click.Option)):
        assert f"`{option.opts[0]}" in page
