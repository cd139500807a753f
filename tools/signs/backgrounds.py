"""The backgrounds of the training drawings: sky, road, foliage, facade."""

from collections.abc import Callable

import cv2
import numpy as np

from signs import paints
from signs.arrays import Canvas
from signs.textures import blend, contrast_field, flat, shade, value_noise, vertical_gradient

#: Paints a float32 (height, width, 3) BGR canvas from (rng, height, width).
Background = Callable[[np.random.Generator, int, int], Canvas]


def sky(rng: np.random.Generator, height: int, width: int) -> Canvas:
    """Blue to overcast sky with clouds."""
    greyness = rng.uniform(0, 1)
    top = (225 - 40 * greyness, 130 + 45 * greyness, 70 + 100 * greyness)
    bottom = (235.0, 205.0, 180.0)
    canvas = vertical_gradient(height, width, top, bottom)
    clouds = value_noise(rng, height, width, cells=rng.uniform(3, 7), octaves=4, stretch=1.6)
    blend(canvas, paints.white(rng), contrast_field(clouds, threshold=rng.uniform(0.4, 0.65), softness=0.25))
    return canvas


def road(rng: np.random.Generator, height: int, width: int) -> Canvas:
    """A road running to the horizon, with verges and lane markings."""
    canvas = sky(rng, height, width)
    horizon = int(height * rng.uniform(0.3, 0.6))
    verge = (rng.uniform(40, 80), rng.uniform(80, 140), rng.uniform(60, 130))
    canvas[horizon:] = verge
    vanishing_x = rng.uniform(0.25, 0.75) * width
    left, right = rng.uniform(-0.6, 0.1) * width, rng.uniform(0.9, 1.6) * width
    asphalt = np.array([[vanishing_x, horizon], [right, height], [left, height]])
    cv2.fillPoly(canvas, [asphalt.astype(np.int32)], paints.grey(rng))
    for fraction in (0.08, 0.5, 0.92):
        bottom_x = left + fraction * (right - left)
        for far in np.arange(rng.uniform(0.1, 0.3), 1.0, 0.28):
            near = far + 0.13
            start, end = (
                (int(vanishing_x + (bottom_x - vanishing_x) * t), int(horizon + (height - horizon) * t))
                for t in (far, near)
            )
            thickness = max(1, int(near * width * 0.025))
            cv2.line(canvas, start, end, paints.white(rng), thickness, cv2.LINE_AA)
    grain = value_noise(rng, height, width, cells=max(height, width) / 4, octaves=2)
    shade(canvas[horizon:], grain[horizon:], low=0.75, high=1.2)
    return canvas


def foliage(rng: np.random.Generator, height: int, width: int) -> Canvas:
    """Trees and hedges: leaves in two greens, gaps of sky."""
    canvas = flat(height, width, (rng.uniform(20, 50), rng.uniform(50, 90), rng.uniform(25, 70)))
    light = (rng.uniform(30, 90), rng.uniform(120, 190), rng.uniform(70, 160))
    leaves = value_noise(rng, height, width, cells=rng.uniform(14, 30), octaves=4)
    blend(canvas, light, contrast_field(leaves, threshold=0.52, softness=0.3))
    masses = value_noise(rng, height, width, cells=5, octaves=2)
    shade(canvas, masses, low=0.5, high=1.4)
    gaps = contrast_field(masses * 0.5 + leaves * 0.5, threshold=rng.uniform(0.58, 0.75), softness=0.06)
    blend(canvas, paints.white(rng), gaps)
    return canvas


def facade(rng: np.random.Generator, height: int, width: int) -> Canvas:
    """A plastered or brick wall with rows of windows."""
    wall = tuple(0.5 * a + 0.5 * b for a, b in zip(paints.any_colour(rng), paints.grey(rng), strict=True))
    canvas = flat(height, width, (wall[0], wall[1], wall[2]))
    if rng.random() < 0.5:
        course = int(rng.integers(5, 12))
        canvas[::course] *= 0.75
        for row in range(0, height, course):
            offset = course if (row // course) % 2 else 0
            canvas[row : row + course, offset :: 2 * course] *= 0.8
    step_x, step_y = int(width * rng.uniform(0.16, 0.4)), int(height * rng.uniform(0.2, 0.45))
    pane = paints.any_colour(rng) if rng.random() < 0.5 else paints.dark(rng)
    left, top = int(rng.integers(0, step_x)), int(rng.integers(0, step_y))
    for y in range(top - step_y, height, step_y):
        for x in range(left - step_x, width, step_x):
            right, bottom = x + int(step_x * 0.55), y + int(step_y * 0.6)
            cv2.rectangle(canvas, (x, y), (right, bottom), pane, -1)
            cv2.rectangle(canvas, (x, y), (right, bottom), paints.white(rng), max(1, step_x // 24))
    shade(canvas, value_noise(rng, height, width, cells=6, octaves=4), low=0.7, high=1.2)
    return canvas


TRAINING_BACKGROUNDS: tuple[Background, ...] = (sky, road, foliage, facade)
