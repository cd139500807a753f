"""Generated drawings of several shapes, for the tests and for tools/record_hub_geometry.py."""

from __future__ import annotations

from typing import Any

import numpy as np

# Height and width: both orientations, odd differences, smaller than the input, and the size of the input itself.
SHAPES = ((480, 640), (640, 427), (333, 500), (224, 224), (257, 259), (61, 97), (300, 301))


def drawing(number: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Drawing NUMBER of `SHAPES`, uint8 (H, W, 3) RGB: coarse colours with fine noise and a few rectangles."""
    height, width = SHAPES[number]
    generator = np.random.RandomState(number)  # numpy promises that its numbers never change
    coarse = generator.randint(0, 256, (height // 16 + 1, width // 16 + 1, 3))
    pixels = coarse.repeat(16, axis=0).repeat(16, axis=1)[:height, :width]
    pixels = pixels + generator.randint(-20, 21, pixels.shape)
    for _ in range(6):
        top, left = generator.randint(0, height), generator.randint(0, width)
        bottom, right = top + generator.randint(1, height), left + generator.randint(1, width)
        pixels[top:bottom, left:right] = generator.randint(0, 256, 3)
    return pixels.clip(0, 255).astype(np.uint8)
