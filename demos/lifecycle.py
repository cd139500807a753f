"""Start and end of a demo: window and video, error messages, signals, the report, exit codes."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import ov_mobilenet as ovm

if TYPE_CHECKING:
    from display import VideoFile, Window
    from metrics import Metrics

# Without these, FFmpeg and OpenCV print their own messages about a bad file beside ours. They must be set before
# OpenCV is imported.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")


def log(text: str) -> None:
    """Print a message to stderr; stdout is for results only."""
    sys.stderr.write(text + "\n")


def run_demo(work: Callable[[], int], *, clean_up: Callable[[], None]) -> int:
    """Run `work`, then `clean_up`, also after an error or a signal.

    Returns:
        The exit code: 0 success, 1 something failed, 2 wrong usage, 130 after Ctrl-C, 143 after SIGTERM.
    """

    def terminate(*_: object) -> None:
        raise SystemExit(143)

    signal.signal(signal.SIGTERM, terminate)
    try:
        code = work()
    except ovm.OvMobilenetError as error:
        log(f"error: {error}")
        code = error.exit_code
    except BrokenPipeError:  # the reader of stdout closed it, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 0
    except OSError as error:
        log(f"error: {error}")
        code = 1
    except KeyboardInterrupt:
        code = 130
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else 1
    try:
        clean_up()
    except OSError as error:
        log(f"error: {error}")
        code = code or 1
    return code


def open_outputs(options: argparse.Namespace, title: str) -> tuple[Window | None, VideoFile | None]:
    """Open the window and the output video.

    Returns:
        The window, None with `--no_show` or without a usable display; the video, None without `--output`.
    """
    from display import VideoFile, Window, why_no_window

    problem = None if options.no_show else why_no_window()
    if problem is not None:
        log(f"{problem}: continuing as with --no_show")
    window = None if options.no_show or problem is not None else Window(title)
    return window, None if options.output is None else VideoFile(options.output, limit=options.output_limit)


def close_outputs(metrics: Metrics, window: Window | None, video: VideoFile | None) -> None:
    """Print the report, close the window and finish the video file. Raises: OSError if the video cannot be written."""
    log(metrics.report())
    if window is not None:
        window.close()
    if video is not None:
        video.close()
