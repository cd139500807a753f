"""The front view of a sign: shape, colour and pictogram."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from signs import paints
from signs.arrays import Canvas, Colour, Field
from signs.classes import SignClass
from signs.lettering import Font, text_mask
from signs.shapes import PLATE_SIZE, Outline, disc, fill, moved, polygon, rectangle, rounded, turned
from signs.textures import blend


@dataclass(frozen=True)
class Plate:
    """A sign with a transparent background.

    Attributes:
        colour: float32 (PLATE_SIZE, PLATE_SIZE, 3) BGR, 0..255.
        alpha: float32 (PLATE_SIZE, PLATE_SIZE), 1 where the sign is.
    """

    colour: Canvas
    alpha: Field


@dataclass(frozen=True)
class Brush:
    """Colours, font and random numbers of one drawing."""

    paint: Colour
    white: Colour
    dark: Colour
    font: Font
    rng: np.random.Generator


def draw_plate(sign_class: SignClass, rng: np.random.Generator, fonts: tuple[Font, ...]) -> Plate:
    """Draw the sign of a class in random shades and proportions and in one of the fonts."""
    brush = Brush(
        paint=paints.PAINTS[sign_class.paint](rng),
        white=paints.white(rng),
        dark=paints.dark(rng),
        font=fonts[int(rng.integers(len(fonts)))],
        rng=rng,
    )
    colour = np.zeros((PLATE_SIZE, PLATE_SIZE, 3), np.float32)
    alpha = np.zeros((PLATE_SIZE, PLATE_SIZE), np.float32)
    fill(alpha, _PAINTERS[sign_class.pictogram](colour, brush), 1.0)
    return Plate(colour, alpha)


def _ground(canvas: Canvas, outline: Outline, colour: Colour) -> Outline:
    # The whole canvas gets the colour, so that the antialiased edge of the sign has no fringe.
    canvas[:] = colour
    return outline


def _write(canvas: Canvas, text: str, colour: Colour, brush: Brush, *, box: tuple[float, float]) -> None:
    """Write text into a centred box; its height and width are fractions of the plate's."""
    height, width = int(box[0] * PLATE_SIZE), int(box[1] * PLATE_SIZE)
    mask = text_mask(text, brush.font, height=height, width=width, stroke=int(brush.rng.integers(0, 4)))
    top, left = (PLATE_SIZE - height) // 2, (PLATE_SIZE - width) // 2
    blend(canvas[top : top + height, left : left + width], colour, mask)


def _no_entry(canvas: Canvas, brush: Brush) -> Outline:
    """A white bar on a disc."""
    outline = _ground(canvas, disc(0.97), brush.white)
    fill(canvas, disc(brush.rng.uniform(0.86, 0.93)), brush.paint)
    half_width, half_height = brush.rng.uniform(0.6, 0.72), brush.rng.uniform(0.13, 0.2)
    fill(canvas, rectangle(-half_width, -half_height, half_width, half_height), brush.white)
    return outline


def _stop(canvas: Canvas, brush: Brush) -> Outline:
    """The word on an octagon."""
    outline = _ground(canvas, polygon(8, radius=0.98, turn=1 / 16), brush.white)
    fill(canvas, polygon(8, radius=brush.rng.uniform(0.85, 0.92), turn=1 / 16), brush.paint)
    box = (brush.rng.uniform(0.24, 0.32), brush.rng.uniform(0.62, 0.74))
    _write(canvas, "STOP", brush.white, brush, box=box)
    return outline


def _warning_triangle(canvas: Canvas, brush: Brush) -> Outline:
    """An exclamation mark in a triangle with a coloured rim."""
    outline = _ground(canvas, moved(polygon(3, radius=1.12, turn=0.75), 0, 0.22), brush.paint)
    fill(canvas, moved(polygon(3, radius=brush.rng.uniform(0.62, 0.76), turn=0.75), 0, 0.22), brush.white)
    thickness = brush.rng.uniform(0.06, 0.1)
    stroke = [(-thickness, -0.2), (thickness, -0.2), (thickness * 0.5, 0.2), (-thickness * 0.5, 0.2)]
    fill(canvas, np.array(stroke), brush.dark)
    fill(canvas, disc(thickness, y=0.36), brush.dark)
    return outline


def _arrow_plate(canvas: Canvas, brush: Brush) -> Outline:
    """A white arrow, ahead or to a side, on a square plate."""
    outline = _ground(canvas, rounded(0.9, 0.9, 0.15), brush.white)
    fill(canvas, rounded(0.82, 0.82, 0.1), brush.paint)
    half_shaft, half_head = brush.rng.uniform(0.1, 0.18), brush.rng.uniform(0.34, 0.5)
    neck, tip = brush.rng.uniform(-0.15, 0.0), -0.66
    arrow = np.array(
        [
            (-half_shaft, 0.62),
            (-half_shaft, neck),
            (-half_head, neck),
            (0, tip),
            (half_head, neck),
            (half_shaft, neck),
            (half_shaft, 0.62),
        ]
    )
    fill(canvas, turned(arrow, float(brush.rng.choice([-90, -45, 0, 45, 90]))), brush.white)
    return outline


def _speed_limit(canvas: Canvas, brush: Brush) -> Outline:
    """Dark digits in a coloured ring."""
    outline = _ground(canvas, disc(0.97), brush.paint)
    fill(canvas, disc(brush.rng.uniform(0.68, 0.78)), brush.white)
    text = str(brush.rng.choice(["20", "30", "40", "50", "60", "70", "80"]))
    box = (brush.rng.uniform(0.3, 0.38), brush.rng.uniform(0.44, 0.54))
    _write(canvas, text, brush.dark, brush, box=box)
    return outline


def _no_parking(canvas: Canvas, brush: Brush) -> Outline:
    """A coloured ring with a slash of the same paint."""
    outline = _ground(canvas, disc(0.97), brush.paint)
    fill(canvas, disc(brush.rng.uniform(0.7, 0.8)), brush.white)
    half_width = brush.rng.uniform(0.09, 0.15)
    fill(canvas, turned(rectangle(-0.85, -half_width, 0.85, half_width), 45), brush.paint)
    return outline


def _traffic_light(canvas: Canvas, brush: Brush) -> Outline:
    """One lamp in a dark housing; the classes differ only in its colour."""
    half_width, half_height = brush.rng.uniform(0.62, 0.8), brush.rng.uniform(0.8, 0.95)
    outline = _ground(canvas, rounded(half_width, half_height, 0.2), brush.dark)
    radius = brush.rng.uniform(0.42, 0.54)
    fill(canvas, disc(radius * 1.12), (brush.dark[0] * 0.5, brush.dark[1] * 0.5, brush.dark[2] * 0.5))
    fill(canvas, disc(radius), brush.paint)
    # A lamp is brighter than paint: it has a glow around it and an almost white centre.
    core = np.zeros(canvas.shape[:2], np.float32)
    fill(core, disc(radius * 0.5, x=brush.rng.uniform(-0.1, 0.1), y=brush.rng.uniform(-0.1, 0.1)), 1.0)
    blurred = np.asarray(cv2.GaussianBlur(core, (0, 0), PLATE_SIZE / 20), np.float32)
    canvas += brush.rng.uniform(20, 80) * blurred[..., None]
    return outline


def _priority_road(canvas: Canvas, brush: Brush) -> Outline:
    """A diamond with a white rim."""
    outline = _ground(canvas, polygon(4, radius=1.0, turn=0.0), brush.white)
    fill(canvas, polygon(4, radius=brush.rng.uniform(0.62, 0.76), turn=0.0), brush.paint)
    return outline


def _end_of_limits(canvas: Canvas, brush: Brush) -> Outline:
    """Dark diagonal stripes on a white disc."""
    outline = _ground(canvas, disc(0.97), brush.dark)
    fill(canvas, disc(0.92), brush.white)
    gap = brush.rng.uniform(0.14, 0.18)
    for shift in (-2, -1, 0, 1, 2):
        # Each stripe ends at the rim.
        reach = np.sqrt(0.92**2 - (shift * gap) ** 2) - 0.03
        stripe = rectangle(-reach, shift * gap - 0.035, reach, shift * gap + 0.035)
        fill(canvas, turned(stripe, -45), brush.dark)
    return outline


#: Each function draws the pictogram on a canvas and returns the outline of the sign.
_PAINTERS: dict[str, Callable[[Canvas, Brush], Outline]] = {
    "no entry": _no_entry,
    "stop": _stop,
    "warning triangle": _warning_triangle,
    "arrow plate": _arrow_plate,
    "speed limit": _speed_limit,
    "no parking": _no_parking,
    "traffic light": _traffic_light,
    "priority road": _priority_road,
    "end of limits": _end_of_limits,
}
