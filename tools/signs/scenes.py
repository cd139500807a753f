"""Complete drawings: a sign on its post in front of a background, with camera effects."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from signs import camera, paints
from signs.arrays import Canvas, Field, Frame
from signs.backgrounds import TRAINING_BACKGROUNDS, Background
from signs.classes import CLASSES, SIGN_CLASSES
from signs.held_out_backgrounds import HELD_OUT_BACKGROUNDS
from signs.lettering import Font
from signs.plates import Plate, draw_plate
from signs.shapes import PLATE_SIZE
from signs.textures import contrast_field, value_noise


@dataclass(frozen=True)
class Style:
    """Backgrounds and fonts of a set of drawings.

    Attributes:
        stream: part of every seed, so that two styles never use the same random numbers.
        backgrounds: the possible backgrounds.
        fonts: the possible fonts.
    """

    stream: int
    backgrounds: tuple[Background, ...]
    fonts: tuple[Font, ...]


TRAINING = Style(stream=1, backgrounds=TRAINING_BACKGROUNDS, fonts=("pillow", "simplex"))
#: Has no backgrounds, fonts or random numbers in common with TRAINING.
HELD_OUT = Style(stream=2, backgrounds=HELD_OUT_BACKGROUNDS, fonts=("duplex", "complex"))


def draw(
    class_index: int, rng: np.random.Generator, style: Style, *, frame_size: tuple[int, int] | None = None
) -> Frame:
    """Draw one sign.

    Args:
        class_index: Index into CLASSES.
        rng: Source of all random choices: the same state gives the same pixels.
        style: Backgrounds and fonts.
        frame_size: Height and width in pixels; by default random in 160..480, rarely square.

    Returns:
        uint8 (height, width, 3) BGR.
    """
    height, width = frame_size or _random_size(rng)
    background = style.backgrounds[int(rng.integers(len(style.backgrounds)))](rng, height, width)
    _clutter(background, rng)
    canvas = background.copy()
    _put_sign(canvas, draw_plate(SIGN_CLASSES[class_index], rng, style.fonts), rng)
    if rng.random() < 0.35:
        _cover(canvas, background, rng)
    frame = camera.sensor(camera.blur(camera.light(canvas, rng), rng), rng)
    camera.draw_border(frame, rng)
    return frame


def numbered_drawing(style: Style, seed: int, index: int) -> tuple[Frame, int]:
    """Drawing number `index` of a seeded series, and its class index.

    It does not depend on other drawings of the series, so several processes can share the work. The classes alternate:
    len(CLASSES) consecutive drawings contain each class once.
    """
    class_index = index % len(CLASSES)
    rng = np.random.default_rng([seed, style.stream, index])
    return draw(class_index, rng, style), class_index


def training(seed: int, count: int) -> Iterator[tuple[Frame, int]]:
    """Training drawings with their class indices."""
    return (numbered_drawing(TRAINING, seed, index) for index in range(count))


def held_out(seed: int, count: int) -> Iterator[tuple[Frame, int]]:
    """Drawings for testing, with their class indices, in a style that is not used for training."""
    return (numbered_drawing(HELD_OUT, seed, index) for index in range(count))


def _random_size(rng: np.random.Generator) -> tuple[int, int]:
    width = rng.uniform(160, 480)
    return int(np.clip(width / rng.uniform(0.65, 1.7), 160, 480)), int(width)


def _clutter(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw objects of any colour behind the sign, in place: cars, bins, posters."""
    height, width = canvas.shape[:2]
    for _ in range(int(rng.integers(0, 6))):
        x, y = int(rng.uniform(0, width)), int(rng.uniform(0, height))
        across, down = int(width * rng.uniform(0.03, 0.2)) + 1, int(height * rng.uniform(0.03, 0.2)) + 1
        if rng.random() < 0.5:
            cv2.ellipse(canvas, (x, y), (across, down), 0, 0, 360, paints.any_colour(rng), -1, cv2.LINE_AA)
        else:
            cv2.rectangle(canvas, (x, y), (x + across, y + down), paints.any_colour(rng), -1)


def _put_sign(canvas: Canvas, plate: Plate, rng: np.random.Generator) -> None:
    """Draw a plate and its post on the canvas, in place, rotated and in perspective."""
    height, width = canvas.shape[:2]
    size = min(height, width) * rng.uniform(0.36, 0.78)
    # Inside the central crop, except for corners.
    slack_x, slack_y = max(0.0, 0.86 * width - size) / 2, max(0.0, 0.86 * height - size) / 2
    centre = (width / 2 + rng.uniform(-1, 1) * slack_x, height / 2 + rng.uniform(-1, 1) * slack_y)
    if rng.random() < 0.7:
        half_post = max(1.0, size * rng.uniform(0.015, 0.045))
        corner, opposite = (int(centre[0] - half_post), int(centre[1])), (int(centre[0] + half_post), height)
        cv2.rectangle(canvas, corner, opposite, paints.grey(rng), -1)
    # Shrink first, by averaging, so that the warp (which only interpolates) does not alias.
    side = int(np.clip(size, 24, PLATE_SIZE))
    small_colour = cv2.resize(plate.colour, (side, side), interpolation=cv2.INTER_AREA)
    small_alpha = cv2.resize(plate.alpha, (side, side), interpolation=cv2.INTER_AREA)
    source = np.array([(0, 0), (side, 0), (side, side), (0, side)], np.float32)
    matrix = cv2.getPerspectiveTransform(source, _seen_corners(centre, size, rng))
    warped = cv2.warpPerspective(small_colour, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    colour = np.asarray(warped, np.float32)
    alpha: Field = np.asarray(cv2.warpPerspective(small_alpha, matrix, (width, height)), np.float32)
    dirt = value_noise(rng, height, width, cells=10, octaves=3)
    colour *= (1 - rng.uniform(0, 0.45) * dirt)[..., None]
    canvas += (colour - canvas) * alpha[..., None]


def _seen_corners(centre: tuple[float, float], size: float, rng: np.random.Generator) -> Canvas:
    angle = np.deg2rad(rng.uniform(-12, 12))
    rotation = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (size / 2)
    # A sign seen from the side is narrower; small shifts of the corners give the perspective.
    square[:, 0] *= rng.uniform(0.72, 1.0)
    corners = square @ rotation + centre + rng.uniform(-0.06, 0.06, (4, 2)) * size
    return np.asarray(corners, np.float32)


def _cover(canvas: Canvas, background: Canvas, rng: np.random.Generator) -> None:
    """Cover part of the sign with parts of the background, in place."""
    height, width = canvas.shape[:2]
    lumps = value_noise(rng, height, width, cells=rng.uniform(3, 8), octaves=3)
    mask = contrast_field(lumps, threshold=rng.uniform(0.66, 0.78), softness=0.08)
    in_front = background[:, ::-1] * np.float32(rng.uniform(0.7, 1.0))
    canvas += (in_front - canvas) * mask[..., None]
