"""`-v`, `-q` and `--debug`, the options that every command has, and the log of the package on stderr."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ov_mobilenet.errors import printable

if TYPE_CHECKING:
    from ov_mobilenet.resolve import IrChoice

_LOGGERS = ("ov_mobilenet", "ov_mobilenet.resolve")
_GIVEN = f"{__name__}.given"  # key in click's `Context.meta`, which nested contexts share
_HELP = {
    "-v/--verbose": "Print more about each step.",
    "-q/--quiet": "Print no progress, notes or warnings.",
    "--debug": "Print the traceback of an error.",
}


def is_quiet(context: click.Context) -> bool:
    """Whether `-q` is given, before or after the command."""
    return "quiet" in context.meta.get(_GIVEN, ())


def is_verbose(context: click.Context) -> bool:
    """Whether `-v` is given, before or after the command."""
    return "verbose" in context.meta.get(_GIVEN, ())


def add_common_options(command: click.Command) -> click.Command:
    """Add `-v`, `-q` and `--debug` to a command and to its subcommands, unless it has them already."""
    if isinstance(command, click.Group):
        for subcommand in command.commands.values():
            add_common_options(subcommand)
    present = {parameter.name for parameter in command.params}
    for spellings, text in _HELP.items():
        option = click.Option(
            spellings.split("/"), is_flag=True, expose_value=False, is_eager=True, callback=_apply, help=text
        )
        if option.name not in present:
            command.params.append(option)
    return command


def _apply(context: click.Context, parameter: click.Parameter, given: bool) -> None:
    names: set[str | None] = context.meta.setdefault(_GIVEN, set())
    if given:
        names.add(parameter.name)
    if "quiet" in names:
        set_up_logging(logging.ERROR)
    elif "debug" in names:
        set_up_logging(logging.DEBUG)
    else:
        set_up_logging(logging.INFO if "verbose" in names else logging.WARNING)


def set_up_logging(level: int) -> None:
    """Write log messages of the package from `level` on to the stderr of this process; replaces earlier settings.

    The INFO message that says which IR runs for a model name is also shown at the default level, WARNING.
    """
    logger, resolving = (logging.getLogger(name) for name in _LOGGERS)
    logger.handlers[:] = [_StderrHandler(level)]
    logger.setLevel(level)
    resolving.setLevel(level if level > logging.WARNING else min(level, logging.INFO))


@contextmanager
def logging_restored() -> Iterator[None]:
    """Undo `set_up_logging` at the end of the `with` block: a program that calls a command keeps its own settings."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [(logger.level, logger.handlers[:]) for logger in loggers]
    try:
        yield
    finally:
        for logger, (level, handlers) in zip(loggers, before, strict=True):
            logger.setLevel(level)
            logger.handlers[:] = handlers


class _StderrHandler(logging.Handler):
    """Writes to the current `sys.stderr`, which may have changed since logging was set up."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._least = level
        self._reported: set[IrChoice] = set()

    def emit(self, record: logging.LogRecord) -> None:
        choice: IrChoice | None = getattr(record, "ir_choice", None)
        if choice is None:
            if record.levelno >= self._least:
                click.echo(f"{record.levelname.lower()}: {record.getMessage()}", err=True)
        elif choice not in self._reported:  # a command may open one model several times
            self._reported.add(choice)
            click.echo(printable(describe_choice(choice)), err=True)


def describe_choice(choice: IrChoice) -> str:
    """One line: the IR that runs for a model name, and how to run another one."""
    from pathlib import Path

    from ov_mobilenet.resolve import find_irs

    if choice.origin == "ir_dir":
        others = ", ".join(path.parent.name for path in choice.others)
        return f"using IR {choice.xml}" + (f" (also there: {others}; run one by its path)" if others else "")
    state = "cached" if choice.origin == "cached" else "just converted"
    if not _takes_ir_dir():
        return f"using IR {choice.xml} ({state}; run your own by the path of its .xml)"
    own = find_irs(Path(), choice.name)
    if own:
        return f"using IR {choice.xml} ({state}; {own[0]} exists but is not used; add --ir-dir . to use it)"
    return f"using IR {choice.xml} ({state}; run your own with --ir-dir DIR)"


def _takes_ir_dir() -> bool:
    context = click.get_current_context(silent=True)
    return context is not None and any("--ir-dir" in parameter.opts for parameter in context.command.params)
