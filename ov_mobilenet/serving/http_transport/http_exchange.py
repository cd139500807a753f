"""`Exchange`: one HTTP request and its response, as an ASGI application sees it."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from ov_mobilenet.serving.http_transport.http_limits import READ_AHEAD, HttpRefusal, refusal_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    App = Callable[[Any, Any, Any], Awaitable[None]]

LOGGER = logging.getLogger(__name__)
STATUS_LINES = {status.value: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}
INTERNAL_ERROR = HttpRefusal(500, "internal error")
CLIENT_GONE = "client_gone"  # key of the scope's state: why the application was cancelled
STOPPING = HttpRefusal(503, "the server is stopping")


class Wire(Protocol):
    """The connection of an exchange."""

    def write(self, data: bytes) -> None:
        """Send bytes, in order."""

    async def drain(self) -> None:
        """Wait until the client has read most of what was sent."""

    def pause_reading(self) -> None:
        """Receive no more bytes for now."""

    def resume_reading(self) -> None:
        """Receive bytes again."""

    def finished(self, exchange: Exchange) -> None:
        """The response is complete."""

    def broken(self) -> None:
        """The response cannot be completed."""


class Exchange:
    """One request and its response.

    Attributes:
        size: bytes of the body that have arrived.
        is_received: the whole request has arrived.
        keep_alive: the connection stays open after the response.
        is_answered: the response is complete.
        task: runs the application, once it is this request's turn.
    """

    def __init__(self, wire: Wire, scope: MutableMapping[str, Any], *, keep_alive: bool, wants_continue: bool) -> None:
        self.scope = scope
        self.size = 0
        self.is_received = False
        self.keep_alive = keep_alive
        self.is_answered = False
        self.task: asyncio.Task[None] | None = None
        self._wire = wire
        self._wants_continue = wants_continue
        self._body: list[bytes] = []
        self._is_wanted = False  # the application waits for the body
        self._is_handed_over = False
        self._is_disconnected = False
        self._error: HttpRefusal | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._head: bytes | None = None
        self._is_started = False
        self._is_chunked = False

    # What the connection calls.
    def take(self, data: bytes) -> None:
        """A piece of the body has arrived."""
        self.size += len(data)
        self._body.append(data)
        if not self._is_wanted and self.size > READ_AHEAD:
            self._wire.pause_reading()

    def received(self) -> None:
        """The whole request has arrived."""
        self.is_received = True
        self._wake()

    def fail(self, error: HttpRefusal) -> None:
        """The rest of the request is not received: let the application answer with an error."""
        self._error = error
        self.keep_alive = False
        self._wake()

    def disconnect(self) -> None:
        """The client is gone: end the application."""
        self._is_disconnected = True
        self.scope["state"][CLIENT_GONE] = True
        self._wake()
        if self.task is not None and not self.is_answered:
            self.task.cancel()

    async def run(self, app: App) -> None:
        """Run the application for this request."""
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            if not self._is_disconnected:  # the time to drain is over
                self._abandon(STOPPING)
        except Exception:
            LOGGER.exception("a request ended with an unexpected error")
            self._abandon()
        else:
            if not self.is_answered and not self._is_disconnected:
                self._abandon()
        finally:
            self._body.clear()

    # ASGI.
    async def receive(self) -> dict[str, Any]:
        """The whole body as one event; after that, wait until the client is gone or answered."""
        self._is_wanted = True
        while not self._is_disconnected:
            if self._is_handed_over:
                if self.is_answered:
                    break
            elif self._error is not None:
                raise self._error
            elif self.is_received:
                self._is_handed_over = True
                self._wire.resume_reading()  # to notice that the client is gone
                body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
                self._body.clear()
                return {"type": "http.request", "body": body, "more_body": False}
            else:
                if self._wants_continue:
                    self._wants_continue = False
                    self._wire.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                self._wire.resume_reading()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Send a part of the response. The head goes out together with the first part of the body."""
        if self._is_disconnected:
            return
        if message["type"] == "http.response.start":
            self._head = self._render_head(message["status"], message.get("headers", ()))
            return
        await self._wire.drain()
        if self._is_disconnected:
            return
        body = message.get("body", b"")
        is_last = not message.get("more_body", False)
        if self.scope["method"] == "HEAD":
            body = b""
        elif self._is_chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"0\r\n\r\n" if is_last else b"")
        self._is_started = True
        if self._head is not None:
            body, self._head = self._head + body, None
        self._wire.write(body)
        if is_last:
            self.is_answered = True
            self._wake()
            self._wire.finished(self)

    def _render_head(self, status: int, headers: Any) -> bytes:
        if not self.is_received:
            # What is left of the request would be taken for the next one.
            self.keep_alive = False
        parts = [STATUS_LINES[status]]
        has_length = False
        for name, value in headers:
            if b"\n" in value or b"\r" in value:
                raise ValueError("a response header holds a line end")
            has_length = has_length or name == b"content-length"
            if name == b"connection" and value == b"close":
                self.keep_alive = False
                continue
            parts += (name, b": ", value, b"\r\n")
        if not has_length and status not in (204, 304):
            if self.scope["http_version"] == "1.0":
                self.keep_alive = False
            else:
                self._is_chunked = True
                parts.append(b"transfer-encoding: chunked\r\n")
        if not self.keep_alive:
            parts.append(b"connection: close\r\n")
        elif self.scope["http_version"] == "1.0":
            parts.append(b"connection: keep-alive\r\n")
        parts.append(b"\r\n")
        return b"".join(parts)

    def _abandon(self, reason: HttpRefusal = INTERNAL_ERROR) -> None:
        """End a response that the application did not complete."""
        if self._is_disconnected or self.is_answered:
            return
        if self._is_started:
            self._wire.broken()
            return
        self.keep_alive = False
        self.is_answered = True
        self._wire.write(refusal_response(reason))
        self._wire.finished(self)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
