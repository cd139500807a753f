"""`HttpConnection`: HTTP/1.1 on one connection, with a limit on everything that a client decides.

httptools splits the bytes into requests. It refuses Content-Length beside Transfer-Encoding, two lengths, invalid sizes
of chunks, folded headers and bare line feeds; what it lets pass and a proxy may read differently is refused here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import httptools

from ov_mobilenet.serving.http_transport import http_limits as limits
from ov_mobilenet.serving.http_transport.http_exchange import Exchange
from ov_mobilenet.serving.http_transport.http_head import RequestHead, check_head, syntax_error, too_large
from ov_mobilenet.serving.http_transport.http_limits import ConnectionPool, HttpRefusal, refusal_response
from ov_mobilenet.serving.http_transport.http_turns import Incoming
from ov_mobilenet.serving.http_transport.phase_timer import PhaseTimer
from ov_mobilenet.serving.monitoring.observation import RequestRecord
from ov_mobilenet.serving.request_ids import request_id_of

if TYPE_CHECKING:
    from uvicorn.server import ServerState

    from ov_mobilenet.serving.http_transport.http_exchange import App

CROWDED = "too many connections"
CROWDED_RESPONSE = refusal_response(HttpRefusal(503, CROWDED))
LAST_REQUEST_S = 0.5  # how long idle connections may still send a request when the server ends


class HttpConnection(asyncio.Protocol):
    """One connection of a client.

    One timer watches the phase that the connection is in: waiting for a request, its head, its body, a client that does
    not read, or the end of the connection. While the application works there is no limit.
    """

    def __init__(self, app: App, state: ServerState, pool: ConnectionPool) -> None:
        self._app = app
        self._state = state
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._addresses: dict[str, Any] = {}
        self._timer = PhaseTimer(self._loop, self._phase_ended)
        # Requests: those not answered yet, oldest first; only the first one runs.
        self._exchanges: deque[Exchange] = deque()
        self._incoming: Exchange | None = None  # its body is being received
        self._refusal: HttpRefusal | None = None  # to be sent when the exchanges are answered
        self._is_last = False  # no further request is accepted
        self._is_deaf = False  # what arrives is dropped
        self._is_head = False  # the head of a request is being received
        self._head_began = False  # in the current call of `data_received`
        # Whether to receive bytes: as the exchanges want it, and as it is.
        self._reading = self._is_receiving = True
        self._is_behind = False
        self._writable: asyncio.Future[None] | None = None
        # The head of a request.
        self._head = RequestHead()
        self._raw_bytes = 0
        self._chunks = 0
        self._incoming_body: Incoming = "body"

    # asyncio.Protocol
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        pool = self._pool
        self._transport = transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass
        has_room = pool.has_room()
        pool.open += 1
        self._state.connections.add(self)  # type: ignore[arg-type]
        # A connection that its client has reset already has no addresses.
        server, client = (transport.get_extra_info(name) or ("", 0) for name in ("sockname", "peername"))
        self._addresses = {
            "server": server[:2], "client": client[:2],
            "scheme": "https" if transport.get_extra_info("sslcontext") else "http",
        }  # fmt: skip
        pool.waiting[self] = None
        if has_room:
            self._timer.limit(pool.settings.header_timeout_s)
        elif pool.open <= pool.settings.max_connections + limits.SPARE_CONNECTIONS:
            self._refuse(
                HttpRefusal(503, CROWDED, expected=f"at most {pool.settings.max_connections}")
            )  # fmt: skip
        else:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed, by either side."""
        self._pool.open -= 1
        self._pool.waiting.pop(self, None)
        self._pool.receiving.pop(self, None)
        self._pool.closing.pop(self, None)
        self._pool.turns.remove(self)
        self._state.connections.discard(self)
        self._timer.cancel()
        self._is_deaf = True
        self.resume_writing()
        self._drop_exchanges()

    def data_received(self, data: bytes) -> None:
        """Bytes have arrived."""
        if not self._is_deaf:
            self._pool.turns.receive(self, data)

    @property
    def incoming(self) -> Incoming:
        """What the next bytes are a part of."""
        return "head" if self._incoming is None else self._incoming_body

    def parse(self, data: bytes) -> None:
        """Parse bytes that have arrived."""
        if self._is_deaf:
            return
        self._head_began = False
        try:
            self._parser.feed_data(data)
            self._count(len(data))
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, HttpRefusal) else syntax_error(data, error))
        except HttpRefusal as refusal:
            self._refuse(refusal)
        else:
            if self._is_head and self._head_began and not self._exchanges:
                self._timer.limit(self._pool.settings.header_timeout_s)

    def set_behind(self, behind: bool) -> None:
        """Receive no more bytes while some wait for their turn to be parsed."""
        self._is_behind = behind
        self._set_reading()

    def eof_received(self) -> None:
        """The client sends no more: it is gone."""

    def pause_writing(self) -> None:
        """The client does not read."""
        if self._writable is None:
            self._writable = self._loop.create_future()
        self._timer.limit(self._pool.settings.body_timeout_s)

    def resume_writing(self) -> None:
        """The client has read."""
        if self._writable is not None:
            if not self._writable.done():
                self._writable.set_result(None)
            self._writable = None
            if not self._is_deaf:
                self._limit_phase()

    def shutdown(self) -> None:
        """The server ends: finish the requests, accept no other ones."""
        self._is_last = True
        for exchange in self._exchanges:
            exchange.keep_alive = False
        if not self._exchanges and not self._is_deaf:
            # A request may be on its way. Closed at once, the connection would be reset under it.
            self._timer.limit(LAST_REQUEST_S)

    # Callbacks of httptools.
    def on_message_begin(self) -> None:
        """A request begins."""
        self._is_head = self._head_began = True
        self._head = RequestHead()
        self._raw_bytes = self._chunks = 0

    def on_url(self, url: bytes) -> None:
        """A part of the request target."""
        self._head.add_target(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header or, after the body, a trailer: trailers are dropped."""
        self._head.add_header(name, value, is_trailer=not self._is_head)

    def on_headers_complete(self) -> None:
        """The head of a request has arrived."""
        self._is_head = False
        target, version = self._head.target, self._parser.get_http_version()
        headers = dict(self._head.headers)
        if self._parser.should_upgrade():
            raise HttpRefusal(400, "Upgrade and CONNECT are not supported", expected="plain HTTP/1.1")
        wants_continue = check_head(version, target, headers, self._pool.settings.max_body_bytes)
        self._incoming_body = "chunks" if b"transfer-encoding" in headers else "body"
        if len(self._exchanges) > limits.MAX_PIPELINED:
            raise HttpRefusal(400, "too many pipelined requests", expected=f"at most {limits.MAX_PIPELINED}")
        path, _, query = target.partition(b"?")
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": version,
            "method": self._parser.get_method().decode("ascii"), "path": path.decode("ascii"), "raw_path": path,
            "query_string": query, "root_path": "", "headers": self._head.headers, "state": {}, **self._addresses,
        }  # fmt: skip
        exchange = Exchange(
            self, scope, keep_alive=self._parser.should_keep_alive() and not self._is_last,
            wants_continue=wants_continue,
        )  # fmt: skip
        self._incoming = exchange
        self._exchanges.append(exchange)
        if len(self._exchanges) == 1:
            self._start(exchange)
        else:
            self.pause_reading()

    def on_chunk_header(self) -> None:
        """A chunk of the body begins."""
        self._chunks += 1
        if self._chunks > limits.MAX_CHUNKS:
            raise HttpRefusal(413, "too many chunks", expected=f"at most {limits.MAX_CHUNKS}")

    def on_body(self, body: bytes) -> None:
        """A part of the body has arrived."""
        exchange, settings, pool = self._incoming, self._pool.settings, self._pool
        if exchange is None or exchange.is_answered:
            return
        if exchange.size + len(body) > settings.max_body_bytes:
            raise too_large(settings.max_body_bytes)
        if pool.buffered + len(body) > settings.max_buffered_bytes:
            raise HttpRefusal(503, "too many bytes of requests are waiting", fix="Try again later")
        pool.buffered += len(body)
        exchange.take(body)

    def on_message_complete(self) -> None:
        """The whole request has arrived."""
        exchange, self._incoming = self._incoming, None
        self._pool.receiving.pop(self, None)
        if exchange is not None:
            exchange.received()
            if self._writable is None and self._exchanges and self._exchanges[0] is exchange:
                self._timer.lift()

    # What an exchange calls.
    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the client has read most of what was sent."""
        if self._writable is not None:
            # Shielded: the next response may wait for it, too.
            await asyncio.shield(self._writable)

    def pause_reading(self) -> None:
        """Receive no more bytes for now."""
        self._reading = False
        self._set_reading()

    def resume_reading(self) -> None:
        """Receive bytes again, unless other requests of this client wait."""
        self._reading = self._reading or len(self._exchanges) < 2
        self._set_reading()

    def _set_reading(self) -> None:
        wanted = self._reading and not self._is_behind
        if wanted != self._is_receiving and not self._transport.is_closing():
            self._is_receiving = wanted
            (self._transport.resume_reading if wanted else self._transport.pause_reading)()

    def finished(self, exchange: Exchange) -> None:
        """A response is complete: begin with the next request, or wait for it."""
        self._state.total_requests += 1
        if not self._exchanges or self._exchanges[0] is not exchange:
            return
        self._exchanges.popleft()
        if not exchange.keep_alive or not exchange.is_received:
            self._close(linger=not exchange.is_received)
        elif self._exchanges:
            self._start(self._exchanges[0])
        elif self._refusal is not None:
            self._refuse(self._refusal)
        else:
            self._pool.waiting[self] = None
            self._limit_phase()
        self.resume_reading()

    def broken(self) -> None:
        """A response cannot be completed."""
        self._transport.abort()

    # Room for others.
    def give_way(self) -> None:
        """Close, because another client needs the connection."""
        if self._is_deaf:
            self._transport.abort()
        elif self._incoming is not None:
            self._refuse(HttpRefusal(503, CROWDED))
        else:
            # At the least cost: an attacker may cause thousands of these.
            if self._is_head:
                self._transport.write(CROWDED_RESPONSE)
            self._close()

    # Time.
    def _limit_phase(self) -> None:
        """Limit the phase that the connection is in now."""
        settings = self._pool.settings
        if self._writable is not None:
            self._timer.limit(settings.body_timeout_s)
        elif self._exchanges:
            if self._exchanges[0].is_received:
                self._timer.lift()
            else:
                self._timer.limit(settings.body_timeout_s)
        elif self._is_head:
            self._timer.limit(settings.header_timeout_s)
        else:
            self._timer.limit(LAST_REQUEST_S if self._is_last else settings.idle_timeout_s)

    def _phase_ended(self) -> None:
        """The client has not done in time what was expected of it."""
        settings = self._pool.settings
        if self._is_deaf or self._writable is not None:
            self._transport.abort()
        elif self._exchanges:
            self._refuse(HttpRefusal(408, "the body did not arrive in time", expected=f"{settings.body_timeout_s:g} s"))
        elif self._is_head:
            self._refuse(
                HttpRefusal(408, "the headers did not arrive in time", expected=f"{settings.header_timeout_s:g} s")
            )  # fmt: skip
        else:
            self._close()

    # Requests.
    def _start(self, exchange: Exchange) -> None:
        """Run the application for a request."""
        self._pool.waiting.pop(self, None)
        exchange.task = task = self._loop.create_task(exchange.run(self._app))
        self._state.tasks.add(task)
        task.add_done_callback(partial(self._ended, exchange))
        if not exchange.is_received:
            self._pool.receiving[self] = None
            self._timer.limit(self._pool.settings.body_timeout_s)

    def _ended(self, exchange: Exchange, task: asyncio.Task[None]) -> None:
        self._state.tasks.discard(task)
        self._pool.buffered -= exchange.size

    def _drop_exchanges(self) -> None:
        for exchange in self._exchanges:
            if exchange.task is None:
                self._pool.buffered -= exchange.size
            exchange.disconnect()
        self._exchanges.clear()

    def _count(self, size: int) -> None:
        """Limit what the parser keeps to itself: incomplete headers, and the sizes and extensions of chunks."""
        self._raw_bytes += size
        if self._is_head:
            if self._head_began:
                self._raw_bytes = 0
            elif self._raw_bytes > limits.MAX_HEADER_BYTES:
                raise HttpRefusal(431, "the headers are too long", expected=f"at most {limits.MAX_HEADER_BYTES} bytes")
        elif self._incoming is not None and self._raw_bytes - self._incoming.size > limits.MAX_CHUNK_OVERHEAD:
            raise HttpRefusal(413, "the chunks have too much beside their content")

    def _refuse(self, refusal: HttpRefusal) -> None:
        """Receive nothing more, and say why: in the response to the request that arrives, or in one of its own."""
        self._is_deaf = True
        incoming, self._incoming = self._incoming, None
        if incoming is not None and not incoming.is_answered:
            self._timer.lift()
            incoming.fail(refusal)
        elif self._exchanges:
            self._refusal = refusal
        else:
            self._transport.write(refusal_response(refusal))
            if self._pool.observe is not None:
                code = str(refusal.http_status)
                self._pool.observe(
                    RequestRecord("rest", "refused", "", "", code, 0, request_id_of(None), "", str(refusal))
                )
            self._close(linger=True)

    def _close(self, *, linger: bool = False) -> None:
        """Close when everything is sent.

        Args:
            linger: the client may still be sending. Closed at once, the connection would be reset before it has read
                the response, so what it sends is dropped for a while.
        """
        self._is_deaf = True
        self._drop_exchanges()
        self._pool.receiving.pop(self, None)
        self._pool.waiting.pop(self, None)
        self._pool.closing[self] = None
        transport = self._transport
        if transport.is_closing():
            return
        settings, unsent = self._pool.settings, transport.get_write_buffer_size()
        self._timer.limit(settings.body_timeout_s if unsent else min(limits.LINGER_S, settings.header_timeout_s))
        if not linger:
            transport.close()
            return
        self.resume_reading()
        if transport.can_write_eof():
            transport.write_eof()
