"""`python -m ov_mobilenet`, and the entry points of the installed programs."""

from __future__ import annotations

import os
import signal
from typing import NoReturn

_STOPPED = {signal.SIGINT: (130, b"error: interrupted\n"), signal.SIGTERM: (143, b"error: terminated\n")}


def run() -> NoReturn:
    """Run the command line and exit."""
    _end_on_signals()
    from ov_mobilenet.cli.main import run as run_commands

    run_commands()


def omz_downloader() -> NoReturn:
    """Run `omz_downloader` and exit."""
    _run_omz_program("omz_downloader")


def omz_converter() -> NoReturn:
    """Run `omz_converter` and exit."""
    _run_omz_program("omz_converter")


def omz_quantizer() -> NoReturn:
    """Run `omz_quantizer` and exit."""
    _run_omz_program("omz_quantizer")


def omz_info_dumper() -> NoReturn:
    """Run `omz_info_dumper` and exit."""
    _run_omz_program("omz_info_dumper")


def _run_omz_program(name: str) -> NoReturn:
    _end_on_signals()
    from ov_mobilenet.cli.main import run as run_commands
    from ov_mobilenet.cli.omz_programs import PROGRAMS

    run_commands(PROGRAMS[name])


def _end_on_signals() -> None:
    """Until the modules of the program are imported, Ctrl-C and SIGTERM end the process at once."""
    for signum in _STOPPED:
        if signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, _end)


def _end(signum: int, _: object) -> NoReturn:
    code, message = _STOPPED[signal.Signals(signum)]
    try:
        os.write(2, message)
    finally:
        os._exit(code)


if __name__ == "__main__":
    run()
