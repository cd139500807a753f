"""The program `ov-mobilenet`: loads a command when it is called, prints each error once and sets the exit code."""

from __future__ import annotations

import atexit
import importlib
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from ov_mobilenet._version import __version__
from ov_mobilenet.cli.configuration import default_map
from ov_mobilenet.cli.early_openvino import start_openvino
from ov_mobilenet.cli.invocation import PROGRAM
from ov_mobilenet.cli.library_threads import limit_library_threads
from ov_mobilenet.cli.library_warnings import warnings_in_log
from ov_mobilenet.cli.signals import EXIT_CODES, Terminated, end_at_once_on_signals, unwinding_signals
from ov_mobilenet.cli.standard_streams import prepare_standard_streams
from ov_mobilenet.cli.verbosity import add_common_options, logging_restored
from ov_mobilenet.errors import OvMobilenetError

# name: (module, function, one line for --help)
COMMANDS = {
    "list": ("ov_mobilenet.cli.list_models", "list_command", "List the models of the zoo."),
    "info": ("ov_mobilenet.cli.info", "info_command", "Show the details of a model or an IR."),
    "download": ("ov_mobilenet.cli.download", "download_command", "Download and verify source files."),
    "convert": ("ov_mobilenet.cli.convert", "convert_command", "Convert to OpenVINO IR with normalisation baked in."),
    "quantize": ("ov_mobilenet.cli.quantize", "quantize_command", "Quantise an IR to INT8."),
    "cache": ("ov_mobilenet.cli.cache", "cache_group", "List and prune the download, IR and model caches."),
    "demo": ("ov_mobilenet.cli.demo", "demo_command", "Convert, verify and run the built-in sample model offline."),
    "classify": ("ov_mobilenet.cli.classify", "classify_command", "Classify images, videos and camera frames."),
    "accuracy": ("ov_mobilenet.cli.accuracy", "accuracy_command", "Measure top-1 and top-5 on labelled images."),
    "compare": (
        "ov_mobilenet.cli.compare",
        "compare_command",
        "Compare accuracy, size and speed of IRs and source networks.",
    ),
    "diagnose": (
        "ov_mobilenet.cli.diagnose",
        "diagnose_command",
        "Find a network's normalisation, from images without labels.",
    ),
    "benchmark": ("ov_mobilenet.cli.benchmark", "benchmark_command", "Measure throughput and latency."),
    "benchmark-app": (
        "ov_mobilenet.cli.benchmark_app",
        "benchmark_app_command",
        "Run `benchmark` with the options of OpenVINO's benchmark_app.",
    ),
    "serve": ("ov_mobilenet.cli.serve", "serve_command", "Serve models over REST and gRPC (Open Inference Protocol)."),
    "export": ("ov_mobilenet.cli.export", "export_group", "Export models for other model servers."),
    "bulk": ("ov_mobilenet.cli.bulk", "bulk_command", "Classify many images into Parquet parts, here or on Ray."),
    "tune": ("ov_mobilenet.cli.tune", "tune_command", "Find the best settings for a model on a device."),
    "devices": ("ov_mobilenet.cli.devices", "devices_command", "Show the devices and what each supports."),
    "env": ("ov_mobilenet.cli.env", "env_command", "Show versions, devices, caches and settings, for bug reports."),
    "config": ("ov_mobilenet.cli.config", "config_group", "Show the defaults set by the configuration file."),
    "completion": ("ov_mobilenet.cli.completion", "completion_command", "Print the completion script for a shell."),
}

# These commands must also work with a wrong configuration.
WITHOUT_CONFIGURATION = ("completion", "config", "env")
EXIT_PIPE_CLOSED = 128 + getattr(signal, "SIGPIPE", 13)


class _LazyGroup(click.Group):
    """A group that imports a command when it is called, which keeps `--help` and `classify` fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return add_common_options(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, and give it the user's defaults for its options."""
        name, command, rest = super().resolve_command(ctx, args)
        is_run = not ctx.resilient_parsing  # otherwise the shell completes a command line
        if is_run and name is not None and command is not None and name not in WITHOUT_CONFIGURATION:
            ctx.default_map = {name: default_map(command, rest)}
        return name, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete command names without importing the commands, as the inherited method would."""
        names = [
            CompletionItem(name, help=text) for name, (_, _, text) in COMMANDS.items() if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)


@click.group(
    PROGRAM,
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Example: ov-mobilenet convert mobilenet-v2-pytorch && ov-mobilenet classify mobilenet-v2-pytorch cat.jpg"
    " --ir-dir .",
)
@click.version_option(__version__, prog_name=PROGRAM)
def cli() -> None:
    """Convert MobileNets to OpenVINO IR and run them.

    MODEL is a name from the zoo, the path of a model.yml, or the path of an IR .xml.
    """


add_common_options(cli)


def main(arguments: list[str] | None = None, command: click.Command = cli) -> int:
    """Run the command line; may be called by a program, whose log settings are kept.

    Args:
        arguments: without the program's name; None for those of this process.
        command: the program; its name is that of the command.

    Returns:
        The exit code: 0 done, 1 something failed, 2 wrong usage, 3 a check failed, 130 after Ctrl-C, 141 if the reader
        of stdout closed it, 143 after SIGTERM.
    """
    with logging_restored():
        return _main(sys.argv[1:] if arguments is None else arguments, command)


def _main(arguments: list[str], command: click.Command) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file name with characters that the terminal's encoding lacks must not stop the command.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with unwinding_signals(), warnings_in_log():
            return _run(arguments, command)
    except KeyboardInterrupt:
        return _print_error("interrupted", EXIT_CODES[signal.SIGINT])
    except Terminated:
        return _print_error("terminated", EXIT_CODES[signal.SIGTERM])


def _run(arguments: list[str], command: click.Command) -> int:
    end = arguments.index("--") if "--" in arguments else len(arguments)
    debug = "--debug" in arguments[:end]
    try:
        result: Any = command.main(arguments, prog_name=command.name, standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except OvMobilenetError as error:
        if debug:
            traceback.print_exc()
        return _print_error(str(error), error.exit_code)
    except click.UsageError as error:
        error.show()
        return 2
    except click.ClickException as error:
        return _print_error(error.format_message(), error.exit_code)
    except click.Abort:  # as click turns Ctrl-C into
        raise KeyboardInterrupt from None
    except (BrokenPipeError, SystemExit):
        # The reader of our output has closed it (`| head`): not an error, but nothing more may be written. click turns
        # the first into the second, with exit code 1.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EXIT_PIPE_CLOSED
    except OSError as error:
        if debug:
            traceback.print_exc()
        return _print_error(" ".join(str(error).split()), 1)


def _print_error(message: str, code: int) -> int:
    click.echo(f"error: {message}", err=True)
    return code


def _is_watched() -> bool:
    """Whether a profiler, a debugger or coverage runs this program and has something to do at its end."""
    monitoring = getattr(sys, "monitoring", None)  # Python 3.12 and later, whose cProfile is only seen there
    tools = [] if monitoring is None else [monitoring.get_tool(number) for number in range(6)]
    return any(tool is not None for tool in (sys.getprofile(), sys.gettrace(), *tools))


def run(program: Callable[[list[str]], int] | None = None) -> NoReturn:
    """Run the command line of this process and exit.

    Args:
        program: runs instead; from the arguments to the exit code.
    """
    prepare_standard_streams()
    limit_library_threads()
    is_early = program is None and start_openvino(sys.argv[1:])
    # The log settings are not restored: threads may still log, and `-q` applies until the end.
    code = _main(sys.argv[1:], cli) if program is None else program(sys.argv[1:])
    end_at_once_on_signals(code)
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    # A thread is still in a library, such as OpenCV: when Python ends regularly and the thread returns from there, the
    # C++ runtime aborts the process.
    is_in_library = any(thread.daemon for thread in others)
    # One image takes so little time that freeing the memory of OpenVINO piece by piece would be a tenth of it.
    if is_in_library or (is_early and not others and not _is_watched()):
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(code)
    sys.exit(code)
