"""Cameras and network streams: the newest frame is always available, older ones are dropped and counted.

A thread reads as fast as frames arrive, so that none waits in the buffer of a driver or decoder. A connection that is
lost is opened again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from time import perf_counter

from ov_mobilenet.errors import ImageError, OvMobilenetError, printable
from ov_mobilenet.inputs.capture import Capture, FrameSampler
from ov_mobilenet.runtime.items import Item

# Between two attempts to connect; doubled after each failed one.
MIN_RETRY_DELAY_S, MAX_RETRY_DELAY_S = 0.5, 8.0
# How long `close` waits for a read that is blocked. The thread releases its capture when the read returns.
CLOSE_TIMEOUT_S = 1.0

_log = logging.getLogger(__name__)


def read_with_reconnect(
    open_capture: Callable[[], Capture],
    on_frame: Callable[[Capture], None],
    *,
    is_stopped: Callable[[], bool],
    sleep: Callable[[float], object],
    on_lost: Callable[[], None],
) -> None:
    """Read a source until it is stopped; a lost connection is opened again, with growing delays.

    Args:
        on_frame: called after each grabbed frame.
        sleep: waits a number of seconds, or until the source is stopped.
        on_lost: called each time a connection that delivered frames ends.

    Raises:
        ImageError: the first connection failed or delivered no frame.
    """
    ever_had_frames, delay = False, MIN_RETRY_DELAY_S
    while not is_stopped():
        try:
            capture = open_capture()
        except ImageError:
            if not ever_had_frames:
                raise
        else:
            had_frames = False
            try:
                while not is_stopped() and capture.grab():
                    had_frames = ever_had_frames = True
                    on_frame(capture)
            finally:
                capture.release()
            if is_stopped():
                return
            if not ever_had_frames:
                raise ImageError(
                    "the source was opened, but delivers no frames: its codec may not be supported", expected="frames"
                )
            if had_frames:
                delay = MIN_RETRY_DELAY_S
                on_lost()
        sleep(delay)
        delay = min(2 * delay, MAX_RETRY_DELAY_S)


class LiveSource:
    """The frames of a camera or stream; each is the newest one when it is taken. Iterate over it once.

    `frame` of an item counts all frames that arrived, so gaps show dropped ones; `time_s` is measured from the first
    frame; `captured` is when the frame arrived.

    Attributes:
        dropped: number of frames that were replaced by a newer one before they were taken.
        reconnections: number of times a lost connection was restored.
    """

    def __init__(
        self,
        source: str,
        open_capture: Callable[[], Capture],
        sampler: FrameSampler,
        *,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """Create the source; it is opened when the first frame is requested.

        Args:
            source: its name in results and messages.
            clock: seconds.
        """
        self.dropped = self.reconnections = 0
        self._source = source
        self._open = open_capture
        self._sampler = sampler
        self._clock = clock
        self._number = 0
        self._first_time: float | None = None
        self._lost_at: float | None = None
        self._newest: Item | None = None
        self._error: OvMobilenetError | None = None
        self._ended = False
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=f"read {source}", daemon=True)

    def __iter__(self) -> Iterator[Item]:
        """Yield frames until the source is closed; without frames yield one failure. Raises: MissingDependencyError."""
        if not self._stop.is_set():
            self._thread.start()
        try:
            while (item := self._next()) is not None:
                yield item
            if isinstance(self._error, ImageError):
                yield Item(self._error, self._source)
            elif self._error is not None:
                raise self._error
        finally:
            self.close()

    def close(self) -> None:
        """Release the source and end the iteration."""
        is_first_call = not self._stop.is_set()
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        if is_first_call and self._thread.ident is not None:
            self._thread.join(CLOSE_TIMEOUT_S)

    def _next(self) -> Item | None:
        with self._changed:
            while self._newest is None and not self._ended and not self._stop.is_set():
                self._changed.wait()
            item, self._newest = self._newest, None
            return None if self._stop.is_set() else item

    def _work(self) -> None:
        try:
            read_with_reconnect(
                self._open, self._on_frame, is_stopped=self._stop.is_set, sleep=self._stop.wait, on_lost=self._on_lost
            )
        except OvMobilenetError as error:
            self._error = error
        except Exception as error:  # noqa: BLE001 (reported where the frames are taken)
            self._error = ImageError(printable(f"cannot be read ({type(error).__name__}: {error})"))
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _on_frame(self, capture: Capture) -> None:
        captured = self._clock()
        if self._lost_at is not None:
            self.reconnections += 1
            _log.warning("%s: connected again after %.1f s", self._source, captured - self._lost_at)
            self._lost_at = None
        self._first_time = captured if self._first_time is None else self._first_time
        number, time_s = self._number, captured - self._first_time
        self._number += 1
        if not self._sampler.takes(number, time_s):
            return
        frame = capture.retrieve()
        if frame is None:  # damaged in transmission
            return
        with self._changed:
            self.dropped += self._newest is not None
            self._newest = Item(frame, self._source, number, round(time_s, 6), captured)
            self._changed.notify_all()

    def _on_lost(self) -> None:
        self._lost_at = self._clock()
        _log.warning("%s: the connection is lost; reconnecting", self._source)
