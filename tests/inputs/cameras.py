"""Simulated cameras: one that a test controls frame by frame, and a clock that drives it."""

from __future__ import annotations

import threading

import numpy as np
from fake_requests import FakeClock
from numpy.typing import NDArray

from ov_mobilenet.errors import ImageError


class Camera:
    """A capture that gives a frame when `send` is called: (4, 4, 3), with the frame number in the first byte.

    Attributes:
        opened, released: number of calls.
        sent: number of frames given.
        exists: whether it can be opened.
    """

    def __init__(self) -> None:
        self.opened = self.released = self.sent = 0
        self.exists = True
        self._due = 0
        self._waiting = False
        self._changed = threading.Condition()

    def open(self) -> Camera:
        with self._changed:
            if not self.exists:
                raise ImageError("no such camera")
            self.opened += 1
        return self

    def send(self, count: int = 1) -> None:
        """Give `count` frames, and wait until the reader asks for the next one."""
        for _ in range(count):
            with self._changed:
                assert self._changed.wait_for(lambda: self._waiting, 60)
                self._waiting = False
                self._due += 1
                self._changed.notify_all()
        with self._changed:
            assert self._changed.wait_for(lambda: self._waiting, 60)

    def disconnect(self) -> None:
        """End the current connection."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._waiting, 60)
            self._waiting, self._due = False, -1
            self._changed.notify_all()

    def grab(self) -> bool:
        with self._changed:
            self._waiting = True
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._due, 60)
            if self._due < 0:
                self._due = 0
                return False
            self._due -= 1
            self.sent += 1
            return True

    def retrieve(self) -> NDArray[np.uint8]:
        frame = np.zeros((4, 4, 3), np.uint8)
        frame[0, 0, 0] = (self.sent - 1) % 256
        return frame

    def release(self) -> None:
        with self._changed:
            self.released += 1
            self._changed.notify_all()

    def wait_until_released(self, times: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.released >= times, 60)


class CameraClock(FakeClock):
    """A simulated clock on which a camera gives its frames at a fixed rate."""

    def __init__(self, camera: Camera, fps: float) -> None:
        super().__init__()
        self._camera, self._period, self._stepping = camera, 1 / fps, threading.Lock()

    @property
    def next_frame(self) -> float:
        return self._camera.sent * self._period

    def advance_to(self, moment: float) -> None:
        with self._stepping:
            while self.next_frame <= moment:
                super().advance_to(self.next_frame)
                self._camera.send()
            super().advance_to(moment)
