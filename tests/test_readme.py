"""README.md is correct: its commands parse, its Python runs, its outputs, table and links are up to date."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import click
import generate_readme_tables as tables
import pytest

from ov_mobilenet.accuracy.compared_networks import parse_spec
from ov_mobilenet.cli.main import COMMANDS, cli, main
from ov_mobilenet.hub.known_repositories import list_repositories
from ov_mobilenet.zoo.hub_reference import is_hub_reference
from ov_mobilenet.zoo.registry import model_names

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def blocks_of(document: str) -> list[tuple[str, str]]:
    """Language and text of each fenced block."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / document).read_text("utf-8"), re.MULTILINE | re.DOTALL)


BLOCKS = blocks_of("README.md")
PROSE = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
LINKS = re.findall(r"\]\(([^)\s]+)\)", PROSE)


def commands() -> list[str]:
    """Every `ov-mobilenet COMMAND …` in the sh blocks and in the text."""
    lines = [line for kind, text in BLOCKS if kind == "sh" for line in text.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`([^`\n]+)`", PROSE)
    return list(dict.fromkeys(line for line in lines if line.startswith("ov-mobilenet ")))


def parse(line: str) -> click.Context:
    """Parse a command line with click, without running the command."""
    words = shlex.split(line, comments=True)[1:]
    name, arguments = words[0], words[1:]
    assert name in COMMANDS, f"no such command: {line}"
    command = cli.get_command(click.Context(cli), name)
    if isinstance(command, click.Group) and arguments:
        name, arguments = arguments[0], arguments[1:]
        command = command.get_command(click.Context(command), name)
    assert command is not None, line
    return command.make_context(name, arguments)


@pytest.mark.parametrize("line", commands())
def test_commands_parse_and_name_models_of_the_zoo(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("images", "val"):  # --verify-images and --dataset need existing folders
        (tmp_path / folder).mkdir()
    (tmp_path / "val.txt").touch()
    (tmp_path / "token").touch()
    monkeypatch.chdir(tmp_path)
    given = parse(line).params
    for model in [*given.get("models", ()), *given.get("patterns", ()), *filter(None, [given.get("model")])]:
        model = parse_spec(model).model  # `compare` takes MODEL@PRECISION and MODEL@source
        path = Path(model)
        if path.suffix == ".xml":
            assert path.match(f"public/{path.stem}/FP??/{path.stem}.xml"), line
            model = path.stem
        if given.get("hub") or is_hub_reference(model):
            assert list_repositories(model), line
            continue
        if model in ("mine", "mine.onnx", "repository"):  # the README's names for what the user has made
            continue
        assert path.suffix == ".yml" or model_names(model), line


def test_the_commands_were_found() -> None:
    assert {shlex.split(line)[1] for line in commands()} == set(COMMANDS)


@pytest.mark.parametrize(
    "line", ["ov-mobilenet download x --no-such-option", "ov-mobilenet classify", "ov-mobilenet list --format xml"]
)
def test_a_wrong_command_is_found(line: str) -> None:
    with pytest.raises(click.UsageError):
        parse(line)


@pytest.mark.parametrize("document", ["README.md", "demos/README.md"])
def test_python_blocks_run_and_print_the_text_below_them(document: str, tmp_path: Path) -> None:
    blocks = blocks_of(document)
    assert not [kind for kind, _ in blocks if kind in ("py", "python3", "pycon")], "use ```python, so that it is run"
    code = [text for kind, text in blocks if kind == "python"]
    printed = [
        text for (kind, _), (below, text) in pairwise([*blocks, ("", "")]) if (kind, below) == ("python", "text")
    ]
    assert code
    # One process runs all blocks in order, as a reader who copies them does.
    run = subprocess.run(
        [sys.executable, "-c", "\n".join(code)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == "".join(printed)


def test_the_readme_begins_with_the_installation_and_says_what_the_extras_take() -> None:
    first, *_ = [text for kind, text in BLOCKS if kind == "sh"]
    assert first.startswith("pip install . && ov-mobilenet demo")
    (installation,) = [text for kind, text in BLOCKS if kind == "sh" and '".[all]"' in text]
    lines = installation.splitlines()
    assert "pip install torch --index-url https://download.pytorch.org/whl/cpu" in lines[1], (
        "before anything needs torch"
    )
    for extra in ("pytorch", "tensorflow", "quantize", "parquet", "report", "hub", "serve", "all"):
        (line,) = [line for line in lines if re.search(rf'"\.\[.*\b{extra}\b.*\]"', line)]
        assert re.search(r"# [\d.]+ GB", line), line


def test_the_demo_prints_the_output_in_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "-d", "CPU"]) == 0
    (shown,) = (text for kind, text in BLOCKS if kind == "text" and "\nconverted " in text)
    printed = capsys.readouterr().out
    assert _images(shown) == _images(printed) != []
    first_words = [re.findall(r"^\w+ ?\w+", text, re.MULTILINE) for text in (shown, printed.partition("Next:")[0])]
    assert first_words[0] == first_words[1]


def test_diagnose_prints_the_output_in_the_readme(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    (line,) = (line for line in commands() if "diagnose" in line and "/samples" in line)
    assert main(shlex.split(line)[1:]) == 0
    (shown,) = (text for kind, text in BLOCKS if kind == "text" and "also possible" in text)
    printed = capsys.readouterr().out.splitlines()
    # Figures may differ in their last digits between machines.
    masked = [[re.sub(r"\d", "0", line) for line in lines] for lines in (shown.splitlines()[:-1], printed)]
    assert masked[0] == masked[1][: len(masked[0])]
    assert shown.splitlines()[-1] == "…"


def test_the_table_of_models_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    code = tables.main(["--check"])
    assert code == 0, capsys.readouterr().out


def test_check_reports_an_outdated_table_and_does_not_change_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = tmp_path / "README.md"
    outdated = README.replace("| 71.8 % |", "| 81.8 % |")
    assert outdated != README
    readme.write_text(outdated, "utf-8")
    assert tables.main(["--check", "--readme", str(readme)]) == 1
    assert str(readme) in capsys.readouterr().out
    assert readme.read_text("utf-8") == outdated
    assert tables.main(["--readme", str(readme)]) == 0
    assert readme.read_text("utf-8") == README


@pytest.mark.parametrize("text", ["", tables.BEGIN, f"{tables.END}\n{tables.BEGIN}", f"{tables.BEGIN}\n" * 2])
def test_missing_duplicate_or_swapped_markers_are_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="each once"):
        tables.with_table(text, "rows")


@pytest.mark.parametrize("link", sorted({link for link in LINKS if "://" not in link}))
def test_linked_files_exist(link: str) -> None:
    assert (ROOT / link.partition("#")[0]).exists()


def _images(output: str) -> list[list[str]]:
    """Name and class of each image in the demo's table; the figures differ between runs."""
    return [re.split(r"\s{2,}", line)[:2] for line in output.splitlines() if ".jpg " in line]
