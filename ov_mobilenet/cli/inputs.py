"""Options of the commands that read images: which of them are taken."""

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
    """What was given of the input options."""

    every: int
    max_fps: float | None
    limit: int | None
    loop: bool
    recursive: bool

    def open(self, texts: Iterable[str]) -> Inputs:
        """The images that the arguments mean. Raises: UsageError."""
        from ov_mobilenet.inputs.open_inputs import open_inputs

        # We say what is wrong with a video; what FFmpeg and OpenCV think of it would be written between the results.
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
    function = options.gathered(InputOptions, "input_options")(function)
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


_OPTIONS = (
    click.option(
        "--every", type=click.IntRange(min=1), default=1, metavar="N",
        help="Take each Nth image, and each Nth frame of a video or camera.",
    ),
    click.option(
        "--max-fps", type=click.FloatRange(min=0, min_open=True, max=10_000), metavar="F",
        help="Take at most so many frames a second of a video or camera.",
    ),
    click.option("--limit", type=click.IntRange(min=1), metavar="N", help="End after so many results."),
    click.option("--loop", is_flag=True, help="Begin again at the end, until Ctrl-C or --limit."),
    click.option(
        "--recursive/--no-recursive", default=True, help="With or without the folders below a folder (default: with)."
    ),
)  # fmt: skip
