"""Files of every format that Pillow and OpenCV read: the right pixels, or one error; damaged ones crash no decoder."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import odd_images
from attacks import damage
from attacks.fuzz import Attack
from attacks.outside_watch import nothing_outside
from numpy.typing import NDArray
from PIL import Image, ImageCms

from ov_mobilenet.errors import ImageError
from ov_mobilenet.images.decode import read_image
from ov_mobilenet.images.load_image import DECODE_MODES, load_image
from ov_mobilenet.zoo.geometry import Library, parse_geometry

Pixels = NDArray[np.uint8]

READERS: tuple[Library, ...] = ("opencv", "pillow")
GEOMETRIES = tuple(map(parse_geometry, ("resize 24 greater pillow, crop 16", "crop 0.875, resize 16", "resize 16")))
ORIENTATION = 0x0112
TIFF_COMPRESSIONS = ("raw", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "lzma", "zstd")
BILEVEL_COMPRESSIONS = ("group3", "group4", "tiff_ccitt")
REFUSED = (  # formats that Pillow writes, and the beginnings of others
    "AVIF", "BLP", "DDS", "DIB", "EPS", "ICNS", "ICO", "JPEG2000", "MSP", "PALM", "PCX", "PDF", "QOI", "SGI", "SPIDER",
    "TGA", "XBM",
)  # fmt: skip
REFUSED_BY_OPENCV = (".hdr", ".jp2", ".pam", ".ras")
BEGINNINGS = (
    b"8BPS\0\1", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\xd7\xcd\xc6\x9a",
    b"v/1\x01\x02\0\0\0", b"\0\0\0\x18ftypheic", b"SIMPLE  =                    T", b"\x89HDF\r\n\x1a\n", b"GRIB",
    b"BUFR",
    b"\0\0\1\xb3", b"\x7fELF", b"#!/bin/sh\n", b"PK\x03\x04", b"\x1f\x8b\x08", b"%PDF-1.7\n", b"GIF86a",
    b"P9\n1 1\n", b"\0",
    b"RIFF\x10\0\0\0AVI ", b"\xff\x0a", b"\xff\xd9\xff\xd8\xff",
)  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """A valid file, and its pixels: uint8 (H, W, 3) RGB, None if the compression changes them."""

    kind: str
    data: bytes
    drawn: Pixels | None = None


def drawing(rng: random.Random, mode: str) -> Image.Image:
    """Noise or coarse shapes, 1 to 70 pixels a side."""
    size = rng.randrange(1, 70), rng.randrange(1, 70)
    generator = np.random.default_rng(rng.getrandbits(32))
    cells = size if rng.random() < 0.5 else (3, 2)
    image = Image.fromarray(generator.integers(0, 256, (cells[1], cells[0], 4), dtype=np.uint8), "RGBA").resize(size)
    if mode == "I;16":
        return Image.fromarray(generator.integers(0, 65536, size[::-1], dtype=np.uint16))
    return image.convert("RGB").convert(mode) if mode in ("CMYK", "YCbCr", "P", "1") else image.convert(mode)


def saved(image: Image.Image, image_format: str, rng: random.Random, **options: object) -> bytes:
    """The file, sometimes with a colour profile or an EXIF orientation."""
    if image_format in ("JPEG", "PNG", "WEBP", "TIFF") and rng.random() < 0.2:
        options["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    if image_format in ("JPEG", "PNG", "WEBP") and rng.random() < 0.2:
        exif = Image.Exif()
        exif[ORIENTATION] = rng.choice((*range(10), 65535))
        options["exif"] = exif
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def jpeg(rng: random.Random) -> Sample:
    mode = rng.choice(("RGB", "RGB", "L", "CMYK", "YCbCr"))
    options: dict[str, object] = {
        "quality": rng.randrange(5, 101), "progressive": rng.random() < 0.4, "optimize": rng.random() < 0.3,
    }  # fmt: skip
    if mode != "CMYK":
        options["subsampling"] = rng.choice(("4:4:4", "4:2:2", "4:2:0"))
    if rng.random() < 0.3:
        options[rng.choice(("restart_marker_blocks", "restart_marker_rows"))] = rng.randrange(1, 5)
    if rng.random() < 0.2:
        options["comment"] = rng.randbytes(rng.randrange(100))
    if mode == "RGB" and rng.random() < 0.2:
        options["keep_rgb"] = True
        options.pop("subsampling")
    image_format = "MPO" if mode == "RGB" and rng.random() < 0.1 else "JPEG"
    if image_format == "MPO":
        options |= {"save_all": True, "append_images": [drawing(rng, "RGB")]}
    return Sample(f"{image_format} {mode}", saved(drawing(rng, mode), image_format, rng, **options))


def opencv_jpeg(rng: random.Random) -> Sample:
    factors = (0x111111, 0x211111, 0x221111, 0x411111, 0x441111, 0x121111)
    frame = np.asarray(drawing(rng, rng.choice(("RGB", "L"))))
    options = [cv2.IMWRITE_JPEG_QUALITY, rng.randrange(5, 101), cv2.IMWRITE_JPEG_PROGRESSIVE, rng.randrange(2)]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, rng.choice(factors), cv2.IMWRITE_JPEG_RST_INTERVAL, rng.randrange(3)]
    return Sample("JPEG of OpenCV", cv2.imencode(".jpg", frame, options)[1].tobytes())


def lossless(rng: random.Random) -> Sample:
    image_format = rng.choice(("PNG", "BMP", "WEBP", "TIFF", "PPM", "GIF"))
    modes = {
        "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"), "BMP": ("1", "L", "P", "RGB", "RGBA"), "WEBP": ("RGB",),
        "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"), "PPM": ("1", "L", "RGB", "I;16"),
        "GIF": ("1", "L", "P"),
    }  # fmt: skip
    mode = rng.choice(modes[image_format])
    own: dict[str, dict[str, object]] = {
        "WEBP": {"lossless": True, "exact": True},
        "GIF": {"interlace": rng.randrange(2)},
    }
    options = own.get(image_format, {})
    if image_format == "TIFF":
        possible = TIFF_COMPRESSIONS + (BILEVEL_COMPRESSIONS if mode == "1" else ())
        options = {"compression": rng.choice(possible), "tiffinfo": {278: rng.randrange(1, 30)}}
        options |= {"big_tiff": True} if rng.random() < 0.2 else {}
    image = drawing(rng, mode)
    data = saved(image, image_format, rng, **options)
    exact = mode in ("L", "RGB", "RGBA", "1") or (mode == "P" and image_format != "GIF")
    return Sample(f"{image_format} {mode}", data, np.asarray(image.convert("RGB")) if exact else None)


def animated(rng: random.Random) -> Sample:
    image_format = rng.choice(("GIF", "WEBP", "PNG", "TIFF"))
    first = drawing(rng, "RGB" if image_format != "GIF" else "P")
    others = [drawing(rng, first.mode).resize(first.size) for _ in range(rng.randrange(1, 4))]
    options: dict[str, object] = {"save_all": True, "append_images": others}
    if image_format != "TIFF":
        options |= {"duration": rng.randrange(1, 500), "loop": rng.randrange(3)}
    if image_format == "GIF" and rng.random() < 0.5:
        options |= {"disposal": rng.randrange(4), "transparency": rng.randrange(256)}
    return Sample(f"animated {image_format}", saved(first, image_format, rng, **options))


def other_compression(rng: random.Random) -> Sample:
    if rng.random() < 0.5:
        mode = rng.choice(("RGB", "RGBA"))
        return Sample(f"WEBP {mode}", saved(drawing(rng, mode), "WEBP", rng, quality=rng.randrange(101), method=1))
    return Sample("TIFF jpeg", saved(drawing(rng, rng.choice(("L", "RGB"))), "TIFF", rng, compression="jpeg"))


def drawn_by_hand(rng: random.Random) -> Sample:
    writer = rng.choice(odd_images.WRITERS)
    data, pixels = writer(rng, rng.randrange(1, 70), rng.randrange(1, 70))
    return Sample(writer.__name__, data, pixels)


def random_sample(rng: random.Random) -> Sample:
    makers = (jpeg, jpeg, opencv_jpeg, lossless, lossless, lossless, animated, other_compression)
    return rng.choice((*makers, drawn_by_hand, drawn_by_hand, drawn_by_hand, drawn_by_hand))(rng)


def by_pillow(data: bytes) -> Pixels:
    """What Pillow reads as uint8 (H, W, 3) BGR; 16 bits by their upper 8."""
    image = Image.open(io.BytesIO(data))
    # Loading a TIFF would turn it.
    if image.mode.startswith("I"):
        return np.repeat((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
    return np.asarray(image.convert("RGB"))[:, :, ::-1]


def by_opencv(data: bytes) -> Pixels | None:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)


def undamaged(rng: random.Random, folder: Path) -> None:
    """A valid file: the pixels that were drawn, Pillow's or OpenCV's, bit for bit; every decode mode gives the size."""
    sample = random_sample(rng)
    expected = by_pillow(sample.data)
    shape = expected.shape
    if sample.drawn is not None:
        assert np.array_equal(expected, sample.drawn[:, :, ::-1]), f"{sample.kind}: Pillow"
    path = folder / "image"
    path.write_bytes(sample.data)
    with nothing_outside(folder):
        found = {reader: read_image(path, reader, exif_orientation=False) for reader in READERS}
        turned = [load_image(path, None, decode).frame for decode in DECODE_MODES]
        geometry = rng.choice(GEOMETRIES)
        resized = [load_image(sample.data, geometry, decode).frame for decode in DECODE_MODES]
        exact = load_image(found[geometry.reader], geometry, "exact").frame
        untouched = load_image(sample.data, geometry, "exact", exif_orientation=False).frame
    assert np.array_equal(found["pillow"], expected), f"{sample.kind}: pillow"
    if not np.array_equal(found["opencv"], expected):
        opencv = by_opencv(sample.data)
        assert sample.drawn is None and opencv is not None, f"{sample.kind}: opencv"
        assert np.array_equal(found["opencv"], opencv), f"{sample.kind}: opencv"
    assert all(frame.shape in (shape, (shape[1], shape[0], 3)) for frame in turned), sample.kind
    assert {frame.shape for frame in resized} == {(16, 16, 3)}, sample.kind
    assert np.array_equal(untouched, exact), f"{sample.kind}: geometry"


def duplicated_chunk(data: bytes, rng: random.Random) -> bytes:
    """One chunk of a PNG or one segment of a JPEG twice, or moved; another file as it is."""
    parts: list[bytes] = []
    position = 8 if data.startswith(b"\x89PNG") else 2 if data.startswith(b"\xff\xd8") else len(data)
    head = data[:position]
    while position < len(data):
        if head[0] == 0x89:
            size = int.from_bytes(data[position : position + 4], "big") + 12
        else:
            size = int.from_bytes(data[position + 2 : position + 4], "big") + 2
            size = len(data) if data[position + 1] == 0xDA else size
        parts.append(data[position : position + size])
        position += size
    if parts:
        parts.insert(rng.randrange(len(parts) + 1), rng.choice(parts))
    return head + b"".join(parts)


def check_damaged(data: bytes, rng: random.Random, folder: Path) -> Pixels | None:
    """Read a damaged file in several ways: frames of the right shape, or an error. Returns: its pixels, not turned."""
    pixels: Pixels | None = None
    geometry, decode = rng.choice(GEOMETRIES), rng.choice(DECODE_MODES)
    with nothing_outside(folder):
        for reader in READERS:
            try:
                pixels = read_image(data, reader, exif_orientation=False)
                assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3, pixels.shape
            except ImageError as error:
                check_message(error)
        try:
            found = load_image(data, geometry, decode, reader=rng.choice((None, *READERS)))
            assert found.frame.shape == (16, 16, 3)
            assert all(flaw.isprintable() for flaw in found.flaws)
        except ImageError as error:
            check_message(error)
    return pixels


def check_message(error: ImageError) -> None:
    assert str(error).isprintable() and 10 < len(str(error)) < 500, error


def damaged(rng: random.Random, folder: Path) -> None:
    """A damaged file, two spliced files, a repeated chunk: a frame or an error, and no other error."""
    sample = random_sample(rng)
    kind = rng.randrange(6)
    if kind == 0:
        data = damage.spliced(sample.data, random_sample(rng).data, rng)
    elif kind == 1:
        data = damage.damaged(duplicated_chunk(sample.data, rng), rng)
    else:
        data = damage.damaged(sample.data, rng)
    check_damaged(data, rng, folder)


def damaged_png(rng: random.Random, folder: Path) -> None:
    """A PNG with any damage inside its chunks: its own pixels, or refused, because its checksums can tell."""
    data, pixels = odd_images.png(rng, rng.randrange(1, 40), rng.randrange(1, 40))
    if rng.random() < 0.4:
        image = drawing(rng, rng.choice(("RGB", "P", "L", "RGBA")))
        data, pixels = saved(image, "PNG", rng), np.asarray(image.convert("RGB"))
    bad = rng.choice(damage.IN_PLACE)(data, rng)
    with nothing_outside(folder):
        for reader in READERS:
            try:
                found = read_image(bad, reader, exif_orientation=False)
            except ImageError as error:
                check_message(error)
            else:
                assert np.array_equal(found, pixels[:, :, ::-1]), f"{reader}: other pixels without an error"


def refused(rng: random.Random, folder: Path) -> None:
    """Other formats, under any name, whole or damaged: refused in one sentence; no program is started for them."""
    choice = rng.randrange(10)
    if choice < 2:
        name = "start"
        data = rng.choice(BEGINNINGS) + rng.randbytes(rng.choice((0, 10, 5000)))
    elif choice < 4:
        name = rng.choice(REFUSED_BY_OPENCV)
        image = np.asarray(drawing(rng, "RGB").resize((64, 64)))
        data = cv2.imencode(name, image.astype(np.float32) if name == ".hdr" else image)[1].tobytes()
    else:
        name = rng.choice(REFUSED)
        modes = {"BLP": "P", "MSP": "1", "PALM": "1", "XBM": "1", "EPS": "RGB", "SPIDER": "F"}
        data = saved(drawing(rng, modes.get(name, "RGB")).resize((16, 16)), name, rng)
    if rng.random() < 0.3:
        data = data[:8] + damage.damaged(data[8:] or b"\0", rng)
    path = folder / f"image{rng.choice(('.jpg', '.png', '.gif', '.tif', '.bmp', '.webp', '.ppm', '', '.eps'))}"
    path.write_bytes(data)
    with nothing_outside(folder):
        for reader in READERS:
            try:
                load_image(path, None, rng.choice(DECODE_MODES), reader=reader)
            except ImageError as error:
                assert str(error).startswith("not an image in a known format: expected JPEG, PNG"), (name, error)
            else:
                raise AssertionError(f"{name} is read")


ATTACKS = (
    Attack("image formats: undamaged", 2000, undamaged, 60, apart=True),
    Attack("image formats: damaged", 4000, damaged, 80, apart=True),
    Attack("image formats: damaged PNG", 2000, damaged_png, 60),
    Attack("image formats: refused", 500, refused, 40),
)
