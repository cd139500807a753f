"""Decoding of valid and damaged images of all supported formats; Pillow is the oracle."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ov_mobilenet.errors import ImageError
from ov_mobilenet.images.decode import MAX_PIXELS, decode_image, read_image, to_pillow
from ov_mobilenet.images.image_files import open_image
from ov_mobilenet.zoo.geometry import Library

READERS: tuple[Library, ...] = ("opencv", "pillow")


def drawn(width: int = 60, height: int = 40) -> Image.Image:
    """A smooth image whose corners and channels differ."""
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([x * 4, y * 6, (x + y) * 2], axis=2).clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def bgr(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image.convert("RGB"))[:, :, ::-1]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM"])
def test_formats(image_format: str, reader: Library) -> None:
    data = encoded(drawn(), image_format)
    frame = read_image(data, reader)
    assert frame.dtype == np.uint8
    assert np.array_equal(frame, bgr(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int, reader: Library) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(drawn(), "JPEG", exif=exif, quality=95)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert np.array_equal(read_image(data, reader), bgr(upright))
    assert np.array_equal(read_image(data, reader, exif_orientation=False), bgr(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("mode", ["L", "RGBA", "LA", "P", "1"])
def test_modes(mode: str, reader: Library) -> None:
    image = drawn().convert(mode)
    frame = read_image(encoded(image, "PNG"), reader)
    assert np.array_equal(frame, bgr(image))


@pytest.mark.parametrize("reader", READERS)
def test_transparency_is_dropped_not_blended(reader: Library) -> None:
    image = drawn().convert("RGBA")
    image.putalpha(0)
    assert np.array_equal(read_image(encoded(image, "PNG"), reader), bgr(drawn()))


@pytest.mark.parametrize("reader", READERS)
def test_cmyk(reader: Library) -> None:
    data = encoded(drawn().convert("CMYK"), "JPEG", quality=95)
    frame = read_image(data, reader)
    # The two libraries convert CMYK to RGB by slightly different formulas.
    assert np.abs(frame.astype(int) - bgr(Image.open(io.BytesIO(data)))).max() <= 4


@pytest.mark.parametrize("reader", READERS)
def test_sixteen_bits_keep_the_upper_eight(reader: Library) -> None:
    values = (np.arange(40 * 60, dtype=np.uint16) * 27).reshape(40, 60)
    frame = read_image(encoded(Image.fromarray(values), "PNG"), reader)
    assert np.array_equal(frame, np.repeat((values >> 8).astype(np.uint8)[:, :, None], 3, axis=2))


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(60_000, 60_000), (MAX_PIXELS + 1, 1), (13_400, 13_400)])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match="too large to decode safely"):
        read_image(png_header(*size))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
def test_truncated_files_are_refused(image_format: str, keep: float, reader: Library) -> None:
    rng = np.random.default_rng(0)
    data = encoded(Image.fromarray(rng.integers(0, 256, (80, 90, 3), dtype=np.uint8)), image_format)
    with pytest.raises(ImageError):
        read_image(data[: int(len(data) * keep)], reader)


def test_a_truncated_jpeg_with_a_thumbnail_is_refused() -> None:
    # The end marker of the thumbnail must not be taken for that of the image.
    exif = Image.Exif()
    exif[0x9286] = encoded(drawn(16, 16), "JPEG")
    data = encoded(drawn(300, 200), "JPEG", exif=exif)
    assert data.count(b"\xff\xd9") == 2
    assert read_image(data).shape == (200, 300, 3)
    with pytest.raises(ImageError):
        read_image(data[:-200])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"hello, this is text", "not an image"),
        (b"\xff\xd8\xff\xe0" + bytes(50), "image"),
        (b"GIF89a" + bytes(3), "image"),
    ],
)
def test_files_that_are_not_images(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        read_image(data)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="No such file"):
        read_image(tmp_path / "none.jpg")
    with pytest.raises(ImageError, match="directory"):
        read_image(tmp_path)


def test_damaged_files_only_raise_image_errors() -> None:
    rng = np.random.default_rng(1)
    for image_format in ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"):
        exif = Image.Exif()
        exif[0x0112] = 6
        data = bytearray(encoded(drawn(), image_format, exif=exif))
        for _ in range(60):
            damaged = bytearray(data)
            for position in rng.integers(0, len(data), 6):
                damaged[position] = rng.integers(0, 256)
            for reader in READERS:
                try:
                    frame = read_image(bytes(damaged), reader)
                except ImageError:
                    continue
                assert frame.ndim == 3


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("image_format", ["EPS", "ICNS", "ICO", "DDS", "TGA", "PCX", "PDF", "JPEG2000"])
def test_other_formats_never_reach_a_decoder(
    image_format: str, reader: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encoded(drawn(64, 64), image_format)
    monkeypatch.setattr("subprocess.check_call", lambda *args, **options: pytest.fail("Ghostscript was started"))
    with pytest.raises(ImageError, match="not an image in a known format: expected JPEG, PNG"):
        read_image(data, reader)


@pytest.mark.parametrize("reader", READERS)
def test_the_first_image_of_a_file_with_several_jpegs_is_read(reader: Library) -> None:
    data = encoded(drawn(), "MPO", save_all=True, append_images=[drawn(30, 20)])
    first = Image.open(io.BytesIO(data))
    assert first.format == "MPO"
    assert np.array_equal(read_image(data, reader), bgr(first))


@pytest.mark.parametrize(
    "error", [Image.DecompressionBombError("huge"), RuntimeError("odd"), NotImplementedError(), zlib.error("bad")]
)
def test_every_exception_of_pillow_becomes_an_image_error(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise error

    data = encoded(drawn(), "GIF")
    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(ImageError):
        read_image(data)
    monkeypatch.undo()
    monkeypatch.setattr(Image.Image, "convert", fail)
    with pytest.raises(ImageError):
        read_image(data, "pillow")


@pytest.mark.parametrize("reader", READERS)
def test_a_damaged_byte_in_a_png_is_detected(reader: Library) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (80, 90, 3), dtype=np.uint8)
    data = bytearray(encoded(Image.fromarray(noise), "PNG"))
    data[len(data) // 2] ^= 0x10
    with pytest.raises(ImageError, match="wrong checksum in the PNG chunk IDAT"):
        read_image(bytes(data), reader)


def test_a_png_with_trailing_bytes_is_read() -> None:
    assert np.array_equal(read_image(encoded(drawn(), "PNG") + b"trailing" * 20), bgr(drawn()))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
@pytest.mark.parametrize("is_first_frame", [True, False])
def test_an_animated_png_is_its_default_image(mode: str, is_first_frame: bool, reader: Library) -> None:
    # Programs that know no animations show this image; it need not be part of the animation.
    image = drawn().convert(mode)
    others = [drawn().rotate(angle).convert(mode) for angle in (90, 180)]
    data = encoded(image, "PNG", save_all=True, append_images=others, default_image=not is_first_frame)
    assert b"acTL" in data and b"fdAT" in data
    assert np.array_equal(read_image(data, reader), bgr(image))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "TIFF"])
def test_the_first_frame_of_other_animations_is_read(image_format: str, reader: Library) -> None:
    grey = drawn().convert("L")
    others = [grey.rotate(angle) for angle in (90, 180)]
    options = {"lossless": True} if image_format == "WEBP" else {}
    data = encoded(grey, image_format, save_all=True, append_images=others, **options)
    assert np.array_equal(read_image(data, reader), bgr(grey))


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_pillow_resizes_three_channels(mode: str) -> None:
    """An image of mode RGBX has the same pixels, but resizing it computes a fourth channel."""
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, "JPEG")
    header, _ = open_image(file.getvalue())
    decoded = decode_image(file.getvalue(), header, "pillow")
    expected = Image.open(file).convert("RGB")
    for image, other in (
        (to_pillow(decoded), expected),
        (to_pillow(pixels), Image.fromarray(pixels[..., ::-1])),
    ):
        assert image.mode == "RGB"
        assert image.tobytes() == other.tobytes()
