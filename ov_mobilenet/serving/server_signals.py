"""The signals of a server in the foreground."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ov_mobilenet.operating_system import signals

_INTERRUPTED = 130


@contextmanager
def server_signals(*, stop: Callable[[], None], reload: Callable[[], None]) -> Iterator[None]:
    """In the `with` block, SIGTERM and SIGINT call `stop`, and SIGHUP calls `reload`; a second SIGINT ends the process.

    On Windows, Ctrl-Break calls `stop` too, and there is no SIGHUP. SIGINT and SIGHUP stay ignored if they are (a
    background job, `nohup`). Handlers can be set only in the main thread; elsewhere nothing is changed.
    """
    interrupts = 0

    def handle(signum: int) -> None:
        nonlocal interrupts
        interrupts += signum == signal.SIGINT
        if interrupts > 1:
            os._exit(_INTERRUPTED)
        if signum == signals.RELOAD:
            reload()
        else:
            stop()

    loop = asyncio.get_running_loop()
    known = (*signals.STOP, *([signals.RELOAD] if signals.RELOAD is not None else []))
    before: dict[signal.Signals, Any] = {one: signal.getsignal(one) for one in known}
    changed = [one for one, old in before.items() if one == signal.SIGTERM or old != signal.SIG_IGN]
    try:
        for signum in changed:
            signals.call_on_signal(loop, signum, handle)
    except (ValueError, RuntimeError):  # not the main thread
        yield
        return
    try:
        yield
    finally:
        for signum in changed:
            signals.forget_signal(loop, signum)
            signal.signal(signum, before[signum] if before[signum] is not None else signal.SIG_DFL)
