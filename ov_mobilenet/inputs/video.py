"""The frames of a video, with their numbers and times."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ov_mobilenet.errors import ImageError
from ov_mobilenet.inputs.capture import FrameSampler, OpenCvCapture, open_video
from ov_mobilenet.inputs.sources import CONTAINER_SUFFIXES, masked
from ov_mobilenet.runtime.items import Item

# The frame count of a header is not exact: tolerated difference in frames, and as a fraction of the count.
TOLERANCE_FRAMES, TOLERANCE_FRACTION = 2, 0.02


def read_video(text: str, sampler: FrameSampler) -> Iterator[Item]:
    """The frames that the sampler takes; a video that is damaged or ends early gives a failure at the end.

    Args:
        text: a path or a URL; with a masked password it is also the source of the results.
    """
    source = masked(text)
    try:
        capture = open_video(text)
    except ImageError as error:
        yield Item(error, source)
        return
    try:
        yield from _frames(capture, source, sampler, check_count=_suffix(text) in CONTAINER_SUFFIXES)
    finally:
        capture.release()


def _frames(capture: OpenCvCapture, source: str, sampler: FrameSampler, *, check_count: bool) -> Iterator[Item]:
    expected, fps = capture.frame_count, capture.fps
    number, begin, time_s = 0, None, 0.0
    while capture.grab():
        position = capture.position_s
        begin = position if begin is None else begin
        # Some containers have no timestamps: use the frame rate.
        time_s = position - begin if position > begin or fps is None else number / fps
        if sampler.takes(number, time_s):
            frame = capture.retrieve()
            image = ImageError("the frame cannot be decoded") if frame is None else frame
            yield Item(image, source, number, round(time_s, 6))
        number += 1
    if number == 0:
        yield Item(ImageError("no frame can be decoded: the video is damaged, or its codec is not supported"), source)
    elif check_count and expected is not None and fps is not None:
        # By time, so that a variable frame rate does not look like missing frames.
        missing = expected - (time_s * fps + 1)
        if missing > TOLERANCE_FRAMES + expected * TOLERANCE_FRACTION:
            yield Item(ImageError("the video ends early", expected=f"{expected} frames", got=number), source)


def _suffix(text: str) -> str:
    return os.path.splitext(text.partition("?")[0].lower())[1]  # noqa: PTH122
