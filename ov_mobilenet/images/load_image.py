"""From an image to a frame at the network's size: decode, crop, resize.

Three ways to decode:

- `exact`: bit for bit as the model's accuracy was measured.
- `auto`: a JPEG much larger than the first resize needs (four times for Pillow's, 5.5 times for OpenCV's) is decoded
  at a half, a quarter or an eighth of its size, which saves most of the work; all else comes within 2 grey levels.
- `fast`: as `auto`; before one of Pillow's slow resizes, frames and images in other formats are shrunk as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Literal, get_args

from ov_mobilenet.errors import UsageError
from ov_mobilenet.images.decode import decode_image, to_frame
from ov_mobilenet.images.geometry import apply, size_of
from ov_mobilenet.images.image_files import is_jpeg, open_image, read_file
from ov_mobilenet.images.pixels import check_pixels
from ov_mobilenet.images.reduced import apply_reduced, reduction, shrink
from ov_mobilenet.zoo.geometry import Geometry, Library, Resize

if TYPE_CHECKING:
    from ov_mobilenet.images.decode import Decoded, Frame

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


def load_image(
    source: str | Path | bytes | Frame,
    geometry: Geometry | None,
    decode: Decode = "auto",
    *,
    reader: Library | None = None,
    exif_orientation: bool = True,
) -> Loaded:
    """Read an image and bring it to the network's size. Safe in many threads.

    Args:
        source: a path, the bytes of an image file, or a frame: uint8 (H, W, 3) in BGR.
        geometry: what leads to the network's size; None leaves the image as large as it is.
        reader: the library that decodes; the geometry's own unless given.
        exif_orientation: turn a file's image as its camera says.

    Raises:
        ImageError: the image cannot be read or resized, or the array is no such frame.
        UsageError: there is no such way to decode.
    """
    if decode not in DECODES:
        raise UsageError("bad decode", expected=", ".join(DECODES), got=repr(decode))
    started = perf_counter()
    if isinstance(source, str | Path | bytes):
        decoded, size, factor = _decode(source, geometry, decode, reader, turned=exif_orientation)
    else:
        check_pixels(source, dimensions=3)
        decoded, size, factor = source, size_of(source), 1
    decode_end = perf_counter()
    frame = _own(_shape(decoded, geometry, decode, size, factor), source)
    done = perf_counter()
    return Loaded(frame, (decode_end - started) * 1e3, (done - decode_end) * 1e3)


def _decode(
    source: str | Path | bytes, geometry: Geometry | None, decode: Decode, reader: Library | None, *, turned: bool
) -> tuple[Decoded, tuple[int, int], int]:
    """The decoded image, height and width of the whole, and by what its sides were divided."""
    data = source if isinstance(source, bytes) else read_file(Path(source))
    header, orientation = open_image(data)
    orientation = orientation if turned else 1
    is_on_its_side = orientation in (5, 6, 7, 8)
    size = (header.width, header.height) if is_on_its_side else (header.height, header.width)
    factor = 1
    if geometry is not None and decode != "exact" and is_jpeg(header):
        factor = reduction(geometry, *size)
    reader = reader or (geometry.reader if geometry is not None else "opencv")
    decoded = decode_image(data, header, reader, orientation=orientation, reduction=factor)
    if size_of(decoded) == size:  # Pillow declines to reduce some odd JPEGs
        factor = 1
    return decoded, size, factor


def _shape(decoded: Decoded, geometry: Geometry | None, decode: Decode, size: tuple[int, int], factor: int) -> Frame:
    if geometry is None:
        return to_frame(decoded)
    if decode == "fast" and factor == 1 and _first_resize_is_slow(geometry):
        size = size_of(decoded)  # some formats tell theirs only now
        factor = reduction(geometry, *size)
        if factor > 1:
            decoded = shrink(decoded, factor)
    if factor > 1:
        return apply_reduced(geometry, decoded, size, factor)
    return apply(geometry, decoded, exact=decode == "exact")


def _first_resize_is_slow(geometry: Geometry) -> bool:
    """Pillow's filters look at every pixel; OpenCV's pick a few and are faster than to shrink the image."""
    return next((step.library == "pillow" for step in geometry.steps if isinstance(step, Resize)), False)


def _own(frame: Frame, source: object) -> Frame:
    """The frame, copied if it is (a view of) what the caller holds, or not contiguous."""
    import numpy as np

    if frame is source or not (frame.flags.c_contiguous and frame.flags.owndata):
        return np.array(frame, order="C")
    return frame
