"""`PhaseTimer`: the deadline of the phase that a connection is in."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable


class PhaseTimer:
    """A deadline that is moved often and rarely reached.

    A later deadline costs nothing: the timer of the event loop, when it ends, is set again.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_end: Callable[[], None]) -> None:
        """Set no deadline.

        Args:
            on_end: called when a deadline has passed.
        """
        self._loop = loop
        self._on_end = on_end
        self._deadline = math.inf
        self._handle: asyncio.TimerHandle | None = None
        self._handle_at = math.inf

    def limit(self, seconds: float) -> None:
        """The phase must end within this time from now."""
        self._deadline = self._loop.time() + seconds
        if self._deadline < self._handle_at:
            self.cancel()
            self._arm()

    def lift(self) -> None:
        """The phase may take any time."""
        self._deadline = math.inf

    def cancel(self) -> None:
        """Free the timer of the event loop."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle, self._handle_at = None, math.inf

    def _arm(self) -> None:
        self._handle_at = self._deadline
        self._handle = self._loop.call_at(self._deadline, self._tick)

    def _tick(self) -> None:
        self._handle, self._handle_at = None, math.inf
        if self._loop.time() >= self._deadline:
            self._on_end()
        elif self._deadline < math.inf:
            self._arm()
