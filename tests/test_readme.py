"""What README.md shows is what happens: commands, Python, outputs, table, links."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import generate_readme_tables as tables
import pytest

from ov_mobilenet.accuracy.compared_networks import parse_spec
from ov_mobilenet.cli.main import COMMANDS, cli, main
from ov_mobilenet.zoo.registry import model_names

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PROSE = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
LINKS = re.findall(r"\]\(([^)\s]+)\)", PROSE)


def commands() -> list[str]:
    """Every `ov-mobilenet COMMAND …` of the sh blocks and of the running text."""
    lines = [line for kind, text in BLOCKS if kind == "sh" for line in text.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`([^`\n]+)`", PROSE)
    return list(dict.fromkeys(line for line in lines if line.startswith("ov-mobilenet ")))


def parse(line: str) -> click.Context:
    """Let click take the words of a line as it would when called, and run nothing."""
    words = shlex.split(line, comments=True)[1:]
    name, arguments = words[0], words[1:]
    assert name in COMMANDS, f"no such command: {line}"
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return command.make_context(name, arguments)


@pytest.mark.parametrize("line", commands())
def test_commands_parse_and_name_models_of_the_zoo(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("images", "val"):  # --verify-images and --dataset want them to be there
        (tmp_path / folder).mkdir()
    (tmp_path / "val.txt").touch()
    monkeypatch.chdir(tmp_path)
    given = parse(line).params
    for model in [*given.get("models", ()), *given.get("patterns", ()), *filter(None, [given.get("model")])]:
        model = parse_spec(model).model  # `compare` takes MODEL@PRECISION and MODEL@source
        path = Path(model)
        if path.suffix == ".xml":
            assert path.match(f"public/{path.stem}/FP??/{path.stem}.xml"), line
            model = path.stem
        if model == "mine":  # the README's name for a network of the reader's own
            continue
        assert path.suffix == ".yml" or model_names(model), line


def test_the_commands_were_found() -> None:
    assert {shlex.split(line)[1] for line in commands()} == set(COMMANDS)


@pytest.mark.parametrize(
    "line", ["ov-mobilenet download x --no-such-option", "ov-mobilenet classify", "ov-mobilenet list --format xml"]
)
def test_a_wrong_command_would_be_seen(line: str) -> None:
    with pytest.raises(click.UsageError):
        parse(line)


def test_the_python_block_prints_what_stands_below_it(tmp_path: Path) -> None:
    (index,) = (index for index, (kind, _) in enumerate(BLOCKS) if kind == "python")
    code, (kind, shown) = BLOCKS[index][1], BLOCKS[index + 1]
    assert kind == "text"
    assert len([line for line in code.splitlines() if line]) == 5
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == shown


def test_the_demo_prints_what_the_readme_shows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "-d", "CPU"]) == 0
    (shown,) = (text for kind, text in BLOCKS if kind == "text" and text.startswith("model "))
    printed = capsys.readouterr().out
    assert _images(shown) == _images(printed) != []
    first_words = [re.findall(r"^\w+ ?\w+", text, re.MULTILINE) for text in (shown, printed.partition("Next:")[0])]
    assert first_words[0] == first_words[1]


def test_the_table_of_models_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    code = tables.main(["--check"])
    assert code == 0, capsys.readouterr().out


def test_check_sees_a_table_that_drifted_and_leaves_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readme = tmp_path / "README.md"
    drifted = README.replace("| 71.8 % |", "| 81.8 % |")
    assert drifted != README
    readme.write_text(drifted, "utf-8")
    assert tables.main(["--check", "--readme", str(readme)]) == 1
    assert str(readme) in capsys.readouterr().out
    assert readme.read_text("utf-8") == drifted
    assert tables.main(["--readme", str(readme)]) == 0
    assert readme.read_text("utf-8") == README


@pytest.mark.parametrize("text", ["", tables.BEGIN, f"{tables.END}\n{tables.BEGIN}", f"{tables.BEGIN}\n" * 2])
def test_markers_that_do_not_enclose_anything_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="each once"):
        tables.with_table(text, "rows")


@pytest.mark.parametrize("link", sorted({link for link in LINKS if "://" not in link}))
def test_linked_files_are_there(link: str) -> None:
    assert (ROOT / link.partition("#")[0]).exists()


def _images(output: str) -> list[list[str]]:
    """Name and class of each image in the demo's table; the figures differ from run to run."""
    return [re.split(r"\s{2,}", line)[:2] for line in output.splitlines() if ".jpg " in line]
