"""Outputs of a demo: a window with keys, and a video file that can be played however the demo ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import cv2
from overlay import Frame, fit

_FOURCC = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}
_OPEN_A_WINDOW = "import cv2; cv2.namedWindow('trial'); cv2.waitKey(1); cv2.destroyAllWindows()"


def why_no_window() -> str | None:
    """The reason why no window can be opened; None if one can.

    It is tried in a separate process: Qt terminates a process that cannot connect to the display.
    """
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "no display (DISPLAY is not set)"
    try:
        trial = subprocess.run([sys.executable, "-c", _OPEN_A_WINDOW], capture_output=True, timeout=20)
    except subprocess.TimeoutExpired:
        return "the display does not respond"
    if trial.returncode == 0:
        return None
    if b"not implemented" in trial.stderr:
        return "this OpenCV cannot open windows (opencv-python-headless)"
    return f"the display cannot be opened (DISPLAY={os.environ.get('DISPLAY', '')})"


class Window:
    """A window. Q, q, Esc and closing it end the demo; p pauses."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._opened, self._size = False, (0, 0)
        self._first_shape: tuple[int, ...] = ()

    def show(self, frame: Frame, *, until: float = 0.0) -> int | None:
        """Show a frame until the given `perf_counter` time, at least for one millisecond.

        The window gets the aspect ratio of the first frame; a frame of another size is padded with black.

        Returns:
            The code of the last key other than `p`, -1 for none; None if the demo must end.
        """
        if not self._opened:  # fits a usual screen; the user can resize it
            cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
            scale = min(1280 / frame.shape[1], 720 / frame.shape[0])
            self._size = (round(frame.shape[1] * scale), round(frame.shape[0] * scale))
            cv2.resizeWindow(self._title, *self._size)
            self._opened, self._first_shape = True, frame.shape
        if frame.shape != self._first_shape:
            frame = fit(frame, *self._size, fill=True)
        paused, pressed = False, -1
        while True:
            cv2.imshow(self._title, frame)  # repeated: a new window may miss the first call
            remaining_s = min(until - perf_counter(), 0.05)  # checks at least every 50 ms whether it was closed
            key = cv2.waitKey(max(1, round(remaining_s * 1e3)))
            if key & 0xFF in (ord("q"), ord("Q"), 27) and key != -1:
                return None
            if not self._is_open():
                return None
            if key in (ord("p"), ord("P")):
                paused = not paused
            elif key != -1:
                pressed = key
            if not paused and (perf_counter() >= until or pressed != -1):
                return pressed

    def close(self) -> None:
        """Close the window if it is open."""
        if self._opened and self._is_open():
            cv2.destroyAllWindows()

    def _is_open(self) -> bool:
        try:
            return bool(cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1)
        except cv2.error:  # with Qt: the last window was closed
            return False


class VideoFile:
    """A video file, written frame by frame. Every frame is fitted to the size of the first one."""

    def __init__(self, path: Path, *, limit: int = 0) -> None:
        """The file is created at the second frame: the frame rate is computed from the times of the first two.

        Args:
            limit: maximum number of frames; 0 for no limit.
        """
        self._path = path
        self._limit = limit
        self._written = 0
        self._fps = 25.0
        self._size = (0, 0)
        self._first: tuple[Frame, float | None] | None = None
        self._writer: cv2.VideoWriter | None = None

    def write(self, frame: Frame, time_s: float | None, *, default_fps: float) -> None:
        """Add a frame. Raises: OSError if the file cannot be written; the message says what to do.

        Args:
            time_s: position in the source video, in seconds; None if the source has no timestamps.
            default_fps: frame rate of the file if the source has no timestamps.
        """
        if self._limit and self._written >= self._limit:
            return
        self._written += 1
        self._fps = default_fps
        if self._writer is not None:
            self._writer.write(fit(frame, *self._size, fill=True))
        elif self._first is None:
            self._size = (frame.shape[1] - frame.shape[1] % 2 or 2, frame.shape[0] - frame.shape[0] % 2 or 2)
            self._first = (frame.copy(), time_s)
        else:
            first_s = self._first[1]
            if first_s is not None and time_s is not None and time_s > first_s:
                self._fps = min(120.0, max(1.0, 1 / (time_s - first_s)))
            self._open()
            self.write(frame, time_s, default_fps=self._fps)
            self._written -= 1

    def close(self) -> None:
        """Finish the file, so that it can be played. Raises: OSError, as `write`."""
        if self._writer is None and self._first is not None:
            self._open()
        if self._writer is not None:
            self._writer.release()

    def _open(self) -> None:
        assert self._first is not None
        first, self._first = self._first[0], None
        suffix = self._path.suffix.lower()
        self._writer = cv2.VideoWriter()
        if not self._path.absolute().parent.is_dir():
            raise OSError(f"{self._path} cannot be written: the folder does not exist")
        code = cv2.VideoWriter.fourcc(*_FOURCC.get(suffix, "MJPG"))
        if suffix not in _FOURCC or not self._writer.open(str(self._path), code, self._fps, self._size):
            raise OSError(
                f"{self._path} cannot be written: permission denied, or this OpenCV has no encoder for "
                f"{suffix or 'a file without suffix'}; use a name that ends in .avi or .mp4"
            )
        self._writer.write(fit(first, *self._size, fill=True))
