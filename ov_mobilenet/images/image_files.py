"""Check an image file before it is decoded: known format, allowed size, complete, undamaged.

Only the formats in `FORMATS` are passed to a decoder, whatever the suffix of the file. Pillow supports many more; some
of them start other programs (Ghostscript for EPS) or embed images that escape its size check.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.errors import ImageError
from ov_mobilenet.images.pillow_warnings import without_pillow_warnings
from ov_mobilenet.operating_system.open_file import open_file

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"))
# Files with several JPEGs ("MPO", written by phones) are read by Pillow's JPEG plugin.
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM")
MAX_FILE_BYTES = 256 << 20
MAX_PIXELS = 178_956_970  # Pillow's own limit for "decompression bomb" errors
_ORIENTATION = 0x0112  # EXIF tag
_BITS_AND_COMPRESSION = struct.pack("<HI", 32, 3)  # of a BMP of 32 bits a pixel with masks for the channels
_USUAL_MASKS = struct.pack("<3I", 0xFF0000, 0xFF00, 0xFF)  # red, green, blue
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def read_file(path: Path) -> bytes:
    """The bytes of an image file. Raises: ImageError."""
    try:
        with open_file(path) as stream:
            # Reading allocates as many bytes as it is asked for.
            size = os.fstat(stream.fileno()).st_size
            data = stream.read(min(size, MAX_FILE_BYTES) + 1)
            if len(data) > size:  # a pipe, or a file that has grown
                data += stream.read(MAX_FILE_BYTES + 1 - len(data))
    except OSError as error:
        raise ImageError(f"cannot be read ({error.strerror or error})") from error
    except ValueError as error:  # a path with a NUL character
        raise ImageError(f"cannot be read ({error})") from error
    if len(data) > MAX_FILE_BYTES:
        raise ImageError("file too large", expected=f"at most {MAX_FILE_BYTES} bytes", got="more")
    return data


def damage_errors() -> tuple[type[Exception], ...]:
    """The exceptions that Pillow raises for damaged or malicious files, in any step."""
    from PIL import Image

    return (
        Image.DecompressionBombError,
        OSError,
        RuntimeError,  # including NotImplementedError and RecursionError
        ValueError,
        SyntaxError,
        EOFError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        AssertionError,
        OverflowError,
        ZeroDivisionError,
        MemoryError,
        struct.error,
        zlib.error,
    )


def broken_image(error: Exception, max_pixels: int = MAX_PIXELS) -> ImageError:
    """The `ImageError` for an exception of `damage_errors`.

    Args:
        max_pixels: the limit that applied.
    """
    from PIL import Image

    if isinstance(error, Image.DecompressionBombError):
        return _too_large("more", max_pixels)
    return ImageError(f"broken image ({error or type(error).__name__})")


def open_image(data: bytes, *, max_pixels: int | None = None) -> tuple[Image, int]:
    """Open an image without decoding it; returns the image and its EXIF orientation.

    Args:
        max_pixels: a lower limit than `MAX_PIXELS`.

    Raises:
        ImageError: the file is empty, in an unknown format, too large, or its header is damaged.
    """
    from PIL import Image, UnidentifiedImageError

    if not data:
        raise ImageError("the file is empty")
    limit = MAX_PIXELS if max_pixels is None else min(max_pixels, MAX_PIXELS)
    try:
        with without_pillow_warnings():  # images are too large only above MAX_PIXELS
            header = Image.open(io.BytesIO(data), formats=FORMATS)
        orientation = orientation_of(header)
    except UnidentifiedImageError as error:
        raise ImageError("not an image in a known format", expected=", ".join(FORMATS)) from error
    except damage_errors() as error:
        raise broken_image(error, limit) from error
    if header.width * header.height > limit:
        raise _too_large(f"{header.width}x{header.height}", limit)
    if header.format == "PNG":
        _check_png(data)
    return header, orientation


def is_jpeg(header: Image) -> bool:
    """Whether the file is a JPEG, or holds several JPEGs (MPO), of which the first is read."""
    return header.format in ("JPEG", "MPO")


def can_use_opencv(header: Image, data: bytes) -> bool:
    """Whether OpenCV decodes the file in the same way as Pillow: its format is a common one, and it is complete."""
    if is_jpeg(header):
        return _jpeg_is_complete(data)
    if header.format == "PNG":
        # OpenCV reads the first frame of an animation, which need not be the image that other programs show.
        is_animated = b"acTL" in data
        return header.mode in ("RGB", "L", "RGBA") and "transparency" not in header.info and not is_animated
    return header.format == "BMP" and header.mode == "RGB" and not _has_other_bit_fields(data)


def orientation_of(header: Image) -> int:
    """The EXIF orientation that is left to apply; loading a TIFF applies it in some versions of Pillow."""
    try:
        with without_pillow_warnings():
            value = header.getexif().get(_ORIENTATION, 1)
    except damage_errors():
        return 1  # the pixels may be intact although the EXIF data is damaged
    return value if isinstance(value, int) else 1


def _too_large(got: str, limit: int = MAX_PIXELS) -> ImageError:
    return ImageError("image too large to decode safely", expected=f"at most {limit} pixels", got=got)


def _has_other_bit_fields(data: bytes) -> bool:
    """Whether a BMP of 32 bits a pixel has its channels elsewhere than in the lowest 24: OpenCV ignores the masks."""
    return data[28:34] == _BITS_AND_COMPRESSION and data[54:66] != _USUAL_MASKS


def _jpeg_is_complete(data: bytes) -> bool:
    """Whether an end-of-image marker follows the last start-of-scan; that of a thumbnail comes before it."""
    end = data.rfind(b"\xff\xd9")
    return end >= 0 and data.find(b"\xff\xda", end) < 0


def _check_png(data: bytes) -> None:
    """Verify the checksums of the critical chunks: both libraries decode damaged ones to black rows."""
    view, position, kind = memoryview(data), len(_PNG_SIGNATURE), b""
    while kind != b"IEND":
        if position + 12 > len(data):
            raise ImageError("broken image (truncated PNG)")
        (length,) = struct.unpack_from(">I", data, position)
        end = position + 8 + length
        kind = data[position + 4 : position + 8]
        if end + 4 > len(data):
            raise ImageError("broken image (truncated PNG)")
        is_critical = not kind[0] & 0x20  # an upper-case first letter
        if is_critical and zlib.crc32(view[position + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            name = kind.decode("latin-1")
            raise ImageError(f"broken image (wrong checksum in the PNG chunk {name})")
        position = end + 4
