"""Geometry on images that are decoded at, or shrunk to, a fraction of their size.

The steps are computed for the full image and applied to the reduced one with sub-pixel coordinates, so that the centre
of each resized pixel stays where it is in the full image. Rounding each step to whole pixels of the reduced image would
shift it by up to half a reduced pixel; the network then agrees with its own full-size results in several per cent fewer
cases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ov_mobilenet.images.decode import cv2, to_frame, to_pillow
from ov_mobilenet.images.fast_resize import resize_region, resizer
from ov_mobilenet.images.geometry import apply_geometry, crop_size, crop_start, resized_size, size_of
from ov_mobilenet.images.pillow_crop import starts_with_rows
from ov_mobilenet.zoo.geometry import Crop, Geometry, Library, Resize

if TYPE_CHECKING:
    from ov_mobilenet.images.decode import DecodedImage, Frame

REDUCTIONS = (8, 4, 2)  # factors by which JPEG decoders can divide an image's sides
# The minimum ratio of the reduced image's size to the resized one's. Pillow averages over all pixels; OpenCV samples
# single ones, so that the blur of the reduction shows; see tools/bench/README.md.
_MIN_RATIO: dict[Library, float] = {"pillow": 2, "opencv": 5.5}
_MIN_RATIO_FAST: dict[Library, float] = {"pillow": 2, "opencv": 2.75}


def reduction(geometry: Geometry, height: int, width: int, *, fast: bool = False) -> int:
    """The factor by which an image's sides may be divided before the geometry is applied: 8, 4, 2 or 1.

    It is 1 if the image is not large, or if a crop in pixels comes before the first resize. Large: at least 4 times the
    size that the first resize gives for Pillow's resize, and 11 times for OpenCV's.

    Args:
        fast: OpenCV's resize needs 5.5 times the size only.
    """
    min_ratios = _MIN_RATIO_FAST if fast else _MIN_RATIO
    for step in geometry.steps:
        if isinstance(step, Crop):
            if step.fraction is None:
                return 1
            height, width = crop_size(step, height, width)
            continue
        resized_height, resized_width = resized_size(step, height, width)
        for factor in REDUCTIONS:
            min_ratio = factor * min_ratios[step.library]
            if height >= min_ratio * resized_height and width >= min_ratio * resized_width:
                return factor
        return 1
    return 1


def shrink(image: DecodedImage, factor: int) -> DecodedImage:
    """Divide an image's sides by 2, 4 or 8; each pixel is the mean of the pixels that it replaces."""
    import numpy as np

    if not isinstance(image, np.ndarray):
        return image.reduce(factor)
    opencv = cv2()
    frame: Frame = image
    while factor > 1:
        # OpenCV is ten times faster with a factor of 2 and even sides; the last odd row or column is dropped.
        height, width = frame.shape[0] // 2, frame.shape[1] // 2
        even = frame[: height * 2, : width * 2]
        frame = opencv.resize(even, (width, height), interpolation=opencv.INTER_AREA)
        factor //= 2
    return frame


def apply_reduced(geometry: Geometry, image: DecodedImage, size: tuple[int, int], factor: int) -> Frame:
    """Crop and resize a reduced image to the network's input size.

    Args:
        image: see `geometry.apply_geometry`; its sides are divided by `factor`, a result of `reduction`.
        size: height and width of the full image.

    Returns:
        See `geometry.apply_geometry`.
    """
    top, left, (height, width) = 0, 0, size
    for index, step in enumerate(geometry.steps):
        if isinstance(step, Resize):
            rest = geometry.steps[index + 1 :]
            resized = _resize(step, image, (top / factor, left / factor), (height / factor, width / factor),
                              resized_size(step, height, width))  # fmt: skip
            return apply_geometry(Geometry(steps=rest), resized) if rest else to_frame(resized)
        kept = crop_size(step, height, width)
        start = crop_start(step, (height, width), kept)
        top, left, (height, width) = top + start[0], left + start[1], kept
    raise ValueError("a geometry without a resize cannot be applied to a reduced image")


def _resize(
    step: Resize,
    image: DecodedImage,
    start: tuple[float, float],
    extent: tuple[float, float],
    resized: tuple[int, int],
) -> DecodedImage:
    """Resize the region of `extent` pixels from `start` to `resized`; all (height, width)."""
    if step.library == "pillow":
        available = size_of(image)
        bottom, right = (min(start[axis] + extent[axis], available[axis]) for axis in (0, 1))
        if resizer() is not None:
            rows, columns = (start[0], bottom), (start[1], right)
            rows_first = starts_with_rows(available, resized)
            return resize_region(to_frame(image), rows, columns, resized, step.interpolation, rows_first=rows_first)
        from PIL.Image import Resampling

        method = Resampling.BICUBIC if step.interpolation == "bicubic" else Resampling.BILINEAR
        box = start[1], start[0], right, bottom
        return to_pillow(image).resize((resized[1], resized[0]), method, box=box)
    import numpy as np

    opencv = cv2()
    scale_y, scale_x = extent[0] / resized[0], extent[1] / resized[1]
    # Maps output to input coordinates; the centre of a pixel is at 0.5.
    matrix = np.array(
        [
            [scale_x, 0, 0.5 * scale_x + start[1] - 0.5],
            [0, scale_y, 0.5 * scale_y + start[0] - 0.5],
        ]
    )
    # On the full image OpenCV would sample single pixels; Lanczos reconstructs them from the reduced image.
    flags = opencv.INTER_LANCZOS4 | opencv.WARP_INVERSE_MAP
    warped: Frame = opencv.warpAffine(
        to_frame(image), matrix, (resized[1], resized[0]), flags=flags, borderMode=opencv.BORDER_REPLICATE
    )
    return warped
