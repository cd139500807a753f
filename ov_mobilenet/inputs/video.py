"""Frames of a video, with their numbers and times."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ov_mobilenet.errors import ImageError
from ov_mobilenet.inputs.capture import OpenCvCapture, open_video
from ov_mobilenet.inputs.kinds import CONTAINER_SUFFIXES, masked
from ov_mobilenet.inputs.sampling import Sampling
from ov_mobilenet.runtime.items import Item

# A header counts a little otherwise than a decoder: by so many frames, or so much of the whole.
SPARE_FRAMES, SPARE_SHARE = 2, 0.02


def read_video(text: str, sampling: Sampling) -> Iterator[Item]:
    """The frames that the sampling takes, and last of all why there are not as many as the video promises.

    Args:
        text: a path, or a URL; what the results call it, without a password.
    """
    source = masked(text)
    try:
        capture = open_video(text)
    except ImageError as error:
        yield Item(error, source)
        return
    try:
        yield from _frames(capture, source, sampling, checked=_suffix(text) in CONTAINER_SUFFIXES)
    finally:
        capture.release()


def _frames(capture: OpenCvCapture, source: str, sampling: Sampling, *, checked: bool) -> Iterator[Item]:
    promised, fps = capture.frames, capture.fps
    number, begin, time_s = 0, None, 0.0
    while capture.grab():
        position = capture.position_s
        begin = position if begin is None else begin
        # Some containers know no times: what is said of their speed must do.
        time_s = position - begin if position > begin or fps is None else number / fps
        if sampling.takes(number, time_s):
            frame = capture.retrieve()
            image = ImageError("the frame cannot be decoded") if frame is None else frame
            yield Item(image, source, number, round(time_s, 6))
        number += 1
    if number == 0:
        yield Item(ImageError("no frame can be decoded: damaged, or its codec is missing"), source)
    elif checked and promised is not None and fps is not None:
        # By time, so that a varying frame rate does not look like a loss.
        missing = promised - (time_s * fps + 1)
        if missing > SPARE_FRAMES + promised * SPARE_SHARE:
            yield Item(ImageError("the video ends early", expected=f"{promised} frames", got=number), source)


def _suffix(text: str) -> str:
    return os.path.splitext(text.partition("?")[0].lower())[1]  # noqa: PTH122
