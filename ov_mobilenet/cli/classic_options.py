"""Options of the programs that a command replaces: mapped to ours, without effect, or refused with a reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import click

from ov_mobilenet.cli import verbosity

_NOTES = f"{__name__}.notes"  # key in click's `Context.meta`
BOOLEANS = {
    **dict.fromkeys(("true", "yes", "t", "y", "1"), True),
    **dict.fromkeys(("false", "no", "f", "n", "0"), False),
}


@dataclass(frozen=True)
class MappedOption:
    """An option that stands for options of ours.

    Attributes:
        words: makes our words from the given value, which is None if the option has none; may raise click.UsageError.
        value: whether a value follows. `boolean`: a word such as `true` may follow.
    """

    words: Callable[[str | None], Sequence[str]]
    value: Literal["one", "boolean"] = "one"


@dataclass(frozen=True)
class IgnoredOption:
    """An option that is accepted without effect; a note tells the reason."""

    reason: str
    value: Literal["one", "boolean"] = "one"


@dataclass(frozen=True)
class RefusedOption:
    """An option that is an error, with its replacement or the reason."""

    reason: str


ClassicTable = Mapping[str, MappedOption | IgnoredOption | RefusedOption]


def renamed(option: str) -> MappedOption:
    """An option that has another name here."""
    return MappedOption(lambda value: (option, value or ""))


class ClassicCommand(click.Command):
    """A command that also takes the options of the program that it replaces.

    They are not in `--help`, where each would stand beside the option that it is mapped to.
    """

    def __init__(self, *arguments: Any, program: str, classic: ClassicTable, **settings: Any) -> None:
        """See `click.Command`.

        Args:
            program: name of the replaced program, for messages.
            classic: the options by spelling.
        """
        super().__init__(*arguments, **settings)
        self.program, self.classic = program, classic

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Translate the options, then parse as click does."""
        if ctx.resilient_parsing:  # shell completion, of an incomplete line
            return super().parse_args(ctx, args)
        try:
            words, ctx.meta[_NOTES] = translated(args, self.classic, self.program, self._options_with_value())
        except click.UsageError as error:
            error.ctx = ctx  # to print the usage line
            raise
        return super().parse_args(ctx, words)

    def _options_with_value(self) -> set[str]:
        options = (parameter for parameter in self.params if isinstance(parameter, click.Option))
        return {name for option in options if not (option.is_flag or option.count) for name in option.opts}

    def invoke(self, ctx: click.Context) -> Any:
        """Print the notes on options without effect, then run the command."""
        if not verbosity.is_quiet(ctx):
            for note in ctx.meta[_NOTES]:
                click.echo(f"note: {note}", err=True)
        return super().invoke(ctx)


def translated(
    words: Sequence[str], table: ClassicTable, program: str, with_value: Collection[str] = ()
) -> tuple[list[str], list[str]]:
    """The words with the options of the table replaced by ours, and a note for each option without effect.

    Args:
        with_value: options that are not in the table and take a value, which is not translated.

    Raises:
        click.UsageError: an option is refused, its value is invalid, or its value is missing.
    """
    result: list[str] = []
    notes: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*result, word, *rest], notes
        name, equals, value = word.partition("=")
        entry = table.get(name)
        if entry is None:
            # argparse, which the replaced programs use, takes `-t=5`; click takes it for `-t` with the value `=5`
            result += [name, value] if equals and re.fullmatch(r"-[a-zA-Z]", name) else [word]
            if word in with_value and rest:
                result.append(rest.pop(0))
            continue
        if isinstance(entry, RefusedOption):
            raise click.UsageError(f"{name} of {program} is not supported: {entry.reason}")
        given: str | None = value if equals else None
        if not equals and entry.value == "one":
            if not rest:
                raise click.UsageError(f"{name} requires a value")
            given = rest.pop(0)
        elif not equals and rest and rest[0].lower() in BOOLEANS:
            given = rest.pop(0)
        if isinstance(entry, MappedOption):
            result += entry.words(given)
        else:
            notes.append(f"{name} has no effect: {entry.reason}")
    return result, notes


def boolean(option: str, value: str | None) -> bool:
    """The value of a boolean option; True if it has none. Raises: click.UsageError."""
    if value is None:
        return True
    if value.lower() not in BOOLEANS:
        raise click.UsageError(f"{option} takes true or false, got {value!r}")
    return BOOLEANS[value.lower()]
