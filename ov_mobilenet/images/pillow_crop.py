"""Pillow's bilinear resize combined with the crop after it: only the pixels that are kept are computed.

Pillow takes the region as 32-bit floats in source coordinates, and may process rows and columns in a different order
than for the whole image. Both change the rounding, by one grey level. Not for bicubic: values outside 0..255 are
clipped between the two passes, so that their order changes the result by up to 20 grey levels.
"""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING

from ov_mobilenet.images.decode import to_pillow

if TYPE_CHECKING:
    from PIL.Image import Image

    from ov_mobilenet.images.decode import DecodedImage


def resize_and_crop(
    image: DecodedImage,
    *,
    source: tuple[int, int],
    size: tuple[int, int],
    start: tuple[int, int],
    kept: tuple[int, int],
) -> Image:
    """Resize an image and crop it, within 2 grey levels of the two separate steps.

    Args:
        source: size of the image; all sizes are (height, width) in pixels.
        size: size after the resize.
        start: top and left of the crop.
        kept: size of the crop.
    """
    import numpy as np
    from PIL.Image import Resampling

    (top, bottom), (left, right) = (
        (start[axis] * source[axis] / size[axis], (start[axis] + kept[axis]) * source[axis] / size[axis])
        for axis in (0, 1)
    )
    if isinstance(image, np.ndarray):  # convert only the pixels that the filter reads
        first_row, last_row = _filter_range(top, bottom, max(1.0, source[0] / size[0]), source[0])
        first_column, last_column = _filter_range(left, right, max(1.0, source[1] / size[1]), source[1])
        image = image[first_row:last_row, first_column:last_column]
        top, bottom = top - first_row, bottom - first_row
        left, right = left - first_column, right - first_column
    return to_pillow(image).resize((kept[1], kept[0]), Resampling.BILINEAR, box=(left, top, right, bottom))


def _filter_range(low: float, high: float, support: float, source: int) -> tuple[int, int]:
    """The first pixel that the filter reads, and the one after the last."""
    return max(0, floor(low - support - 1)), min(source, ceil(high + support + 1))
