"""Interrupting a command with worker threads and child processes: nothing new is started."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ov_mobilenet.operating_system.signals import unblock_sigint


class Interrupted(BaseException):
    """The command was interrupted; a thread must not start new work."""


class Gate:
    """Open until the command is interrupted; threads start work only while it is open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def close(self) -> None:
        """Allow no new work. Waits for work that is being started at this moment."""
        with self._lock:
            self._closed.set()

    def is_closed(self, *, within_s: float = 0.0) -> bool:
        """Whether the command is interrupted, now or within a time in seconds."""
        return self._closed.wait(within_s)

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Start work in the `with` block. Raises: Interrupted, if the gate is closed."""
        with self._lock:
            if self._closed.is_set():
                raise Interrupted
            yield


def ignore_sigint() -> None:
    """Ignore Ctrl-C in a child process: it reaches every process of the terminal, and the parent ends its children."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    unblock_sigint()  # a SIGINT received while Python started is dropped here
