"""`python -m ov_mobilenet`, and the entry point of the installed program."""

from __future__ import annotations

import os
import signal
from typing import NoReturn

_STOPPED = {signal.SIGINT: (130, b"error: interrupted\n"), signal.SIGTERM: (143, b"error: terminated\n")}


def run() -> NoReturn:
    """Run the command line and exit. Until its modules are imported, Ctrl-C and SIGTERM end the process at once."""
    for signum in _STOPPED:
        if signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, _end)
    from ov_mobilenet.cli.main import run as run_commands

    run_commands()


def _end(signum: int, _: object) -> NoReturn:
    code, message = _STOPPED[signal.Signals(signum)]
    try:
        os.write(2, message)
    finally:
        os._exit(code)


if __name__ == "__main__":
    run()
