"""Decode image files into BGR frames, safely.

Pillow reads the header of every file first (`image_files`): an image that is too large is refused before it is decoded,
and Pillow detects truncated files, which OpenCV fills with grey. The pixels are those of the library with which the
model's published accuracy was measured; JPEGs are decoded by a third library with the same pixels (`jpeg`).
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.errors import ImageError, MissingDependencyError
from ov_mobilenet.images.image_files import (
    IMAGE_SUFFIXES,
    MAX_PIXELS,
    broken_image,
    can_use_opencv,
    damage_errors,
    is_jpeg,
    open_image,
    orientation_of,
    read_file,
)
from ov_mobilenet.images.jpeg import Warn, decode_jpeg
from ov_mobilenet.images.pillow_warnings import without_pillow_warnings
from ov_mobilenet.zoo.geometry import Library

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    Frame = NDArray[np.uint8]
    # A BGR frame, or a Pillow image of mode RGB as long as the next steps are Pillow's too.
    DecodedImage = Frame | Image

__all__ = ("IMAGE_SUFFIXES", "MAX_PIXELS", "cv2", "decode_image", "read_image", "to_frame", "to_pillow")

log = logging.getLogger(__name__)

_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_INVERSE = {6: 8, 8: 6}  # the other orientations are their own inverse


def cv2() -> ModuleType:
    """The module `cv2`, imported when it is needed.

    Raises:
        MissingDependencyError: opencv-python cannot be imported, as on systems without libGL or glib.
    """
    try:
        import cv2 as module
    except ImportError as error:
        raise MissingDependencyError(
            f"OpenCV cannot be imported ({error})",
            fix="Install the system libraries (Debian: apt install libgl1 libglib2.0-0), or the wheel that needs no "
            "system libraries: pip uninstall opencv-python && pip install opencv-python-headless",
        ) from error
    return module


def read_image(source: Path | bytes, reader: Library = "opencv", *, exif_orientation: bool = True) -> Frame:
    """Read an image as uint8 (H, W, 3) BGR. Flaws that are no errors are logged.

    Greyscale becomes three equal channels, CMYK is converted, transparency is dropped, and 16-bit images keep their
    upper 8 bits.

    Args:
        reader: the library that decodes.
        exif_orientation: rotate the image by its EXIF orientation.

    Raises:
        ImageError: the file is missing, empty, damaged, in an unknown format, or larger than 179 million pixels.
    """
    data = source if isinstance(source, bytes) else read_file(source)
    header, orientation = open_image(data)

    def warn(flaw: str) -> None:
        log.warning("%s", flaw if isinstance(source, bytes) else f"{source}: {flaw}")

    return to_frame(decode_image(data, header, reader, orientation=orientation if exif_orientation else 1, warn=warn))


def _ignore(flaw: str) -> None:
    """Do not report flaws."""


def decode_image(
    data: bytes,
    header: Image,
    reader: Library = "opencv",
    *,
    orientation: int = 1,
    reduction: int = 1,
    warn: Warn = _ignore,
) -> DecodedImage:
    """Decode an image whose header `open_image` has read.

    Args:
        header: the image that `open_image` returned; Pillow decodes it in place.
        orientation: EXIF orientation, 1 to 8.
        reduction: 1, 2, 4 or 8: a JPEG is decoded at this fraction of its size, sides rounded up. Other formats only
            support 1.
        warn: called with a description of a flaw that is no error.

    Returns:
        uint8 (H, W, 3) BGR if the image is a JPEG, or if the reader is OpenCV and can decode it; else usually a Pillow
        image of mode RGB.

    Raises:
        ImageError: the image is damaged, or has floating-point pixels.
    """
    image: DecodedImage | None = decode_jpeg(data, header, reduction=reduction, warn=warn) if is_jpeg(header) else None
    # OpenCV and Pillow read some files differently: palettes with transparency, floats, unusual containers.
    if image is None and reader == "opencv" and can_use_opencv(header, data):
        image = _decode_opencv(data, reduction)
    if image is None:
        stored = orientation_of(header)
        image = _decode_pillow(header, reduction)
        if orientation_of(header) != stored:  # Pillow has applied it, asked or not
            if orientation == stored:
                return image
            image = _apply_orientation(image, _INVERSE.get(stored, stored))
    return _apply_orientation(image, orientation)


def to_frame(image: DecodedImage) -> Frame:
    """Convert an image to uint8 (H, W, 3) BGR; a frame is returned as it is."""
    import numpy as np

    if isinstance(image, np.ndarray):
        return image
    # Pillow packs BGR directly: reversing the channels in NumPy takes longer than decoding a JPEG.
    packed = np.frombuffer(image.tobytes("raw", "BGR"), np.uint8)
    frame: Frame = packed.reshape(image.height, image.width, 3).copy()
    return frame


def to_pillow(image: DecodedImage) -> Image:
    """Convert an image to a Pillow image of mode RGB."""
    import numpy as np

    if not isinstance(image, np.ndarray):
        return image
    from PIL import Image

    opencv = cv2()
    # Pillow stores RGB with four bytes per pixel; OpenCV converts to that many times faster than Pillow unpacks three.
    # `Image.frombuffer` would save a copy, but gives mode RGBX, whose four channels take longer to resize than three.
    pixels = opencv.cvtColor(image, opencv.COLOR_BGR2RGBA)
    return Image.frombytes("RGB", (image.shape[1], image.shape[0]), pixels, "raw", "RGBX")


def _decode_opencv(data: bytes, reduction: int) -> Frame | None:
    import numpy as np

    opencv = cv2()
    flags = {
        1: opencv.IMREAD_COLOR,
        2: opencv.IMREAD_REDUCED_COLOR_2,
        4: opencv.IMREAD_REDUCED_COLOR_4,
        8: opencv.IMREAD_REDUCED_COLOR_8,
    }[reduction]
    try:
        frame: Frame | None = opencv.imdecode(np.frombuffer(data, np.uint8), flags | opencv.IMREAD_IGNORE_ORIENTATION)
    except opencv.error:
        return None
    return frame


def _decode_pillow(image: Image, reduction: int) -> DecodedImage:
    import numpy as np

    try:
        if reduction > 1:
            # Pillow selects the largest of 1, 2, 4 and 8 that gives at least this size.
            image.draft(image.mode, (image.width // reduction, image.height // reduction))
        with without_pillow_warnings():  # some formats have their size only here
            image.load()
        if image.mode in _SIXTEEN_BIT:
            # Pillow would clip 16 bits at 255; OpenCV and image viewers show the upper byte.
            grey = (np.asarray(image, np.int64) >> 8).clip(0, 255).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        if image.mode == "F":
            raise ImageError(
                "floating-point pixels are not supported", expected="8 or 16 bits per channel", got="32-bit float"
            )
        return image if image.mode == "RGB" else image.convert("RGB")
    except damage_errors() as error:
        raise broken_image(error) from error


def _apply_orientation(image: DecodedImage, orientation: int) -> DecodedImage:
    """Rotate or mirror by an EXIF orientation, 1 to 8; other values are ignored."""
    import numpy as np
    from PIL.Image import Transpose

    if orientation not in range(2, 9):
        return image
    if isinstance(image, np.ndarray):
        frame = image
        opencv = cv2()
        if orientation in (5, 6, 7, 8):
            frame = opencv.transpose(frame)
        # cv2.flip: -1 in both directions, 0 top to bottom, 1 left to right.
        flip_code = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
        if flip_code is not None:
            frame = opencv.flip(frame, flip_code)
        return frame
    return image.transpose(
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
