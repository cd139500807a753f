"""The sample model's geometry: central crop of 0.875, then OpenCV's linear resize."""

from collections.abc import Iterable
from typing import cast

import cv2
import numpy as np

from signs.arrays import Frame

CENTRAL_FRACTION = 0.875
#: Height and width of the network's input, in pixels.
INPUT_SIZE = 128


def central_crop(frame: Frame) -> Frame:
    """The central part of a frame, 0.875 of its height and of its width."""
    height, width = frame.shape[:2]
    new_height, new_width = int(height * CENTRAL_FRACTION), int(width * CENTRAL_FRACTION)
    top, left = (height - new_height) // 2, (width - new_width) // 2
    return frame[top : top + new_height, left : left + new_width]


def resize(frame: Frame) -> Frame:
    """Resize a frame to the network's input size; the aspect ratio is not kept."""
    return cast(Frame, cv2.resize(frame, (INPUT_SIZE, INPUT_SIZE), interpolation=cv2.INTER_LINEAR))


def network_image(frame: Frame) -> Frame:
    """Crop and resize a frame to uint8 (128, 128, 3) BGR."""
    return resize(central_crop(frame))


def network_images(frames: Iterable[Frame]) -> Frame:
    """Crop, resize and stack frames to uint8 (N, 128, 128, 3) BGR."""
    return np.stack([network_image(frame) for frame in frames])
