"""Text stays inside the frame and is readable on dark and light backgrounds and at every frame size."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import pytest
from classification_demo import MIN_WIDTH, with_panel
from display import Frame, Grid, fit, put_lines
from numpy.typing import NDArray

SIZES = [(120, 160), (48, 64), (240, 320), (320, 240), (1080, 1920), (2160, 3840)]
BACKGROUNDS = {"dark": 0, "light": 255, "grey": 128}
LINES = ["99.7%  warning triangle red", "0.2%  a name that is much too long for any frame" * 4, "0.1%  stop", "", "x"]


def luminance(frame: Frame) -> NDArray[np.float64]:
    """Relative luminance, as WCAG 2 defines it, of uint8 BGR pixels."""
    linear = np.where(frame / 255 <= 0.04045, frame / 255 / 12.92, ((frame / 255 + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ np.array([0.0722, 0.7152, 0.2126]), np.float64)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("background", [*BACKGROUNDS, "noise"])
@pytest.mark.parametrize("corner", ["top", "bottom"])
def test_text_has_enough_contrast_and_is_in_its_corner(
    size: tuple[int, int], background: str, corner: Literal["top", "bottom"]
) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    plain = noise if background == "noise" else np.full((*size, 3), BACKGROUNDS[background], np.uint8)
    frame = plain.copy()
    put_lines(frame, LINES, corner=corner)
    assert frame.shape == plain.shape
    changed = np.abs(frame.astype(int) - plain).max(axis=2) > 8
    rows = np.flatnonzero(changed.any(axis=1))
    inside = rows.max() <= 0.62 * size[0] if corner == "top" else rows.min() >= 0.38 * size[0] - 1
    assert inside or size[0] < 60  # one line is always drawn
    text = (frame.min(axis=2) > 200) & changed if background != "light" else _text_on_light(frame)
    assert text.sum() > 40
    rows, columns = np.flatnonzero(text.any(axis=1)), np.flatnonzero(text.any(axis=0))
    around = np.zeros(text.shape, bool)
    around[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    # Level AA of WCAG 2 for normal text, against the pixels around the letters.
    behind = np.median(luminance(frame[around & ~text]))
    assert (np.median(luminance(frame[text])) + 0.05) / (behind + 0.05) > 4.5
    assert columns.max() < size[1] - 1  # not cut off at the edge


def _text_on_light(frame: Frame) -> NDArray[np.bool_]:
    """The white pixels inside the darkened box; the rest of the frame is white as well."""
    dark = frame.max(axis=2) < 150
    box = np.zeros(dark.shape, bool)
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    box[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    return np.asarray(box & (frame.min(axis=2) > 200), np.bool_)


@pytest.mark.parametrize("size", SIZES[2:])
def test_text_height_scales_with_the_frame(size: tuple[int, int]) -> None:
    frame = np.zeros((*size, 3), np.uint8)
    put_lines(frame, ["HHHH"])
    rows = np.flatnonzero((frame.min(axis=2) > 200).any(axis=1))
    assert 0.02 < (rows.max() - rows.min() + 1) / min(size) < 0.06


def test_fit_keeps_the_aspect_ratio_and_pads_with_black() -> None:
    frame = np.full((100, 200, 3), 7, np.uint8)
    assert fit(frame, 100, 100).shape == (50, 100, 3)
    filled = fit(frame, 400, 400, fill=True)
    assert filled.shape == (400, 400, 3)
    assert (filled[100:300] == 7).all()
    assert not filled[:100].any()
    assert not filled[300:].any()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("lines", [1, 5, 40])
def test_the_panel_covers_no_pixel_of_the_frame(size: tuple[int, int], lines: int) -> None:
    frame = np.random.default_rng(2).integers(0, 256, (*size, 3), np.uint8)
    shown = with_panel(frame, [f"9.9%  class {number}" for number in range(lines)], "10.0 FPS, 3.0 ms")
    height = round(size[0] * max(1, MIN_WIDTH / size[1]))
    assert (shown[:height] == cv2.resize(frame, (shown.shape[1], height))).all()
    panel = shown[height:]
    assert panel.shape[0] <= height + 20
    assert shown.shape[0] % 2 == 0
    for part in (panel[:, : shown.shape[1] // 2], panel[:, round(shown.shape[1] * 0.62) :]):
        assert (part.min(axis=2) > 200).sum() > 40


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("box", [(1280, 720), (640, 480), (300, 900)])
def test_frame_and_panel_fit_into_a_box_and_use_it(size: tuple[int, int], box: tuple[int, int]) -> None:
    shown = with_panel(np.full((*size, 3), 99, np.uint8), LINES[:3], "10.0 FPS, 3.0 ms", box=box)
    height, width = shown.shape[:2]
    assert width <= box[0]
    assert height <= box[1] + 1
    assert width > 0.97 * box[0] or height > 0.97 * box[1]
    frame_height = int((shown[:, :, 0] == 99).all(axis=1).sum())
    assert frame_height / width == pytest.approx(size[0] / size[1], rel=0.02)


@pytest.mark.parametrize(("cells", "least", "most"), [(1, 1, 1), (4, 3, 6), (30, 25, 36), (5000, 50, 65)])
def test_a_grid_has_the_requested_number_of_cells_unless_they_get_too_small(cells: int, least: int, most: int) -> None:
    grid = Grid([np.zeros((9, 9, 3), np.uint8)], cells, 1280, 720)
    assert least <= grid.columns * grid.rows <= most


def test_results_fill_one_cell_after_another_in_the_right_colour() -> None:
    images = [np.full((90, 120, 3), grey, np.uint8) for grey in (60, 120, 180)]
    grid = Grid(images, 60, 1280, 720)
    wide, high = 1280 // grid.columns, round(720 * 0.82) // grid.rows
    empty = grid.draw(["1 FPS"], []).copy()
    for number, correct in enumerate([True, False, None]):
        grid.put(number, f"class {number}", correct)
    frame = grid.draw(["1 FPS"], [1.0, 2.0, 1.5])
    for number in range(3):
        cell = frame[:high, number * wide : (number + 1) * wide]
        assert np.abs(cell[20 : high // 2, 20:-20].astype(int) - (60, 120, 180)[number]).max() <= 1
    _, green, red = frame[0, wide // 2].astype(int)
    assert green > red
    _, green, red = frame[0, wide + wide // 2].astype(int)
    assert red > green
    assert np.ptp(frame[0, 2 * wide + wide // 2]) == 0
    assert (frame[:high, 3 * wide : 1270] == empty[:high, 3 * wide : 1270]).all()
    assert (frame[600:, 640:] != empty[600:, 640:]).any()  # the graph
