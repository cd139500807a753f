"""JPEGs of several encoders, and ways to damage their pixels."""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Frame = NDArray[np.uint8]

KINDS: dict[str, tuple[str, dict[str, object]]] = {
    "baseline": ("RGB", {}),
    "progressive": ("RGB", {"progressive": True}),
    "restart markers": ("RGB", {"restart_marker_blocks": 20}),
    "progressive with restart markers": ("RGB", {"progressive": True, "restart_marker_rows": 1}),
    "own Huffman tables": ("RGB", {"optimize": True}),
    "grey": ("L", {}),
    "CMYK": ("CMYK", {}),
}
END = b"\xff\xd9"


def photo(rng: np.random.Generator, height: int = 150, width: int = 200) -> Frame:
    """Large shapes and fine texture, as in a photo."""
    coarse = cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    texture = rng.normal(0, 12, (height, width, 1))
    frame: Frame = (coarse + texture).clip(0, 255).astype(np.uint8)
    return frame


def encode(frame: Frame, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def pixels(data: bytes) -> tuple[int, int]:
    """Where the compressed pixels begin and end; in a progressive JPEG there are headers between."""
    scan = data.index(b"\xff\xda")
    return scan + 2 + int.from_bytes(data[scan + 2 : scan + 4], "big"), len(data) - 2


def cut(data: bytes, share: float) -> bytes:
    """The first part of the pixels, and an end marker."""
    start, end = pixels(data)
    return data[: start + int((end - start) * share)] + END


def with_zeros(data: bytes, start: int, size: int) -> bytes:
    return data[:start] + bytes(size) + data[start + size :]


def without(data: bytes, start: int, size: int) -> bytes:
    return data[:start] + data[start + size :]


def with_false_end(data: bytes, start: int, size: int) -> bytes:
    return data[:start] + END + data[start:]


HOLES: dict[str, Callable[[bytes, int, int], bytes]] = {
    "zeros": with_zeros,
    "bytes removed": without,
    "end marker inside": with_false_end,
}


def scans(count: int, side: int = 64, hide: bytes = b"") -> bytes:
    """A progressive JPEG whose last scan is repeated, `hide` before each of them."""
    data = encode(np.full((side, side, 3), 77, np.uint8), progressive=True, restart_marker_rows=1)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + (hide + last) * count + END
