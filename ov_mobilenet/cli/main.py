"""The entry point `ov-mobilenet`: commands loaded when they are called, errors rendered once, exit codes."""

from __future__ import annotations

import importlib
import io
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import click

from ov_mobilenet._version import __version__
from ov_mobilenet.errors import OvMobilenetError

COMMANDS = {
    "list": ("ov_mobilenet.cli.zoo", "list_command", "The models of the zoo."),
    "info": ("ov_mobilenet.cli.info", "info_command", "Everything known of one model."),
    "download": ("ov_mobilenet.cli.download", "download_command", "Fetch and verify source files."),
    "convert": (
        "ov_mobilenet.cli.convert",
        "convert_command",
        "Convert to OpenVINO IR, normalisation baked in.",
    ),
    "quantize": ("ov_mobilenet.cli.quantize", "quantize_command", "Make an INT8 IR, calibrated on images."),
    "cache": ("ov_mobilenet.cli.cache", "cache_group", "What the download, IR and model caches hold."),
    "demo": ("ov_mobilenet.cli.demo", "demo_command", "The whole chain offline, on the built-in sample model."),
    "classify": ("ov_mobilenet.cli.classify", "classify_command", "Classify images."),
    "accuracy": (
        "ov_mobilenet.cli.accuracy",
        "accuracy_command",
        "Top-1 and top-5 on labelled images.",
    ),
    "compare": ("ov_mobilenet.cli.compare", "compare_command", "IRs and source networks side by side."),
    "benchmark": ("ov_mobilenet.cli.benchmark", "benchmark_command", "Throughput and latency, of the whole path too."),
    "benchmark-app": (
        "ov_mobilenet.cli.benchmark_app",
        "benchmark_app_command",
        "`benchmark` with the options of OpenVINO's benchmark_app.",
    ),
    "tune": ("ov_mobilenet.cli.tune", "tune_command", "The best settings for a model on a device, as a profile."),
    "devices": ("ov_mobilenet.cli.devices", "devices_command", "What there is to run on, and what is missing."),
}

COMMON = ("-v", "--verbose", "-q", "--quiet", "--debug")
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are called: `--help` and `classify` stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Example: ov-mobilenet convert mobilenet-v2-pytorch && ov-mobilenet classify mobilenet-v2-pytorch cat.jpg",
)
@click.version_option(__version__, prog_name="ov-mobilenet")
@click.option("-v", "--verbose", is_flag=True, help="Say more of what is done.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no warnings.")
@click.option("--debug", is_flag=True, help="Show where an error comes from.")
def cli(verbose: bool, quiet: bool, debug: bool) -> None:
    """Take a MobileNet to OpenVINO and run it.

    MODEL is a name of the zoo, the path of a model.yml, or the path of an IR .xml.
    """
    level = logging.ERROR if quiet else logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING
    set_up_logging(level)


def set_up_logging(level: int) -> None:
    """Warnings of the package to stderr, in this process."""
    handler = _ToStderr()
    handler.setFormatter(_LevelFormatter())
    logger = logging.getLogger("ov_mobilenet")
    logger.handlers[:] = [handler]
    logger.setLevel(level)


class _ToStderr(logging.Handler):
    """Writes to what stderr is at that moment, not to what it was when logging began."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


class _LevelFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.lower()}: {record.getMessage()}"


class _Terminated(BaseException):
    """SIGTERM: unwinds like Ctrl-C, so that what was done is kept."""


def _on_sigterm() -> Callable[[int, FrameType | None], None]:
    """A handler that raises in this process; OpenVINO's telemetry forks children and stops them with SIGTERM."""
    owner = os.getpid()

    def handle(signum: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:
            os._exit(EXIT_TERMINATED)
        raise _Terminated

    return handle


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0 done, 1 something failed, 2 wrong usage, 3 a check did not hold, 130 after Ctrl-C, 143 after SIGTERM.
    """
    arguments = _common_first(sys.argv[1:] if arguments is None else arguments)
    if sys.stdout is None:  # started with stdout closed
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (open as long as the process)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file name that the terminal's encoding lacks is no reason to stop.
        sys.stdout.reconfigure(errors="backslashreplace")
    before = signal.signal(signal.SIGTERM, _on_sigterm())
    try:
        return _run(arguments)
    finally:
        signal.signal(signal.SIGTERM, before)


def _common_first(arguments: list[str]) -> list[str]:
    """The options that every command has, moved before the command; what follows `--` stays."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    common = [argument for argument in arguments[:end] if argument in COMMON]
    return common + [argument for argument in arguments[:end] if argument not in COMMON] + arguments[end:]


def _run(arguments: list[str]) -> int:
    debug = "--debug" in arguments
    try:
        result: Any = cli.main(arguments, prog_name="ov-mobilenet", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except OvMobilenetError as error:
        if debug:
            traceback.print_exc()
        return _say(str(error), error.exit_code)
    except click.UsageError as error:
        error.show()
        return 2
    except click.ClickException as error:
        return _say(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return _say("interrupted", EXIT_INTERRUPTED)
    except _Terminated:
        return _say("terminated", EXIT_TERMINATED)
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`): not an error, but nothing more may be written either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if debug:
            traceback.print_exc()
        return _say(" ".join(str(error).split()), 1)


def _say(message: str, code: int) -> int:
    click.echo(f"error: {message}", err=True)
    return code


def run() -> None:
    """The console script."""
    sys.exit(main())
