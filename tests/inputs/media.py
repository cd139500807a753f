"""Videos, shards and images whose content is known, and a camera that lives in simulated time."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 64
# Grey levels far enough apart to survive JPEG: frame n of a video is of the level STEP * n.
STEP = 5


def image(level: int = 0, side: int = 8) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), level, np.uint8)).save(out, "JPEG")
    return out.getvalue()


def video(path: Path, frames: int = 50, fps: float = 25.0) -> Path:
    import cv2

    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), fps, (SIDE, SIDE))
    assert writer.isOpened()
    for number in range(frames):
        writer.write(np.full((SIDE, SIDE, 3), number * STEP, np.uint8))
    writer.release()
    return path


def number_of(frame: np.ndarray) -> int:
    """Which frame of `video` it is, told by its pixels."""
    return round(float(frame.mean()) / STEP)


def shard(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path
