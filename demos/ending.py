"""How a demo begins and ends: window and video, one message for what went wrong, the report, an exit code."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import ov_mobilenet as ovm

if TYPE_CHECKING:
    from metrics import Metrics
    from screen import VideoFile, Window

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


def open_outputs(given: argparse.Namespace, title: str) -> tuple[Window | None, VideoFile | None]:
    """The window, unless it is not wanted or cannot be had, and the video file, if one is wanted."""
    from screen import VideoFile, Window, why_no_window

    why_not = None if given.no_show else why_no_window()
    if why_not is not None:
        say(f"{why_not}: going on as with --no_show")
    window = None if given.no_show or why_not is not None else Window(title)
    return window, None if given.output is None else VideoFile(given.output, limit=given.output_limit)


def finish(metrics: Metrics, window: Window | None, video: VideoFile | None) -> None:
    """Print the report, close the window, and make the video one that can be played. Raises: OSError."""
    say(metrics.report())
    if window is not None:
        window.close()
    if video is not None:
        video.close()
