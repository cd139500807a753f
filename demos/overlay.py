"""Text on images: readable on dark and light backgrounds, scaled to the frame, never outside it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Frame = NDArray[np.uint8]  # (H, W, 3) BGR
Colour = tuple[int, int, int]  # red, green, blue

WHITE, GREEN, RED = (255, 255, 255), (120, 255, 120), (255, 110, 100)
MIN_SIZE = 11  # pixels; smaller letters cannot be read
# Brightness of the image behind the text: still visible, dark enough for white text.
_BACKGROUND = 0.3


def put_lines(
    frame: Frame,
    lines: Sequence[str],
    *,
    corner: Literal["top", "bottom"] = "top",
    colour: Colour = WHITE,
    size: int | None = None,
    max_height: float = 0.6,
) -> None:
    """Draw lines of text into the top left or bottom left corner of a frame, in place.

    A line that is too wide is cut and ends in `…`. Lines that do not fit the height are left out.

    Args:
        size: text height in pixels; None to choose it by the size of the frame.
        max_height: maximum height of the text, as a fraction of the frame's height.
    """
    height, width = frame.shape[:2]
    size = size or max(MIN_SIZE, round(min(height / 20, width / 24)))
    step, margin = round(size * 1.3), max(2, size // 3)
    max_lines = max(1, int((height * max_height - 2 * margin) // step))
    texts = [_cut(line, size, width - 2 * margin) for line in lines[:max_lines]]
    if not any(texts):
        return
    box_width = min(width, round(max(_width(text, size) for text in texts)) + 2 * margin)
    box_height = min(height, step * len(texts) + 2 * margin)
    top = 0 if corner == "top" else height - box_height
    box = frame[top : top + box_height, :box_width]
    box[:] = (box * _BACKGROUND).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(box[:, :, ::-1]))
    pen = ImageDraw.Draw(image)
    for number, text in enumerate(texts):
        position = (margin, margin + number * step)
        pen.text(position, text, colour, _font(size), stroke_width=max(1, size // 12), stroke_fill=(0, 0, 0))
    box[:] = np.asarray(image)[:, :, ::-1]


def fit(frame: Frame, width: int, height: int, *, fill: bool = False) -> Frame:
    """Scale a frame to fit a box and keep its aspect ratio; with `fill`, pad it with black to the size of the box."""
    scale = min(width / frame.shape[1], height / frame.shape[0])
    size = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = frame if size == frame.shape[1::-1] else cv2.resize(frame, size, interpolation=interpolation)
    scaled = np.asarray(resized, np.uint8)
    if not fill or scaled.shape[:2] == (height, width):
        return scaled
    canvas = np.zeros((height, width, 3), np.uint8)
    top, left = (height - scaled.shape[0]) // 2, (width - scaled.shape[1]) // 2
    canvas[top : top + scaled.shape[0], left : left + scaled.shape[1]] = scaled
    return canvas


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise SystemExit(
            "error: this Pillow has no FreeType and cannot draw text: pip install --force-reinstall pillow"
        )
    return font


def _width(text: str, size: int) -> float:
    return _font(size).getlength(text)


def _cut(text: str, size: int, width: int) -> str:
    if _width(text, size) <= width:
        return text
    while text and _width(text + "…", size) > width:
        text = text[:-1]
    return text + "…" if text else ""
