"""Signals and how processes end.

Windows knows Ctrl-C (SIGINT) and Ctrl-Break (SIGBREAK) only. It has no SIGHUP; another program cannot send SIGTERM, it
ends a process without a chance to clean up; and signals cannot be blocked.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ov_mobilenet.operating_system import systems

RELOAD: signal.Signals | None = getattr(signal, "SIGHUP", None)
# Those that end a program; the first is what a service manager or a supervisor sends.
STOP: tuple[signal.Signals, ...] = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGBREAK") if hasattr(signal, name)
)


def call_on_signal(loop: asyncio.AbstractEventLoop, signum: signal.Signals, act: Callable[[int], None]) -> None:
    """Call a function in an event loop when a signal arrives.

    Raises:
        ValueError, RuntimeError: this is not the main thread.
    """
    if systems.WINDOWS:  # its event loops have no signal handlers
        signal.signal(signum, lambda number, frame: loop.call_soon_threadsafe(act, number))
    else:
        loop.add_signal_handler(signum, act, signum)


def forget_signal(loop: asyncio.AbstractEventLoop, signum: signal.Signals) -> None:
    """Undo `call_on_signal`; the handler of the signal is then the default one, or unchanged on Windows."""
    if not systems.WINDOWS:
        loop.remove_signal_handler(signum)


@contextmanager
def sigint_blocked() -> Iterator[None]:
    """Block SIGINT in this thread and in processes started in the `with` block; Windows has nothing like it."""
    if systems.WINDOWS:
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # otherwise started with the first process, and it unblocks SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock_sigint() -> None:
    """Undo `sigint_blocked` in a child process."""
    if not systems.WINDOWS:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def exit_reason(code: int | None) -> str:
    """How a process ended, for messages.

    Args:
        code: as `subprocess` and `multiprocessing` give it: below 0 for a signal. Windows has no such codes; after a
            crash it gives an NTSTATUS value, such as 0xC0000005 after an invalid access to memory.
    """
    if code is not None and code < 0:
        try:
            return f"signal {signal.Signals(-code).name}"
        except ValueError:  # a real-time signal, or one of another system
            return f"signal {-code}"
    return f"exit code {code}" if code is None or code < 0x8000_0000 else f"exit code 0x{code:08X}"
