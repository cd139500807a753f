"""Paints: random shades around a named colour."""

from collections.abc import Callable

import numpy as np

from signs.arrays import Colour


def white(rng: np.random.Generator) -> Colour:
    """White, slightly grey or yellowish."""
    level = rng.uniform(205, 250)
    return level * rng.uniform(0.92, 1.0), level * rng.uniform(0.97, 1.0), level


def dark(rng: np.random.Generator) -> Colour:
    """Nearly black: pictograms, digits and lamp housings."""
    level = rng.uniform(12, 48)
    return level * rng.uniform(0.9, 1.1), level, level * rng.uniform(0.9, 1.1)


def grey(rng: np.random.Generator) -> Colour:
    """Galvanised steel and weathered concrete."""
    level = rng.uniform(70, 190)
    return level * rng.uniform(0.95, 1.08), level, level * rng.uniform(0.92, 1.05)


def any_colour(rng: np.random.Generator) -> Colour:
    """Any colour: walls, cars, advertisements."""
    return rng.uniform(20, 235), rng.uniform(20, 235), rng.uniform(20, 235)


def _red(rng: np.random.Generator) -> Colour:
    return rng.uniform(10, 60), rng.uniform(12, 70), rng.uniform(140, 238)


def _blue(rng: np.random.Generator) -> Colour:
    # Red with swapped channels, so that swapping the channels of a drawing gives exactly the other class.
    low, middle, high = _red(rng)
    return high, middle, low


def _green(rng: np.random.Generator) -> Colour:
    return rng.uniform(60, 140), rng.uniform(170, 240), rng.uniform(10, 60)


def _yellow(rng: np.random.Generator) -> Colour:
    return rng.uniform(5, 60), rng.uniform(165, 210), rng.uniform(215, 250)


#: A random shade of each paint that a class is named after; "" is a class without a colour.
PAINTS: dict[str, Callable[[np.random.Generator], Colour]] = {
    "red": _red,
    "blue": _blue,
    "green": _green,
    "yellow": _yellow,
    "": dark,
}
