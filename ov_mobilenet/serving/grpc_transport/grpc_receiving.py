"""Receive the messages of gRPC clients in bounded time and memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc.aio

from ov_mobilenet.serving.request_errors import RequestError

if TYPE_CHECKING:
    from ov_mobilenet.serving.settings import ServerSettings

SLOW_S = 1.0  # a message that takes longer is slow


class MessageReceiver:
    """Receives messages, each within `body_timeout_s`.

    gRPC buffers a message of unknown size until it is complete. Therefore, as many may be slow at the same time as have
    room in `max_buffered_bytes`; if there are more, the oldest of them is refused. So is the oldest if calls that wait
    for their message take half of all places.
    """

    def __init__(self, settings: ServerSettings, max_calls: int) -> None:
        self._timeout_s = settings.body_timeout_s
        self._max_slow = max(1, settings.max_buffered_bytes // settings.max_body_bytes)
        self._max_waiting = max_calls // 2
        # Both in the order of their start.
        self._waiting: dict[_Reception, None] = {}
        self._slow: dict[_Reception, None] = {}
        self._until_stop: set[_Reception] = set()
        self._stopping = False

    async def receive(self, context: Any, *, until_stop: bool = False) -> bytes | None:
        """The next message of a call; None if there is none.

        Args:
            until_stop: for a further message of a call whose messages were answered: give up when the server stops.

        Raises:
            RequestError: it did not arrive in time.
        """
        reception = _Reception(self)
        self._waiting[reception] = None
        if until_stop:
            self._until_stop.add(reception)
            if self._stopping:
                self.stop()
        if len(self._waiting) > self._max_waiting:
            self._end_oldest(
                self._waiting,
                RequestError(
                    "the message does not arrive, and too many other calls wait for theirs", reason="overloaded",
                    expected=f"at most {self._max_waiting} calls without a message",
                ),
            )  # fmt: skip
        try:
            data = await context.read()
        except asyncio.CancelledError:
            if reception.refusal is None:
                raise
            raise reception.refusal from None
        finally:
            reception.timer.cancel()
            self._forget(reception)
        return None if data is grpc.aio.EOF else data

    def stop(self) -> None:
        """End the calls that wait for a further message."""
        self._stopping = True
        for reception in [*self._until_stop]:
            self._forget(reception)
            reception.end(RequestError("the server is stopping", reason="unavailable"))

    def add_slow(self, reception: _Reception) -> None:
        """Note that a message is slow, and refuse the oldest slow one if there are too many."""
        self._slow[reception] = None
        reception.timer = asyncio.get_running_loop().call_later(
            max(0.0, self._timeout_s - SLOW_S), reception.end,
            RequestError(
                "the message did not arrive in time", reason="deadline", expected=f"within {self._timeout_s:g} s"
            ),
        )  # fmt: skip
        if len(self._slow) > self._max_slow:
            self._end_oldest(
                self._slow,
                RequestError(
                    "the message arrives too slowly, and too many others do", reason="overloaded",
                    expected=f"at most {self._max_slow} messages that take longer than {SLOW_S:g} s",
                ),
            )  # fmt: skip

    def _end_oldest(self, receptions: dict[_Reception, None], refusal: RequestError) -> None:
        oldest = next(iter(receptions))
        self._forget(oldest)
        oldest.end(refusal)

    def _forget(self, reception: _Reception) -> None:
        self._waiting.pop(reception, None)
        self._slow.pop(reception, None)
        self._until_stop.discard(reception)


class _Reception:
    """A message that a task waits for."""

    def __init__(self, receiver: MessageReceiver) -> None:
        self.refusal: RequestError | None = None
        self._task: asyncio.Task[Any] | None = asyncio.current_task()
        self.timer = asyncio.get_running_loop().call_later(SLOW_S, receiver.add_slow, self)

    def end(self, refusal: RequestError) -> None:
        """Stop waiting; `receive` raises the error."""
        self.timer.cancel()
        self.refusal = refusal
        if self._task is not None:
            self._task.cancel()


class BufferedBytes:
    """The size of all messages that have arrived and are not answered."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        """Count a message while it is answered. Raises: RequestError."""
        if self._held + size > self._limit:
            raise RequestError(
                "too many bytes of requests are waiting", reason="overloaded", expected=f"at most {self._limit}"
            )
        self._held += size
        try:
            yield
        finally:
            self._held -= size
