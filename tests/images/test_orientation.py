"""EXIF orientation: every value in every format, decode mode and reader, against arrays turned by hand."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from ov_mobilenet.images.decode import read_image
from ov_mobilenet.images.load_image import DECODE_MODES, load_image
from ov_mobilenet.zoo.geometry import Library

Frame = NDArray[np.uint8]

READERS: tuple[Library, ...] = ("opencv", "pillow")
# EXIF 2.3: where the stored row 0 and column 0 belong in the image that is seen.
SEEN: dict[int, Callable[[Frame], Frame]] = {
    1: lambda stored: stored,  # top, left
    2: lambda stored: stored[:, ::-1],  # top, right
    3: lambda stored: stored[::-1, ::-1],  # bottom, right
    4: lambda stored: stored[::-1],  # bottom, left
    5: lambda stored: stored.swapaxes(0, 1),  # left, top
    6: lambda stored: stored.swapaxes(0, 1)[:, ::-1],  # right, top
    7: lambda stored: stored.swapaxes(0, 1)[::-1, ::-1],  # right, bottom
    8: lambda stored: stored.swapaxes(0, 1)[::-1],  # left, bottom
}
FORMATS: dict[str, tuple[str, dict[str, object]]] = {
    "JPEG": ("JPEG", {"quality": 100, "subsampling": 0}),
    "MPO": ("MPO", {"quality": 100, "subsampling": 0, "save_all": True}),
    "PNG": ("PNG", {}),
    "TIFF": ("TIFF", {}),
    "TIFF, LZW": ("TIFF", {"compression": "tiff_lzw"}),
    "TIFF, 16 bits": ("TIFF", {}),
    "WebP": ("WEBP", {"lossless": True}),
}


def blocks() -> Frame:
    """16x24 BGR in six blocks of different colours, which JPEG keeps within 3 grey levels."""
    colours = np.array(
        [[[0, 0, 0], [250, 0, 0], [0, 250, 0]], [[0, 0, 250], [250, 250, 250], [0, 120, 250]]], dtype=np.uint8
    )
    return colours.repeat(8, axis=0).repeat(8, axis=1)


def stored_file(name: str, orientation: int) -> tuple[Frame, bytes]:
    """The stored pixels and a file with them."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    image_format, options = FORMATS[name]
    frame = blocks()
    image = Image.fromarray(frame[:, :, ::-1])
    if "16 bits" in name:
        grey = frame[:, :, 0] // 2 + frame[:, :, 2] // 4
        frame, image = np.repeat(grey[:, :, None], 3, axis=2), Image.fromarray(grey.astype(np.uint16) << 8)
    buffer = io.BytesIO()
    image.save(buffer, image_format, exif=exif, **options)
    return frame, buffer.getvalue()


@pytest.fixture(params=["as Pillow is", "Pillow ignores the orientation of a TIFF"], autouse=True)
def pillow(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Versions of Pillow turn a TIFF when they load it; others would leave that to the program."""
    if request.param != "as Pillow is":
        set_up = TiffImagePlugin.TiffImageFile._setup

        def set_up_as_stored(image: TiffImagePlugin.TiffImageFile) -> None:
            set_up(image)
            image._size = image.tag_v2[256], image.tag_v2[257]

        monkeypatch.setattr(TiffImagePlugin.TiffImageFile, "_setup", set_up_as_stored)
        monkeypatch.setattr(TiffImagePlugin.TiffImageFile, "load_end", lambda image: None)
    yield


def is_same(frame: Frame, expected: Frame) -> bool:
    return frame.shape == expected.shape and int(np.abs(frame.astype(int) - expected).max()) <= 4


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("orientation", SEEN)
@pytest.mark.parametrize("name", FORMATS)
def test_orientation(name: str, orientation: int, reader: Library) -> None:
    stored, data = stored_file(name, orientation)
    for is_used, expected in ((True, SEEN[orientation](stored)), (False, stored)):
        assert is_same(read_image(data, reader, exif_orientation=is_used), expected)
        for decode in DECODE_MODES:
            loaded = load_image(data, None, decode, reader=reader, exif_orientation=is_used)
            assert is_same(loaded.frame, expected), (decode, is_used)
