"""Outlines in plate coordinates: x to the right, y down, the plate from -1 to 1."""

import cv2
import numpy as np
import numpy.typing as npt

from signs.arrays import Canvas, Colour, Field

#: Height and width of a plate before it is put into a scene, in pixels.
PLATE_SIZE = 256
#: float64 (corners, 2).
Outline = npt.NDArray[np.float64]
_SUBPIXEL_BITS = 4


def fill(canvas: Canvas | Field, outline: Outline, colour: Colour | float) -> None:
    """Fill an outline on a plate, in place, with antialiased edges."""
    pixels = (outline * 0.5 + 0.5) * (PLATE_SIZE - 1) * (1 << _SUBPIXEL_BITS)
    value = (colour,) * 3 if isinstance(colour, float) else colour
    cv2.fillPoly(canvas, [np.rint(pixels).astype(np.int32)], value, cv2.LINE_AA, _SUBPIXEL_BITS)


def polygon(corners: int, *, radius: float, turn: float) -> Outline:
    """A regular polygon; `turn` is the angle of its first corner, as a fraction of a full turn."""
    angles = 2 * np.pi * (np.arange(corners) / corners + turn)
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def disc(radius: float, *, x: float = 0.0, y: float = 0.0) -> Outline:
    """A circle, approximated by a polygon with 72 corners."""
    return moved(polygon(72, radius=radius, turn=0.0), x, y)


def rectangle(left: float, top: float, right: float, bottom: float) -> Outline:
    """An axis-aligned rectangle."""
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)


def rounded(half_width: float, half_height: float, corner: float) -> Outline:
    """A centred, axis-aligned rectangle with rounded corners."""
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    unit = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return corner * unit + np.sign(np.round(unit, 9)) * (half_width - corner, half_height - corner)


def moved(outline: Outline, x: float, y: float) -> Outline:
    """The outline shifted by x to the right and y down."""
    return np.asarray(outline + np.array((x, y)))


def turned(outline: Outline, degrees: float) -> Outline:
    """The outline rotated clockwise around the centre."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.asarray(outline @ np.array([(cosine, sine), (-sine, cosine)]))
