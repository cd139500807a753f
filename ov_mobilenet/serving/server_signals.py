"""The signals of a server in the foreground."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_INTERRUPTED = 130


@contextmanager
def server_signals(*, stop: Callable[[], None], reload: Callable[[], None]) -> Iterator[None]:
    """In the `with` block, SIGTERM and SIGINT call `stop`, and SIGHUP calls `reload`; a second SIGINT ends the process.

    SIGINT and SIGHUP stay ignored if they are (a background job, `nohup`). Handlers can be set only in the main thread;
    elsewhere nothing is changed.
    """
    interrupts = 0

    def handle(signum: int, frame: FrameType | None = None) -> None:
        nonlocal interrupts
        interrupts += signum == signal.SIGINT
        if interrupts > 1:
            os._exit(_INTERRUPTED)
        if signum == getattr(signal, "SIGHUP", None):
            reload()
        else:
            stop()

    loop = asyncio.get_running_loop()
    names = [name for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]
    before: dict[int, Any] = {getattr(signal, name): signal.getsignal(getattr(signal, name)) for name in names}
    changed = [one for one, old in before.items() if one == signal.SIGTERM or old != signal.SIG_IGN]
    try:
        for signum in changed:
            if sys.platform == "win32":
                signal.signal(signum, lambda number, frame: loop.call_soon_threadsafe(handle, number))
            else:
                loop.add_signal_handler(signum, handle, signum)
    except (ValueError, RuntimeError):  # not the main thread
        yield
        return
    try:
        yield
    finally:
        for signum in changed:
            if sys.platform != "win32":
                loop.remove_signal_handler(signum)
            signal.signal(signum, before[signum] if before[signum] is not None else signal.SIG_DFL)
