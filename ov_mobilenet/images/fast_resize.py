"""Pillow's resizes, several times faster: `cykooz.resizer` computes the same filters with the vector units of the CPU.

It rounds its coefficients to 16 bits, so that values differ from Pillow's by at most 2 grey levels (bilinear: 1). The
package has no wheels for 64-bit Arm Linux; without it, Pillow resizes.
"""

from __future__ import annotations

from functools import cache
from math import nextafter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from ov_mobilenet.images.decode import Frame
    from ov_mobilenet.zoo.geometry import Interpolation

Range = tuple[float, float]


@cache
def resizer() -> ModuleType | None:
    """The module `cykooz_resizer`; None if it is not installed."""
    try:
        import cykooz_resizer
    except ImportError:
        return None
    module: ModuleType = cykooz_resizer
    return module


def resize_region(
    frame: Frame, rows: Range, columns: Range, size: tuple[int, int], interpolation: Interpolation, *, rows_first: bool
) -> Frame:
    """Resize a region of a frame; `resizer()` must not be None.

    Args:
        frame: uint8 (H, W, 3).
        rows, columns: the region, in pixels; the filter also reads pixels outside of it.
        size: height and width of the result.
        rows_first: whether Pillow would resize the height before the width. It decides where bicubic values outside
            0..255 are clipped.
    """
    if interpolation == "bilinear":  # never outside 0..255
        return _resize(frame, rows, columns, size, interpolation)
    height, width = frame.shape[:2]
    if rows_first:
        partly = _resize(frame, rows, (0, width), (size[0], width), interpolation)
        return _resize(partly, (0, size[0]), columns, size, interpolation)
    partly = _resize(frame, (0, height), columns, (height, size[1]), interpolation)
    return _resize(partly, rows, (0, size[1]), size, interpolation)


def _resize(frame: Frame, rows: Range, columns: Range, size: tuple[int, int], interpolation: Interpolation) -> Frame:
    import numpy as np

    module = resizer()
    assert module is not None
    pixel = module.PixelType.U8x3
    source = module.ImageData(frame.shape[1], frame.shape[0], pixel, frame.tobytes())
    result = module.ImageData(size[1], size[0], pixel)
    # Catmull and Rom's filter is the bicubic one with a = -0.5, as Pillow's.
    filters = {"bilinear": module.FilterType.bilinear, "bicubic": module.FilterType.catmull_rom}
    region = module.CropBox(
        columns[0], rows[0], _extent(columns, frame.shape[1]), _extent(rows, frame.shape[0])
    )  # fmt: skip
    options = module.ResizeOptions(
        module.ResizeAlg.convolution(filters[interpolation]), crop_box=region, use_alpha=False
    )  # fmt: skip
    module.Resizer().resize(source, result, options)
    return np.frombuffer(result.get_buffer(), np.uint8).reshape(*size, 3)


def _extent(region: Range, limit: int) -> float:
    """The extent of a region that ends within the frame also when its start and extent are added as floats."""
    extent = min(region[1], limit) - region[0]
    while region[0] + extent > limit:
        extent = nextafter(extent, 0)
    return extent
