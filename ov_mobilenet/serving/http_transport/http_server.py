"""The HTTP server: uvicorn's life cycle around `HttpConnection`."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import uvicorn

from ov_mobilenet.errors import ConfigError
from ov_mobilenet.operating_system.sockets import use_port_alone
from ov_mobilenet.serving.http_transport.http_limits import ConnectionPool
from ov_mobilenet.serving.http_transport.http_protocol import HttpConnection
from ov_mobilenet.serving.http_transport.tls_listener import TlsListener

if TYPE_CHECKING:
    from ov_mobilenet.serving.monitoring.observation import Observe
    from ov_mobilenet.serving.settings import ServerSettings

BACKLOG = 1024


class HttpServer(uvicorn.Server):
    """uvicorn with our connections, and without its signal handlers: the server's own stop both transports.

    Attributes:
        pool: what the connections share.
        tls: None for plain HTTP.
    """

    def __init__(self, config: uvicorn.Config, pool: ConnectionPool, tls: ssl.SSLContext | None) -> None:
        super().__init__(config)
        self.servers: list[Any] = []
        self.pool = pool
        self.tls = tls

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no handlers."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections."""
        for sock in sockets or ():
            self.servers.append(await self._listen(sock))
        self.started = True

    async def _listen(self, sock: socket.socket) -> Any:
        if self.tls is None:
            return await asyncio.get_running_loop().create_server(self._new_connection, sock=sock, backlog=BACKLOG)
        settings = self.pool.settings
        return TlsListener(
            sock, self.tls, self._new_connection, max_handshakes=settings.max_connections,
            timeout_s=settings.header_timeout_s,
        )  # fmt: skip

    def _new_connection(self) -> HttpConnection:
        return HttpConnection(self.config.loaded_app, self.server_state, self.pool)


def listen(settings: ServerSettings) -> socket.socket:
    """The listening socket.

    Raises:
        ConfigError: the certificate cannot be used; said before models are loaded.
        OSError: the address or the port cannot be used.
    """
    tls_context(settings)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sets TCP_NODELAY only if told TCP
    try:
        use_port_alone(sock)
        sock.bind((settings.host, settings.port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def tls_context(settings: ServerSettings) -> ssl.SSLContext | None:
    """TLS 1.2 or newer with the certificate of the settings; None without one. Raises: ConfigError."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    for path in (settings.tls_cert, settings.tls_key):
        try:
            path.read_bytes()
        except OSError as error:
            raise ConfigError("cannot read the file", where=path, got=error.strerror) from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # Without the function, OpenSSL would ask for the passphrase of an encrypted key on the terminal.
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password=lambda: "")
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(
            "the certificate and its key cannot be used", where=f"{settings.tls_cert}, {settings.tls_key}",
            expected="a certificate and its key without a passphrase, as PEM files",
            got=getattr(error, "reason", None) or "files that are not PEM",
        ) from error  # fmt: skip
    return context


async def start_http(
    app: Any, sock: socket.socket, settings: ServerSettings, observe: Observe | None = None
) -> tuple[HttpServer, asyncio.Task[None]]:
    """A running HTTP server and the task that ends with it.

    Args:
        app: an ASGI application.
        observe: is told about requests that are refused before the application sees them.
    """
    config = uvicorn.Config(
        app, http="httptools", ws="none", loop="none", lifespan="off", log_config=None, log_level="warning",
        access_log=False, date_header=False, server_header=False, proxy_headers=False,
        timeout_graceful_shutdown=math.ceil(settings.drain_timeout_s),
    )  # fmt: skip
    server = HttpServer(config, ConnectionPool(settings, observe), tls_context(settings))
    return server, asyncio.create_task(server.serve([sock]))
