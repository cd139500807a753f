"""Cameras that do not exist: one that a test drives by hand, one that lives in simulated time."""

from __future__ import annotations

import threading

import numpy as np
from fake_requests import FakeClock

from ov_mobilenet.errors import ImageError


class Camera:
    """A capture whose frames come when `send` is called. Each is (4, 4, 3), its first byte the frame's number.

    Attributes:
        opened, released: how often.
        sent: how many frames came.
    """

    def __init__(self) -> None:
        self.opened = self.released = self.sent = 0
        self.there = True
        self._due = 0
        self._waiting = False
        self._changed = threading.Condition()

    def open(self) -> Camera:
        with self._changed:
            if not self.there:
                raise ImageError("not there")
            self.opened += 1
        return self

    def send(self, count: int = 1) -> None:
        """Let so many frames come, and wait until the reader is back for the next."""
        for _ in range(count):
            with self._changed:
                assert self._changed.wait_for(lambda: self._waiting, 60)
                self._waiting = False
                self._due += 1
                self._changed.notify_all()
        with self._changed:
            assert self._changed.wait_for(lambda: self._waiting, 60)

    def lose(self) -> None:
        """End the connection, once."""
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

    def retrieve(self) -> np.ndarray:
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
    """A simulated clock on which a camera gives its frames: none is passed over."""

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
