"""Calls that wait in an event loop for an answer from another thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from ov_mobilenet.errors import DeadlineError, OvMobilenetError
from ov_mobilenet.runtime.async_scheduler import Ticket

if TYPE_CHECKING:
    from ov_mobilenet.runtime.items import Prepared

T = TypeVar("T")


class AsyncCall(Ticket, Generic[T]):
    """A call that waits for its answer; create it in the thread of its event loop.

    Attributes:
        accepted: in seconds of the queue's clock.
        loop: the event loop of the caller.
        prepare: decodes the image; None when nobody waits for it any more.
        answer: what it waits for.
    """

    __slots__ = ("accepted", "answer", "loop", "prepare")

    def __init__(self, accepted: float, prepare: Callable[[], Prepared]) -> None:
        super().__init__()
        self.accepted = accepted
        self.prepare: Callable[[], Prepared] | None = prepare
        self.loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[T] = self.loop.create_future()

    def finish(self, answer: T | OvMobilenetError) -> None:
        """Answer, from the thread of the event loop. Further answers are dropped."""
        if self.given_up or self.answer.done():
            return
        if isinstance(answer, OvMobilenetError):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)

    def expire(self, timeout_s: float) -> None:
        """Answer that the time is over."""
        self.finish(deadline_error(timeout_s))


def finish_all(answers: list[tuple[AsyncCall[T], T | OvMobilenetError]]) -> None:
    """Answer calls of this event loop."""
    for call, answer in answers:
        call.finish(answer)


def deadline_error(timeout_s: float) -> DeadlineError:
    """The error for an image that is not classified in time."""
    return DeadlineError("the image was not classified in time", expected=f"within {timeout_s:g} s")


def set_event(event: asyncio.Future[None]) -> None:
    """Wake the task that waits for this, if it still does."""
    if not event.done():
        event.set_result(None)


def call_soon(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: object) -> bool:
    """Call a function in the thread of an event loop. Returns False if the loop is closed."""
    try:
        loop.call_soon_threadsafe(function, *arguments)
    except RuntimeError:
        if not loop.is_closed():
            raise
        return False
    return True
