"""How a demo ends: one message for what went wrong, the report in any case, and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

import ov_mobilenet as ovm

# What FFmpeg and OpenCV would print of a bad file beside our own message.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")


def say(text: str) -> None:
    """Talk goes to stderr; stdout is data."""
    sys.stderr.write(text + "\n")


def to_the_end(work: Callable[[], int], *, last: Callable[[], None]) -> int:
    """Do the work and then, however it ends, the last things, which finish files and print the report.

    Returns:
        The exit code: 0 done, 1 something failed, 2 wrong usage, 130 after Ctrl-C, 143 after SIGTERM.
    """

    def terminate(*_: object) -> None:
        raise SystemExit(143)

    signal.signal(signal.SIGTERM, terminate)
    try:
        code = work()
    except ovm.OvMobilenetError as error:
        say(f"error: {error}")
        code = error.exit_code
    except BrokenPipeError:  # whoever read stdout has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 0
    except OSError as error:
        say(f"error: {error}")
        code = 1
    except KeyboardInterrupt:
        code = 130
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    try:
        last()
    except OSError as error:
        say(f"error: {error}")
        code = code or 1
    return code
