"""OpenCV's captures behind a small interface: videos, cameras and network streams, errors as `ImageError`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ov_mobilenet.errors import ImageError
from ov_mobilenet.images.decode import cv2
from ov_mobilenet.inputs.kinds import Source

if TYPE_CHECKING:
    from ov_mobilenet.images.decode import Frame

OPEN_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 5.0


class Capture(Protocol):
    """A source of frames that is open."""

    def grab(self) -> bool:
        """Go to the next frame; False at the end, or when the source is lost."""

    def retrieve(self) -> Frame | None:
        """The frame, uint8 (H, W, 3) BGR, in memory of its own; None if it cannot be decoded."""

    def release(self) -> None:
        """Let go of the source."""


class OpenCvCapture:
    """A `cv2.VideoCapture` that is open."""

    def __init__(self, capture: Any) -> None:
        self._capture = capture
        self._opencv = cv2()

    def grab(self) -> bool:
        """See `Capture`."""
        try:
            return bool(self._capture.grab())
        except self._opencv.error:
            return False

    def retrieve(self) -> Frame | None:
        """See `Capture`."""
        try:
            done, frame = self._capture.retrieve()
        except self._opencv.error:
            return None
        return frame if done else None

    def release(self) -> None:
        """See `Capture`."""
        self._capture.release()

    @property
    def position_s(self) -> float:
        """Time of the frame that was grabbed, in seconds of the video's clock."""
        return float(self._capture.get(self._opencv.CAP_PROP_POS_MSEC)) / 1e3

    @property
    def frames(self) -> int | None:
        """How many frames its header promises; None if it does not say."""
        count = float(self._capture.get(self._opencv.CAP_PROP_FRAME_COUNT))
        return int(count) if count > 0 else None

    @property
    def fps(self) -> float | None:
        """Frames a second; None if it does not say."""
        rate = float(self._capture.get(self._opencv.CAP_PROP_FPS))
        return rate if 0 < rate < 10_000 else None


def open_video(text: str) -> OpenCvCapture:
    """Open a video file or a video at a URL. Raises: ImageError."""
    if "://" in text:
        return _open_url(text, "a video that OpenCV can decode")
    try:
        size = Path(text).stat().st_size
        with Path(text).open("rb"):
            pass
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if size == 0:
        raise ImageError("the file is empty")
    opencv = cv2()
    # Absolute: a relative name such as `concat:a.mp4` would be taken for one of FFmpeg's protocols.
    capture = opencv.VideoCapture(os.path.abspath(text), _ffmpeg(opencv) or opencv.CAP_ANY)  # noqa: PTH100
    if not capture.isOpened():
        raise ImageError(
            "cannot be opened as a video: damaged, or its codec is missing",
            expected="what OpenCV's FFmpeg decodes" if _ffmpeg(opencv) else "OpenCV with FFmpeg; this one has none",
            fix="Try ffmpeg -i FILE -c:v mjpeg -q:v 2 FILE.avi",
        )
    return OpenCvCapture(capture)


def open_live(source: Source) -> OpenCvCapture:
    """Open a camera or a network stream. Raises: ImageError."""
    if source.kind == "camera":
        return _open_camera(source.text)
    return _open_url(source.text, "a stream that answers and that OpenCV can decode")


def _open_url(url: str, expected: str) -> OpenCvCapture:
    opencv = cv2()
    backend = _ffmpeg(opencv)
    if backend is None:
        raise ImageError(
            "this OpenCV has no FFmpeg, which reads streams", fix="Use the wheel: pip install opencv-python"
        )
    timeouts = [
        opencv.CAP_PROP_OPEN_TIMEOUT_MSEC, int(OPEN_TIMEOUT_S * 1e3),
        opencv.CAP_PROP_READ_TIMEOUT_MSEC, int(READ_TIMEOUT_S * 1e3),
    ]  # fmt: skip
    capture = opencv.VideoCapture(url, backend, timeouts)
    if not capture.isOpened():
        raise ImageError(
            "the stream cannot be opened: not there, refused, or its codec is missing",
            expected=f"{expected} within {OPEN_TIMEOUT_S:g} s",
        )
    return OpenCvCapture(capture)


def _open_camera(text: str) -> OpenCvCapture:
    opencv = cv2()
    is_index = text.isdecimal()
    path = f"/dev/video{int(text)}" if is_index else text
    if sys.platform == "linux":
        if not os.path.exists(path):  # noqa: PTH110 (a link to nowhere is no camera either)
            got = "no such device" + (", and no file of that name" if is_index else "")
            raise ImageError(
                "there is no such camera", expected=path, got=got, fix="ls /dev/video* shows what is there"
            )
        if not os.access(path, os.R_OK | os.W_OK):
            raise ImageError("the camera may not be used", where=path, fix="Add yourself to its group, often `video`")
    backend = opencv.CAP_V4L2 if sys.platform == "linux" else opencv.CAP_ANY
    capture = opencv.VideoCapture(int(text) if is_index else path, backend)
    if not capture.isOpened():
        raise ImageError(
            "the camera cannot be opened: busy, or no camera that OpenCV knows",
            fix=f"End the program that uses it (fuser {path})",
        )
    return OpenCvCapture(capture)


def _ffmpeg(opencv: Any) -> int | None:
    backend: int = opencv.CAP_FFMPEG
    return backend if backend in opencv.videoio_registry.getStreamBackends() else None
