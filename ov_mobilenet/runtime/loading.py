"""From a picture to a frame at the network's size: decode, crop, resize."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Literal

from ov_mobilenet.runtime import geometry as host_geometry
from ov_mobilenet.runtime.images import read_image
from ov_mobilenet.runtime.pixels import check_pixels
from ov_mobilenet.zoo.geometry import Geometry, Library

if TYPE_CHECKING:
    from ov_mobilenet.runtime.images import Frame

Decode = Literal["exact", "fast", "auto"]


@dataclass(frozen=True)
class Loaded:
    """A frame, and what it cost.

    Attributes:
        frame: uint8 (height, width, 3) in BGR; contiguous, writable, shared with nobody.
        decode_ms: reading and decoding, in milliseconds; for a frame the check of it.
        geometry_ms: crops, resizes and copies, in milliseconds.
    """

    frame: Frame
    decode_ms: float
    geometry_ms: float


def load(
    source: str | Path | bytes | Frame,
    geometry: Geometry | None,
    decode: Decode = "auto",
    *,
    reader: Library | None = None,
) -> Loaded:
    """Read a picture and bring it to the network's size. Safe in many threads.

    Args:
        source: a path, the bytes of a picture file, or a frame: uint8 (H, W, 3) in BGR.
        geometry: what leads to the network's size; None leaves the picture as large as it is.
        reader: the library that decodes; the geometry's own unless given.

    Raises:
        ImageError: the picture cannot be read or resized, or the array is no such frame.
    """
    import numpy as np

    started = perf_counter()
    if isinstance(source, str | Path | bytes):
        reader = reader or (geometry.reader if geometry is not None else "opencv")
        frame = read_image(Path(source) if isinstance(source, str) else source, reader)
    else:
        check_pixels(source, dimensions=3)
        frame = source
    decoded = perf_counter()
    if geometry is not None:
        frame = host_geometry.apply(geometry, frame)
    if not (frame.flags.c_contiguous and frame.flags.owndata and frame.flags.writeable) or frame is source:
        frame = np.array(frame, order="C")
    done = perf_counter()
    return Loaded(frame, (decoded - started) * 1e3, (done - decoded) * 1e3)
