"""What two demos show: a window with keys, a video file, text, a grid of images, and a report of times."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import Literal

# Without these, FFmpeg and OpenCV print their own messages about a bad file beside ours. They are read at the import.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import ov_mobilenet as ovm

Frame = NDArray[np.uint8]  # (H, W, 3) BGR
Colour = tuple[int, int, int]  # red, green, blue

WHITE, GREEN, RED = (255, 255, 255), (120, 255, 120), (255, 110, 100)
MIN_TEXT = 11  # pixels; smaller letters cannot be read
MIN_CELL = (120, 90)  # width and height in pixels; the label of a smaller cell cannot be read
GRID_PANEL = 0.18  # figures and graph take this fraction of the height
FOURCC = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}
STAGES = ("decode", "geometry", "queue", "inference", "draw", "latency")
MAX_RESULTS = 100_000  # in the report, so that memory stays bounded when a camera runs for months


def has_display() -> bool:
    """Whether a window can be opened; a message on stderr says why not.

    It is tried in a separate process: Qt terminates a process that cannot connect to the display.
    """
    reason = "no display (DISPLAY is not set)"
    if sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        window = "import cv2; cv2.namedWindow('trial'); cv2.waitKey(1); cv2.destroyAllWindows()"
        try:
            trial = subprocess.run([sys.executable, "-c", window], capture_output=True, timeout=20)
            if trial.returncode == 0:
                return True
            reason = f"the display cannot be opened (DISPLAY={os.environ.get('DISPLAY', '')})"
            if b"not implemented" in trial.stderr:
                reason = "this OpenCV cannot open windows (opencv-python-headless)"
        except subprocess.TimeoutExpired:
            reason = "the display does not respond"
    print(f"{reason}: continuing as with --no_show", file=sys.stderr)
    return False


class Window:
    """A window. Q, q, Esc and closing it end the demo; p pauses. Without a title, nothing is shown."""

    def __init__(self, title: str | None) -> None:
        self._title = title or ""
        self._opened, self._size = False, (0, 0)
        self._first_shape: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._title)

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *_: object) -> None:
        if self._opened and self._is_open():
            cv2.destroyAllWindows()

    def show(self, frame: Frame, *, until: float = 0.0) -> int | None:
        """Show a frame until the given `perf_counter` time, at least for one millisecond.

        The window gets the aspect ratio of the first frame; a frame of another size is padded with black.

        Returns:
            The code of the last key other than `p`, -1 for none; None if the demo must end.
        """
        if not self:
            return -1
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
            if (key != -1 and key & 0xFF in (ord("q"), ord("Q"), 27)) or not self._is_open():
                return None
            if key in (ord("p"), ord("P")):
                paused = not paused
            elif key != -1:
                pressed = key
            if not paused and (perf_counter() >= until or pressed != -1):
                return pressed

    def _is_open(self) -> bool:
        try:
            return bool(cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1)
        except cv2.error:  # with Qt: the last window was closed
            return False


class VideoFile:
    """A video file that can be played however the demo ends. Without a path, nothing is written.

    Every frame is fitted to the size of the first one. The file is created at the second frame, because the frame rate
    is computed from the times of the first two.
    """

    def __init__(self, path: Path | None, *, limit: int) -> None:
        """A file of at most `limit` frames; 0 for any number."""
        self._path, self._limit, self._written = path, limit, 0
        self._first: tuple[Frame, float | None, float] | None = None
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def __bool__(self) -> bool:
        return self._path is not None

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._writer is None and self._first is not None:
            try:
                self._open(None)
            except OSError:
                if kind is None:  # otherwise what ended the demo decides the exit code
                    raise
        if self._writer is not None:
            self._writer.release()

    def write(self, frame: Frame, time_s: float | None, *, default_fps: float) -> None:
        """Add a frame. Raises: OSError if the file cannot be written; the message says what to do.

        Args:
            time_s: position in the source video, in seconds; None if the source has no timestamps.
            default_fps: frame rate of the file if the source has no timestamps.
        """
        if not self or (self._limit and self._written >= self._limit):
            return
        self._written += 1
        if self._first is None:
            self._size = (frame.shape[1] - frame.shape[1] % 2 or 2, frame.shape[0] - frame.shape[0] % 2 or 2)
            self._first = (frame.copy(), time_s, default_fps)
            return
        if self._writer is None:
            self._open(time_s)
        assert self._writer is not None
        self._writer.write(fit(frame, *self._size, fill=True))

    def _open(self, second_s: float | None) -> None:
        assert self._path is not None and self._first is not None
        frame, first_s, fps = self._first
        if first_s is not None and second_s is not None and second_s > first_s:
            fps = min(120.0, max(1.0, 1 / (second_s - first_s)))
        suffix = self._path.suffix.lower()
        if not self._path.absolute().parent.is_dir():
            raise OSError(f"{self._path} cannot be written: the folder does not exist")
        self._writer = cv2.VideoWriter()
        code = cv2.VideoWriter.fourcc(*FOURCC.get(suffix, "MJPG"))
        if suffix not in FOURCC or not self._writer.open(str(self._path), code, fps, self._size):
            raise OSError(
                f"{self._path} cannot be written: permission denied, or this OpenCV has no encoder for "
                f"{suffix or 'a file without suffix'}; use a name that ends in .avi or .mp4"
            )
        self._writer.write(fit(frame, *self._size, fill=True))


def read_frame(image: object) -> Frame | None:
    """The full-size frame of an item's image: a path, bytes or a frame; None if OpenCV cannot read it."""
    if isinstance(image, np.ndarray):
        return np.array(image, np.uint8)
    try:
        data = np.frombuffer(image, np.uint8) if isinstance(image, bytes) else np.fromfile(str(image), np.uint8)
    except OSError:
        return None
    frame = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    return None if frame is None else np.asarray(frame, np.uint8)


def fit(frame: Frame, width: int, height: int, *, fill: bool = False) -> Frame:
    """Scale a frame to fit a box and keep its aspect ratio; with `fill`, pad it with black to the size of the box."""
    scale = min(width / frame.shape[1], max(1, height) / frame.shape[0])
    size = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
    if size != frame.shape[1::-1]:
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        frame = np.asarray(cv2.resize(frame, size, interpolation=interpolation), np.uint8)
    if not fill or size == (width, height):
        return frame
    canvas = np.zeros((height, width, 3), np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = frame
    return canvas


def put_lines(
    frame: Frame,
    lines: Sequence[str],
    *,
    corner: Literal["top", "bottom"] = "top",
    colour: Colour = WHITE,
    size: int | None = None,
    max_height: float = 0.6,
) -> None:
    """Draw lines of text into the top left or bottom left corner of a frame, in place, on a darkened background.

    A line that is too wide is cut and ends in `…`. Lines that do not fit the height are left out.

    Args:
        size: text height in pixels; None to choose it by the size of the frame.
        max_height: maximum height of the text, as a fraction of the frame's height.
    """
    height, width = frame.shape[:2]
    size = size or max(MIN_TEXT, round(min(height / 20, width / 24)))
    step, margin = round(size * 1.3), max(2, size // 3)
    font, max_lines = _font(size), max(1, int((height * max_height - 2 * margin) // step))
    texts = [_cut(line, font, width - 2 * margin) for line in lines[:max_lines]]
    if not any(texts):
        return
    box_width = min(width, round(max(map(font.getlength, texts))) + 2 * margin)
    box_height = min(height, step * len(texts) + 2 * margin)
    top = 0 if corner == "top" else height - box_height
    box = frame[top : top + box_height, :box_width]
    image = Image.fromarray(np.ascontiguousarray((box * 0.3).astype(np.uint8)[:, :, ::-1]))
    pen = ImageDraw.Draw(image)
    for number, text in enumerate(texts):
        position = (margin, margin + number * step)
        pen.text(position, text, colour, font, stroke_width=max(1, size // 12), stroke_fill=(0, 0, 0))
    box[:] = np.asarray(image)[:, :, ::-1]


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # a font with a size always is one
    return font


def _cut(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    if font.getlength(text) > width:
        while text and font.getlength(text + "…") > width:
            text = text[:-1]
        text += "…" if text else ""
    return text


class Grid:
    """Images in a grid with their labels, and below it figures and a graph; only new results are drawn again."""

    def __init__(self, images: Sequence[Frame], cells: int, width: int, height: int) -> None:
        """A frame of `width` x `height` pixels with about `cells` cells; fewer if they would be too small to read."""
        self._images = images
        self._panel = round(height * GRID_PANEL)
        grid_height = height - self._panel
        max_columns, max_rows = max(1, width // MIN_CELL[0]), max(1, grid_height // MIN_CELL[1])
        # The number of columns that gives the cells about the aspect ratio of the smallest cell.
        ideal = math.sqrt(max(1, cells) * width / grid_height * MIN_CELL[1] / MIN_CELL[0])
        self.columns = min(max_columns, max(1, round(ideal)))
        self.rows = min(max_rows, max(1, math.ceil(cells / self.columns)))
        self._cell = (width // self.columns, grid_height // self.rows)
        self._canvas = np.full((height, width, 3), 24, np.uint8)
        self._changed: dict[int, tuple[int, str, Colour]] = {}
        self._next = 0
        self._tile = lru_cache(maxsize=None)(self._draw_tile)  # images repeat, so each combination is drawn once

    def put(self, image: int, label: str, correct: bool | None) -> None:
        """Put the result of an image into the next cell; green if correct, red if wrong, white if unknown."""
        colour = WHITE if correct is None else GREEN if correct else RED
        self._changed[self._next] = (image, label, colour)
        self._next = (self._next + 1) % (self.columns * self.rows)

    def draw(self, figures: Sequence[str], history: Sequence[float]) -> Frame:
        """Draw the current state, with lines of text and a graph of the frames per second of each interval so far.

        The next call draws into the returned frame again.
        """
        width, height = self._cell
        for index, content in self._changed.items():
            top, left = index // self.columns * height, index % self.columns * width
            self._canvas[top : top + height, left : left + width] = self._tile(*content)
        self._changed.clear()
        panel = self._canvas[-self._panel :]
        panel[:] = 24
        half = panel.shape[1] // 2
        size = max(MIN_TEXT, round(self._panel / (1.35 * len(figures) + 1)))
        put_lines(panel[:, :half], figures, max_height=1.0, size=size)
        _plot(panel[:, half:], history)
        return self._canvas

    def _draw_tile(self, image: int, label: str, colour: Colour) -> Frame:
        tile: Frame = fit(self._images[image], *self._cell, fill=True).copy()
        put_lines(tile, [label], corner="bottom", colour=colour, size=max(MIN_TEXT, min(28, self._cell[1] // 9)))
        cv2.rectangle(tile, (0, 0), (tile.shape[1] - 1, tile.shape[0] - 1), colour[::-1], 1)
        return tile


def _plot(area: Frame, history: Sequence[float]) -> None:
    """Draw the history as a line; the vertical axis starts at 0, the highest value is printed at the top."""
    height, width = area.shape[:2]
    cv2.rectangle(area, (4, 4), (width - 5, height - 5), (90, 90, 90), 1)
    if not history:
        return
    highest = max(history) or 1.0
    visible = history[-(width - 12) :]
    x = np.linspace(6, width - 7, len(visible)) if len(visible) > 1 else np.array([6.0])
    y = height - 7 - np.array(visible) / highest * (height - 14) * 0.72
    points = np.stack([x, y], axis=1).round().astype(np.int32)
    cv2.polylines(area, [points], isClosed=False, color=(80, 220, 80), thickness=2, lineType=cv2.LINE_AA)
    put_lines(area[8:, 10:], [f"frames per second, highest {highest:.0f}"], size=max(11, height // 9), max_height=1.0)


class Metrics:
    """Counts results and keeps the times of the last `MAX_RESULTS` of them, for a report.

    Attributes:
        latency_ms: of the last result, from reading the image to its classes; for a camera from the capture.
    """

    def __init__(self) -> None:
        self.classified, self.failed, self.latency_ms = 0, 0, 0.0
        self._times: deque[list[float]] = deque(maxlen=MAX_RESULTS)
        self._last_second: deque[float] = deque()
        self.start()

    def start(self) -> None:
        """Start the clock; call it when the model is loaded."""
        self._started = self._last = perf_counter()

    def add(self, result: ovm.Classification | ovm.Failure, read_ms: float = 0.0) -> None:
        """Add a result, and the milliseconds that reading its frame from a video took."""
        self._last = perf_counter()
        if isinstance(result, ovm.Failure):
            self.failed += 1
            return
        self.classified += 1
        times = result.timings_ms
        self.latency_ms = times.total + read_ms if result.age_ms is None else result.age_ms
        stages = [times.decode + read_ms, times.geometry, times.queue, times.inference, 0.0, self.latency_ms]
        self._times.append(stages)
        self._last_second.append(self._last)
        while self._last_second[0] < self._last - 1:
            self._last_second.popleft()

    def add_draw_time(self, milliseconds: float) -> None:
        """Add the time to draw the last result."""
        self._times[-1][STAGES.index("draw")] = milliseconds
        self._last = perf_counter()

    @property
    def fps(self) -> float:
        """Frames per second over the last second."""
        elapsed = self._last_second[-1] - self._last_second[0] if self._last_second else 0.0
        return (len(self._last_second) - 1) / elapsed if elapsed > 0 else 0.0

    def report(self) -> str:
        """A table in milliseconds, without the stages that took no time; percentiles by nearest rank."""
        seconds = self._last - self._started
        rate = f", {self.classified / seconds:.1f} FPS" if self.classified and seconds > 0 else ""
        lines = [f"Metrics report: {self.classified} classified, {self.failed} failed, {seconds:.2f} s{rate}"]
        if self._times:
            times = np.array(self._times)
            percentiles = np.percentile(times, (50, 90, 99), axis=0, method="inverted_cdf")
            lines.append(f"{'ms':<10}{'mean':>10}{'p50':>10}{'p90':>10}{'p99':>10}{'max':>10}")
            for stage, *row in zip(STAGES, times.mean(axis=0), *percentiles, times.max(axis=0), strict=True):
                if row[-1] > 0:
                    lines.append(f"{stage:<10}" + "".join(f"{value:>10.2f}" for value in row))
        return "\n".join(lines)
