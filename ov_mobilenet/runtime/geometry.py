"""Do the crops and resizes of a model's geometry on the host, bit for bit as its accuracy was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ov_mobilenet.errors import ImageError
from ov_mobilenet.runtime.images import cv2
from ov_mobilenet.zoo.geometry import Crop, Geometry, Resize

if TYPE_CHECKING:
    from ov_mobilenet.runtime.images import Frame

MAX_RESULT_SIDE = 32_768


def apply(geometry: Geometry, frame: Frame) -> Frame:
    """Bring a frame to the network's size.

    Args:
        frame: uint8 (H, W, 3), any channel order.

    Returns:
        uint8 (height, width, 3), as the last step says.

    Raises:
        ImageError: the frame's sides are so unlike that the resized one would be absurd.
    """
    for step in geometry.steps:
        frame = _resize(step, frame) if isinstance(step, Resize) else _crop(step, frame)
    return frame


def resized_size(step: Resize, height: int, width: int) -> tuple[int, int]:
    """Height and width after a resize. With `keep_aspect` the longer side is rounded down, as torchvision does."""
    if not step.keep_aspect:
        return step.height, step.width
    if height > width:
        return step.height * height // width, step.width
    return step.height, step.width * width // height


def _resize(step: Resize, frame: Frame) -> Frame:
    height, width = resized_size(step, *frame.shape[:2])
    if max(height, width) > MAX_RESULT_SIDE:
        raise ImageError("sides too unlike to resize", got=f"{frame.shape[1]}x{frame.shape[0]}")
    if frame.shape[:2] == (height, width):
        return frame
    if step.library == "pillow":
        import numpy as np
        from PIL import Image

        method = Image.Resampling.BICUBIC if step.interpolation == "bicubic" else Image.Resampling.BILINEAR
        # Pillow resizes each channel alone, so BGR may pass as RGB.
        return np.asarray(Image.fromarray(frame).resize((width, height), method))
    opencv = cv2()
    method = opencv.INTER_CUBIC if step.interpolation == "bicubic" else opencv.INTER_LINEAR
    resized: Frame = opencv.resize(frame, (width, height), interpolation=method)
    return resized


def _crop(step: Crop, frame: Frame) -> Frame:
    height, width = frame.shape[:2]
    if step.fraction is not None:
        wanted_height, wanted_width = max(1, int(height * step.fraction)), max(1, int(width * step.fraction))
    else:
        wanted_height, wanted_width = step.height or height, step.width or width
        frame = _cover(frame, wanted_height, wanted_width)
        height, width = frame.shape[:2]
    # Both libraries centre the crop; they differ in how they round half a pixel.
    if step.library == "pillow":
        top, left = round((height - wanted_height) / 2), round((width - wanted_width) / 2)
    else:
        top, left = (height - wanted_height) // 2, (width - wanted_width) // 2
    return frame[top : top + wanted_height, left : left + wanted_width]


def _cover(frame: Frame, height: int, width: int) -> Frame:
    """Enlarge a frame that is smaller than the crop, as the accuracy checker does, keeping its aspect ratio."""
    if frame.shape[0] >= height and frame.shape[1] >= width:
        return frame
    ratio = max(height / frame.shape[0], width / frame.shape[1])
    size = (
        max(width, int(-(-frame.shape[1] * ratio // 1))),
        max(height, int(-(-frame.shape[0] * ratio // 1))),
    )
    if max(size) > MAX_RESULT_SIDE:
        raise ImageError("sides too unlike to crop", got=f"{frame.shape[1]}x{frame.shape[0]}")
    enlarged: Frame = cv2().resize(frame, size)
    return enlarged
