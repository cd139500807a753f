"""Frames, geometries and image files whose pixels were recorded on x86-64; see tests/portability."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Frame = NDArray[np.uint8]

FOLDER = Path(__file__).resolve().parent / "data" / "portability"
# 100 JPEGs of drawn road signs. The even ones are 147x147, so that the sample model's crop gives 128x128 and nothing is
# resized.
DRAWINGS = FOLDER / "drawings.tar"
# torch's probabilities of the sample network for each drawing, at f32.
ANSWERS = FOLDER / "answers.json"
# One image in every kind of file, and the pixels of files and geometries.
FILES = FOLDER / "files.tar"
PIXELS = FOLDER / "pixels.npz"

# Height and width of frames: reduced, enlarged, portrait.
SIZES = ((250, 333), (37, 31), (333, 250))
SIDE = 48
# A large JPEG for this geometry: `auto` decodes it at a fraction of its size.
LARGE = (720, 960)
REDUCED_GEOMETRIES = ("crop 0.875, resize 48", "resize 56 greater pillow, crop 48")


def frame(height: int, width: int) -> Frame:
    """Edges, a gradient and noise, computed in integers: the same pixels on every machine."""
    rows, columns = np.mgrid[0:height, 0:width]
    ramp = (rows * 90 // height + columns * 90 // width)[..., None] * np.array([2, 1, 1]) // 2
    disc = (rows - height // 2) ** 2 + (columns - width // 2) ** 2 < (min(height, width) // 3) ** 2
    noise = np.random.default_rng(height * 10_000 + width).integers(0, 48, (height, width, 3))
    made: Frame = (ramp + noise + disc[..., None] * np.array([0, 60, 100])).clip(0, 255).astype(np.uint8)
    return made


def _opencv(image: Frame, height: int, width: int, method: int = cv2.INTER_LINEAR) -> Frame:
    resized: Frame = cv2.resize(image, (width, height), interpolation=method)
    return resized


def _pillow(image: Frame, height: int, width: int, method: Image.Resampling = Image.Resampling.BILINEAR) -> Frame:
    rgb = Image.fromarray(np.ascontiguousarray(image[..., ::-1]))
    return np.ascontiguousarray(np.asarray(rgb.resize((width, height), method))[..., ::-1])


def _greater(image: Frame, side: int) -> tuple[int, int]:
    height, width = image.shape[:2]
    return (side * height // width, side) if height > width else (side, side * width // height)


def _crop(image: Frame, height: int, width: int) -> Frame:
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def _crop_pillow(image: Frame, height: int, width: int) -> Frame:
    top, left = round((image.shape[0] - height) / 2), round((image.shape[1] - width) / 2)
    return image[top : top + height, left : left + width]


def _central(image: Frame) -> Frame:
    return _crop(image, int(image.shape[0] * 0.875), int(image.shape[1] * 0.875))


#: Geometry in words, and the same by hand with the library.
GEOMETRIES: dict[str, Callable[[Frame], Frame]] = {
    "resize 48": lambda image: _opencv(image, SIDE, SIDE),
    "crop 0.875, resize 48": lambda image: _opencv(_central(image), SIDE, SIDE),
    "resize 56, crop 48": lambda image: _crop(_opencv(image, 56, 56), SIDE, SIDE),
    "resize 56 greater, crop 48": lambda image: _crop(_opencv(image, *_greater(image, 56)), SIDE, SIDE),
    "resize 48 bicubic": lambda image: _opencv(image, SIDE, SIDE, cv2.INTER_CUBIC),
    "resize 56 greater pillow, crop 48": lambda image: _crop_pillow(_pillow(image, *_greater(image, 56)), SIDE, SIDE),
    "resize 48 pillow": lambda image: _pillow(image, SIDE, SIDE),
    "resize 48 pillow bicubic": lambda image: _pillow(image, SIDE, SIDE, Image.Resampling.BICUBIC),
}


def kinds_of_files() -> dict[str, bytes]:
    """One image in every kind of file."""
    rgb = Image.fromarray(frame(45, 61)[..., ::-1])
    large = Image.fromarray(cv2.GaussianBlur(frame(*LARGE), (0, 0), 3)[..., ::-1])
    return {
        "subsampled.jpg": _encoded(rgb, "JPEG", quality=75, subsampling=2),
        "half-subsampled.jpg": _encoded(rgb, "JPEG", quality=85, subsampling=1),
        "not-subsampled.jpg": _encoded(rgb, "JPEG", quality=95, subsampling=0),
        "progressive.jpg": _encoded(rgb, "JPEG", quality=85, progressive=True),
        "grey.jpg": _encoded(rgb.convert("L"), "JPEG", quality=85),
        "cmyk.jpg": _encoded(rgb.convert("CMYK"), "JPEG", quality=85),
        "colours.png": _encoded(rgb, "PNG"),
        "lossy.webp": _encoded(rgb, "WEBP", quality=80),
        "large.jpg": _encoded(large, "JPEG", quality=60),
    }


def by_pillow(data: bytes) -> Frame:
    """The pixels of a file as uint8 (H, W, 3) BGR."""
    return np.ascontiguousarray(np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))[..., ::-1])


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def files_of(shard: Path) -> Iterator[tuple[str, bytes]]:
    """The names and bytes in a shard, in order."""
    with tarfile.open(shard) as opened:
        for member in opened:
            content = opened.extractfile(member)
            assert content is not None
            yield member.name, content.read()


def recorded_answers() -> NDArray[np.float32]:
    """torch's probabilities, float32 (100, 16)."""
    return np.array([row for _, row in sorted(json.loads(ANSWERS.read_text("utf-8")).items())], np.float32)
