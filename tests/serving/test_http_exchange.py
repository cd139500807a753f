"""What an ASGI application can do, and what it cannot break, on a connection of our own."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from serving.raw_http import request

from ov_mobilenet.serving.http_transport.http_server import HttpServer, listen, start_http
from ov_mobilenet.serving.monitoring.observation import RequestRecord
from ov_mobilenet.serving.settings import ServerSettings

App = Callable[[Any, Any, Any], Awaitable[None]]
HELLO = (b"content-length", b"5")
GET = request("GET", "/")
WAIT_S = 30.0


class Client:
    """A connection in the same event loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> str:
        return (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), WAIT_S)).decode()

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        try:
            return await asyncio.wait_for(self.reader.read(), WAIT_S)
        except ConnectionResetError:
            return b""


def with_server(
    app: App, test: Callable[[Client, HttpServer], Awaitable[None]], observed: list[RequestRecord] | None = None,
    **settings: Any,
) -> None:  # fmt: skip
    """Run a test against an application; afterwards nothing is left of its connections."""

    async def main() -> None:
        chosen = ServerSettings(port=0, **settings)
        sock = listen(chosen)
        server, task = await start_http(app, sock, chosen, None if observed is None else observed.append)
        client = Client(*await asyncio.open_connection(*sock.getsockname()))
        try:
            await test(client, server)
        finally:
            client.writer.close()
            server.should_exit = True
            await asyncio.wait_for(task, WAIT_S)
        assert not server.server_state.connections
        assert not server.server_state.tasks
        assert (server.pool.open, server.pool.buffered) == (0, 0)
        assert not (server.pool.waiting or server.pool.receiving or server.pool.closing)

    asyncio.run(main())


async def say_hello(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [HELLO]})
    await send({"type": "http.response.body", "body": b"hello"})


def test_the_application_ends_when_its_client_is_gone() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.set()
            raise

    async def test(client: Client, server: HttpServer) -> None:
        await client.send(request("POST", "/", body=b"image"))
        await asyncio.wait_for(begun.wait(), WAIT_S)
        client.writer.close()
        await asyncio.wait_for(ended.wait(), WAIT_S)

    with_server(app, test)


def test_the_application_ends_when_its_client_is_gone_before_the_body() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        try:
            await receive()
        finally:
            ended.set()

    async def test(client: Client, server: HttpServer) -> None:
        await client.send(request("POST", "/", "Content-Length: 10"))
        await asyncio.wait_for(begun.wait(), WAIT_S)
        client.writer.close()
        await asyncio.wait_for(ended.wait(), WAIT_S)

    with_server(app, test)


def test_an_unexpected_error_is_a_plain_500(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("secret path /etc/model")

    async def test(client: Client, server: HttpServer) -> None:
        await client.send(GET)
        assert (await client.head()).startswith("HTTP/1.1 500 ")
        assert await client.rest() == b'{"error":"internal error"}'

    with caplog.at_level(logging.ERROR):
        with_server(app, test)
    assert "secret path" in caplog.text


def test_a_response_that_breaks_off_is_not_taken_for_a_whole_one(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError

    async def test(client: Client, server: HttpServer) -> None:
        await client.send(GET)
        assert b"0\r\n\r\n" not in await client.rest()

    with_server(app, test)


def test_an_application_that_says_nothing() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        pass

    async def test(client: Client, server: HttpServer) -> None:
        await client.send(GET)
        assert (await client.head()).startswith("HTTP/1.1 500 ")

    with_server(app, test)


def test_a_line_end_in_a_header_cannot_begin_another_response(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"a\r\nset-cookie: b")]})

    async def test(client: Client, server: HttpServer) -> None:
        await client.send(GET)
        head = await client.head()
        assert head.startswith("HTTP/1.1 500 ")
        assert "cookie" not in head

    with_server(app, test)


@pytest.mark.parametrize(("version", "framed"), [("1.1", b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"), ("1.0", b"onetwo")])
def test_a_body_of_unknown_length(version: str, framed: bytes) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await send({"type": "http.response.body", "body": b"two", "more_body": False})

    async def test(client: Client, server: HttpServer) -> None:
        await client.send(f"GET / HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        head = await client.head()
        assert ("transfer-encoding: chunked" in head) == (version == "1.1")
        assert await client.rest() == framed

    with_server(app, test)


def test_head_has_no_body_and_the_connection_goes_on() -> None:
    async def test(client: Client, server: HttpServer) -> None:
        await client.send(request("HEAD", "/"))
        assert "content-length: 5" in await client.head()
        await client.send(GET)
        await client.head()
        assert await client.reader.readexactly(5) == b"hello"

    with_server(say_hello, test)


def test_the_body_arrives_whole() -> None:
    seen: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        assert message["more_body"] is False
        seen.append(message["body"])
        await say_hello(scope, lambda: asyncio.sleep(0), send)

    async def test(client: Client, server: HttpServer) -> None:
        whole = bytes(range(256)) * 4096
        await client.send(request("POST", "/", f"Content-Length: {len(whole)}"))
        for start in range(0, len(whole), 100_000):
            await client.send(whole[start : start + 100_000])
        await client.head()
        await client.reader.readexactly(5)
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in (b"5\r\nhello\r\n", b"1;ext=1\r\n \r\n", b"5\r\nwor", b"ld\r\n0\r\n", b"\r\n"):
            await client.send(piece)
        await client.head()
        assert seen == [whole, b"hello world"]

    with_server(app, test)


def test_a_client_that_does_not_read_its_response_is_disconnected() -> None:
    ended = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True})
        finally:
            ended.set()

    async def test(client: Client, server: HttpServer) -> None:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await client.send(GET)
        await asyncio.wait_for(ended.wait(), WAIT_S)

    with_server(app, test, body_timeout_s=0.1)


def test_a_client_that_does_not_read_the_end_of_its_response_is_disconnected() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = b"x" * 30_000_000
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"30000000")]})
        await send({"type": "http.response.body", "body": body})

    async def test(client: Client, server: HttpServer) -> None:
        with socket.create_connection(client.writer.get_extra_info("peername")) as lazy:
            lazy.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            await asyncio.wait_for(ended_when(lambda: server.pool.open == 2), WAIT_S)
            await asyncio.wait_for(ended_when(lambda: server.pool.open == 1), WAIT_S)

    async def ended_when(condition: Callable[[], bool]) -> None:
        while not condition():
            await asyncio.sleep(0.01)

    with_server(app, test, body_timeout_s=0.1)


def test_too_many_requests_at_the_same_time_are_told_so() -> None:
    goes_on = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await goes_on.wait()
        await say_hello(scope, receive, send)

    async def test(client: Client, server: HttpServer) -> None:
        await client.send(GET)
        address = client.writer.get_extra_info("peername")
        while server.pool.waiting or not server.pool.open:
            await asyncio.sleep(0.01)
        other = Client(*await asyncio.open_connection(*address))
        head = await other.head()
        assert head.startswith("HTTP/1.1 503 ")
        assert "retry-after: " in head
        assert b"at most 1" in await other.rest()
        other.writer.close()
        goes_on.set()
        assert (await client.head()).startswith("HTTP/1.1 200 ")

    with_server(app, test, max_connections=1)


def test_at_the_end_an_idle_connection_may_send_one_more_request() -> None:
    async def test(client: Client, server: HttpServer) -> None:
        await client.send(GET)
        head = await client.head()
        assert "connection: close" not in head
        await client.reader.readexactly(5)
        for connection in list(server.server_state.connections):
            connection.shutdown()
        await client.send(GET)
        assert "connection: close" in await client.head()
        assert await client.rest() == b"hello"

    with_server(say_hello, test)


def test_what_is_refused_before_the_application_is_recorded() -> None:
    observed: list[RequestRecord] = []

    async def test(client: Client, server: HttpServer) -> None:
        await client.send(b"NONSENSE\r\n\r\n")
        await client.rest()

    with_server(say_hello, test, observed)
    (record,) = observed
    assert (record.transport, record.code) == ("rest", "400")
    assert record.error is not None
    assert "invalid HTTP request" in record.error
