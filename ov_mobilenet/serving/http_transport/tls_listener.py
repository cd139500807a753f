"""`TlsListener`: accepts connections and encrypts them; a bounded number at the same time.

With `create_server(ssl=...)` nobody counts the connections whose handshake never ends.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable

LOGGER = logging.getLogger(__name__)
PAUSE_S = 1.0  # after an error of accept, as when the process has no more file descriptors


class TlsListener:
    """As much of `asyncio.Server` as the HTTP server needs."""

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        new_protocol: Callable[[], asyncio.Protocol],
        *,
        max_handshakes: int,
        timeout_s: float,
    ) -> None:
        """Accept connections.

        Args:
            sock: listens.
            new_protocol: makes the protocol of an encrypted connection.
            max_handshakes: beyond, the oldest handshake is given up for a new one.
            timeout_s: until a handshake is complete, in seconds.
        """
        sock.setblocking(False)
        self._sock = sock
        self._context = context
        self._new_protocol = new_protocol
        self._max_handshakes = max_handshakes
        self._timeout_s = timeout_s
        self._handshakes: dict[asyncio.Task[None], None] = {}
        self._accepting = asyncio.get_running_loop().create_task(self._accept())

    def close(self) -> None:
        """Accept no more connections; handshakes that have begun go on."""
        self._accepting.cancel()

    async def wait_closed(self) -> None:
        """Wait until the port is closed, and give up the handshakes."""
        for task in self._handshakes:
            task.cancel()
        await asyncio.gather(self._accepting, *self._handshakes, return_exceptions=True)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    connection, _ = await loop.sock_accept(self._sock)
                except OSError as error:
                    LOGGER.warning("cannot accept connections: %s", error)
                    await asyncio.sleep(PAUSE_S)
                    continue
                if len(self._handshakes) >= self._max_handshakes:
                    oldest = next(iter(self._handshakes))
                    del self._handshakes[oldest]
                    oldest.cancel()
                task = loop.create_task(self._encrypt(connection))
                self._handshakes[task] = None
                task.add_done_callback(lambda done: self._handshakes.pop(done, None))
        finally:
            self._sock.close()

    async def _encrypt(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._new_protocol, connection, ssl=self._context, ssl_handshake_timeout=self._timeout_s
            )
        except (OSError, asyncio.CancelledError):  # ssl.SSLError and a handshake that takes too long are OSErrors
            connection.close()
