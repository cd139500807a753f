"""The end of an HTTP server without a lost request.

A connection that the system has accepted is answered, also one that the server has not seen yet. The order:

1. New connections are dropped before they are established. Their clients try again a second later and are refused,
   because the port is closed by then.
2. The connections that wait in the system's queue are accepted.
3. Every response closes its connection. A connection without a request stays open for `IDLE_S`, because a request
   may be on its way; then it is closed.
4. What runs when the time is over is cancelled and answered with 503.
"""

from __future__ import annotations

import asyncio
import ctypes
import select
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

IDLE_S = 1.0
# How long the handshake of a connection may take that began before new ones are dropped.
HANDSHAKE_S = 0.1
_POLL_S = 0.02
_AFTER_CANCEL_S = 2.0
_SO_ATTACH_FILTER = 26  # from <asm-generic/socket.h>
# Classic BPF: load the flags of TCP, keep SYN and ACK, drop the packet if only SYN is set.
_DROP_SYN = ((0x30, 0, 0, 13), (0x54, 0, 0, 0x12), (0x15, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))
_STOPPING = b'{"error":"the server is stopping"}'

App = Callable[[Any, Any, Any], Any]


def closing_app(app: App, is_draining: Callable[[], bool]) -> App:
    """An ASGI application whose responses close the connection while the server ends.

    A request that is cancelled then, because the time is over, gets status 503.
    """

    async def run(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        started = False

        async def send_and_close(message: Any) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                if is_draining():
                    others = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"connection"]
                    message = {**message, "headers": [*others, (b"connection", b"close")]}
            await send(message)

        try:
            await app(scope, receive, send_and_close)
        except asyncio.CancelledError:
            if started or not is_draining():
                raise
            headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_STOPPING))]
            await send_and_close({"type": "http.response.start", "status": 503, "headers": headers})
            await send({"type": "http.response.body", "body": _STOPPING})

    return run


async def drain_http(http: Any, listener: socket.socket, *, timeout_s: float) -> None:
    """Answer every request of every connection that was accepted, and close the connections.

    Args:
        http: a running `uvicorn.Server` whose application is a `closing_app`.
        listener: a duplicate of its listening socket; it is closed.
        timeout_s: until the requests that still run are cancelled, in seconds.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout_s
    drop_new_connections(listener)
    for server in http.servers:
        server.close()
    await _accept_waiting(http, listener)
    await asyncio.sleep(min(HANDSHAKE_S, timeout_s))
    await _accept_waiting(http, listener)
    listener.close()
    idle_since: dict[Any, float] = {}
    while http.server_state.connections and loop.time() < end:
        _close_idle(http.server_state.connections, idle_since, loop.time())
        await asyncio.sleep(_POLL_S)
    for task in list(http.server_state.tasks):
        task.cancel()
    end = loop.time() + _AFTER_CANCEL_S
    while http.server_state.tasks and loop.time() < end:
        await asyncio.sleep(_POLL_S)
    for connection in list(http.server_state.connections):
        connection.transport.close()


def drop_new_connections(listener: socket.socket) -> None:
    """Make the system drop the first packet of every new connection; only on Linux, elsewhere nothing happens."""
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in _DROP_SYN))
    described = struct.pack("HP", len(_DROP_SYN), ctypes.addressof(program))
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)
    except OSError:  # not in every sandbox
        return


async def _accept_waiting(http: Any, listener: socket.socket) -> None:
    """Accept the connections that wait in the system's queue."""
    loop, config = asyncio.get_running_loop(), http.config
    listener.setblocking(False)
    accepted = []
    while True:
        try:
            accepted.append(listener.accept()[0])
        except OSError:  # none is left
            break

    def protocol() -> Any:
        return config.http_protocol_class(
            config=config, server_state=http.server_state, app_state=http.lifespan.state, _loop=loop
        )

    # A handshake of TLS that fails concerns only its own connection.
    await asyncio.gather(
        *(loop.connect_accepted_socket(protocol, one, ssl=config.ssl) for one in accepted), return_exceptions=True
    )


def _close_idle(connections: set[Any], idle_since: dict[Any, float], now: float) -> None:
    """Close the connections that have had no request for `IDLE_S`; `idle_since` is updated."""
    for connection in list(connections):
        if not _is_idle(connection) or _has_unread(connection.transport):
            idle_since.pop(connection, None)
        elif now - idle_since.setdefault(connection, now) >= IDLE_S:
            connection.transport.close()


def _is_idle(connection: Any) -> bool:
    """Whether no byte of an unanswered request has been read from a connection of uvicorn."""
    cycle, scope = connection.cycle, connection.scope
    return scope is None or (cycle is not None and cycle.scope is scope and cycle.response_complete)


def _has_unread(transport: Any) -> bool:
    """Whether bytes have arrived that the event loop has not read yet."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0 or not hasattr(select, "poll"):
        return False
    waiting = select.poll()
    waiting.register(sock.fileno(), select.POLLIN)
    return bool(waiting.poll(0))
