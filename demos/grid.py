"""The frame of the benchmark demo: a grid of images with their classes, figures, and a graph of the throughput."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from overlay import GREEN, RED, WHITE, Colour, Frame, fit, put_lines

_MIN_CELL = (120, 90)  # width and height in pixels; the label of a smaller cell cannot be read
_PANEL = 0.18  # figures and graph take this fraction of the height


class Grid:
    """Images in a grid; only cells with a new result are drawn again.

    Args:
        images: the images that are classified repeatedly.
        cells: requested number of cells; fewer if they would be too small to read.
        width: width of the whole frame in pixels.
        height: height of the whole frame in pixels.
    """

    def __init__(self, images: Sequence[Frame], cells: int, width: int, height: int) -> None:
        self._images = images
        self._panel = round(height * _PANEL)
        grid_height = height - self._panel
        max_columns, max_rows = max(1, width // _MIN_CELL[0]), max(1, grid_height // _MIN_CELL[1])
        # The number of columns that gives the cells about the aspect ratio of the smallest cell.
        ideal = math.sqrt(max(1, cells) * width / grid_height * _MIN_CELL[1] / _MIN_CELL[0])
        self.columns = min(max_columns, max(1, round(ideal)))
        self.rows = min(max_rows, max(1, math.ceil(cells / self.columns)))
        self._cell = (width // self.columns, grid_height // self.rows)
        self._canvas = np.full((height, width, 3), 24, np.uint8)
        self._tiles: dict[tuple[int, str, Colour], Frame] = {}
        self._changed: dict[int, tuple[int, str, Colour]] = {}
        self._next = 0

    def put(self, image: int, label: str, correct: bool | None) -> None:
        """Put the result of an image into the next cell; green if correct, red if wrong, white if unknown."""
        colour = WHITE if correct is None else GREEN if correct else RED
        self._changed[self._next] = (image, label, colour)
        self._next = (self._next + 1) % (self.columns * self.rows)

    def draw(self, figures: Sequence[str], history: Sequence[float]) -> Frame:
        """Draw the current state. The next call draws into the returned frame again.

        Args:
            figures: lines of text.
            history: frames per second of each interval so far.
        """
        width, height = self._cell
        for index, content in self._changed.items():
            row, column = divmod(index, self.columns)
            cell = self._canvas[row * height : (row + 1) * height, column * width : (column + 1) * width]
            cell[:] = self._tile(*content)
        self._changed.clear()
        panel = self._canvas[-self._panel :]
        panel[:] = 24
        half = panel.shape[1] // 2
        size = max(11, round(self._panel / (1.35 * len(figures) + 1)))
        put_lines(panel[:, :half], figures, max_height=1.0, size=size)
        _plot(panel[:, half:], history)
        return self._canvas

    def _tile(self, image: int, label: str, colour: Colour) -> Frame:
        """An image with its label. Images repeat, so each combination is drawn once and cached."""
        key = (image, label, colour)
        if key not in self._tiles:
            tile = fit(self._images[image], *self._cell, fill=True).copy()
            size = max(11, min(28, self._cell[1] // 9))
            put_lines(tile, [label], corner="bottom", colour=colour, size=size)
            cv2.rectangle(tile, (0, 0), (tile.shape[1] - 1, tile.shape[0] - 1), colour[::-1], 1)
            self._tiles[key] = tile
        return self._tiles[key]


def _plot(area: Frame, history: Sequence[float]) -> None:
    """Draw the history as a line; the vertical axis starts at 0, the highest value is printed at the top."""
    height, width = area.shape[:2]
    cv2.rectangle(area, (4, 4), (width - 5, height - 5), (90, 90, 90), 1)
    if not history:
        return
    highest = max(history) or 1.0
    visible = history[-(width - 12) :]
    x = np.linspace(6, width - 7, len(visible)) if len(visible) > 1 else np.array([6.0])
    y = height - 7 - np.array(visible) / highest * (height - 14) * 0.72
    points = np.stack([x, y], axis=1).round().astype(np.int32)
    cv2.polylines(area, [points], isClosed=False, color=(80, 220, 80), thickness=2, lineType=cv2.LINE_AA)
    put_lines(area[8:, 10:], [f"frames per second, highest {highest:.0f}"], size=max(11, height // 9), max_height=1.0)
