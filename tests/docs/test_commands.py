"""Every command in README.md and docs, also in blocks that are not run: options exist, models are of the zoo."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from page_blocks import blocks_of, pages

from ov_mobilenet.accuracy.compared_networks import parse_spec
from ov_mobilenet.cli.main import COMMANDS, cli
from ov_mobilenet.hub.known_repositories import list_repositories
from ov_mobilenet.zoo.hub_reference import is_hub_reference
from ov_mobilenet.zoo.registry import model_names

# Folders and files that some options want to exist.
FOLDERS = ("images", "val", "calibration", "photos", "models", "held-out")
FILES = ("val.txt", "token", "cert.pem", "key.pem", "labels.txt", "config.yml")
# The pages' names for models that the reader has made.
READERS_OWN = (
    "mine", "mine.onnx", "mine.pth", "small.onnx", "signs/", "repository", "public/mine/FP16/mine.xml", "flowers.pth",
    "flowers-timm",
)  # fmt: skip
PROGRAM = re.compile(r"^(?:\w+=\S+ )*ov-mobilenet (?!\.\.\.|…)")


def commands() -> list[str]:
    """Each command in the sh blocks and in the text, once."""
    lines: list[str] = []
    for page in pages():
        text = page.read_text("utf-8")
        for block in blocks_of(text):
            if block.language == "sh":
                lines += block.text.replace("\\\n", " ").splitlines()
        prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
        lines += [re.sub(r"\s+", " ", one) for one in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose)]
    parts = [part.strip() for line in lines for part in re.split(r" (?:&&|\|\||\|) |;", line)]
    return list(dict.fromkeys(part.removesuffix(" &") for part in parts if PROGRAM.match(part) and "…" not in part))


def parse(line: str) -> click.Context:
    """Parse a command line with click, without running the command."""
    words = shlex.split(re.sub(r" (?:\d?>>?|<) ?\S+", "", line), comments=True)
    words = words[words.index("ov-mobilenet") + 1 :]
    while words[0] in ("-q", "-v", "--debug"):
        words = words[1:]
    name, arguments = words[0], words[1:]
    if name in ("--version", "--help"):
        return click.Context(cli)
    assert name in COMMANDS, f"no such command: {line}"
    command = cli.get_command(click.Context(cli), name)
    if isinstance(command, click.Group) and arguments:
        name, arguments = arguments[0], arguments[1:]
        command = command.get_command(click.Context(command), name)
    assert command is not None, line
    if not arguments or "--help" in arguments or "-h" in arguments:  # without arguments it is a name in a sentence
        return click.Context(command)
    return command.make_context(name, arguments)


@pytest.mark.parametrize("line", commands())
def test_commands_parse_and_name_models_of_the_zoo(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FOLDERS:
        (tmp_path / name).mkdir()
    for name in FILES:
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    given = parse(line).params
    for model in [*given.get("models", ()), *given.get("patterns", ()), *filter(None, [given.get("model")])]:
        model = parse_spec(model).model  # `compare` takes MODEL@PRECISION and MODEL@source
        path = Path(model)
        if given.get("hub") or is_hub_reference(model):
            assert list_repositories(model), line
        elif model not in READERS_OWN and path.suffix not in (".xml", ".yml"):
            assert model_names(model), line


def test_every_command_is_in_the_docs() -> None:
    named = {word for line in commands() for word in PROGRAM.sub("", line).split()}
    assert set(COMMANDS) <= named


@pytest.mark.parametrize(
    "line", ["ov-mobilenet download x --no-such-option", "ov-mobilenet classify -k 1", "ov-mobilenet list --format xml"]
)
def test_a_wrong_command_is_found(line: str) -> None:
    with pytest.raises(click.UsageError):
        parse(line)
