"""What worker threads do when the command is interrupted: start nothing more, and say nothing more."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupted(BaseException):
    """The command is being ended: a thread may not start anything."""


class Gate:
    """Open until the command is interrupted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def close(self) -> None:
        """Let nobody through any more; what is being started at this moment is started first."""
        with self._lock:
            self._closed.set()

    def is_closed(self, *, within_s: float = 0.0) -> bool:
        """Whether the command was interrupted, or is within some seconds."""
        return self._closed.wait(within_s)

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Start something. Raises: Interrupted."""
        with self._lock:
            if self._closed.is_set():
                raise Interrupted
            yield


@contextmanager
def deaf_to_ctrl_c() -> Iterator[None]:
    """Block SIGINT in this thread: a process that is started here inherits that until `hear_nothing_of_ctrl_c`."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # would be started with the first process, and unblocks SIGINT then
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def hear_nothing_of_ctrl_c() -> None:
    """In a child: Ctrl-C reaches every process of the terminal; the parent ends its children."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):  # one that came while Python started is dropped here
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
