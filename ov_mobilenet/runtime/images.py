"""Decode picture files into BGR frames, safely.

Every file is looked at by Pillow first (`image_files`), which reads the header only: a picture that would be too large
is refused before a pixel is decoded, and Pillow knows truncated files, which OpenCV fills with grey. The pixels come
from the library that the model's published accuracy was measured with.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.errors import ImageError, MissingDependencyError
from ov_mobilenet.runtime.image_files import (
    IMAGE_SUFFIXES,
    MAX_PIXELS,
    broken,
    damage_errors,
    is_plain,
    open_picture,
    read_file,
)
from ov_mobilenet.zoo.geometry import Library

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    Frame = NDArray[np.uint8]

__all__ = ("IMAGE_SUFFIXES", "MAX_PIXELS", "cv2", "read_image")

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
        ImageError: the file is missing, empty, no picture in a known format, damaged, or larger than 179 million
            pixels.
    """
    data = source if isinstance(source, bytes) else read_file(source)
    header, orientation = open_picture(data)
    # Files that OpenCV reads otherwise than Pillow means them: palettes with transparency, floats, odd containers.
    frame = _decode_opencv(data) if reader == "opencv" and is_plain(header, data) else None
    if frame is None:
        frame = _decode_pillow(header)
    return _turn(frame, orientation) if exif_orientation else frame


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
    import warnings

    import numpy as np

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as in open_picture; some formats tell their size only here
            image.load()
        if image.mode in _SIXTEEN_BIT:
            # Pillow clips 16 bits at 255; the upper byte is what OpenCV and viewers show.
            grey = (np.asarray(image, np.int64) >> 8).clip(0, 255).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        if image.mode == "F":
            raise ImageError("floating-point pixels have no agreed range", expected="8 or 16 bits a channel")
        rgb = np.asarray(image.convert("RGB"))
    except damage_errors() as error:
        raise broken(error) from error
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
