"""`decode="auto"` changes no image that is not a large JPEG; compared with Pillow and OpenCV, called by hand."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ov_mobilenet.images import fast_resize
from ov_mobilenet.images.load_image import load_image
from ov_mobilenet.zoo.geometry import Geometry, parse_geometry

Frame = NDArray[np.uint8]

V1 = parse_geometry("crop 0.875, resize 128")
V2 = parse_geometry("resize 256 greater pillow, crop 224")
# Small, odd, portrait and landscape; the last two are just not large for V2 (1024) and V1 (1610).
SIZES = ((37, 51), (280, 210), (333, 250), (1023, 1100), (1606, 900))


def content(height: int, width: int) -> Frame:
    """Noise on a gradient: detail in every pixel, so that any reduction shows."""
    rng = np.random.default_rng(height * 10_000 + width)
    ramp = np.linspace(0, 160, width)[None, :, None] + np.linspace(0, 40, height)[:, None, None]
    frame: Frame = (ramp + rng.integers(0, 56, (height, width, 3))).astype(np.uint8)
    return frame


def saved(image: Image.Image, image_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def files(height: int, width: int) -> Iterator[tuple[str, bytes]]:
    """The same content in every format and mode that people have."""
    rgb = Image.fromarray(content(height, width)[:, :, ::-1])
    if min(height, width) > 500:  # only the formats that `auto` may reduce
        yield "jpeg", saved(rgb, "JPEG", quality=80)
        yield "grey jpeg", saved(rgb.convert("L"), "JPEG")
        return
    for quality, subsampling in ((75, 2), (95, 0)):
        yield f"jpeg {quality}", saved(rgb, "JPEG", quality=quality, subsampling=subsampling)
    yield "progressive jpeg", saved(rgb, "JPEG", quality=90, progressive=True)
    yield "grey jpeg", saved(rgb.convert("L"), "JPEG")
    yield "cmyk jpeg", saved(rgb.convert("CMYK"), "JPEG", quality=95)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield f"jpeg, orientation {orientation}", saved(rgb, "JPEG", exif=exif)
    for image_format in ("PNG", "BMP", "TIFF", "PPM"):
        yield image_format, saved(rgb, image_format)
    yield "webp", saved(rgb, "WEBP", lossless=True, quality=0, method=0)
    yield "palette png", saved(rgb.convert("P"), "PNG")
    yield "palette gif", saved(rgb.convert("P"), "GIF")
    yield "grey png", saved(rgb.convert("L"), "PNG")
    rgba = rgb.convert("RGBA")
    rgba.putalpha(rgb.convert("L"))
    yield "transparent png", saved(rgba, "PNG")
    deep = np.asarray(rgb.convert("L")).astype(np.uint16) * 256 + 77
    yield "16-bit png", saved(Image.fromarray(deep), "PNG")


def decoded_by_pillow(data: bytes) -> Frame:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if image.mode.startswith("I"):
        grey = (np.asarray(image).astype(np.int64) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])


def decoded_by_opencv(data: bytes) -> Frame:
    frame = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert frame is not None
    made: Frame = frame.astype(np.uint8)
    return made


def v1_by_hand(frame: Frame) -> Frame:
    height, width = frame.shape[:2]
    kept = int(height * 0.875), int(width * 0.875)
    top, left = (height - kept[0]) // 2, (width - kept[1]) // 2
    resized: Frame = cv2.resize(frame[top : top + kept[0], left : left + kept[1]], (128, 128))
    return resized


def v2_by_hand(frame: Frame) -> Frame:
    image = Image.fromarray(frame[:, :, ::-1])
    width, height = image.size
    size = (256, 256 * height // width) if height > width else (256 * width // height, 256)
    left, top = round((size[0] - 224) / 2), round((size[1] - 224) / 2)
    resized = image.resize(size, Image.Resampling.BILINEAR).crop((left, top, left + 224, top + 224))
    return np.asarray(resized)[:, :, ::-1]


@pytest.mark.usefixtures("each_resizer")
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_auto_changes_no_image_that_is_not_a_large_jpeg(size: tuple[int, int]) -> None:
    for name, data in files(*size):
        with_pillow, with_opencv = decoded_by_pillow(data), decoded_by_pillow(data)
        if "jpeg" in name and "cmyk" not in name:  # the libraries decode these to slightly different pixels
            with_opencv = decoded_by_opencv(data)
        if name == "cmyk jpeg":
            with_opencv = load_image(data, None, "exact").frame  # either library, see test_decode.py
        assert np.array_equal(load_image(data, V1, "auto").frame, v1_by_hand(with_opencv)), name
        difference = np.abs(load_image(data, V2, "auto").frame.astype(int) - v2_by_hand(with_pillow))
        assert difference.max() <= 1, name
        if fast_resize.resizer() is None:  # Pillow itself rounds few values differently
            assert (difference > 0).mean() < 0.03, name


@pytest.mark.parametrize("size", [(300, 400), (400, 300), (302, 403), (1200, 300), (640, 480), (700, 1023)])
@pytest.mark.parametrize("words", ["resize 256 greater pillow, crop 224", "resize 128x160 pillow, crop 112"])
def test_the_passes_of_a_resize_are_in_the_order_of_the_whole_image(
    size: tuple[int, int], words: str, without_fast_resize: None
) -> None:
    # In the other order Pillow rounds one value in four differently.
    rng = np.random.default_rng(1)
    frame = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    data = saved(Image.fromarray(frame[:, :, ::-1]), "PNG")
    geometry = parse_geometry(words)
    exact = load_image(data, geometry, "exact").frame
    for source in (frame, data):
        auto = load_image(source, geometry, "auto").frame
        assert (auto != exact).mean() < 0.03


@pytest.mark.usefixtures("each_resizer")
@pytest.mark.parametrize("words", ["resize 256 greater pillow bicubic, crop 224", "resize 96x64 pillow bicubic"])
@pytest.mark.parametrize("size", [(300, 400), (1200, 300), (300, 1200), (700, 1023), (90, 70)])
def test_bicubic_resizes_are_within_two_grey_levels_of_pillow(size: tuple[int, int], words: str) -> None:
    # Black and white noise: many values are outside 0..255 between the passes and are clipped there.
    rng = np.random.default_rng(sum(size))
    frame = (rng.integers(0, 2, (*size, 3)) * 255).astype(np.uint8)
    height, width = size
    if "crop" in words:
        resized = (256, 256 * height // width) if height > width else (256 * width // height, 256)
    else:
        resized = (64, 96)
    by_hand = Image.fromarray(frame).resize(resized, Image.Resampling.BICUBIC)
    if "crop" in words:
        left, top = round((resized[0] - 224) / 2), round((resized[1] - 224) / 2)
        by_hand = by_hand.crop((left, top, left + 224, top + 224))
    found = load_image(frame, parse_geometry(words), "auto").frame
    assert np.abs(found.astype(int) - np.asarray(by_hand)).max() <= 2


def test_a_bicubic_crop_of_a_large_image_is_within_two_grey_levels_of_pillow() -> None:
    # Stripes whose edges are where only the filters of the outermost pixels of the crop still reach.
    stripes = np.arange(2597) // 15 % 2 == 0
    frame = np.repeat((stripes[:2560, None] ^ stripes)[:, :, None], 3, axis=2).astype(np.uint8) * 255
    by_hand = Image.fromarray(frame).resize((259, 256), Image.Resampling.BICUBIC).crop((18, 16, 242, 240))
    found = load_image(frame, parse_geometry("resize 256 greater pillow bicubic, crop 224"), "auto").frame
    assert np.abs(found.astype(int) - np.asarray(by_hand)).max() <= 2


@pytest.mark.parametrize(
    ("geometry", "side", "auto_differs", "fast_differs"),
    [(V1, 1608, False, True), (V1, 1610, True, True), (V2, 1023, False, False), (V2, 1024, True, True)],
    ids=str,
)
def test_from_which_size_a_jpeg_is_large(
    geometry: Geometry, side: int, auto_differs: bool, fast_differs: bool
) -> None:  # fmt: skip
    data = saved(Image.fromarray(content(side, side)), "JPEG", quality=95)
    exact = load_image(data, geometry, "exact").frame.astype(int)
    for mode, differs in (("auto", auto_differs), ("fast", fast_differs)):
        frame = load_image(data, geometry, mode).frame  # type: ignore[arg-type]
        assert bool(np.abs(frame - exact).max() > 1) == differs


@pytest.mark.shared
@pytest.mark.parametrize("words", ["crop 0.875, resize 128", "resize 256, crop 224"])
def test_auto_is_exact_for_real_images(words: str, shared: Path) -> None:
    # 1200x1600 and 1200x900: the largest two of the folder, reduced in 0.1 for a network of 128x128.
    geometry = parse_geometry(words)
    for name in ("n03109150_corkscrew", "n03733805_measuring_cup"):
        path = shared / "imagenet200/images" / f"{name}.JPEG"
        assert np.array_equal(load_image(path, geometry, "auto").frame, load_image(path, geometry, "exact").frame)
