"""Noise and gradients for the backgrounds."""

from typing import cast

import cv2
import numpy as np

from signs.arrays import Canvas, Colour, Field


def value_noise(
    rng: np.random.Generator, height: int, width: int, *, cells: float, octaves: int = 3, stretch: float = 1.0
) -> Field:
    """Smooth random field.

    Args:
        rng: Source of randomness.
        height: Rows.
        width: Columns.
        cells: Number of noise cells along the longer side in the coarsest octave.
        octaves: Number of layers, each finer and weaker than the one before.
        stretch: Values above 1 stretch the noise horizontally, values below 1 vertically.
    """
    total = np.zeros((height, width), np.float32)
    weight, weights = 1.0, 0.0
    longer = max(height, width)
    for _ in range(octaves):
        rows = int(np.clip(cells * height / longer * stretch, 2, height))
        columns = int(np.clip(cells * width / longer / stretch, 2, width))
        grid = rng.random((rows, columns), dtype=np.float32)
        total += weight * cast(Field, cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR))
        weights += weight
        weight *= 0.55
        cells *= 2.1
    return total / np.float32(weights)


def flat(height: int, width: int, colour: Colour) -> Canvas:
    """A canvas of one colour."""
    return np.full((height, width, 3), colour, np.float32)


def vertical_gradient(height: int, width: int, top: Colour, bottom: Colour) -> Canvas:
    """A gradient from one colour at the top to another at the bottom."""
    position = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    column = np.asarray(top, np.float32) * (1 - position) + np.asarray(bottom, np.float32) * position
    return np.repeat(column[:, None, :], width, axis=1)


def blend(canvas: Canvas, colour: Colour, weight: Field) -> None:
    """Blend a colour into a canvas, in place; the weight in [0, 1] is given per pixel."""
    canvas += (np.asarray(colour, np.float32) - canvas) * weight[..., None]


def shade(canvas: Canvas, field: Field, *, low: float, high: float) -> None:
    """Multiply a canvas, in place, by a factor between low and high; field 0 gives low, 1 gives high."""
    canvas *= (low + (high - low) * field)[..., None]


def contrast_field(field: Field, *, threshold: float, softness: float) -> Field:
    """0 below the threshold, 1 above, with a soft edge. Turns noise into clouds, snow or leaves."""
    return np.asarray(np.clip((field - threshold) / softness + 0.5, 0, 1), np.float32)
