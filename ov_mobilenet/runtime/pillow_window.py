"""Pillow's resize of a window: only the pixels that the crop after it keeps are computed.

Pillow takes the window in coordinates of the source, as 32-bit floats. Where these are exact the result is that of
"resize all, then crop" bit by bit; elsewhere the weights of the filter differ in their last bits, and a pixel in a
hundred by one grey level.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, gcd
from typing import TYPE_CHECKING

from ov_mobilenet.runtime.images import to_image

if TYPE_CHECKING:
    from PIL.Image import Image, Resampling

    from ov_mobilenet.runtime.images import Picture
    from ov_mobilenet.zoo.geometry import Resize

_FLOAT_INTEGERS = 1 << 24  # 32-bit floats hold every integer up to here


@dataclass(frozen=True)
class Span:
    """One axis of the window.

    Attributes:
        first, last: which source pixels it reaches.
        low, high: its borders, counted from `first`.
        count: how many pixels are computed.
        skip: how many of them lie before the crop.
    """

    first: int
    last: int
    low: float
    high: float
    count: int
    skip: int


def method(step: Resize) -> Resampling:
    """What Pillow calls a step's interpolation."""
    from PIL.Image import Resampling

    return Resampling.BICUBIC if step.interpolation == "bicubic" else Resampling.BILINEAR


def resize(
    step: Resize,
    picture: Picture,
    source: tuple[int, int],
    size: tuple[int, int],
    start: tuple[int, int],
    kept: tuple[int, int],
    *,
    exact: bool,
) -> Image:
    """`kept` pixels from `start` on, of the picture resized from `source` to `size`; all (height, width).

    Args:
        exact: bit by bit what is cut out of the whole; otherwise within 2 grey levels.
    """
    import numpy as np

    reach = 2 if step.interpolation == "bicubic" else 1
    rows, columns = (span(source[axis], size[axis], start[axis], kept[axis], reach, exact=exact) for axis in (0, 1))
    if isinstance(picture, np.ndarray):
        picture = picture[rows.first : rows.last, columns.first : columns.last]
        shift = 0, 0
    else:
        shift = rows.first, columns.first
    box = columns.low + shift[1], rows.low + shift[0], columns.high + shift[1], rows.high + shift[0]
    window = to_image(picture).resize((columns.count, rows.count), method(step), box=box)
    if (rows.count, columns.count) == kept:
        return window
    return window.crop((columns.skip, rows.skip, columns.skip + kept[1], rows.skip + kept[0]))


def span(source: int, resized: int, start: int, kept: int, reach: int, *, exact: bool) -> Span:
    """What to compute along an axis to have `kept` pixels from `start` on of `source` pixels made `resized`.

    Args:
        reach: of the filter to each side, in pixels of the smaller of the two scales.
    """
    skip = 0
    if exact and not _is_exact(source, resized):
        skip, start, kept = start, 0, resized
    low, high = start * source / resized, (start + kept) * source / resized
    margin = reach * max(1.0, source / resized) + 1
    first, last = max(0, floor(low - margin)), min(source, ceil(high + margin))
    return Span(first, last, low - first, high - first, kept, skip)


def _is_exact(source: int, resized: int) -> bool:
    """Whether every border between resized pixels is a float of 32 bits in the source's coordinates."""
    denominator = resized // gcd(source, resized)
    return denominator & (denominator - 1) == 0 and source * denominator <= _FLOAT_INTEGERS
