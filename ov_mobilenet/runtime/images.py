"""Decode picture files into BGR frames, safely.

Every file is looked at by Pillow first, which reads the header only: a picture that would be too large is refused
before a pixel is decoded, and Pillow knows truncated files, which OpenCV fills with grey. The pixels come from the
library that the model's published accuracy was measured with.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.errors import ImageError, MissingDependencyError
from ov_mobilenet.zoo.geometry import Library

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    Frame = NDArray[np.uint8]

IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"))
MAX_FILE_BYTES = 256 << 20
MAX_PIXELS = 178_956_970  # Pillow's own limit for "decompression bomb" errors
_ORIENTATION = 0x0112  # EXIF tag
_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N", "I")


def cv2() -> ModuleType:
    """OpenCV, or the two ways to get it.

    Raises:
        MissingDependencyError: opencv-python cannot be imported, as on systems without libGL and glib.
    """
    try:
        import cv2 as module
    except ImportError as error:
        raise MissingDependencyError(
            f"OpenCV cannot be imported ({error})",
            fix="Install the system's libraries (Debian: apt install libgl1 libglib2.0-0), or the wheel that needs "
            "none: pip uninstall opencv-python && pip install opencv-python-headless",
        ) from error
    return module


def read_image(source: Path | bytes, reader: Library = "opencv", *, exif_orientation: bool = True) -> Frame:
    """A picture as uint8 (H, W, 3) BGR.

    Grey becomes three equal channels, CMYK is converted, transparency is dropped, 16 bits are reduced to the upper 8.

    Args:
        reader: the library that decodes.
        exif_orientation: turn the picture as its camera says.

    Raises:
        ImageError: the file is missing, empty, no picture, truncated, or larger than 179 million pixels.
    """
    data = source if isinstance(source, bytes) else _read_file(source)
    header, orientation = _header(data)
    # Files that OpenCV reads otherwise than Pillow means them: palettes with transparency, floats, odd containers.
    frame = _decode_opencv(data) if reader == "opencv" and _is_plain(header, data) else None
    if frame is None:
        frame = _decode_pillow(header)
    return _turn(frame, orientation) if exif_orientation else frame


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ImageError(f"cannot be read ({error.strerror or error})") from error
    except ValueError as error:  # a path with a NUL character
        raise ImageError(f"cannot be read ({error})") from error
    if len(data) > MAX_FILE_BYTES:
        raise ImageError("file too large", expected=f"at most {MAX_FILE_BYTES} bytes", got="more")
    return data


def _header(data: bytes) -> tuple[Image, int]:
    """The picture, not yet decoded, and its EXIF orientation."""
    import warnings

    from PIL import Image, UnidentifiedImageError

    if not data:
        raise ImageError("the file is empty")
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures (our limit is its upper one) and of odd EXIF data (then it has none).
            warnings.simplefilter("ignore")
            header = Image.open(io.BytesIO(data))
            orientation = _orientation(header)
    except UnidentifiedImageError as error:
        raise ImageError("not a picture in a known format") from error
    except Image.DecompressionBombError as error:
        raise _too_large("more") from error
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        KeyError,
        IndexError,
        TypeError,
        OverflowError,
    ) as error:
        raise ImageError(f"broken picture ({error})") from error
    if header.width * header.height > MAX_PIXELS:
        raise _too_large(f"{header.width}x{header.height}")
    return header, orientation


def _orientation(header: Image) -> int:
    try:
        value = header.getexif().get(_ORIENTATION, 1)
    except (OSError, ValueError, SyntaxError, KeyError, TypeError, struct.error):
        return 1  # damaged EXIF data says nothing about the pixels
    return value if isinstance(value, int) else 1


def _too_large(got: str) -> ImageError:
    return ImageError("picture too large to decode safely", expected=f"at most {MAX_PIXELS} pixels", got=got)


def _is_plain(header: Image, data: bytes) -> bool:
    """Whether OpenCV may decode it: the usual formats, complete to the last byte."""
    if header.format == "JPEG":
        return _jpeg_is_complete(data)
    if header.format == "PNG":
        return b"IEND" in data[-64:] and header.mode in ("RGB", "L", "RGBA") and "transparency" not in header.info
    return header.format == "BMP" and header.mode == "RGB"


def _jpeg_is_complete(data: bytes) -> bool:
    """Whether an end-of-image marker follows the last start-of-scan; a thumbnail's comes before it."""
    return data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")


def _decode_opencv(data: bytes) -> Frame | None:
    import numpy as np

    opencv = cv2()
    flags = opencv.IMREAD_COLOR | opencv.IMREAD_IGNORE_ORIENTATION
    try:
        frame: Frame | None = opencv.imdecode(np.frombuffer(data, np.uint8), flags)
    except opencv.error:
        return None
    return frame


def _decode_pillow(image: Image) -> Frame:
    import numpy as np

    try:
        if image.mode in _SIXTEEN_BIT:
            # Pillow clips 16 bits at 255; the upper byte is what OpenCV and viewers show.
            grey = (np.asarray(image, np.int64) >> 8).clip(0, 255).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        if image.mode == "F":
            raise ImageError("floating-point pixels have no agreed range", expected="8 or 16 bits a channel")
        rgb = np.asarray(image.convert("RGB"))
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        IndexError,
        TypeError,
        OverflowError,
        MemoryError,
    ) as error:
        raise ImageError(f"broken picture ({error})") from error
    return np.ascontiguousarray(rgb[:, :, ::-1])


def _turn(frame: Frame, orientation: int) -> Frame:
    """Apply an EXIF orientation (1 to 8; others mean nothing)."""
    import numpy as np

    if orientation not in range(2, 9):
        return frame
    if orientation in (5, 6, 7, 8):
        frame = frame.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        frame = frame[::-1]
    if orientation in (2, 3, 6, 7):
        frame = frame[:, ::-1]
    return np.ascontiguousarray(frame)
