"""Cameras and streams: the newest frame is always at hand, older ones are dropped and counted, a lost source is found.

A thread of its own reads as fast as frames come, so that none waits in a driver's or a decoder's buffer.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from time import perf_counter

from ov_mobilenet.errors import ImageError, OvMobilenetError, printable
from ov_mobilenet.inputs.capture import Capture
from ov_mobilenet.inputs.sampling import Sampling
from ov_mobilenet.runtime.items import Item

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 8.0
# How long `close` waits for a read that hangs; the thread lets go of its capture by itself when the read ends.
GOODBYE_S = 1.0

_log = logging.getLogger(__name__)


def follow(
    open_capture: Callable[[], Capture],
    take: Callable[[Capture], None],
    *,
    stopped: Callable[[], bool],
    pause: Callable[[float], object],
    lost: Callable[[], None],
) -> None:
    """Read a source until it is stopped; one that is lost is opened again, after longer and longer pauses.

    Args:
        take: called after each frame that was grabbed.
        pause: waits so many seconds, or until it is stopped.
        lost: called each time that frames no longer come.

    Raises:
        ImageError: the source was never there.
    """
    was_there, wait = False, FIRST_PAUSE_S
    while not stopped():
        try:
            capture = open_capture()
        except ImageError:
            if not was_there:
                raise
        else:
            came = False
            try:
                while not stopped() and capture.grab():
                    came = was_there = True
                    take(capture)
            finally:
                capture.release()
            if stopped():
                return
            if not was_there:
                raise ImageError("opened, but no frame comes", expected="frames", got="none: is its codec missing?")
            if came:
                wait = FIRST_PAUSE_S
                lost()
        pause(wait)
        wait = min(2 * wait, LONGEST_PAUSE_S)


class LiveSource:
    """The frames of a camera or stream, each the newest there is when it is asked for.

    `frame` of an item counts what came, so that a gap tells what was dropped; `time_s` is since the first frame,
    `captured` when the frame arrived here.

    Attributes:
        dropped: frames that were left for a newer one.
        reconnections: how often it was lost and came back.
    """

    def __init__(
        self,
        source: str,
        open_capture: Callable[[], Capture],
        sampling: Sampling,
        *,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """Nothing is opened before the first frame is asked for.

        Args:
            source: what results and messages call it.
            clock: seconds.
        """
        self.dropped = self.reconnections = 0
        self._source = source
        self._open = open_capture
        self._sampling = sampling
        self._clock = clock
        self._number = 0
        self._first: float | None = None
        self._lost_at: float | None = None
        self._newest: Item | None = None
        self._error: OvMobilenetError | None = None
        self._ended = False
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=f"follow {source}", daemon=True)

    def __iter__(self) -> Iterator[Item]:
        """Items until it is closed, or one that says why there are none. Raises: MissingDependencyError."""
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
        """Let go of the source, and end the iteration."""
        first = not self._stop.is_set()
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        if first and self._thread.ident is not None:
            self._thread.join(GOODBYE_S)

    def _next(self) -> Item | None:
        with self._changed:
            while self._newest is None and not self._ended and not self._stop.is_set():
                self._changed.wait()
            item, self._newest = self._newest, None
            return None if self._stop.is_set() else item

    def _work(self) -> None:
        try:
            follow(self._open, self._take, stopped=self._stop.is_set, pause=self._stop.wait, lost=self._lost)
        except OvMobilenetError as error:
            self._error = error
        except Exception as error:  # noqa: BLE001 (told where the frames are taken)
            self._error = ImageError(printable(f"cannot be read ({type(error).__name__}: {error})"))
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _take(self, capture: Capture) -> None:
        captured = self._clock()
        if self._lost_at is not None:
            self.reconnections += 1
            _log.warning("%s: back after %.1f s", self._source, captured - self._lost_at)
            self._lost_at = None
        self._first = captured if self._first is None else self._first
        number, time_s = self._number, captured - self._first
        self._number += 1
        if not self._sampling.takes(number, time_s):
            return
        frame = capture.retrieve()
        if frame is None:  # damaged on its way; the next one comes soon
            return
        with self._changed:
            self.dropped += self._newest is not None
            self._newest = Item(frame, self._source, number, round(time_s, 6), captured)
            self._changed.notify_all()

    def _lost(self) -> None:
        self._lost_at = self._clock()
        _log.warning("%s: no more frames come; trying again", self._source)
