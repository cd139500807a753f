"""Options of the commands that read images: which images to take."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from ov_mobilenet.cli import options

if TYPE_CHECKING:
    from ov_mobilenet.inputs.open_inputs import Inputs


@dataclass(frozen=True)
class InputOptions:
    """The values of the input options."""

    every: int
    max_fps: float | None
    limit: int | None
    loop: bool
    recursive: bool

    def open(self, texts: Iterable[str]) -> Inputs:
        """Open the INPUT arguments. Raises: UsageError, as `open_inputs`."""
        from ov_mobilenet.inputs.open_inputs import open_inputs

        # Errors of a video are reported by this package; FFmpeg and OpenCV would print theirs between the results.
        os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        return open_inputs(
            texts,
            every=self.every,
            max_fps=self.max_fps,
            limit=self.limit,
            loop=self.loop,
            recursive=self.recursive,
        )


def input_options(function: options.F) -> options.F:
    """`--every`, `--max-fps`, … as one `InputOptions` called `input_options`."""
    function = options.collect_into(InputOptions, "input_options")(function)
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


_OPTIONS = (
    click.option(
        "--every", type=click.IntRange(min=1), default=1, metavar="N",
        help="Take every Nth image, and every Nth frame of a video or camera.",
    ),
    click.option(
        "--max-fps", type=click.FloatRange(min=0, min_open=True, max=10_000), metavar="F",
        help="Take at most F frames per second of a video or camera.",
    ),
    click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Take the first N images or frames."),
    click.option("--loop", is_flag=True, help="Start again at the end, until Ctrl-C or --limit."),
    click.option(
        "--recursive/--no-recursive", default=True, show_default=True, help="Search the folders below a folder."
    ),
)  # fmt: skip
