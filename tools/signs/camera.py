"""Camera effects: light, blur, noise, compression, and the border that a dash cam draws around its image."""

import cv2
import numpy as np

from signs import paints
from signs.arrays import Canvas, Frame, to_frame
from signs.textures import value_noise

#: Thickness of the border, as a fraction of height and width: less than the 1/16 that the central crop removes on
#: each side.
_BORDER_FRACTION = 0.06
_BORDER_PAINTS = ("red", "blue", "green", "yellow")


def light(canvas: Canvas, rng: np.random.Generator) -> Canvas:
    """Apply random brightness, contrast, white balance and the shadow of a cloud."""
    height, width = canvas.shape[:2]
    gain = np.asarray(rng.uniform(0.93, 1.07, 3) * rng.uniform(0.5, 1.25), np.float32)
    contrast = np.float32(rng.uniform(0.7, 1.2))
    shadow = value_noise(rng, height, width, cells=2, octaves=1)
    lit = canvas * gain * (0.8 + 0.3 * shadow)[..., None]
    return np.asarray((lit - 110) * contrast + 110 + rng.uniform(-12, 12), np.float32)


def blur(canvas: Canvas, rng: np.random.Generator) -> Canvas:
    """Apply defocus, motion blur or neither, at random."""
    scale = min(canvas.shape[:2]) / 256
    choice = rng.random()
    if choice < 0.4:
        sigma = float(rng.uniform(0.4, 2.0)) * scale + 0.1
        return np.asarray(cv2.GaussianBlur(canvas, (0, 0), sigma), np.float32)
    if choice < 0.65:
        length = 2 * int(rng.uniform(1, 5) * scale) + 1
        kernel = np.zeros((length, length), np.float32)
        angle = rng.uniform(0, np.pi)
        reach = length // 2
        dx, dy = round(reach * np.cos(angle)), round(reach * np.sin(angle))
        cv2.line(kernel, (reach - dx, reach - dy), (reach + dx, reach + dy), 1.0)
        return np.asarray(cv2.filter2D(canvas, -1, kernel / kernel.sum()), np.float32)
    return canvas


def sensor(canvas: Canvas, rng: np.random.Generator) -> Frame:
    """Add sensor noise, then compress as JPEG and decode again."""
    noise = rng.standard_normal(canvas.shape, dtype=np.float32)
    noisy = to_frame(canvas + noise * np.float32(rng.uniform(0, 12)))
    quality = int(rng.integers(40, 96))
    encoded = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


def draw_border(frame: Frame, rng: np.random.Generator) -> None:
    """Draw the border of a dash cam around the image, in place.

    It lies entirely outside the central crop and has the colours of the signs: it disturbs a network that gets the
    whole frame, and is invisible to a network that gets the same crop as in training.
    """
    height, width = frame.shape[:2]
    rows, columns = int(height * _BORDER_FRACTION), int(width * _BORDER_FRACTION)
    first, second = rng.permutation(_BORDER_PAINTS)[:2]
    border = np.empty_like(frame)
    border[:] = np.rint(paints.PAINTS[first](rng)).astype(np.uint8)
    if rng.random() < 0.5:
        stripe = max(rows, columns) * int(rng.integers(1, 4))
        diagonal = (np.arange(height)[:, None] + np.arange(width)[None, :]) // stripe % 2 == 1
        border[diagonal] = np.rint(paints.PAINTS[second](rng)).astype(np.uint8)
    inside = (slice(rows, height - rows), slice(columns, width - columns))
    border[inside] = frame[inside]
    frame[:] = border
