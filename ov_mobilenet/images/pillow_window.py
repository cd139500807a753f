"""Pillow's bilinear resize of a window: only the pixels that the crop after it keeps are computed.

Pillow takes the window as 32-bit floats in coordinates of the source, and may do rows and columns in another order than
for the whole image. Both change how pixels are rounded, by a grey level. Not for bicubic: what overshoots 0..255
between the two passes is cut off, so that their order shows by 20 grey levels.
"""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING

from ov_mobilenet.images.decode import to_pillow

if TYPE_CHECKING:
    from PIL.Image import Image

    from ov_mobilenet.images.decode import Decoded


def resize(
    decoded: Decoded,
    *,
    source: tuple[int, int],
    size: tuple[int, int],
    start: tuple[int, int],
    kept: tuple[int, int],
) -> Image:
    """`kept` pixels from `start` on, of the image resized from `source` to `size`; all (height, width).

    Within 2 grey levels of what is cut out of the whole.
    """
    import numpy as np
    from PIL.Image import Resampling

    (top, bottom), (left, right) = (
        (start[axis] * source[axis] / size[axis], (start[axis] + kept[axis]) * source[axis] / size[axis])
        for axis in (0, 1)
    )
    if isinstance(decoded, np.ndarray):  # convert no more of it than the filter reaches
        first_row, last_row = _reached(top, bottom, max(1.0, source[0] / size[0]), source[0])
        first_column, last_column = _reached(left, right, max(1.0, source[1] / size[1]), source[1])
        decoded = decoded[first_row:last_row, first_column:last_column]
        top, bottom = top - first_row, bottom - first_row
        left, right = left - first_column, right - first_column
    return to_pillow(decoded).resize((kept[1], kept[0]), Resampling.BILINEAR, box=(left, top, right, bottom))


def _reached(low: float, high: float, support: float, source: int) -> tuple[int, int]:
    """The first pixel that a filter reaches, and the one behind the last."""
    return max(0, floor(low - support - 1)), min(source, ceil(high + support + 1))
