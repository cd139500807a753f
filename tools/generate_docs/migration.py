"""The tables of docs/how-to/migrate.md: every option of the Open Model Zoo's programs, and what it is here.

They are made of what the commands themselves use: their options, and the tables that translate or refuse the options of
the other programs. The lists of options are those that tests compare with the programs.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from unittest import mock

import classification_benchmark_demo
import classification_demo
import click
from generate_docs import classic_programs as classic
from generate_docs.accuracy_check import ACCURACY_CHECK

from ov_mobilenet.cli import omz_programs
from ov_mobilenet.cli.classic_options import ClassicTable, IgnoredOption, MappedOption, RefusedOption
from ov_mobilenet.cli.main import cli
from ov_mobilenet.cli.omz_programs import OmzProgram

SAME, NOTHING = "the same", "—"
# Values that an option may refuse, to show its reason.
WRONG_VALUES = ("caffe", "other", "false")
# In place of a help text that is about more than the other program's option.
REMARKS = {
    "--source": "the file of the network, or the folder of a SavedModel",
    "--name": "the name of the IR and of its folder",
}
# An option in a remark, with the command before it and the value behind it.
_OPTION = re.compile(
    r"(?:(?:ov-mobilenet|benchmark|convert) )?(?<![\w-])--?[a-z][\w-]*(?:=\S+)?"
    r"(?: (?:mo --add-mo-arg=\S+|sync|u8|f32|end-to-end|CONFIG_FILE=FILE)(?!\S*\w))?"
)
Row = tuple[str, str, str]


def omz_program(program: OmzProgram, listed: classic.Options) -> str:
    """The options of a program that runs one of our commands.

    Args:
        listed: its options.
    """
    remarks = {name: text for head, text in program.help.items() for name in re.findall(r"--?[\w-]+", head)}
    command = _command(program.command[0])
    rows = []
    for spellings in listed:
        remark = next(remarks[spelling] for spelling in spellings if spelling in remarks)
        reason = remark.removeprefix("no effect: ")
        mapped = re.search(r": `(--backend mo .*)`", remark)
        if reason != remark:
            rows.append((_codes(spellings), "no effect", reason))
        elif mapped:
            rows.append((_codes(spellings), f"`{mapped[1]}`", remark[: mapped.start()]))
        else:
            _option(command, spellings)  # it exists
            rows.append((_codes(spellings), SAME, remark))
    return _table(rows)


def omz_quantizer() -> str:
    """The options of `omz_quantizer`, whose help names our options in parentheses."""
    rows = []
    for spellings in classic.OMZ_QUANTIZER:
        text = _help(_option(omz_programs.omz_quantizer_command, spellings), whole=True)
        named = re.search(r" \((quantize -[^;)]+)(; [^)]*)?\)", text)
        reason = text.removeprefix("no effect: ")
        if reason != text:
            rows.append((_codes(spellings), "no effect", reason))
        elif named:
            rows.append((_codes(spellings), f"`{named[1]}`", text.replace(named[0], named[2] or "")))
        else:
            rows.append((_codes(spellings), SAME, text))
    return _table(rows)


def command_table(name: str, listed: classic.Options, table: ClassicTable) -> str:
    """The options of a program whose options our command takes itself.

    Args:
        name: our command.
        table: what is translated, has no effect, or is refused.
    """
    command = _command(name)
    return _table([_row(command, spellings, values, table) for spellings, values in listed.items()])


def accuracy_check() -> str:
    """The options of `accuracy_check`. Raises: KeyError: our command lacks an option that the table names."""
    ours = {name for option in _command("accuracy").params for name in option.opts}
    rows = []
    for spellings, (option, remark) in ACCURACY_CHECK.items():
        if option and option not in ours:
            raise KeyError(option)
        rows.append((_codes(spellings), f"`{option}`" if option else NOTHING, remark))
    return _table(rows)


def demo(parse: Callable[[], argparse.Namespace], listed: classic.Options) -> str:
    """The options of a demo.

    Args:
        parse: what parses its command line; it hides the options that it accepts without effect.
        listed: those of the Open Model Zoo's demo of the same name.
    """
    actions = {name: action for action in _parser_of(parse)._actions for name in action.option_strings}
    rows = []
    for spellings in listed:
        action = next(actions[name] for name in spellings if name in actions)
        hidden = action.help == argparse.SUPPRESS
        rows.append(
            (_codes(spellings), *(("no effect", "the demo prints the reason") if hidden else (SAME, action.help or "")))
        )
    return _table(rows)


GENERATORS: Mapping[str, Callable[[], str]] = {
    "migrate-omz-downloader": lambda: omz_program(omz_programs.DOWNLOADER, classic.OMZ_DOWNLOADER),
    "migrate-omz-converter": lambda: omz_program(omz_programs.CONVERTER, classic.OMZ_CONVERTER),
    "migrate-omz-info-dumper": lambda: omz_program(omz_programs.INFO_DUMPER, classic.OMZ_INFO_DUMPER),
    "migrate-omz-quantizer": omz_quantizer,
    "migrate-mo": lambda: _classic_command("convert", classic.MO),
    "migrate-benchmark-app": lambda: _classic_command(
        "benchmark-app", {**classic.BENCHMARK_APP, **_only_cpp(classic.BENCHMARK_APP_CPP)}
    ),
    "migrate-accuracy-check": accuracy_check,
    "migrate-classification-demo": lambda: demo(classification_demo.parse_options, classic.CLASSIFICATION_DEMO),
    "migrate-classification-benchmark-demo": lambda: demo(
        classification_benchmark_demo.parse_options, classic.CLASSIFICATION_BENCHMARK_DEMO
    ),
}


def _classic_command(name: str, listed: classic.Options) -> str:
    from ov_mobilenet.cli.classic_options import ClassicCommand

    command = _command(name)
    assert isinstance(command, ClassicCommand)
    return command_table(name, listed, command.classic)


def _only_cpp(listed: classic.Options) -> classic.Options:
    known = {spelling for spellings in classic.BENCHMARK_APP for spelling in spellings}
    return {spellings: values for spellings, values in listed.items() if not known & set(spellings)}


def _row(command: click.Command, spellings: Sequence[str], values: Sequence[str], table: ClassicTable) -> Row:
    option = next((table[spelling] for spelling in spellings if spelling in table), None)
    if isinstance(option, RefusedOption):
        return _codes(spellings), "refused", option.reason
    if isinstance(option, IgnoredOption):
        return _codes(spellings), "no effect", option.reason
    if isinstance(option, MappedOption):
        return _mapped_row(command, spellings, values, option)
    return _codes(spellings), SAME, _help(_option(command, spellings))


def _mapped_row(command: click.Command, spellings: Sequence[str], values: Sequence[str], option: MappedOption) -> Row:
    given = values[0] if values else None
    words = option.words(given)
    limits = [reason for value in WRONG_VALUES if (reason := _reason(option, value))]
    if not words:
        return _codes(spellings), "not needed", f"some values are refused: {limits[0]}"
    names = [word for word in words if word.startswith("-")]
    remark = REMARKS.get(names[0]) or _help(_option(command, names[:1]))
    if names[0] in spellings:
        return _codes(spellings), SAME, remark
    if list(words[1:]) != [given] and given is not None:
        remark = f"`{spellings[0]} {given}` is `{' '.join(words)}`"
    return _codes(spellings), ", ".join(f"`{name}`" for name in names), remark


def _reason(option: MappedOption, value: str) -> str:
    """Why a value is refused; empty if it is not, or if only a number or a word was expected."""
    try:
        option.words(value)
    except click.UsageError as error:
        return error.format_message().partition(" is not supported: ")[2]
    return ""


def _command(name: str) -> click.Command:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return command


def _option(command: click.Command, spellings: Iterable[str]) -> click.Option:
    """Our option with one of these spellings."""
    for spelling in spellings:
        for parameter in command.params:
            if isinstance(parameter, click.Option) and spelling in (*parameter.opts, *parameter.secondary_opts):
                return parameter
    raise KeyError(f"{command.name}: {list(spellings)}")


def _help(option: click.Option, *, whole: bool = False) -> str:
    """The help of an option as a remark: its first sentence, or all of it."""
    text = (option.help or "").replace("\n", " ").rstrip(".")
    text = text if whole else re.split(r"\. ", text, maxsplit=1)[0]
    return text[0].lower() + text[1:] if text[1:2].islower() else text


class _Parsed(Exception):
    """Ends the parsing of a demo's command line, with its parser."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


def _parser_of(parse: Callable[[], argparse.Namespace]) -> argparse.ArgumentParser:
    def stop(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
        raise _Parsed(parser)

    with mock.patch.object(argparse.ArgumentParser, "parse_args", stop), mock.patch.object(sys, "argv", ["demo"]):
        try:
            parse()
        except _Parsed as parsed:
            return parsed.parser
    raise AssertionError("the demo does not parse its options with argparse")


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(rows: Iterable[Row]) -> str:
    lines = ["| Option | Here | Remark |", "|---|---|---|"]
    for option, here, remark in rows:
        cells = (option, here, _with_codes(remark))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _with_codes(text: str) -> str:
    """The text with its options in backticks."""
    parts = text.split("`")  # every second part is in backticks already
    parts[::2] = [_OPTION.sub(r"`\g<0>`", part) for part in parts[::2]]
    return "`".join(parts)
