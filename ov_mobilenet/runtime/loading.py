"""From a picture to a frame at the network's size: decode, crop, resize.

Three ways to decode:

- `exact`: bit for bit as the model's accuracy was measured.
- `auto`: a JPEG much larger than the first resize needs (four times for Pillow's, 5.5 times for OpenCV's) is decoded
  at a half, a quarter or an eighth of its size, which saves most of the work; all else comes within 2 grey levels.
- `fast`: as `auto`; before one of Pillow's slow resizes, frames and pictures in other formats are shrunk as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Literal, get_args

from ov_mobilenet.errors import UsageError
from ov_mobilenet.runtime.geometry import apply, size_of
from ov_mobilenet.runtime.image_files import is_jpeg, open_picture, read_file
from ov_mobilenet.runtime.images import decode_picture, to_frame
from ov_mobilenet.runtime.pixels import check_pixels
from ov_mobilenet.runtime.reduced import apply_reduced, reduction, shrink
from ov_mobilenet.zoo.geometry import Geometry, Library, Resize

if TYPE_CHECKING:
    from ov_mobilenet.runtime.images import Frame, Picture

Decode = Literal["exact", "fast", "auto"]
DECODES: tuple[Decode, ...] = get_args(Decode)


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
    exif_orientation: bool = True,
) -> Loaded:
    """Read a picture and bring it to the network's size. Safe in many threads.

    Args:
        source: a path, the bytes of a picture file, or a frame: uint8 (H, W, 3) in BGR.
        geometry: what leads to the network's size; None leaves the picture as large as it is.
        reader: the library that decodes; the geometry's own unless given.
        exif_orientation: turn a file's picture as its camera says.

    Raises:
        ImageError: the picture cannot be read or resized, or the array is no such frame.
        UsageError: there is no such way to decode.
    """
    if decode not in DECODES:
        raise UsageError("bad decode", expected=", ".join(DECODES), got=repr(decode))
    started = perf_counter()
    if isinstance(source, str | Path | bytes):
        picture, size, factor = _decode(source, geometry, decode, reader, turned=exif_orientation)
    else:
        check_pixels(source, dimensions=3)
        picture, size, factor = source, size_of(source), 1
    decoded = perf_counter()
    frame = _own(_shape(picture, geometry, decode, size, factor), source)
    done = perf_counter()
    return Loaded(frame, (decoded - started) * 1e3, (done - decoded) * 1e3)


def _decode(
    source: str | Path | bytes, geometry: Geometry | None, decode: Decode, reader: Library | None, *, turned: bool
) -> tuple[Picture, tuple[int, int], int]:
    """The picture, height and width of the whole, and by what its sides were divided."""
    data = source if isinstance(source, bytes) else read_file(Path(source))
    header, orientation = open_picture(data)
    orientation = orientation if turned else 1
    is_on_its_side = orientation in (5, 6, 7, 8)
    size = (header.width, header.height) if is_on_its_side else (header.height, header.width)
    factor = 1
    if geometry is not None and decode != "exact" and is_jpeg(header):
        factor = reduction(geometry, *size)
    reader = reader or (geometry.reader if geometry is not None else "opencv")
    picture = decode_picture(data, header, reader, orientation=orientation, reduction=factor)
    if size_of(picture) == size:  # Pillow declines to reduce some odd JPEGs
        factor = 1
    return picture, size, factor


def _shape(picture: Picture, geometry: Geometry | None, decode: Decode, size: tuple[int, int], factor: int) -> Frame:
    if geometry is None:
        return to_frame(picture)
    if decode == "fast" and factor == 1 and _first_resize_is_slow(geometry):
        size = size_of(picture)  # some formats tell theirs only now
        factor = reduction(geometry, *size)
        if factor > 1:
            picture = shrink(picture, factor)
    if factor > 1:
        return apply_reduced(geometry, picture, size, factor)
    return apply(geometry, picture, exact=decode == "exact")


def _first_resize_is_slow(geometry: Geometry) -> bool:
    """Pillow's filters look at every pixel; OpenCV's pick a few and are faster than to shrink the picture."""
    return next((step.library == "pillow" for step in geometry.steps if isinstance(step, Resize)), False)


def _own(frame: Frame, source: object) -> Frame:
    """The frame, copied if it is (a view of) what the caller holds, or not contiguous."""
    import numpy as np

    if frame is source or not (frame.flags.c_contiguous and frame.flags.owndata):
        return np.array(frame, order="C")
    return frame
