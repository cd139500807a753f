"""Geometry on images that were decoded, or shrunk, at a fraction of their size.

What counts is where a resized pixel's centre lies in the whole image; the steps are worked out for the whole and then
done on the reduced one, at fractions of its pixels. Rounding each step on the reduced image moves it by up to half of
a reduced pixel, which costs a network several per cent of its agreement with itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ov_mobilenet.images.decode import cv2, to_frame, to_pillow
from ov_mobilenet.images.geometry import apply, crop_size, crop_start, resized_size, size_of
from ov_mobilenet.zoo.geometry import Crop, Geometry, Resize

if TYPE_CHECKING:
    from ov_mobilenet.images.decode import Decoded, Frame

REDUCTIONS = (8, 4, 2)  # by which JPEG decoders divide an image's sides
# How many times as large as the resized image the reduced one still must be. Pillow averages over what it skips;
# OpenCV picks single pixels, and shows what a reduction has blurred; see tools/bench/README.md.
_LEAST_LEFT = {"pillow": 2, "opencv": 2.75}


def reduction(geometry: Geometry, height: int, width: int) -> int:
    """By how much an image's sides may be divided beforehand: 8, 4, 2, or 1 if it is not large enough.

    1 as well if pixels are counted before the first resize.
    """
    for step in geometry.steps:
        if isinstance(step, Crop):
            if step.fraction is None:
                return 1
            height, width = crop_size(step, height, width)
            continue
        resized_height, resized_width = resized_size(step, height, width)
        for factor in REDUCTIONS:
            least = factor * _LEAST_LEFT[step.library]
            if height >= least * resized_height and width >= least * resized_width:
                return factor
        return 1
    return 1


def shrink(decoded: Decoded, factor: int) -> Decoded:
    """Divide an image's sides by 2, 4 or 8; each pixel is the mean of those that it takes the place of."""
    import numpy as np

    if not isinstance(decoded, np.ndarray):
        return decoded.reduce(factor)
    opencv = cv2()
    frame: Frame = decoded
    while factor > 1:
        # By two, of even sides, OpenCV is ten times faster than otherwise; the last odd row or column is left out.
        height, width = frame.shape[0] // 2, frame.shape[1] // 2
        even = frame[: height * 2, : width * 2]
        frame = opencv.resize(even, (width, height), interpolation=opencv.INTER_AREA)
        factor //= 2
    return frame


def apply_reduced(geometry: Geometry, decoded: Decoded, size: tuple[int, int], factor: int) -> Frame:
    """Bring a reduced image to the network's size.

    Args:
        decoded: as in `geometry.apply`, its sides divided by `factor`, as `reduction` allows.
        size: height and width of the whole image.

    Returns:
        As `geometry.apply`.
    """
    top, left, (height, width) = 0, 0, size
    for index, step in enumerate(geometry.steps):
        if isinstance(step, Resize):
            rest = geometry.steps[index + 1 :]
            resized = _resize(step, decoded, (top / factor, left / factor), (height / factor, width / factor),
                              resized_size(step, height, width))  # fmt: skip
            return apply(Geometry(steps=rest), resized) if rest else to_frame(resized)
        kept = crop_size(step, height, width)
        start = crop_start(step, (height, width), kept)
        top, left, (height, width) = top + start[0], left + start[1], kept
    raise ValueError("a geometry without a resize allows no reduction")


def _resize(
    step: Resize,
    decoded: Decoded,
    start: tuple[float, float],
    extent: tuple[float, float],
    resized: tuple[int, int],
) -> Decoded:
    """`extent` pixels from `start` on made `resized`; all (height, width)."""
    if step.library == "pillow":
        from PIL.Image import Resampling

        method = Resampling.BICUBIC if step.interpolation == "bicubic" else Resampling.BILINEAR
        available = size_of(decoded)
        bottom, right = (min(start[axis] + extent[axis], available[axis]) for axis in (0, 1))
        box = start[1], start[0], right, bottom
        return to_pillow(decoded).resize((resized[1], resized[0]), method, box=box)
    import numpy as np

    opencv = cv2()
    scale_y, scale_x = extent[0] / resized[0], extent[1] / resized[1]
    # Pixel centres lie at halves.
    matrix = np.array(
        [
            [scale_x, 0, 0.5 * scale_x + start[1] - 0.5],
            [0, scale_y, 0.5 * scale_y + start[0] - 0.5],
        ]
    )
    # Of the whole image single pixels are picked; Lanczos finds in the reduced one what they were.
    flags = opencv.INTER_LANCZOS4 | opencv.WARP_INVERSE_MAP
    warped: Frame = opencv.warpAffine(
        to_frame(decoded), matrix, (resized[1], resized[0]), flags=flags, borderMode=opencv.BORDER_REPLICATE
    )
    return warped
