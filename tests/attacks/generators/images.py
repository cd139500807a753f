"""Damaged, turned and malicious image files: each is refused, reported, or read as it should be."""

from __future__ import annotations

import io
import random
from pathlib import Path

import jpeg_files
import numpy as np
from attacks.fuzz import Attack
from PIL import Image

from ov_mobilenet.errors import ImageError
from ov_mobilenet.images.decode import read_image
from ov_mobilenet.images.load_image import DECODE_MODES, LoadedImage, load_image
from ov_mobilenet.zoo.geometry import Library, parse_geometry

READERS: tuple[Library, ...] = ("opencv", "pillow")
GEOMETRIES = tuple(
    map(parse_geometry, ("resize 24 greater pillow, crop 16", "crop 0.875, resize 16", "resize 24, crop 16"))
)


def small_photo(rng: random.Random) -> jpeg_files.Frame:
    generator = np.random.default_rng(rng.randrange(1 << 32))
    return jpeg_files.photo(generator, rng.randrange(40, 200), rng.randrange(40, 200))


def random_jpeg(rng: random.Random) -> tuple[str, bytes]:
    kind = rng.choice(sorted(jpeg_files.KINDS))
    mode, options = jpeg_files.KINDS[kind]
    more = {"quality": rng.randrange(40, 98)} | ({} if mode == "CMYK" else {"subsampling": rng.randrange(3)})
    return kind, jpeg_files.encode(small_photo(rng), mode, **options, **more)


def loaded(data: bytes, rng: random.Random) -> LoadedImage | None:
    """The image; None if it is refused."""
    try:
        return load_image(data, rng.choice(GEOMETRIES), rng.choice(DECODE_MODES), reader=rng.choice(READERS))
    except ImageError as error:
        assert str(error).startswith(("broken image (", "too many scans", "not an image in a known format")), error
        return None


def first_part(rng: random.Random, folder: Path) -> None:
    """A JPEG that ends early, with an end marker: refused; a progressive one may hold all rows and is reported."""
    kind, data = random_jpeg(rng)
    found = loaded(jpeg_files.cut(data, rng.uniform(0, 0.98)), rng)
    assert found is None or ("progressive" in kind and found.flaws), kind


def false_end(rng: random.Random, folder: Path) -> None:
    """An end marker in the pixels of a JPEG: refused or reported."""
    kind, data = random_jpeg(rng)
    start, end = jpeg_files.pixels(data)
    found = loaded(jpeg_files.with_false_end(data, rng.randrange(start, end - end // 50), 0), rng)
    assert found is None or ("progressive" in kind and found.flaws), kind


def hole(rng: random.Random, folder: Path) -> None:
    """Zeros in the pixels of a JPEG: refused or reported."""
    kind, data = random_jpeg(rng)
    start, end = jpeg_files.pixels(data)
    at, size = rng.randrange(start, start + (end - start) // 2), max(64, (end - start) // rng.randrange(4, 12))
    found = loaded(jpeg_files.with_zeros(data, at, min(size, end - at)), rng)
    assert found is None or found.flaws, kind


def valid_jpeg(rng: random.Random, folder: Path) -> None:
    """A valid JPEG, also with bytes after its end: Pillow's pixels, and nothing is reported."""
    kind, data = random_jpeg(rng)
    found = load_image(data + rng.randbytes(rng.randrange(2000)), None, reader=rng.choice(READERS))
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))[:, :, ::-1]
    assert found.flaws == ()
    assert np.abs(found.frame.astype(int) - expected).max() <= (4 if kind == "CMYK" else 0), kind


def many_scans(rng: random.Random, folder: Path) -> None:
    """A JPEG with hundreds of scans, hidden or not: refused before it is decoded."""
    hide = rng.choice((b"", b"\xff\x02\xff\xff", b"\xff\xff\xff", b"abc", b"\xff\xfe\x00\x04ab"))
    data = jpeg_files.scans(rng.randrange(110, 2000), side=rng.choice((64, 200)), hide=hide)
    try:
        read_image(data, rng.choice(READERS))
    except ImageError as error:
        assert "too many scans" in str(error), error
    else:
        raise AssertionError(f"accepted with {hide!r}")


def turned(rng: random.Random, folder: Path) -> None:
    """An image of random size with an EXIF orientation: turned once, or not at all."""
    frame, orientation = small_photo(rng), rng.randrange(1, 9)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image_format, options = rng.choice((("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("PNG", {}), ("MPO", {})))
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, image_format, exif=exif, **options)
    stored = frame[:, :, ::-1]
    if image_format == "MPO":
        stored = np.asarray(Image.open(buffer))[:, :, ::-1]
    seen = stored.swapaxes(0, 1) if orientation >= 5 else stored
    # 2, 3, 6, 7: the first stored column (row, if swapped) is on the right; 3, 4, 7, 8: the other one at the bottom.
    seen = seen[:, ::-1] if orientation in (2, 3, 6, 7) else seen
    seen = seen[::-1] if orientation in (3, 4, 7, 8) else seen
    reader = rng.choice(READERS)
    assert np.array_equal(read_image(buffer.getvalue(), reader), seen)
    assert np.array_equal(read_image(buffer.getvalue(), reader, exif_orientation=False), stored)


def animation(rng: random.Random, folder: Path) -> None:
    """An animated PNG, GIF, WebP or TIFF: the default image, or the first frame."""
    image_format = rng.choice(("PNG", "PNG", "GIF", "WEBP", "TIFF"))
    size = rng.randrange(4, 60), rng.randrange(4, 60)
    images = [Image.effect_noise(size, 90) for _ in range(rng.randrange(2, 5))]
    options: dict[str, object] = {"lossless": True} if image_format == "WEBP" else {}
    if image_format == "PNG":
        images = [image.convert(rng.choice(("RGB", "L"))) for image in images[:1]] + images[1:]
        images = [image.convert(images[0].mode) for image in images]
        options = {"default_image": rng.random() < 0.5}
    buffer = io.BytesIO()
    images[0].save(buffer, image_format, save_all=True, append_images=images[1:], **options)
    expected = np.asarray(images[0].convert("RGB"))[:, :, ::-1]
    assert np.array_equal(read_image(buffer.getvalue(), rng.choice(READERS)), expected)


def truncated(rng: random.Random, folder: Path) -> None:
    """The first part of a file of another format: refused."""
    image_format = rng.choice(("PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM"))
    noise = np.random.default_rng(rng.randrange(1 << 32)).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, image_format)
    data = buffer.getvalue()
    try:
        read_image(data[: int(len(data) * rng.uniform(0.0, 0.95))], rng.choice(READERS))
    except ImageError:
        return
    raise AssertionError(f"a truncated {image_format} is accepted")


ATTACKS = (
    Attack("images: first part of a JPEG", 400, first_part, 12),
    Attack("images: false end of a JPEG", 400, false_end, 12),
    Attack("images: hole in a JPEG", 400, hole, 12),
    Attack("images: valid JPEG", 400, valid_jpeg, 12),
    Attack("images: many scans", 100, many_scans, 5),
    Attack("images: orientation", 400, turned, 12),
    Attack("images: animation", 200, animation, 8),
    Attack("images: truncated", 400, truncated, 12),
)
