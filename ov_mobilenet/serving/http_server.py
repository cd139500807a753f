"""The HTTP server: uvicorn, with the limits of `ServerSettings`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from ov_mobilenet.serving.settings import ServerSettings


class HttpServer(uvicorn.Server):
    """uvicorn without its signal handlers: the server's own stop both transports."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no handlers."""
        yield


def listen(settings: ServerSettings) -> socket.socket:
    """The listening socket. Raises: OSError."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sets TCP_NODELAY only if told TCP
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((settings.host, settings.port))
    sock.listen(1024)
    return sock


async def start_http(app: Any, sock: socket.socket, settings: ServerSettings) -> tuple[HttpServer, asyncio.Task[None]]:
    """A running HTTP server and the task that ends with it."""
    config = uvicorn.Config(app, http="httptools", loop="none", lifespan="off", log_config=None, access_log=False)
    server = HttpServer(config)
    return server, asyncio.create_task(server.serve([sock]))
