"""Draw flowers on meadows from a seed. Classes differ in colour, so that channel order and normalisation matter."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Flower:
    """One class.

    Attributes:
        petal, centre: colours, BGR.
        petals: how many.
        length, width: of a petal, relative to the size of the flower.
        disc: radius of the centre, likewise.
    """

    label: str
    petal: Colour
    centre: Colour
    petals: int
    length: float
    width: float
    disc: float


FLOWERS = (
    Flower("anemone", (235, 230, 240), (40, 25, 30), 7, 0.85, 0.36, 0.25),
    Flower("cornflower", (200, 70, 45), (120, 40, 60), 8, 0.9, 0.22, 0.22),
    Flower("daisy", (240, 240, 240), (40, 200, 235), 14, 0.95, 0.13, 0.3),
    Flower("forget-me-not", (245, 190, 130), (90, 220, 240), 5, 0.75, 0.36, 0.2),
    Flower("marigold", (20, 120, 240), (10, 80, 200), 18, 0.9, 0.15, 0.3),
    Flower("poppy", (35, 40, 205), (30, 25, 35), 5, 0.85, 0.5, 0.2),
    Flower("primrose", (150, 245, 250), (40, 190, 240), 5, 0.8, 0.4, 0.15),
    Flower("rose", (170, 110, 235), (120, 50, 190), 10, 0.8, 0.36, 0.35),
    Flower("sunflower", (20, 190, 245), (25, 55, 85), 16, 0.95, 0.15, 0.45),
    Flower("violet", (160, 60, 130), (60, 200, 230), 5, 0.8, 0.38, 0.1),
)
CLASSES: tuple[str, ...] = tuple(flower.label for flower in FLOWERS)


def drawings(count: int, seed: int) -> Iterator[tuple[Frame, int]]:
    """Drawings, uint8 (height, width, 3) BGR, each with its class; the classes alternate."""
    for index in range(count):
        yield draw(FLOWERS[index % len(FLOWERS)], np.random.default_rng([seed, index])), index % len(FLOWERS)


def draw(flower: Flower, rng: np.random.Generator) -> Frame:
    """Draw a flower in front of grass; size, place, light, blur and noise are random."""
    width, height = int(rng.uniform(280, 400)), int(rng.uniform(260, 320))
    canvas = _meadow(rng, height, width)
    size = min(height, width) * rng.uniform(0.3, 0.45)
    centre = (width / 2 + rng.uniform(-0.1, 0.1) * width, height / 2 + rng.uniform(-0.1, 0.1) * height)
    cv2.line(canvas, _point(centre), (int(centre[0] + rng.uniform(-30, 30)), height), (40, 110, 50), 5, cv2.LINE_AA)
    turn = rng.uniform(0, 360)
    for petal in range(flower.petals):
        angle = np.deg2rad(turn + 360 * petal / flower.petals + rng.uniform(-4, 4))
        middle = (
            centre[0] + np.cos(angle) * size * flower.length / 2,
            centre[1] + np.sin(angle) * size * flower.length / 2,
        )
        axes = (int(size * flower.length / 2), max(2, int(size * flower.width)))
        colour = tuple(float(value) for value in np.array(flower.petal) * rng.uniform(0.8, 1.05))
        cv2.ellipse(canvas, _point(middle), axes, float(np.rad2deg(angle)), 0, 360, colour, -1, cv2.LINE_AA)
    cv2.circle(canvas, _point(centre), max(2, int(size * flower.disc)), flower.centre, -1, cv2.LINE_AA)
    blurred = np.asarray(cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.5, 1.5)), np.float32)
    lit = blurred * rng.uniform(0.7, 1.1) + rng.standard_normal(blurred.shape, dtype=np.float32) * rng.uniform(2, 8)
    return lit.clip(0, 255).astype(np.uint8)


def _meadow(rng: np.random.Generator, height: int, width: int) -> npt.NDArray[np.float32]:
    coarse = rng.uniform(0.5, 1.2, (height // 32 + 2, width // 32 + 2, 1)) * np.array([60, 130, 80])
    canvas = np.asarray(cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC))
    for _ in range(60):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        green = tuple(float(value) for value in rng.uniform([20, 70, 30], [80, 190, 120]))
        end = (x + rng.uniform(-20, 20), y - rng.uniform(20, 70))
        cv2.line(canvas, _point((x, y)), _point(end), green, int(rng.integers(1, 4)), cv2.LINE_AA)
    return np.asarray(canvas, np.float32)


def _point(place: tuple[float, float]) -> tuple[int, int]:
    return int(place[0]), int(place[1])
