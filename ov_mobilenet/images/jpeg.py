"""Decode JPEGs strictly: what libjpeg reports as damage, and then fills with grey, is an error.

OpenCV and Pillow discard libjpeg's warnings, so that they decode a file of which a quarter is left. `simplejpeg`
returns them; its pixels are those of the other two libraries, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ov_mobilenet.errors import ImageError, MissingDependencyError, install_command
from ov_mobilenet.images.image_files import broken_image, damage_errors, open_image
from ov_mobilenet.images.jpeg_scans import check_scans, end_of_scan

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

Warn = Callable[[str], object]

# libjpeg's words for damaged pixels, and ours. It passes other flaws over without an effect on the pixels.
_DAMAGE = {
    "premature end": "image file is truncated: the data end before the last pixel",
    "bad Huffman code": "damaged JPEG data: bad Huffman code",
    "bad arithmetic code": "damaged JPEG data: bad arithmetic code",
    "instead of RST": "damaged JPEG data: a restart marker is missing",
}


def decode_jpeg(data: bytes, header: Image, *, reduction: int, warn: Warn) -> NDArray[np.uint8] | None:
    """Decode a JPEG.

    Args:
        header: the image that `open_image` returned.
        reduction: 1, 2, 4 or 8: the image is decoded at this fraction of its size, sides rounded up.
        warn: called with a description of a flaw that is no error.

    Returns:
        uint8 (H, W, 3) BGR; None if another library must decode the file, as CMYK.

    Raises:
        ImageError: the pixels are damaged or incomplete, or the file has too many scans.
        MissingDependencyError: simplejpeg cannot be imported.
    """
    import numpy as np

    try:
        import simplejpeg
    except ImportError as error:
        raise MissingDependencyError(
            f"simplejpeg cannot be imported ({error})", fix=install_command("simplejpeg")
        ) from error
    has_one_scan = check_scans(data, header.width, header.height, warn)
    is_colour = header.mode in ("RGB", "L")
    height, width = -(-header.height // reduction), -(-header.width // reduction)
    channels = 3 if is_colour else 4
    # A buffer of this size, because libjpeg could find another size in a malicious file than Pillow did.
    buffer = np.empty((height, width, channels), np.uint8)
    least = (height, width) if reduction > 1 else (0, 0)

    def decode(*, strict: bool) -> NDArray[np.uint8]:
        colours = "BGR" if is_colour else "CMYK"
        decoded: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data, colours, min_height=least[0], min_width=least[1], buffer=buffer, strict=strict
        )
        return decoded

    try:
        frame = decode(strict=True)
    except ValueError as error:
        problem = str(error)
        for words, ours in _DAMAGE.items():
            if words.lower() in problem.lower():
                raise ImageError(f"broken image ({ours})") from error
        # libjpeg reports only its first warning: there may be damage behind a harmless one.
        if has_one_scan:
            _check_rows(data)
        try:
            frame = decode(strict=False)
        except ValueError:  # the library refuses unusual headers and subsamplings of CMYK, others decode them
            if not has_one_scan and "subsampling" not in problem:
                warn(f"the JPEG cannot be checked for damage: {problem}")
            return None
        warn(f"flaw in the JPEG: {problem}; the image may be damaged")
    return frame if is_colour else None


def _check_rows(data: bytes) -> None:
    """Check that a JPEG of one scan holds all rows. Raises: ImageError.

    The end marker is replaced with codes that no Huffman table has: a decoder that has all its rows never reads them,
    and one that lacks some waits for more.
    """
    try:
        image, _ = open_image(data[: end_of_scan(data)] + b"\xff\x00" * 16)
        image.load()
    except damage_errors() as error:
        raise broken_image(error) from error
