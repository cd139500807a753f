"""Pillow's resize combined with the crop after it: only the pixels that are kept are computed.

With `fast_resize` the result is close to Pillow's for both filters. Without it Pillow resizes a region, bilinearly
only. Pillow takes the region as 32-bit floats in source coordinates, which changes the rounding of one value in
500. It would also choose the order of its two passes by the size of the region, which changes the rounding of one value
in four; therefore the passes are done one by one, in the order that Pillow uses for the whole image. Not for bicubic:
values outside 0..255 are clipped between the two passes.
"""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING

from ov_mobilenet.images.decode import to_frame, to_pillow
from ov_mobilenet.images.fast_resize import resize_region, resizer

if TYPE_CHECKING:
    from PIL.Image import Image

    from ov_mobilenet.images.decode import DecodedImage
    from ov_mobilenet.images.fast_resize import Range
    from ov_mobilenet.zoo.geometry import Resize


def can_combine(step: Resize) -> bool:
    """Whether a resize combined with a crop is within 2 grey levels of the two separate steps."""
    return step.library == "pillow" and (step.interpolation == "bilinear" or resizer() is not None)


def resize_and_crop(
    step: Resize,
    image: DecodedImage,
    *,
    source: tuple[int, int],
    size: tuple[int, int],
    start: tuple[int, int],
    kept: tuple[int, int],
) -> DecodedImage:
    """Resize an image and crop it, within 2 grey levels of the two separate steps.

    Args:
        step: a resize for which `can_combine` is true.
        source: size of the image; all sizes are (height, width) in pixels.
        size: size after the resize.
        start: top and left of the crop.
        kept: size of the crop.
    """
    import numpy as np

    rows, columns = (
        (start[axis] * source[axis] / size[axis], (start[axis] + kept[axis]) * source[axis] / size[axis])
        for axis in (0, 1)
    )
    # Without the pixels that the filter does not read. A shift by whole pixels changes no result.
    reach = 2 if step.interpolation == "bicubic" else 1
    top, bottom = _filter_range(rows, reach * max(1.0, source[0] / size[0]), source[0])
    left, right = _filter_range(columns, reach * max(1.0, source[1] / size[1]), source[1])
    if isinstance(image, np.ndarray):
        region: DecodedImage = image[top:bottom, left:right]
    else:
        region = image.crop((left, top, right, bottom))
    rows, columns = (rows[0] - top, rows[1] - top), (columns[0] - left, columns[1] - left)
    rows_first = starts_with_rows(source, size)
    if resizer() is not None:
        return resize_region(to_frame(region), rows, columns, kept, step.interpolation, rows_first=rows_first)
    pillow = to_pillow(region)
    if rows_first:
        return _resize_width(_resize_height(pillow, rows, kept[0]), columns, kept[1])
    return _resize_height(_resize_width(pillow, columns, kept[1]), rows, kept[0])


def starts_with_rows(source: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether Pillow reduces the height of a whole image before its width: never before version 13."""
    import PIL

    if int(PIL.__version__.split(".")[0]) < 13:
        return False
    fewer_rows, fewer_columns = source[0] - size[0], source[1] - size[1]
    return fewer_rows > max(0, 2 * fewer_columns)


def _resize_width(image: Image, columns: Range, width: int) -> Image:
    from PIL.Image import Resampling

    box = (columns[0], 0, columns[1], image.height)
    return image.resize((width, image.height), Resampling.BILINEAR, box=box)


def _resize_height(image: Image, rows: Range, height: int) -> Image:
    from PIL.Image import Resampling

    return image.resize((image.width, height), Resampling.BILINEAR, box=(0, rows[0], image.width, rows[1]))


def _filter_range(region: Range, support: float, source: int) -> tuple[int, int]:
    """The first pixel that the filter reads, and the one after the last."""
    low, high = region
    return max(0, floor(low - support - 1)), min(source, ceil(high + support + 1))
