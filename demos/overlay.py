"""Text on images and below them: readable on dark and light backgrounds, scaled to the frame, never outside it."""

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
MIN_WIDTH, MAX_ENLARGED = 320, 720  # pixels; a line does not fit a narrower panel; a narrow frame gets at most so high
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


def with_panel(frame: Frame, lines: Sequence[str], status: str, *, box: tuple[int, int] | None = None) -> Frame:
    """The frame with a black panel of text below it, so that no text covers the image.

    A frame that is narrower than `MIN_WIDTH` is enlarged. Lines that need more height than the frame has are left out.

    Args:
        lines: shown at the left of the panel.
        status: shown at the right of the panel.
        box: width and height into which frame and panel are fitted; None to leave the frame at its size.
    """
    limits = box or (max(frame.shape[1], MIN_WIDTH), max(frame.shape[0], MAX_ENLARGED))
    width, height = _fitted_size(frame, *limits)
    for _ in range(5 if box else 0):  # a smaller frame has a lower panel; an odd number of steps stays within the box
        width, height = _fitted_size(frame, limits[0], limits[1] - _panel(width, height, len(lines))[1])
    size, panel_height = _panel(width, height, len(lines))
    canvas = np.zeros((height + panel_height, width, 3), np.uint8)
    canvas[:height] = _resized(frame, (width, height))
    panel, left = canvas[height:], round(width * 0.62)
    put_lines(panel[:, :left], lines, max_height=1.0, size=size)
    put_lines(panel[:, left:], [status], max_height=1.0, size=size)
    return canvas


def _panel(width: int, height: int, lines: int) -> tuple[int, int]:
    """The height of the text and of the panel below a frame, in pixels; a video needs an even height."""
    size = max(MIN_SIZE, round(min(height / 25, width / 26)))
    step, margins = round(size * 1.3), 2 * max(2, size // 3)
    panel_height = step * max(1, min(lines, (height - margins) // step)) + margins
    return size, panel_height + (height + panel_height) % 2


def _fitted_size(frame: Frame, width: int, height: int) -> tuple[int, int]:
    """Width and height of a frame that is scaled to fit a box."""
    scale = min(width / frame.shape[1], max(1, height) / frame.shape[0])
    return max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale))


def fit(frame: Frame, width: int, height: int, *, fill: bool = False) -> Frame:
    """Scale a frame to fit a box and keep its aspect ratio; with `fill`, pad it with black to the size of the box."""
    scaled = _resized(frame, _fitted_size(frame, width, height))
    if not fill or scaled.shape[:2] == (height, width):
        return scaled
    canvas = np.zeros((height, width, 3), np.uint8)
    top, left = (height - scaled.shape[0]) // 2, (width - scaled.shape[1]) // 2
    canvas[top : top + scaled.shape[0], left : left + scaled.shape[1]] = scaled
    return canvas


def _resized(frame: Frame, size: tuple[int, int]) -> Frame:
    if size == frame.shape[1::-1]:
        return frame
    interpolation = cv2.INTER_AREA if size[0] < frame.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(frame, size, interpolation=interpolation), np.uint8)


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
