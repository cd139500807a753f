"""From an image to a frame of the network's input size: decode, crop, resize.

There are three decode modes:

- `exact`: bit for bit the frame with which the model's accuracy was measured.
- `auto`: a large JPEG, at least 4 times (OpenCV's resize: 11 times) the size that the first resize gives, is decoded at
  a half, a quarter or an eighth of its size, which saves most of the time. All other images are as with `exact`,
  except that resizes by Pillow are computed faster and differ by at most 2 grey levels, see `fast_resize`.
- `fast`: like `auto`, and from 5.5 times the size for OpenCV's resize; frames and images of other formats are shrunk
  before the slow resizes of Pillow.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Literal, get_args

from ov_mobilenet.errors import UsageError
from ov_mobilenet.images.decode import decode_image, to_frame
from ov_mobilenet.images.frame_checks import check_frames
from ov_mobilenet.images.geometry import apply_geometry, size_of
from ov_mobilenet.images.image_files import is_jpeg, open_image, read_file
from ov_mobilenet.images.pillow_warnings import without_pillow_warnings
from ov_mobilenet.images.reduced_decoding import apply_reduced, reduction, shrink
from ov_mobilenet.zoo.geometry import Geometry, Library, Resize

if TYPE_CHECKING:
    from ov_mobilenet.images.decode import DecodedImage, Frame

DecodeMode = Literal["exact", "fast", "auto"]
DECODE_MODES: tuple[DecodeMode, ...] = get_args(DecodeMode)


@dataclass(frozen=True)
class LoadedImage:
    """A frame with the time it took.

    Attributes:
        frame: uint8 (height, width, 3) BGR; contiguous, writable, not shared with the caller.
        decode_ms: time to read and decode, in milliseconds; for a frame, time to check it.
        geometry_ms: time of crops, resizes and copies, in milliseconds.
        flaws: descriptions of flaws of the file that are no errors.
    """

    frame: Frame
    decode_ms: float
    geometry_ms: float
    flaws: tuple[str, ...] = ()


def check_decode_mode(decode: str) -> None:
    """Check the name of a decode mode. Raises: UsageError."""
    if decode not in DECODE_MODES:
        raise UsageError("invalid decode", expected=", ".join(DECODE_MODES), got=repr(decode))


def load_image(
    source: str | Path | bytes | Frame,
    geometry: Geometry | None,
    decode: DecodeMode = "auto",
    *,
    reader: Library | None = None,
    exif_orientation: bool = True,
    max_pixels: int | None = None,
) -> LoadedImage:
    """Read an image and bring it to the network's input size. Thread-safe.

    Args:
        source: a path, the bytes of an image file, or a frame: uint8 (H, W, 3) BGR.
        geometry: crops and resizes; None keeps the size of the image.
        decode: `exact`, `auto` or `fast`, see the module docstring.
        reader: the library that decodes; None for the one in the geometry.
        exif_orientation: rotate image files by their EXIF orientation.
        max_pixels: a file with more pixels is refused before it is decoded; None for `MAX_PIXELS`.

    Raises:
        ImageError: the image cannot be read or resized, or the array is not a frame.
        UsageError: an unknown decode mode.
    """
    check_decode_mode(decode)
    started = perf_counter()
    flaws: list[str] = []
    if isinstance(source, str | Path | bytes):
        image, size, factor = _decode(
            source, geometry, decode, reader, use_orientation=exif_orientation, max_pixels=max_pixels, flaws=flaws
        )
    else:
        check_frames(source, dimensions=3)
        image, size, factor = source, size_of(source), 1
    decode_end = perf_counter()
    with without_pillow_warnings():  # a crop from a large image
        frame = _unshared(_apply_geometry(image, geometry, decode, size, factor), source)
    geometry_end = perf_counter()
    return LoadedImage(frame, (decode_end - started) * 1e3, (geometry_end - decode_end) * 1e3, tuple(flaws))


def _decode(
    source: str | Path | bytes,
    geometry: Geometry | None,
    decode: DecodeMode,
    reader: Library | None,
    *,
    use_orientation: bool,
    max_pixels: int | None,
    flaws: list[str],
) -> tuple[DecodedImage, tuple[int, int], int]:
    """The decoded image, height and width of the full image, and the factor by which its sides were divided.

    Flaws of the file are appended to `flaws`.
    """
    data = source if isinstance(source, bytes) else read_file(Path(source))
    header, orientation = open_image(data, max_pixels=max_pixels)
    orientation = orientation if use_orientation else 1
    swaps_sides = orientation in (5, 6, 7, 8)
    size = (header.width, header.height) if swaps_sides else (header.height, header.width)
    factor = 1
    if geometry is not None and decode != "exact" and is_jpeg(header):
        factor = reduction(geometry, *size, fast=decode == "fast")
    reader = reader or (geometry.reader if geometry is not None else "opencv")
    image = decode_image(data, header, reader, orientation=orientation, reduction=factor, warn=flaws.append)
    if size_of(image) == size:  # Pillow does not reduce some unusual JPEGs
        factor = 1
    return image, size, factor


def _apply_geometry(
    image: DecodedImage, geometry: Geometry | None, decode: DecodeMode, size: tuple[int, int], factor: int
) -> Frame:
    if geometry is None:
        return to_frame(image)
    if decode == "fast" and factor == 1 and _first_resize_is_slow(geometry):
        size = size_of(image)  # some formats have their size only after decoding
        factor = reduction(geometry, *size, fast=True)
        if factor > 1:
            image = shrink(image, factor)
    if factor > 1:
        return apply_reduced(geometry, image, size, factor)
    return apply_geometry(geometry, image, exact=decode == "exact")


def _first_resize_is_slow(geometry: Geometry) -> bool:
    """Pillow's filters read every pixel; OpenCV's sample a few, which is faster than shrinking the image first."""
    return next((step.library == "pillow" for step in geometry.steps if isinstance(step, Resize)), False)


def _unshared(frame: Frame, source: object) -> Frame:
    """The frame, copied if it shares memory with the source or is not contiguous."""
    import numpy as np

    if frame is source or not (frame.flags.c_contiguous and frame.flags.owndata):
        return np.array(frame, order="C")
    return frame
