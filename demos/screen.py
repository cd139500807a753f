"""Where a demo's frames go: a window with its keys, and a video file that can be played however the demo ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import cv2
from overlay import Frame, fit

_FOURCC = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}
_TRIAL = "import cv2; cv2.namedWindow('trial'); cv2.waitKey(1); cv2.destroyAllWindows()"


def why_no_window() -> str | None:
    """Why no window can be opened here; None if one can.

    Tried in a process of its own: Qt ends the process that cannot connect to a display.
    """
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "no display (DISPLAY is not set)"
    try:
        done = subprocess.run([sys.executable, "-c", _TRIAL], capture_output=True, timeout=20)
    except subprocess.TimeoutExpired:
        return "the display does not answer"
    if done.returncode == 0:
        return None
    if b"not implemented" in done.stderr:
        return "this OpenCV cannot open windows (opencv-python-headless)"
    return f"the display cannot be opened (DISPLAY={os.environ.get('DISPLAY', '')})"


class Window:
    """A window; q, Q or Esc ends the demo, and so does closing it; p pauses."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._opened = False

    def show(self, frame: Frame, *, until: float = 0.0) -> int | None:
        """Show a frame until a moment of `perf_counter` has come, at least for an instant.

        Returns:
            The last key but `p`, -1 for none; None if the demo is to end.
        """
        if not self._opened:  # of a size that fits a screen; the user may change it
            cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
            scale = min(1280 / frame.shape[1], 720 / frame.shape[0])
            cv2.resizeWindow(self._title, round(frame.shape[1] * scale), round(frame.shape[0] * scale))
            self._opened = True
        paused, pressed = False, -1
        while True:
            cv2.imshow(self._title, frame)  # each time: a window that has just come may not have been painted
            left = min(until - perf_counter(), 0.05)  # closing it is seen in between
            key = cv2.waitKey(max(1, round(left * 1e3)))
            if key & 0xFF in (ord("q"), ord("Q"), 27) and key != -1:
                return None
            if not self._is_there():
                return None
            if key in (ord("p"), ord("P")):
                paused = not paused
            elif key != -1:
                pressed = key
            if not paused and (perf_counter() >= until or pressed != -1):
                return pressed

    def close(self) -> None:
        """Close it."""
        if self._opened and self._is_there():
            cv2.destroyAllWindows()

    def _is_there(self) -> bool:
        try:
            return bool(cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1)
        except cv2.error:  # with Qt: the last window was closed
            return False


class VideoFile:
    """A video that grows frame by frame; all have the size of the first one, smaller or larger ones are fitted in."""

    def __init__(self, path: Path, *, limit: int = 0) -> None:
        """Nothing is written before the second frame: how fast it plays is read from the frames' times.

        Args:
            limit: how many frames to write; 0 for all.
        """
        self._path = path
        self._limit = limit
        self._written = 0
        self._fps = 25.0
        self._size = (0, 0)
        self._first: tuple[Frame, float | None] | None = None
        self._writer: cv2.VideoWriter | None = None

    def write(self, frame: Frame, time_s: float | None, *, otherwise_fps: float) -> None:
        """Add a frame. Raises: OSError, the file cannot be written; says what to do.

        Args:
            time_s: when it is shown, as its source says.
            otherwise_fps: how fast to play where the source does not say.
        """
        if self._limit and self._written >= self._limit:
            return
        self._written += 1
        self._fps = otherwise_fps
        if self._writer is not None:
            self._writer.write(fit(frame, *self._size, fill=True))
        elif self._first is None:
            self._size = (frame.shape[1] - frame.shape[1] % 2 or 2, frame.shape[0] - frame.shape[0] % 2 or 2)
            self._first = (frame.copy(), time_s)
        else:
            before = self._first[1]
            if before is not None and time_s is not None and time_s > before:
                self._fps = min(120.0, max(1.0, 1 / (time_s - before)))
            self._open()
            self.write(frame, time_s, otherwise_fps=self._fps)
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
            raise OSError(f"{self._path} cannot be written: there is no such folder")
        code = cv2.VideoWriter.fourcc(*_FOURCC.get(suffix, "MJPG"))
        if suffix not in _FOURCC or not self._writer.open(str(self._path), code, self._fps, self._size):
            raise OSError(
                f"{self._path} cannot be written: no permission, or this OpenCV has no encoder for {suffix or 'it'}; "
                "try a name that ends in .avi or .mp4"
            )
        self._writer.write(fit(first, *self._size, fill=True))
