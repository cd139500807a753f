"""An S3 server on a loopback port, in memory: moto's server behind a connection that can be cut."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any
from urllib.parse import quote

from typing_extensions import Self


class LoopbackS3:
    """moto's server in a thread, and a proxy before it.

    Attributes:
        port: of the proxy, on 127.0.0.1.
        on_connection: called for each connection before it is passed on.
    """

    def __init__(self) -> None:
        self.port = 0
        self.on_connection: Callable[[], None] = lambda: None
        self._server: Any = None
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def connect(self) -> None:
        """Listen, on the same port as before."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept, self._listener)

    def cut(self) -> None:
        """Close all connections and refuse new ones; the server keeps its content."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def url(self, path: str) -> str:
        """The s3:// URL of a bucket and key on this server."""
        endpoint = quote(f"127.0.0.1:{self.port}", safe="")
        return f"s3://{path}?endpoint_override={endpoint}&scheme=http&region=us-east-1"

    def filesystem(self) -> Any:
        """pyarrow's file system on the server itself, which `cut` does not touch."""
        from pyarrow.fs import S3FileSystem

        host, port = self._server.get_host_and_port()
        return S3FileSystem(
            endpoint_override=f"{host}:{port}", scheme="http", region="us-east-1", access_key="k",
            secret_key="s", allow_bucket_creation=True, allow_bucket_deletion=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        from moto.moto_server.threaded_moto_server import ThreadedMotoServer

        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cut()
        self._server.stop()
        self._server._server.server_close()  # moto leaves the socket open
        for thread in self._threads:
            thread.join(10)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.on_connection()
            self._start(self._serve, listener, client)

    def _serve(self, listener: socket.socket, client: socket.socket) -> None:
        with client, socket.create_connection(self._server.get_host_and_port()) as server:
            with self._lock:
                if self._listener is not listener:  # it was cut meanwhile
                    return
                self._open |= {client, server}
            answers = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
            answers.start()
            _pass_on(client, server)
            answers.join()
            with self._lock:
                self._open -= {client, server}


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
