"""Help, the options that every command has, and shell completion: of all commands, as they are registered."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from ov_mobilenet.cli.completion import SHELLS
from ov_mobilenet.cli.main import COMMANDS, cli, main

ROOT = Path(__file__).resolve().parents[2]
FORMATS_IN_ORDER = ["table", "json", "jsonl", "csv", "markdown", "parquet"]


def all_commands() -> Iterator[tuple[str, click.Command]]:
    """Every command by the words that call it, such as `cache list`."""
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {sub}", below) for sub, below in command.commands.items())


WALKED = dict(all_commands())
every_command = pytest.mark.parametrize("words", WALKED)


def options_of(words: str) -> list[click.Option]:
    return [parameter for parameter in WALKED[words].params if isinstance(parameter, click.Option)]


@every_command
def test_help_shows_an_example_and_the_common_options(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert f"ov-mobilenet {words}" in text.split("Example")[1]
    for spellings in ("-v, --verbose", "-q, --quiet", "--debug"):
        assert len(re.findall(rf"^  {spellings} ", text, re.MULTILINE)) == 1


@every_command
def test_every_option_has_a_help_text(words: str) -> None:
    assert [option.opts[-1] for option in options_of(words) if not option.hidden and not option.help] == []


@every_command
def test_every_argument_is_explained(words: str) -> None:
    command = WALKED[words]
    text = command.help or ""
    context = click.Context(command)
    arguments = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
    names = [name for argument in arguments for name in argument.get_usage_pieces(context)]
    assert [name for name in names if re.sub(r"[^A-Z].*", "", name.strip("[")) not in text] == []


@every_command
def test_no_spelling_is_used_twice(words: str) -> None:
    spellings = Counter(spelling for o in options_of(words) for spelling in (*o.opts, *o.secondary_opts))
    assert [spelling for spelling, count in spellings.items() if count > 1] == []


@every_command
def test_formats_are_the_same_everywhere(words: str) -> None:
    for option in options_of(words):
        if "--format" in option.opts:
            assert isinstance(option.type, click.Choice)
            choices = list(option.type.choices)
            assert choices == [name for name in FORMATS_IN_ORDER if name in choices]


def test_the_program_prints_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("ov-mobilenet, version ")


@pytest.mark.parametrize("arguments", [["-q", "cache", "list"], ["cache", "-q", "list"], ["cache", "list", "-q"]])
def test_common_options_work_before_and_after_the_command(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*(word for word in arguments if word != "-q"), "--cache-dir", str(tmp_path)]) == 0
    assert "0 entries" in capsys.readouterr().err
    assert main([*arguments, "--cache-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().err == ""


def test_after_two_dashes_nothing_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--", "--debug"]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert main(["info", "--debug", "--", "no-such-model"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("shell", SHELLS)
def test_the_completion_script_is_valid_in_its_shell(shell: str, tmp_path: Path) -> None:
    program = [sys.executable, "-m", "ov_mobilenet", "completion", shell]
    script = subprocess.run(program, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert "_OV_MOBILENET_COMPLETE" in script
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path = tmp_path / "completion"
    path.write_text(script)
    subprocess.run([shell, "-n", str(path)], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("ov-mobilenet bench", ["benchmark", "benchmark-app"]),
        ("ov-mobilenet completion ", list(SHELLS)),
        ("ov-mobilenet classify --ir", ["--ir-dir"]),
        ("ov-mobilenet cache pr", ["prune"]),
    ],
)
def test_bash_completes(line: str, completed: list[str], tmp_path: Path) -> None:
    """The script in a real bash, with the program on the PATH."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    program = tmp_path / "ov-mobilenet"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ov_mobilenet "$@"\n')
    program.chmod(0o755)
    words = line.split(" ")
    quoted = " ".join(f"'{word}'" for word in words)
    script = (
        'eval "$(ov-mobilenet completion bash)"\n'
        f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}\n"
        "_ov_mobilenet_completion ov-mobilenet\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([bash, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == completed
