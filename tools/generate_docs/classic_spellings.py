"""The programs of the Open Model Zoo: their options that our commands take, and the four that are installed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

import click
from generate_docs.command_options import definition, prose

from ov_mobilenet.cli.classic_options import ClassicCommand, IgnoredOption, MappedOption, RefusedOption
from ov_mobilenet.cli.omz_programs import CONVERTER, DOWNLOADER, INFO_DUMPER, OmzProgram

OWN_OPTIONS = (DOWNLOADER, CONVERTER, INFO_DUMPER)
# A mapped option may take only some values: the first of these that it takes is the one that is shown.
_VALUES = ("VALUE", "nchw->nhwc", None, "FP16", "u8", "f32", "sort", "true")


def classic_table(command: click.Command, heading: str) -> list[str]:
    """The options of the replaced program that are not in `--help`, under a heading; empty if there are none."""
    if not isinstance(command, ClassicCommand) or not command.classic:
        return []
    entries: list[tuple[object, list[str]]] = []
    for name, entry in command.classic.items():
        same = next((names for known, names in entries if known == entry), None)
        if same is None:
            entries.append((entry, [name]))
        else:
            same.append(name)
    return [
        f"{heading} Options of {command.program}",
        "These are accepted too, or refused with the reason; `--help` does not list them.",
        *(definition(_names(names), _meaning(names[0], entry)) for entry, names in entries),
    ]


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _as_sentence(text: str) -> str:
    """The text with a capital letter, unless it begins with a value, as in `json: print events`."""
    return text if re.match(r"\w+:", text) else text[0].upper() + text[1:]


def _meaning(name: str, entry: object) -> str:
    if isinstance(entry, RefusedOption):
        return f"Refused: {prose(entry.reason)}."
    if isinstance(entry, IgnoredOption):
        return f"No effect: {prose(entry.reason)}."
    assert isinstance(entry, MappedOption)
    for value in (None, "true") if entry.value == "boolean" else _VALUES:
        try:
            words = entry.words(value)
        except click.UsageError:
            continue
        if words == (name, value):  # our option of the same name: what it takes besides is shown
            continue
        given = name if value is None else f"{name} {value}"
        if words:
            return "A flag." if words == (name,) else f"`{given}` is `{shlex.join(words)}`."
        return f"`{given}` is accepted and changes nothing."
    raise AssertionError(f"{name} takes none of {_VALUES}")


def program_parts(program: OmzProgram) -> list[str]:
    """Usage and options of a program that runs one of our commands."""
    command, words = program.command[0], program.command[1:]
    runs = f"Runs [{command}]({command}.md)" + (f" with `{shlex.join(words)}`" if words else "")
    entries: Sequence[tuple[str, str]] = [*program.help.items(), ("-v, --verbose", "print the command that runs")]
    return [
        f"```text\n{program.name} [OPTIONS]\n```",
        f"{runs}. All options of that command are accepted too.",
        *(definition(_names(names.split(", ")), f"{prose(_as_sentence(text))}.") for names, text in entries),
    ]
