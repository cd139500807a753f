"""`Transports`: the HTTP and the gRPC server of a `Server`, started and stopped together.

The only module that imports starlette, uvicorn and grpc through others; it is imported when a server starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ov_mobilenet.errors import ServerError
from ov_mobilenet.serving.draining import drain_http
from ov_mobilenet.serving.grpc_transport.grpc_service import start_grpc
from ov_mobilenet.serving.http_transport.http_server import listen, start_http
from ov_mobilenet.serving.live_page_routes import PUBLIC_PATHS, live_page_routes
from ov_mobilenet.serving.monitoring.metrics_route import metrics_route
from ov_mobilenet.serving.monitoring.observers import Observers
from ov_mobilenet.serving.rest.rest_app import rest_app

if TYPE_CHECKING:
    from ov_mobilenet.serving.models.model_repository import ModelRepository
    from ov_mobilenet.serving.monitoring.request_log import RequestLog
    from ov_mobilenet.serving.settings import ServerSettings

LAST_CALL_S = 0.5


@dataclass(frozen=True)
class Transports:
    """The running servers.

    Attributes:
        port, grpc_port: their TCP ports; `grpc_port` is None without gRPC.
        listener: a duplicate of the listening socket of HTTP.
    """

    port: int
    grpc_port: int | None
    http: Any
    http_task: asyncio.Task[None]
    grpc: Any
    listener: socket.socket

    async def stop(self, drain_timeout_s: float) -> None:
        """Answer what was accepted, then close all connections.

        Args:
            drain_timeout_s: until requests that still run are cancelled.
        """
        stops = [drain_http(self.http, self.listener, timeout_s=drain_timeout_s)]
        if self.grpc is not None:
            stops.append(_drain_grpc(self.grpc, drain_timeout_s))
        await asyncio.gather(*stops)
        self.http.should_exit = self.http.force_exit = True
        await self.http_task


async def _drain_grpc(server: Any, timeout_s: float) -> None:
    """Finish the running calls; those that begin are refused with UNAVAILABLE.

    gRPC itself cancels what arrives while it stops, which a client cannot tell from a lost call. So it is stopped when
    the clients have been told.
    """
    server.set_serving(False)
    last_call_s = min(LAST_CALL_S, timeout_s)
    await asyncio.sleep(last_call_s)
    await server.stop(timeout_s - last_call_s)


def _fix(error: OSError) -> str:
    """What to do if a port or an address cannot be used."""
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "Choose an address of this machine with --host"
    if error.errno == errno.EACCES:
        return "Choose a port above 1023 with --port, or give the program the right to use lower ones"
    return "Stop the program that uses the port, or choose another one with --port; 0 takes a free one"


async def start_transports(
    repository: ModelRepository, settings: ServerSettings, request_log: RequestLog | None
) -> Transports:
    """Listen on both ports.

    Args:
        request_log: writes a line for each request; None for none.

    Raises:
        ServerError: a port or an address cannot be used.
        ConfigError: the certificate or its key cannot be used.
    """
    try:
        sock = listen(settings)
    except OSError as error:
        raise ServerError(
            f"cannot listen ({error.strerror or error})", where=f"{settings.host} port {settings.port}",
            fix=_fix(error),
        ) from error  # fmt: skip
    port, listener = sock.getsockname()[1], sock.dup()
    observers = Observers(repository, request_log)
    observe = observers.observe
    try:
        grpc_server, grpc_port = None, None
        if settings.grpc_port is not None:
            grpc_server, grpc_port = await start_grpc(
                repository, settings, statistics=observers.statistics, observe=observe
            )
        app = rest_app(
            repository, settings, observe, statistics=observers.statistics, public_paths=PUBLIC_PATHS,
            routes=[metrics_route(observers.metrics), *live_page_routes(observers.status)],
        )  # fmt: skip
        http, task = await start_http(app, sock, settings, observe)
        while not http.started:  # uvicorn tells it by this attribute only
            if task.done():
                task.result()
                raise ServerError("the HTTP server ended at its start", where=f"port {port}")
            await asyncio.sleep(0.001)
    except BaseException:
        for one in (sock, listener):
            one.close()
        if grpc_server is not None:
            with contextlib.suppress(Exception):
                await grpc_server.stop(None)
        raise
    return Transports(port, grpc_port, http, task, grpc_server, listener)
