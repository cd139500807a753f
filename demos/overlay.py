"""Text on images: readable on dark and light, sized to the frame, never outside of it."""

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
SMALLEST = 11  # pixels; below that no letter can be told from the next
# What is left of the image behind the text: enough to see through, dark enough to read on.
_BEHIND = 0.3


def put_lines(
    frame: Frame,
    lines: Sequence[str],
    *,
    corner: Literal["top", "bottom"] = "top",
    colour: Colour = WHITE,
    size: int | None = None,
    share: float = 0.6,
) -> None:
    """Draw lines of text into a corner at the left of the frame, which is changed.

    A line that is too wide is cut and ends in `…`; of lines that are too many the last ones are left out.

    Args:
        size: height of the letters in pixels; None for one that suits the frame.
        share: of the frame's height that the lines may take.
    """
    height, width = frame.shape[:2]
    size = size or max(SMALLEST, round(min(height / 20, width / 24)))
    step, margin = round(size * 1.3), max(2, size // 3)
    fitting = max(1, int((height * share - 2 * margin) // step))
    texts = [_cut(line, size, width - 2 * margin) for line in lines[:fitting]]
    if not any(texts):
        return
    box_width = min(width, round(max(_width(text, size) for text in texts)) + 2 * margin)
    box_height = min(height, step * len(texts) + 2 * margin)
    top = 0 if corner == "top" else height - box_height
    box = frame[top : top + box_height, :box_width]
    box[:] = (box * _BEHIND).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(box[:, :, ::-1]))
    pen = ImageDraw.Draw(image)
    for number, text in enumerate(texts):
        place = (margin, margin + number * step)
        pen.text(place, text, colour, _font(size), stroke_width=max(1, size // 12), stroke_fill=(0, 0, 0))
    box[:] = np.asarray(image)[:, :, ::-1]


def fit(frame: Frame, width: int, height: int, *, fill: bool = False) -> Frame:
    """The frame as large as it can be in a box; with `fill`, with black beside it to the box's size."""
    scale = min(width / frame.shape[1], height / frame.shape[0])
    size = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    inside = np.asarray(frame if size == frame.shape[1::-1] else cv2.resize(frame, size, interpolation=way), np.uint8)
    if not fill or inside.shape[:2] == (height, width):
        return inside
    canvas = np.zeros((height, width, 3), np.uint8)
    top, left = (height - inside.shape[0]) // 2, (width - inside.shape[1]) // 2
    canvas[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return canvas


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise SystemExit("error: this Pillow has no FreeType, which draws text; pip install --force-reinstall pillow")
    return font


def _width(text: str, size: int) -> float:
    return _font(size).getlength(text)


def _cut(text: str, size: int, width: int) -> str:
    if _width(text, size) <= width:
        return text
    while text and _width(text + "…", size) > width:
        text = text[:-1]
    return text + "…" if text else ""
