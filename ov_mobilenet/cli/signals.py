"""Ctrl-C and SIGTERM: the first one unwinds the stack, so that finished results are kept.

A second one is ignored for `GRACE_S` seconds.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
# A second signal that arrives sooner is part of the same wish: a key that is pressed twice, or a supervisor that sends
# SIGINT and SIGTERM. A later one ends a command whose clean-up takes too long.
GRACE_S = 5.0


class Terminated(BaseException):
    """SIGTERM was received; unwinds the stack like Ctrl-C."""


@contextmanager
def unwinding_signals() -> Iterator[None]:
    """Raise `KeyboardInterrupt` or `Terminated` in the `with` block for the first signal only; see the module.

    A signal that is ignored (`nohup`, a background job) stays ignored. OpenVINO's telemetry forks children and stops
    them with SIGTERM: a child ends at once.
    """
    owner, first = os.getpid(), 0.0

    def handle(signum: int, frame: FrameType | None) -> None:
        nonlocal first
        if os.getpid() != owner:
            os._exit(EXIT_CODES[signal.Signals(signum)])
        if not first:
            first = monotonic()
            raise KeyboardInterrupt if signum == signal.SIGINT else Terminated
        if monotonic() - first > GRACE_S:
            os._exit(EXIT_CODES[signal.Signals(signum)])

    before = {signum: signal.getsignal(signum) for signum in EXIT_CODES}
    for signum, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(signum, handle)
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def end_at_once_on_signals(code: int) -> None:
    """From now on a signal ends the process with this exit code: the work is done."""
    for signum in EXIT_CODES:
        if signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, lambda *_: os._exit(code))
