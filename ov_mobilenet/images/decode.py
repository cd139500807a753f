"""Decode image files into BGR frames, safely.

Every file is looked at by Pillow first (`image_files`), which reads the header only: an image that would be too large
is refused before a pixel is decoded, and Pillow knows truncated files, which OpenCV fills with grey. The pixels come
from the library that the model's published accuracy was measured with.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.errors import ImageError, MissingDependencyError
from ov_mobilenet.images.image_files import (
    IMAGE_SUFFIXES,
    MAX_PIXELS,
    broken,
    damage_errors,
    is_plain,
    open_image,
    read_file,
)
from ov_mobilenet.zoo.geometry import Library

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    Frame = NDArray[np.uint8]
    Decoded = Frame | Image  # BGR, or Pillow's RGB as long as only Pillow works on it

__all__ = ("IMAGE_SUFFIXES", "MAX_PIXELS", "cv2", "decode_image", "read_image", "to_frame", "to_pillow")

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
    """An image as uint8 (H, W, 3) BGR.

    Grey becomes three equal channels, CMYK is converted, transparency is dropped, 16 bits are reduced to the upper 8.

    Args:
        reader: the library that decodes.
        exif_orientation: turn the image as its camera says.

    Raises:
        ImageError: the file is missing, empty, no image in a known format, damaged, or larger than 179 million
            pixels.
    """
    data = source if isinstance(source, bytes) else read_file(source)
    header, orientation = open_image(data)
    return to_frame(decode_image(data, header, reader, orientation=orientation if exif_orientation else 1))


def decode_image(
    data: bytes, header: Image, reader: Library = "opencv", *, orientation: int = 1, reduction: int = 1
) -> Decoded:
    """The pixels of an image that `open_image` has looked at.

    Args:
        header: what `open_image` gave; decoded in place if Pillow decodes.
        orientation: how to turn the image, 1 to 8 as in EXIF.
        reduction: 1, 2, 4 or 8; a JPEG's sides are divided by it, rounding up, while it is decoded. Only 1 for other
            formats.

    Returns:
        A frame, uint8 (H, W, 3) BGR, or Pillow's image of mode RGB, whichever decoded it.

    Raises:
        ImageError: damaged, or floating-point pixels.
    """
    # Files that OpenCV reads otherwise than Pillow means them: palettes with transparency, floats, odd containers.
    decoded: Decoded | None = None
    if reader == "opencv" and is_plain(header, data):
        decoded = _decode_opencv(data, reduction)
    if decoded is None:
        decoded = _decode_pillow(header, reduction)
    return _turn(decoded, orientation)


def to_frame(decoded: Decoded) -> Frame:
    """An image as uint8 (H, W, 3) BGR; a frame is given back as it is."""
    import numpy as np

    if isinstance(decoded, np.ndarray):
        return decoded
    # Packed as BGR at once: to turn the channels round in numpy takes longer than to decode a JPEG.
    packed = np.frombuffer(decoded.tobytes("raw", "BGR"), np.uint8)
    frame: Frame = packed.reshape(decoded.height, decoded.width, 3).copy()
    return frame


def to_pillow(decoded: Decoded) -> Image:
    """An image as Pillow's, of mode RGB."""
    import numpy as np
    from PIL import Image

    if not isinstance(decoded, np.ndarray):
        return decoded
    opencv = cv2()
    height, width = decoded.shape[:2]
    # Four bytes a pixel is how Pillow keeps RGB: OpenCV brings it there many times faster than Pillow unpacks three.
    four = opencv.cvtColor(decoded, opencv.COLOR_BGR2RGBA)
    return Image.frombuffer("RGB", (width, height), four, "raw", "RGBX", 0, 1)


def _decode_opencv(data: bytes, reduction: int) -> Frame | None:
    import numpy as np

    opencv = cv2()
    color = {
        1: opencv.IMREAD_COLOR,
        2: opencv.IMREAD_REDUCED_COLOR_2,
        4: opencv.IMREAD_REDUCED_COLOR_4,
        8: opencv.IMREAD_REDUCED_COLOR_8,
    }[reduction]
    try:
        frame: Frame | None = opencv.imdecode(np.frombuffer(data, np.uint8), color | opencv.IMREAD_IGNORE_ORIENTATION)
    except opencv.error:
        return None
    return frame


def _decode_pillow(image: Image, reduction: int) -> Decoded:
    import warnings

    import numpy as np

    try:
        if reduction > 1:
            # The largest of 1, 2, 4 and 8 that leaves this size or more.
            image.draft(image.mode, (image.width // reduction, image.height // reduction))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as in open_image; some formats tell their size only here
            image.load()
        if image.mode in _SIXTEEN_BIT:
            # Pillow clips 16 bits at 255; the upper byte is what OpenCV and viewers show.
            grey = (np.asarray(image, np.int64) >> 8).clip(0, 255).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        if image.mode == "F":
            raise ImageError("floating-point pixels have no agreed range", expected="8 or 16 bits a channel")
        return image if image.mode == "RGB" else image.convert("RGB")
    except damage_errors() as error:
        raise broken(error) from error


def _turn(decoded: Decoded, orientation: int) -> Decoded:
    """Apply an EXIF orientation (1 to 8; others mean nothing)."""
    import numpy as np
    from PIL.Image import Transpose

    if orientation not in range(2, 9):
        return decoded
    if isinstance(decoded, np.ndarray):
        frame = decoded
        opencv = cv2()
        if orientation in (5, 6, 7, 8):
            frame = opencv.transpose(frame)
        # How often to mirror: -1 both ways, 0 upside down, 1 left to right.
        mirror = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
        if mirror is not None:
            frame = opencv.flip(frame, mirror)
        return frame
    return decoded.transpose(
        {
            2: Transpose.FLIP_LEFT_RIGHT,
            3: Transpose.ROTATE_180,
            4: Transpose.FLIP_TOP_BOTTOM,
            5: Transpose.TRANSPOSE,
            6: Transpose.ROTATE_270,
            7: Transpose.TRANSVERSE,
            8: Transpose.ROTATE_90,
        }[orientation]
    )
