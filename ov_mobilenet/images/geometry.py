"""Apply the crops and resizes of a model's geometry on the host.

The result is either bit for bit the one with which the model's accuracy was measured, or computed faster and within
2 grey levels of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ov_mobilenet.errors import ImageError
from ov_mobilenet.images import pillow_crop
from ov_mobilenet.images.decode import cv2, to_frame, to_pillow
from ov_mobilenet.zoo.geometry import Crop, Geometry, Resize

if TYPE_CHECKING:
    from ov_mobilenet.images.decode import DecodedImage, Frame

MAX_RESULT_SIDE = 32_768


def apply_geometry(geometry: Geometry, image: DecodedImage, *, exact: bool = True) -> Frame:
    """Crop and resize an image to the network's input size.

    Args:
        image: a frame, uint8 (H, W, 3), in any channel order; or a Pillow image of mode RGB.
        exact: False allows differences of 2 grey levels in resizes by Pillow, which are then faster.

    Returns:
        uint8 (height, width, 3), of the size of the last step; in the channel order of the frame, BGR for a Pillow
        image. It may be a view of the frame.

    Raises:
        ImageError: the aspect ratio is too extreme: the resized image would exceed 32,768 pixels in one direction.
    """
    pending: Resize | None = None  # to be combined with the crop after it
    for step in geometry.steps:
        if isinstance(step, Crop):
            image = _crop(step, image) if pending is None else _resize_and_crop(pending, step, image)
            pending = None
            continue
        if pending is not None:
            image = _resize(pending, image)
        pending = step if not exact and pillow_crop.can_combine(step) else None
        if pending is None:
            image = _resize(step, image)
    if pending is not None:
        image = _resize_and_crop(pending, None, image)
    return to_frame(image)


def resized_size(step: Resize, height: int, width: int) -> tuple[int, int]:
    """Height and width after a resize. With `keep_aspect` the longer side is rounded down, as in torchvision."""
    if not step.keep_aspect:
        return step.height, step.width
    if height > width:
        return step.height * height // width, step.width
    return step.height, step.width * width // height


def size_of(image: DecodedImage) -> tuple[int, int]:
    """Height and width in pixels."""
    import numpy as np

    if isinstance(image, np.ndarray):
        return image.shape[0], image.shape[1]
    return image.height, image.width


def _checked_size(step: Resize, image: DecodedImage) -> tuple[int, int]:
    height, width = size_of(image)
    size = resized_size(step, height, width)
    if max(size) > MAX_RESULT_SIDE:
        raise ImageError("aspect ratio too extreme to resize", got=f"{width}x{height}")
    return size


def _resize(step: Resize, image: DecodedImage) -> DecodedImage:
    height, width = _checked_size(step, image)
    if size_of(image) == (height, width):
        return image
    if step.library == "pillow":
        from PIL.Image import Resampling

        resampling = Resampling.BICUBIC if step.interpolation == "bicubic" else Resampling.BILINEAR
        return to_pillow(image).resize((width, height), resampling)
    opencv = cv2()
    method = opencv.INTER_CUBIC if step.interpolation == "bicubic" else opencv.INTER_LINEAR
    resized: Frame = opencv.resize(to_frame(image), (width, height), interpolation=method)
    return resized


def _resize_and_crop(step: Resize, crop: Crop | None, image: DecodedImage) -> DecodedImage:
    """Both steps at once: pixels that the crop removes are not computed."""
    size = _checked_size(step, image)
    if size_of(image) == size:
        return image if crop is None else _crop(crop, image)
    kept = size if crop is None else crop_size(crop, *size)
    if crop is not None and (kept[0] > size[0] or kept[1] > size[1]):
        return _crop(crop, _resize(step, image))
    start = (0, 0) if crop is None else crop_start(crop, size, kept)
    return pillow_crop.resize_and_crop(step, image, source=size_of(image), size=size, start=start, kept=kept)


def _crop(step: Crop, image: DecodedImage) -> DecodedImage:
    import numpy as np

    kept = crop_size(step, *size_of(image))
    if step.fraction is None:
        image = _enlarge_to_cover(image, *kept)
    top, left = crop_start(step, size_of(image), kept)
    if isinstance(image, np.ndarray):
        return image[top : top + kept[0], left : left + kept[1]]
    return image.crop((left, top, left + kept[1], top + kept[0]))


def crop_size(step: Crop, height: int, width: int) -> tuple[int, int]:
    """Height and width after a crop."""
    if step.fraction is not None:
        return max(1, int(height * step.fraction)), max(1, int(width * step.fraction))
    return step.height or height, step.width or width


def crop_start(step: Crop, size: tuple[int, int], kept: tuple[int, int]) -> tuple[int, int]:
    """Top and left of a crop. Both libraries centre it, but round half a pixel differently."""
    if step.library == "pillow":
        return round((size[0] - kept[0]) / 2), round((size[1] - kept[1]) / 2)
    return (size[0] - kept[0]) // 2, (size[1] - kept[1]) // 2


def _enlarge_to_cover(image: DecodedImage, height: int, width: int) -> DecodedImage:
    """Enlarge an image that is smaller than the crop, keeping its aspect ratio, as the accuracy checker does."""
    own_height, own_width = size_of(image)
    if own_height >= height and own_width >= width:
        return image
    ratio = max(height / own_height, width / own_width)
    size = max(width, int(-(-own_width * ratio // 1))), max(height, int(-(-own_height * ratio // 1)))
    if max(size) > MAX_RESULT_SIDE:
        raise ImageError("aspect ratio too extreme to crop", got=f"{own_width}x{own_height}")
    enlarged: Frame = cv2().resize(to_frame(image), size)
    return enlarged
