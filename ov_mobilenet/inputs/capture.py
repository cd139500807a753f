"""Videos, cameras and network streams: OpenCV's captures behind a small interface, and the selection of frames."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ov_mobilenet.errors import ImageError, install_command
from ov_mobilenet.images.decode import cv2
from ov_mobilenet.inputs.sources import Source
from ov_mobilenet.operating_system import systems
from ov_mobilenet.operating_system.open_file import open_file
from ov_mobilenet.operating_system.path_texts import has_drive

if TYPE_CHECKING:
    from ov_mobilenet.images.decode import Frame

OPEN_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 5.0
# Many containers round the times of frames to milliseconds.
TIME_ROUNDING_S = 1e-3


class Capture(Protocol):
    """An open source of frames."""

    def grab(self) -> bool:
        """Advance to the next frame; False at the end, or when the connection is lost."""

    def retrieve(self) -> Frame | None:
        """Decode the current frame: uint8 (H, W, 3) BGR, in its own memory; None if it cannot be decoded."""

    def release(self) -> None:
        """Close the source."""


class OpenCvCapture:
    """An open `cv2.VideoCapture`."""

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
        """Time of the current frame in the video, in seconds."""
        return float(self._capture.get(self._opencv.CAP_PROP_POS_MSEC)) / 1e3

    @property
    def frame_count(self) -> int | None:
        """Number of frames according to the header of the video; None if the header does not state it."""
        count = float(self._capture.get(self._opencv.CAP_PROP_FRAME_COUNT))
        return int(count) if count > 0 else None

    @property
    def fps(self) -> float | None:
        """Frames per second according to the header of the video; None if the header does not state it."""
        rate = float(self._capture.get(self._opencv.CAP_PROP_FPS))
        return rate if 0 < rate < 10_000 else None


class FrameSampler:
    """Takes every n-th frame, and at most `max_fps` frames per second; one instance per video or camera.

    Args:
        every: 1 for every frame.
        max_fps: frames per second; None for no limit.
    """

    def __init__(self, every: int = 1, max_fps: float | None = None) -> None:
        self._every = every
        self._period = None if max_fps is None else 1 / max_fps
        self._next_time: float | None = None

    def takes(self, number: int, time_s: float) -> bool:
        """Whether to take a frame; call it once per frame, in order."""
        if number % self._every:
            return False
        if self._period is None:
            return True
        if self._next_time is None:
            self._next_time = time_s
        if time_s < self._next_time - TIME_ROUNDING_S:
            return False
        # The next frame is due one period after this one was due, so that the mean rate is met; a gap restarts the
        # schedule.
        self._next_time = max(self._next_time + self._period, time_s)
        return True


def open_video(text: str) -> OpenCvCapture:
    """Open a video file or a video at a URL. Raises: ImageError."""
    if "://" in text and not has_drive(text):
        return _open_url(text, "a video that OpenCV can decode")
    try:
        size = Path(text).stat().st_size
        with open_file(Path(text)):
            pass
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if size == 0:
        raise ImageError("the file is empty")
    opencv = cv2()
    # Absolute: FFmpeg would take a relative name such as `concat:a.mp4` for one of its protocols.
    capture = opencv.VideoCapture(os.path.abspath(text), _ffmpeg(opencv) or opencv.CAP_ANY)  # noqa: PTH100
    if not capture.isOpened():
        raise ImageError(
            "cannot be opened as a video: the file is damaged, or its codec is not supported",
            expected="a codec of OpenCV's FFmpeg" if _ffmpeg(opencv) else "OpenCV with FFmpeg; this build has none",
            fix="Convert it: ffmpeg -i FILE -c:v mjpeg -q:v 2 FILE.avi",
        )
    return OpenCvCapture(capture)


def open_live(source: Source) -> OpenCvCapture:
    """Open a camera or a network stream. Raises: ImageError."""
    if source.kind == "camera":
        return _open_camera(source.text)
    return _open_url(source.text, "a stream that OpenCV can decode")


def _open_url(url: str, expected: str) -> OpenCvCapture:
    opencv = cv2()
    backend = _ffmpeg(opencv)
    if backend is None:
        raise ImageError(
            "streams need FFmpeg, which this build of OpenCV does not have", fix=install_command("opencv-python")
        )
    timeouts = [
        opencv.CAP_PROP_OPEN_TIMEOUT_MSEC, int(OPEN_TIMEOUT_S * 1e3),
        opencv.CAP_PROP_READ_TIMEOUT_MSEC, int(READ_TIMEOUT_S * 1e3),
    ]  # fmt: skip
    capture = opencv.VideoCapture(url, backend, timeouts)
    if not capture.isOpened():
        raise ImageError(
            "the stream cannot be opened: it does not exist, the connection was refused, or its codec is not supported",
            expected=f"{expected}, within {OPEN_TIMEOUT_S:g} s",
        )
    return OpenCvCapture(capture)


def _open_camera(text: str) -> OpenCvCapture:
    opencv = cv2()
    is_index = text.isdecimal()
    path = f"/dev/video{int(text)}" if is_index else text
    if systems.LINUX:
        if not os.path.exists(path):  # noqa: PTH110 (a dangling link is not a camera)
            got = "no such device" + (", and no file with that name" if is_index else "")
            raise ImageError(
                "there is no such camera", expected=path, got=got, fix="List the cameras with: ls /dev/video*"
            )
        if not os.access(path, os.R_OK | os.W_OK):
            raise ImageError(
                "no permission to use the camera", where=path, fix="Add your user to its group, often `video`"
            )
    backend = opencv.CAP_V4L2 if systems.LINUX else opencv.CAP_ANY
    capture = opencv.VideoCapture(int(text) if is_index else path, backend)
    if not capture.isOpened():
        raise ImageError(
            "the camera cannot be opened: it is in use, or OpenCV does not support it",
            fix=f"Close the program that uses it; find it with: fuser {path}",
        )
    return OpenCvCapture(capture)


def _ffmpeg(opencv: Any) -> int | None:
    backend: int = opencv.CAP_FFMPEG
    return backend if backend in opencv.videoio_registry.getStreamBackends() else None
