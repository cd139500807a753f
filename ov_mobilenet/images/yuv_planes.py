"""Conversion of BGR frames to the NV12 or I420 input of a model for YUV cameras."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ov_mobilenet.errors import ImageError
from ov_mobilenet.images.decode import cv2

if TYPE_CHECKING:
    from ov_mobilenet.images.decode import Frame
    from ov_mobilenet.ir.form import Planes


def to_planes(frame: Frame, color_format: Planes) -> Frame:
    """Convert a BGR frame to YUV 4:2:0: chroma has half the height and width.

    Args:
        frame: uint8 (H, W, 3) BGR; the last row or column of an odd size is dropped.

    Returns:
        uint8 (3/2 H, W, 1): H rows of luma, then the chroma.

    Raises:
        ImageError: the frame is a single row or column.
    """
    import numpy as np

    opencv = cv2()
    height, width = frame.shape[0] // 2 * 2, frame.shape[1] // 2 * 2
    if not height or not width:
        raise ImageError(
            f"the frame is too small for {color_format}",
            expected="at least 2x2",
            got=f"{frame.shape[0]}x{frame.shape[1]}",
        )
    planes: Frame = opencv.cvtColor(np.ascontiguousarray(frame[:height, :width]), opencv.COLOR_BGR2YUV_I420)
    if color_format == "nv12":
        chroma = planes[height:].reshape(2, -1)
        planes = np.concatenate([planes[:height], np.stack([chroma[0], chroma[1]], axis=1).reshape(height // 2, width)])
    return planes[..., None]


def frame_height(rows: int) -> int:
    """Height in pixels of a frame whose planes have `rows` rows in total."""
    return rows // 3 * 2
