"""Do the crops and resizes of a model's geometry on the host.

Bit for bit as the model's accuracy was measured; or, where that is not asked for, within 2 grey levels and faster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ov_mobilenet.errors import ImageError
from ov_mobilenet.images import pillow_window
from ov_mobilenet.images.decode import cv2, to_frame, to_pillow
from ov_mobilenet.zoo.geometry import Crop, Geometry, Resize

if TYPE_CHECKING:
    from ov_mobilenet.images.decode import Decoded, Frame

MAX_RESULT_SIDE = 32_768


def apply(geometry: Geometry, decoded: Decoded, *, exact: bool = True) -> Frame:
    """Bring an image to the network's size.

    Args:
        decoded: a frame, uint8 (H, W, 3), any channel order; or Pillow's image of mode RGB.
        exact: False allows 2 grey levels of difference where Pillow resizes, for less work.

    Returns:
        uint8 (height, width, 3), as the last step says; BGR if Pillow's image was given. It may be a view of the
        frame that was given.

    Raises:
        ImageError: the frame's sides are so unlike that the resized one would be absurd.
    """
    pending: Resize | None = None  # to be done together with the crop after it
    for step in geometry.steps:
        if isinstance(step, Crop):
            decoded = _crop(step, decoded) if pending is None else _resize_and_crop(pending, step, decoded)
            pending = None
            continue
        if pending is not None:
            decoded = _resize(pending, decoded)
        may_wait = not exact and step.library == "pillow" and step.interpolation == "bilinear"
        pending = step if may_wait else None
        if pending is None:
            decoded = _resize(step, decoded)
    if pending is not None:
        decoded = _resize(pending, decoded)
    return to_frame(decoded)


def resized_size(step: Resize, height: int, width: int) -> tuple[int, int]:
    """Height and width after a resize. With `keep_aspect` the longer side is rounded down, as torchvision does."""
    if not step.keep_aspect:
        return step.height, step.width
    if height > width:
        return step.height * height // width, step.width
    return step.height, step.width * width // height


def size_of(decoded: Decoded) -> tuple[int, int]:
    """Height and width in pixels."""
    import numpy as np

    if isinstance(decoded, np.ndarray):
        return decoded.shape[0], decoded.shape[1]
    return decoded.height, decoded.width


def _checked_size(step: Resize, decoded: Decoded) -> tuple[int, int]:
    height, width = size_of(decoded)
    size = resized_size(step, height, width)
    if max(size) > MAX_RESULT_SIDE:
        raise ImageError("sides too unlike to resize", got=f"{width}x{height}")
    return size


def _resize(step: Resize, decoded: Decoded) -> Decoded:
    height, width = _checked_size(step, decoded)
    if size_of(decoded) == (height, width):
        return decoded
    if step.library == "pillow":
        from PIL.Image import Resampling

        resampling = Resampling.BICUBIC if step.interpolation == "bicubic" else Resampling.BILINEAR
        return to_pillow(decoded).resize((width, height), resampling)
    opencv = cv2()
    method = opencv.INTER_CUBIC if step.interpolation == "bicubic" else opencv.INTER_LINEAR
    resized: Frame = opencv.resize(to_frame(decoded), (width, height), interpolation=method)
    return resized


def _resize_and_crop(step: Resize, crop: Crop, decoded: Decoded) -> Decoded:
    """Both steps at once: what the crop cuts off is not computed."""
    size = _checked_size(step, decoded)
    kept = crop_size(crop, *size)
    if size_of(decoded) == size or kept[0] > size[0] or kept[1] > size[1]:
        return _crop(crop, _resize(step, decoded))
    start = crop_start(crop, size, kept)
    return pillow_window.resize(decoded, source=size_of(decoded), size=size, start=start, kept=kept)


def _crop(step: Crop, decoded: Decoded) -> Decoded:
    import numpy as np

    kept = crop_size(step, *size_of(decoded))
    if step.fraction is None:
        decoded = _cover(decoded, *kept)
    top, left = crop_start(step, size_of(decoded), kept)
    if isinstance(decoded, np.ndarray):
        return decoded[top : top + kept[0], left : left + kept[1]]
    return decoded.crop((left, top, left + kept[1], top + kept[0]))


def crop_size(step: Crop, height: int, width: int) -> tuple[int, int]:
    """Height and width after a crop."""
    if step.fraction is not None:
        return max(1, int(height * step.fraction)), max(1, int(width * step.fraction))
    return step.height or height, step.width or width


def crop_start(step: Crop, size: tuple[int, int], kept: tuple[int, int]) -> tuple[int, int]:
    """Top and left. Both libraries centre the crop; they differ in how they round half a pixel."""
    if step.library == "pillow":
        return round((size[0] - kept[0]) / 2), round((size[1] - kept[1]) / 2)
    return (size[0] - kept[0]) // 2, (size[1] - kept[1]) // 2


def _cover(decoded: Decoded, height: int, width: int) -> Decoded:
    """Enlarge an image that is smaller than the crop, as the accuracy checker does, keeping its aspect ratio."""
    own_height, own_width = size_of(decoded)
    if own_height >= height and own_width >= width:
        return decoded
    ratio = max(height / own_height, width / own_width)
    size = max(width, int(-(-own_width * ratio // 1))), max(height, int(-(-own_height * ratio // 1)))
    if max(size) > MAX_RESULT_SIDE:
        raise ImageError("sides too unlike to crop", got=f"{own_width}x{own_height}")
    enlarged: Frame = cv2().resize(to_frame(decoded), size)
    return enlarged
