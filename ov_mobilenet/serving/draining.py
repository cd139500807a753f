"""The end of an HTTP server without a lost request.

A connection that the system has accepted is answered, also one that the server has not seen yet. The order:

1. New connections are dropped before they are established. Their clients try again a second later and are refused,
   because the port is closed by then.
2. The connections that wait in the system's queue are accepted, and the port is closed.
3. Every response closes its connection. A connection without a request stays open for a moment, because one may be on
   its way; then it is closed (`HttpConnection.shutdown`).
4. What runs when the time is over is cancelled and answered with 503.
"""

from __future__ import annotations

import asyncio
import ctypes
import select
import socket
import struct
from typing import Any

from ov_mobilenet.operating_system import systems

# How long the handshake of a connection may take that began before new ones are dropped.
HANDSHAKE_S = 0.1
_POLL_S = 0.02
_AFTER_CANCEL_S = 1.0
_SO_ATTACH_FILTER = 26  # from <asm-generic/socket.h>
# Classic BPF: load the flags of TCP, keep SYN and ACK, drop the packet if only SYN is set.
_DROP_SYN = ((0x30, 0, 0, 13), (0x54, 0, 0, 0x12), (0x15, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))


async def drain_http(http: Any, listener: socket.socket, *, timeout_s: float) -> None:
    """Answer every request of every connection that was accepted, and close the connections.

    Args:
        http: a running `HttpServer`.
        listener: a duplicate of its listening socket; it is closed.
        timeout_s: until the requests that still run are cancelled, in seconds.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout_s
    state = http.server_state
    told: set[Any] = set()
    drop_new_connections(listener)
    closes_at = min(end, loop.time() + HANDSHAKE_S)
    is_listening = True
    while is_listening or (state.connections and loop.time() < end):
        for connection in state.connections - told:
            connection.shutdown()
        told = set(state.connections)
        if is_listening and loop.time() >= closes_at and not _is_readable(listener):
            for server in http.servers:
                server.close()
            listener.close()
            is_listening = False
        await asyncio.sleep(_POLL_S)
    for task in list(state.tasks):
        task.cancel()
    end = loop.time() + _AFTER_CANCEL_S
    while state.connections and loop.time() < end:
        await asyncio.sleep(_POLL_S)
    for connection in list(state.connections):  # the client sends on, or does not read
        connection.broken()


def drop_new_connections(listener: socket.socket) -> None:
    """Make the system drop the first packet of every new connection; only on Linux, elsewhere nothing happens."""
    if not systems.LINUX:
        return
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in _DROP_SYN))
    described = struct.pack("HP", len(_DROP_SYN), ctypes.addressof(program))
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)
    except OSError:  # not in every sandbox
        return


def _is_readable(listener: socket.socket) -> bool:
    """Whether connections wait to be accepted."""
    return bool(select.select([listener], [], [], 0)[0])
