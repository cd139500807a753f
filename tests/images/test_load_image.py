"""From an image to the network's input size: exact compared with the separate steps, fast with Pillow."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ov_mobilenet.errors import ImageError, UsageError
from ov_mobilenet.images.decode import decode_image, read_image, to_frame
from ov_mobilenet.images.geometry import apply_geometry
from ov_mobilenet.images.image_files import open_image
from ov_mobilenet.images.load_image import DECODE_MODES, DecodeMode, load_image
from ov_mobilenet.images.reduced_decoding import reduction
from ov_mobilenet.zoo.geometry import Crop, Geometry, Library, Resize, parse_geometry

Frame = NDArray[np.uint8]

V1 = parse_geometry("crop 0.875, resize 224")
V2 = parse_geometry("resize 256 greater pillow, crop 224")
SMALL = parse_geometry("crop 0.875, resize 112")  # small enough for a JPEG of two megapixels to be large
WORDS = (
    "crop 0.875, resize 128",
    "resize 256 greater pillow, crop 224",
    "resize 256, crop 224",
    "resize 232 greater bicubic pillow, crop 224",
    "crop 0.9 pillow, resize 96x64 bicubic",
    "resize 100 pillow, crop 0.5",
    "resize 64 pillow, crop 96",
    "crop 64",
)
# Tiny, extreme aspect ratios, enlarged, exact multiples, and one pixel more or less.
SIZES = (
    (1, 1), (3, 2), (20, 700), (700, 20), (256, 256), (255, 257), (100, 300), (300, 100), (240, 320), (320, 240),
    (375, 500), (500, 375), (512, 512), (511, 513), (768, 1024), (1025, 769), (2048, 2048), (2047, 2300),
)  # fmt: skip


def noise(height: int, width: int) -> Frame:
    return np.random.default_rng(height * 10_000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def jpeg(frame: Frame, orientation: int = 1, **options: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(frame[:, :, ::-1]).save(buffer, "JPEG", exif=exif, **options)
    return buffer.getvalue()


def png(frame: Frame) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame[:, :, ::-1]).save(buffer, "PNG")
    return buffer.getvalue()


def photo(height: int, width: int) -> Frame:
    """Smooth, without details that a smaller image would lose; corners and channels differ."""
    coarse = noise(6, 8)
    frame: Frame = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return frame


def resized_by_pillow(frame: Frame, side: int, cropped: int, method: Image.Resampling) -> Frame:
    """The shorter side resized to `side`, then a centre crop; by Pillow alone, as in torchvision."""
    image = Image.fromarray(frame[:, :, ::-1])
    width, height = image.size
    size = (side, side * height // width) if height > width else (side * width // height, side)
    left, top = round((size[0] - cropped) / 2), round((size[1] - cropped) / 2)
    crop = image.resize(size, method).crop((left, top, left + cropped, top + cropped))
    return np.asarray(crop)[:, :, ::-1]


def difference(one: Frame, other: Frame) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other).max())


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    ("words", "side", "method"),
    [
        ("resize 256 greater pillow, crop 224", 256, Image.Resampling.BILINEAR),
        ("resize 232 greater bicubic pillow, crop 224", 232, Image.Resampling.BICUBIC),
    ],
)
def test_within_two_grey_levels_of_pillow(
    size: tuple[int, int], words: str, side: int, method: Image.Resampling
) -> None:
    frame, geometry = noise(*size), parse_geometry(words)
    expected = resized_by_pillow(frame, side, 224, method)
    assert difference(load_image(frame, geometry).frame, expected) <= 2
    assert difference(load_image(png(frame), geometry).frame, expected) <= 2
    assert np.array_equal(load_image(frame, geometry, "exact").frame, expected)


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 900), width=st.integers(1, 900), side=st.integers(1, 300), data=st.data())
def test_any_size_within_two_grey_levels_of_pillow(height: int, width: int, side: int, data: st.DataObject) -> None:
    cropped = data.draw(st.integers(1, side))
    frame = noise(height, width)
    if max(height, width) * side > 5_000 * min(height, width):
        return  # slow, and above 32,768 pixels an error
    expected = resized_by_pillow(frame, side, cropped, Image.Resampling.BILINEAR)
    geometry = parse_geometry(f"resize {side} greater pillow, crop {cropped}")
    assert difference(load_image(frame, geometry).frame, expected) <= 2
    assert difference(load_image(png(frame), geometry).frame, expected) <= 2


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("orientation", [1, 6])
def test_exact_is_decode_then_geometry(words: str, orientation: int) -> None:
    geometry = parse_geometry(words)
    for size in ((90, 70), (375, 500), (1500, 1100)):
        data = jpeg(noise(*size), orientation)
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        decoded = np.ascontiguousarray(np.asarray(image)[:, :, ::-1])
        loaded = load_image(data, geometry, "exact")
        assert np.array_equal(loaded.frame, apply_geometry(geometry, decoded))
        assert np.array_equal(loaded.frame, apply_geometry(geometry, read_image(data, geometry.reader)))


@pytest.mark.usefixtures("each_resizer")
@pytest.mark.parametrize("words", WORDS)
def test_auto_is_exact_for_small_images_or_resized_as_by_pillow(words: str) -> None:
    geometry = parse_geometry(words)
    for size in ((40, 60), (140, 120)):
        data = jpeg(noise(*size))
        for decode in DECODE_MODES:
            frame, exact = load_image(data, geometry, decode).frame, load_image(data, geometry, "exact").frame
            assert difference(frame, exact) <= (2 if "pillow" in words and decode != "exact" else 0)


@pytest.mark.parametrize(
    ("words", "size", "expected"),
    [
        ("resize 256 greater pillow, crop 224", (1023, 4000), 1),
        ("resize 256 greater pillow, crop 224", (1024, 4000), 2),
        ("resize 256 greater pillow, crop 224", (4000, 2047), 2),
        ("resize 256 greater pillow, crop 224", (4000, 2048), 4),
        ("resize 256 greater pillow, crop 224", (3000, 4000), 4),
        ("resize 256 greater pillow, crop 224", (30_000, 40_000), 8),
        ("crop 0.875, resize 224", (1408, 1600), 1),
        ("crop 0.875, resize 224", (2815, 3200), 1),
        ("crop 0.875, resize 224", (2816, 3200), 2),
        ("crop 0.875, resize 224", (3000, 4000), 2),
        ("crop 0.875, resize 224", (11264, 11264), 8),
        ("resize 256, crop 224", (4000, 300), 1),
        ("resize 64x32", (704, 352), 2),
        ("resize 64x32", (704, 351), 1),
        ("crop 224", (4000, 4000), 1),
        ("crop 1000, resize 100", (4000, 4000), 1),
        ("crop 0.5, crop 0.5, resize 100", (4400, 4400), 2),
    ],
)
def test_the_reduction_of_an_image(words: str, size: tuple[int, int], expected: int) -> None:
    assert reduction(parse_geometry(words), *size) == expected


@pytest.mark.parametrize(
    ("words", "size", "expected"),
    [
        ("resize 256 greater pillow, crop 224", (4000, 2048), 4),
        ("crop 0.875, resize 224", (1407, 1600), 1),
        ("crop 0.875, resize 224", (1408, 1600), 2),
        ("crop 0.875, resize 224", (5632, 5632), 8),
    ],
)
def test_fast_reduces_smaller_images(words: str, size: tuple[int, int], expected: int) -> None:
    assert reduction(parse_geometry(words), *size, fast=True) == expected


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 9000), st.integers(1, 9000), st.sampled_from([words for words in WORDS if "resize" in words]))
def test_a_reduced_image_is_not_enlarged_by_the_resize(height: int, width: int, words: str) -> None:
    geometry = parse_geometry(words)
    factor = reduction(geometry, height, width, fast=True)
    reduced = -(-height // factor), -(-width // factor)
    if factor > 1:  # the reduced image is at least as large as the resized one
        first = next(step for step in geometry.steps if isinstance(step, Resize))
        fraction = next((step.fraction for step in geometry.steps[:1] if isinstance(step, Crop)), None) or 1.0
        assert reduced[0] * fraction >= first.height
        assert reduced[1] * fraction >= first.width


@pytest.mark.parametrize("geometry", [SMALL, V2], ids=str)
@pytest.mark.parametrize("size", [(1600, 1800), (1601, 1803), (1803, 1601), (3001, 2003)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_large_jpegs_are_close_to_exact(geometry: Geometry, size: tuple[int, int], orientation: int) -> None:
    data = jpeg(photo(*size), orientation, quality=95)
    exact = load_image(data, geometry, "exact").frame
    for decode in ("auto", "fast"):
        assert difference(load_image(data, geometry, decode).frame, exact) <= 16
        assert np.abs(load_image(data, geometry, decode).frame.astype(int) - exact).mean() < 3


@pytest.mark.parametrize("geometry", [SMALL, V2], ids=str)
@pytest.mark.parametrize("image_format", ["JPEG", "MPO"])
def test_large_jpegs_are_decoded_at_a_fraction_of_their_size(geometry: Geometry, image_format: str) -> None:
    # A checkerboard of single pixels becomes grey at half the size, but not by OpenCV's bilinear resize.
    board = np.zeros((2048, 2048, 3), np.uint8)
    board[::2, 1::2] = board[1::2, ::2] = 255
    buffer = io.BytesIO()
    Image.fromarray(board).save(buffer, image_format, quality=95)
    plain = load_image(buffer.getvalue(), geometry).frame
    assert plain.min() >= 120 and plain.max() <= 135
    data = jpeg(noise(2048, 2048))
    assert difference(load_image(data, geometry).frame, load_image(data, geometry, "exact").frame) > 2


@pytest.mark.parametrize("reader", ["opencv", "pillow"])
@pytest.mark.parametrize("factor", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [(160, 240), (161, 247), (15, 9)])
def test_sides_are_divided_rounding_up(size: tuple[int, int], factor: int, reader: Library) -> None:
    data = jpeg(noise(*size))
    header, _ = open_image(data)
    frame = to_frame(decode_image(data, header, reader, reduction=factor))
    assert frame.shape == (-(-size[0] // factor), -(-size[1] // factor), 3)


def test_incomplete_jpegs_are_not_passed_to_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    # Some versions of OpenCV fill the missing part with grey.
    monkeypatch.setattr(cv2, "imdecode", lambda *args: pytest.fail("OpenCV decodes it"))
    exif = Image.Exif()
    exif[0x9286] = jpeg(noise(16, 16))  # a thumbnail has an end marker too
    buffer = io.BytesIO()
    Image.fromarray(noise(300, 300)).save(buffer, "JPEG", exif=exif)
    for data in (jpeg(noise(300, 300)), buffer.getvalue()):
        with pytest.raises(ImageError, match="truncated"):
            load_image(data[:-200], V1)


def test_the_reduction_follows_the_exif_orientation() -> None:
    # To 64x32: the stored image is large enough to be reduced only after its rotation.
    geometry = parse_geometry("resize 64x32")
    stored = noise(384, 768)
    for orientation, is_reduced in ((1, False), (6, True)):
        data = jpeg(stored, orientation, quality=95)
        same = np.array_equal(load_image(data, geometry).frame, load_image(data, geometry, "exact").frame)
        assert same is not is_reduced


@pytest.mark.parametrize("decode", ["exact", "auto"])
def test_only_fast_shrinks_frames(decode: DecodeMode) -> None:
    frame = noise(1080, 1920)
    expected = resized_by_pillow(frame, 256, 224, Image.Resampling.BILINEAR)
    assert difference(load_image(frame, V2, decode).frame, expected) <= 2
    assert difference(load_image(frame, V2, "fast").frame, expected) > 2


def test_fast_frames_and_pngs_are_close_to_exact() -> None:
    for size in ((1080, 1920), (1081, 1923), (4000, 600)):
        frame = photo(*size)
        exact = load_image(frame, V2, "exact").frame
        for source in (frame, png(frame)):
            assert difference(load_image(source, V2, "fast").frame, exact) <= 6
        # OpenCV's resizes are not slow.
        assert np.array_equal(load_image(png(frame), V1, "fast").frame, load_image(frame, V1, "exact").frame)
        assert np.array_equal(load_image(frame, V1, "fast").frame, load_image(frame, V1, "exact").frame)


@pytest.mark.parametrize("decode", DECODE_MODES)
@pytest.mark.parametrize(
    "geometry", [V1, V2, *map(parse_geometry, ("crop 0.5", "crop 40x60", "resize 60")), None], ids=str
)
def test_the_frame_does_not_share_memory_with_the_source(geometry: Geometry, decode: DecodeMode) -> None:
    frame = noise(60, 60)
    wide = noise(60, 90)
    for source in (frame, wide[:, 10:70], wide[:, ::-1], frame[::2]):
        loaded = load_image(source, geometry, decode).frame
        assert loaded.flags.c_contiguous and loaded.flags.writeable and loaded.dtype == np.uint8
        before = loaded.copy()
        kept = source.copy()
        source[:] = 255 - source
        assert np.array_equal(loaded, before)
        source[:] = kept
        loaded[:] = 0
        assert np.array_equal(source, kept)
    assert load_image(png(frame), geometry, decode).frame.flags.writeable


def test_without_a_geometry_the_image_is_decoded_whole() -> None:
    frame = noise(2000, 2100)
    assert np.array_equal(load_image(png(frame), None).frame, frame)
    data = jpeg(frame)
    for reader in ("opencv", "pillow"):
        assert np.array_equal(load_image(data, None, reader=reader).frame, read_image(data, reader))


@pytest.mark.parametrize("decode", DECODE_MODES)
@pytest.mark.parametrize("geometry", [V1, V2], ids=str)
def test_errors_of_unreadable_images(geometry: Geometry, decode: DecodeMode, tmp_path: Path) -> None:
    large = jpeg(noise(1200, 1200))
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("hello")
    cases: tuple[tuple[Any, str], ...] = (
        (tmp_path / "vanished.jpg", r"^cannot be read \(No such file or directory\)$"),
        (str(tmp_path / "vanished.jpg"), "No such file"),
        (tmp_path / "empty.jpg", "^the file is empty$"),
        (tmp_path / "text.jpg", "^not an image in a known format: expected JPEG, PNG"),
        (b"", "^the file is empty$"),
        (large[: len(large) // 2], r"^broken image \(image file is truncated"),
        (large[:-200], r"^broken image \(image file is truncated"),
        (large[:20], "image"),
        (np.zeros((4, 4), np.uint8), "not a frame"),
        (np.zeros((4, 4, 3), np.float32), "scaled to"),
        (np.zeros((1, 9000, 3), np.uint8), "^aspect ratio too extreme"),
    )
    for source, message in cases:
        if geometry is V1 and isinstance(source, np.ndarray) and source.shape[0] == 1:
            continue  # V1 ignores the aspect ratio
        with pytest.raises(ImageError, match=message):
            load_image(source, geometry, decode)


def test_damaged_files_only_raise_image_errors() -> None:
    rng = np.random.default_rng(1)
    data = jpeg(photo(600, 700))
    for _ in range(60):
        damaged = bytearray(data)
        for position in rng.integers(0, len(data), 6):
            damaged[position] = rng.integers(0, 256)
        for geometry in (V1, V2):
            try:
                frame = load_image(bytes(damaged), geometry).frame
            except ImageError:
                continue
            assert frame.shape == (224, 224, 3)


def test_modes_of_large_jpegs() -> None:
    image = Image.fromarray(photo(1200, 1100)[:, :, ::-1])
    for mode in ("L", "CMYK"):
        buffer = io.BytesIO()
        image.convert(mode).save(buffer, "JPEG", quality=95)
        for geometry in (parse_geometry("crop 0.875, resize 56"), V2):
            exact = load_image(buffer.getvalue(), geometry, "exact").frame
            assert difference(load_image(buffer.getvalue(), geometry).frame, exact) <= 8


def test_an_unknown_decode_mode_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="expected exact, fast, auto, got 'quick'"):
        load_image(noise(9, 9), V1, "quick")  # type: ignore[arg-type]


def test_decode_and_geometry_are_timed_separately() -> None:
    loaded = load_image(png(noise(600, 600)), V2)
    assert loaded.decode_ms > 0 and loaded.geometry_ms > 0


def test_many_threads_give_the_same_frames_as_one() -> None:
    sources = [jpeg(noise(300 + 20 * index, 900 - 20 * index)) for index in range(20)]
    jobs = [(source, geometry) for source in sources for geometry in (V1, V2)]
    alone = [load_image(*job).frame for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda job: load_image(*job).frame, jobs * 3))
    assert all(np.array_equal(frame, alone[index % len(jobs)]) for index, frame in enumerate(together))


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_file_with_too_many_pixels_is_refused_before_it_is_decoded(suffix: str) -> None:
    """The pixels are cut off: decoding would find that."""
    data = cv2.imencode(suffix, np.random.default_rng(0).integers(0, 256, (60, 50, 3), dtype=np.uint8))[1].tobytes()
    with pytest.raises(ImageError, match="too large to decode safely: expected at most 2999 pixels, got 50x60"):
        load_image(data[: len(data) // 2], V1, max_pixels=2999)
    with pytest.raises(ImageError, match="broken"):
        load_image(data[: len(data) // 2], V1, max_pixels=3000)
    assert load_image(data, V1, max_pixels=3000).frame.shape == (224, 224, 3)


def test_a_file_that_pillow_refuses_names_the_limit_of_the_caller() -> None:
    with pytest.raises(ImageError, match="expected at most 3000 pixels, got more"):
        load_image(b"P6\n60000 60000\n255\n", V1, max_pixels=3000)
