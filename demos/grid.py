"""What the benchmark demo shows: a grid of images with their classes, figures, and throughput over time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from overlay import GREEN, RED, WHITE, Colour, Frame, fit, put_lines

_SMALLEST = (120, 90)  # a cell's width and height: below that its label cannot be read
_PANEL = 0.18  # share of the height that figures and graph take


class Grid:
    """Images side by side, redrawn where a result came.

    Args:
        images: what is classified, again and again.
        cells: how many are wanted; there are as many as can be read.
        width, height: of the whole, pixels.
    """

    def __init__(self, images: Sequence[Frame], cells: int, width: int, height: int) -> None:
        self._images = images
        self._panel = round(height * _PANEL)
        above = height - self._panel
        most = max(1, width // _SMALLEST[0]), max(1, above // _SMALLEST[1])
        # As many columns as make the cells about as wide as the smallest one is to its height.
        ideal = math.sqrt(max(1, cells) * width / above * _SMALLEST[1] / _SMALLEST[0])
        self.columns = min(most[0], max(1, round(ideal)))
        self.rows = min(most[1], max(1, math.ceil(cells / self.columns)))
        self._cell = (width // self.columns, above // self.rows)
        self._canvas = np.full((height, width, 3), 24, np.uint8)
        self._drawn: dict[tuple[int, str, Colour], Frame] = {}
        self._changed: dict[int, tuple[int, str, Colour]] = {}
        self._next = 0

    def put(self, image: int, label: str, correct: bool | None) -> None:
        """A result for an image goes into the next cell; green or red where the truth is known."""
        colour = WHITE if correct is None else GREEN if correct else RED
        self._changed[self._next] = (image, label, colour)
        self._next = (self._next + 1) % (self.columns * self.rows)

    def draw(self, figures: Sequence[str], history: Sequence[float]) -> Frame:
        """The grid as it is now; the frame is drawn into again by the next call.

        Args:
            figures: lines of text.
            history: frames a second of each interval so far.
        """
        width, height = self._cell
        for place, content in self._changed.items():
            row, column = divmod(place, self.columns)
            tile = self._canvas[row * height : (row + 1) * height, column * width : (column + 1) * width]
            tile[:] = self._tile(*content)
        self._changed.clear()
        panel = self._canvas[-self._panel :]
        panel[:] = 24
        half = panel.shape[1] // 2
        put_lines(panel[:, :half], figures, share=1.0, size=max(11, round(self._panel / (1.35 * len(figures) + 1))))
        _plot(panel[:, half:], history)
        return self._canvas

    def _tile(self, image: int, label: str, colour: Colour) -> Frame:
        """An image with its label; the same ones come again, so each is drawn once."""
        key = (image, label, colour)
        if key not in self._drawn:
            tile = fit(self._images[image], *self._cell, fill=True).copy()
            size = max(11, min(28, self._cell[1] // 9))
            put_lines(tile, [label], corner="bottom", colour=colour, size=size)
            cv2.rectangle(tile, (0, 0), (tile.shape[1] - 1, tile.shape[0] - 1), colour[::-1], 1)
            self._drawn[key] = tile
        return self._drawn[key]


def _plot(area: Frame, history: Sequence[float]) -> None:
    """A line from left to right, from 0 to the largest value, which stands at its top."""
    height, width = area.shape[:2]
    cv2.rectangle(area, (4, 4), (width - 5, height - 5), (90, 90, 90), 1)
    if not history:
        return
    most = max(history) or 1.0
    shown = history[-(width - 12) :]
    steps = np.linspace(6, width - 7, len(shown)) if len(shown) > 1 else np.array([6.0])
    levels = height - 7 - np.array(shown) / most * (height - 14) * 0.72
    points = np.stack([steps, levels], axis=1).round().astype(np.int32)
    cv2.polylines(area, [points], isClosed=False, color=(80, 220, 80), thickness=2, lineType=cv2.LINE_AA)
    size = max(11, height // 9)
    put_lines(area[8:, 10:], [f"frames a second, highest {most:.0f}"], size=size, share=1.0)
