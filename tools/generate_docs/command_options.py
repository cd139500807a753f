"""One option of a command as an entry of a definition list, and the groups that several commands share."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import click

from ov_mobilenet.cli.configuration import SETTINGS
from ov_mobilenet.cli.device import device_options
from ov_mobilenet.cli.inputs import input_options
from ov_mobilenet.cli.options import lookup
from ov_mobilenet.cli.outputs import output_options
from ov_mobilenet.cli.own_network import source_options
from ov_mobilenet.cli.selection import model_selection

COMMON = {"--verbose", "--quiet", "--debug", "--help"}
# What adds the options of each group, in the order of a page; an option of two groups is in the last.
_GROUPS: Mapping[str, Callable[[Any], Any]] = {
    "Selecting models": model_selection,
    "Your own network": source_options,
    "Choosing images": input_options,
    "Results": output_options,
    "Device": device_options,
    "Finding models": lookup,
}
_LEAST_GROUP = 3  # a smaller group needs no heading
# An option, with its value if `=` stands between them; `-` for stdin; a name with an underscore.
_CODE = re.compile(r"(?<![\w`/-])--?[a-zA-Z][\w-]*(?:=[^\s;,)]+)?|(?<!\S)-(?= for\b)|\w*_[\w.]*\w(?:=[^\s;,)]+)?")
_SPECIAL = re.compile(r"([*_<\[#])")


def grouped(options: Sequence[click.Option]) -> dict[str, list[click.Option]]:
    """The options by heading, `Options` first; without those that every command has."""
    found: dict[str, list[click.Option]] = {"Options": []}
    for option in options:
        if COMMON.isdisjoint(option.opts):
            found.setdefault(_group_of().get(_key(option), "Options"), []).append(option)
    small = [heading for heading in _GROUPS if len(found.get(heading, ())) < _LEAST_GROUP]
    for heading in small:
        found["Options"] += found.pop(heading, [])
    return {heading: found[heading] for heading in ("Options", *_GROUPS) if found.get(heading)}


@cache
def _group_of() -> dict[tuple[tuple[str, ...], str | None], str]:
    groups: dict[tuple[tuple[str, ...], str | None], str] = {}
    for heading, decorate in _GROUPS.items():
        command = click.command("group")(decorate(lambda: None))
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                groups[_key(parameter)] = heading
    return groups


def _key(option: click.Option) -> tuple[tuple[str, ...], str | None]:
    return tuple(option.opts), option.help  # the same name may mean something else in another command


def entry(option: click.Option, *, configurable: bool = True) -> str:
    """An option as an entry of a definition list.

    Args:
        configurable: whether the user's configuration may set its default.
    """
    return definition(_term(option), " ".join([prose(option.help or ""), *_facts(option, configurable)]).strip())


def definition(term: str, text: str) -> str:
    """An entry of a definition list."""
    return f"{term}\n{textwrap.indent(filled(text, 116), '    ').replace('    ', ':   ', 1)}"


def filled(text: str, width: int = 120) -> str:
    """A paragraph in lines of this width."""
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)


def prose(text: str) -> str:
    """Text of a command as Markdown: options and names are code, and characters that mean something are escaped."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(part if part.startswith("`") else _marked(part) for part in parts)


def _marked(text: str) -> str:
    found, end = "", 0
    for match in _CODE.finditer(text):
        word = match[0].rstrip(".:")
        found += _SPECIAL.sub(r"\\\1", text[end : match.start()]) + f"`{word}`"
        end = match.start() + len(word)
    return found + _SPECIAL.sub(r"\\\1", text[end:])


def _term(option: click.Option) -> str:
    names, value = _spellings(option)[0], _value(option)
    names = [*names[:-1], f"{names[-1]} {value}".rstrip()]
    if option.secondary_opts:
        names.append(next(name for name in option.secondary_opts if "_" not in name))
    return ", ".join(f"`{name}`" for name in names)


def _spellings(option: click.Option) -> tuple[list[str], list[str]]:
    """The names of an option, and those that differ from one of them only in underscores."""
    every = [*option.opts, *option.secondary_opts]
    others = [name for name in every if "_" in name and name.replace("_", "-") in every]
    # `-h` and `--help` have no order before click 8.3.
    names = sorted(option.opts, key=lambda name: name.startswith("--"))
    return [name for name in names if name not in others], others


def _value(option: click.Option) -> str:
    if option.is_flag or option.count:
        return ""
    if option.metavar:
        return option.metavar
    if isinstance(option.type, click.Choice):
        return "|".join(map(str, option.type.choices))
    return option.type.name.upper()


def _facts(option: click.Option, configurable: bool) -> list[str]:
    """What the help text does not say, as sentences."""
    text, others, facts = option.help or "", _spellings(option)[1], []
    if option.hidden:
        facts.append("Not shown by `--help`.")
    if option.required:
        facts.append("Required.")
    if option.multiple and "repeatable" not in text:
        facts.append("Repeatable.")
    if isinstance(option.type, (click.IntRange, click.FloatRange)) and option.type.max is not None:
        facts.append(_range(option.type))
    if (option.show_default is True or "default" not in text) and (default := _default(option)):
        facts.append(f"Default: `{default}`.")
    if others:
        facts.append(f"Also accepted: {', '.join(f'`{name}`' for name in others)}.")
    variables = [setting.variable for setting in SETTINGS if configurable and setting.option in option.opts]
    variables += [option.envvar] if isinstance(option.envvar, str) and option.envvar not in text else []
    return facts + [f"Variable: `{name}`." for name in variables]


def _range(kind: click.IntRange | click.FloatRange) -> str:
    """The limits of a number; a lower limit alone goes without saying: it is 0 or 1."""
    assert kind.min is not None and kind.max is not None
    low = f"{'More than' if kind.min_open else 'At least'} {_number(kind.min)}"
    return f"{low}, {'less than' if kind.max_open else 'at most'} {_number(kind.max)}."


def _default(option: click.Option) -> str:
    """The default as text; empty if there is none. click before 8.3 gives False to a flag without a default."""
    default = option.default
    if option.secondary_opts and isinstance(default, bool):
        return option.opts[0] if default else option.secondary_opts[0]
    if isinstance(default, bool) or not isinstance(default, (str, int, float, Path)):
        return ""
    return str(default) if isinstance(default, (str, Path)) else _number(default)


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)
