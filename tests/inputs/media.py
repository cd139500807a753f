"""Videos, shards and images with known content."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Frame = NDArray[np.uint8]

SIDE = 64
# Frame n of a video has the grey level GREY_STEP * n; far enough apart to survive JPEG compression.
GREY_STEP = 5


def image(level: int = 0, side: int = 8) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), level, np.uint8)).save(out, "JPEG")
    return out.getvalue()


def video(path: Path, frames: int = 50, fps: float = 25.0) -> Path:
    from ov_mobilenet.images.decode import cv2

    opencv = cv2()
    writer = opencv.VideoWriter(str(path), opencv.VideoWriter_fourcc(*"MJPG"), fps, (SIDE, SIDE))
    assert writer.isOpened()
    for number in range(frames):
        writer.write(np.full((SIDE, SIDE, 3), number * GREY_STEP, np.uint8))
    writer.release()
    return path


def frame_number(frame: Frame) -> int:
    """The number of a frame of `video`, from its pixels."""
    return round(float(frame.mean()) / GREY_STEP)


def shard(path: Path, members: dict[str, bytes], mode: Literal["w", "w:gz"] = "w") -> Path:
    with tarfile.open(path, "w") if mode == "w" else tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path
