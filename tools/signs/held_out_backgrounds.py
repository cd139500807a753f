"""The backgrounds used only by held-out drawings: dusk, snow, night street, planks, tiles."""

import cv2
import numpy as np

from signs import paints
from signs.arrays import Canvas
from signs.backgrounds import Background
from signs.textures import blend, contrast_field, flat, shade, value_noise, vertical_gradient


def dusk(rng: np.random.Generator, height: int, width: int) -> Canvas:
    """An evening sky over the dark outline of a town."""
    top = (rng.uniform(90, 150), rng.uniform(50, 90), rng.uniform(50, 100))
    bottom = (rng.uniform(60, 120), rng.uniform(120, 170), rng.uniform(200, 245))
    canvas = vertical_gradient(height, width, top, bottom)
    bands = value_noise(rng, height, width, cells=4, octaves=3, stretch=3.0)
    blend(canvas, (120, 110, 170), 0.6 * contrast_field(bands, threshold=0.55, softness=0.3))
    x = 0
    while x < width:
        house_width = int(width * rng.uniform(0.06, 0.22)) + 1
        roof = int(height * rng.uniform(0.55, 0.9))
        cv2.rectangle(canvas, (x, roof), (x + house_width, height), paints.dark(rng), -1)
        x += house_width
    return canvas


def snow(rng: np.random.Generator, height: int, width: int) -> Canvas:
    """Snow-covered hills under a white sky."""
    canvas = vertical_gradient(height, width, (225, 215, 205), (245, 240, 236))
    columns = np.arange(width)
    for base in (0.4, 0.55, 0.72):
        phase, waves = rng.uniform(0, 6.28), rng.uniform(1, 3)
        ridge = height * (base + 0.07 * np.sin(columns / width * waves * 6.28 + phase))
        outline = np.concatenate([np.stack([columns, ridge], 1), [[width, height], [0, height]]])
        level = rng.uniform(175, 240)
        cv2.fillPoly(canvas, [outline.astype(np.int32)], (level * 1.05, level, level * 0.95))
    drifts = value_noise(rng, height, width, cells=8, octaves=4, stretch=2.0)
    shade(canvas, drifts, low=0.8, high=1.1)
    return canvas


def night_street(rng: np.random.Generator, height: int, width: int) -> Canvas:
    """A dark street with lamps and windows out of focus."""
    canvas = vertical_gradient(height, width, (45, 30, 25), (40, 45, 50))
    shade(canvas, value_noise(rng, height, width, cells=6, octaves=4), low=0.5, high=1.6)
    lamps = np.zeros_like(canvas)
    for _ in range(int(rng.integers(8, 30))):
        centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        radius = int(min(height, width) * rng.uniform(0.01, 0.04)) + 1
        cv2.circle(lamps, centre, radius, paints.any_colour(rng), -1, cv2.LINE_AA)
    canvas += 0.8 * lamps
    return canvas


def planks(rng: np.random.Generator, height: int, width: int) -> Canvas:
    """A wooden fence."""
    base = (rng.uniform(50, 110), rng.uniform(80, 140), rng.uniform(110, 180))
    canvas = flat(height, width, base)
    board = int(width * rng.uniform(0.07, 0.18)) + 2
    for left in range(0, width, board):
        canvas[:, left : left + board] *= rng.uniform(0.75, 1.2)
        canvas[:, left : left + 2] *= 0.35
    shade(canvas, value_noise(rng, height, width, cells=30, octaves=2, stretch=0.12), low=0.7, high=1.3)
    return canvas


def tiles(rng: np.random.Generator, height: int, width: int) -> Canvas:
    """The tiled wall of an underpass."""
    canvas = flat(height, width, paints.grey(rng))
    side = int(max(height, width) * rng.uniform(0.05, 0.12)) + 3
    glaze = paints.any_colour(rng)
    for top in range(0, height, side):
        for left in range(0, width, side):
            tint = rng.uniform(0.8, 1.1)
            colour = (glaze[0] * tint, glaze[1] * tint, glaze[2] * tint)
            cv2.rectangle(canvas, (left + 1, top + 1), (left + side - 2, top + side - 2), colour, -1)
    shade(canvas, value_noise(rng, height, width, cells=3, octaves=2), low=0.65, high=1.15)
    return canvas


HELD_OUT_BACKGROUNDS: tuple[Background, ...] = (dusk, snow, night_street, planks, tiles)
