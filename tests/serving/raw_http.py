"""HTTP by hand: bytes on a socket, and the responses that come back."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 30.0
HOST = b"Host: 127.0.0.1\r\n"


@dataclass(frozen=True)
class RawResponse:
    """A response as received. `headers` has names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The text of an error, whose document has no other key."""
        assert self.headers["content-type"] == "application/json"
        assert list(self.document) == ["error"], self.body
        error = self.document["error"]
        assert isinstance(error, str)
        assert "Traceback" not in error
        return error


class RawClient:
    """A connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._received = b""

    def send(self, data: bytes) -> None:
        """Send bytes; a server that has closed already is no error."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.sock.sendall(data)

    def response(self, *, to: str = "GET") -> RawResponse:
        """The next response, also `100 Continue`."""
        head = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(head[0].split(" ")[1])
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        length = 0 if to == "HEAD" or status in (100, 304) else int(headers["content-length"])
        while len(self._received) < length:
            assert self._receive(), f"the connection ended in the body: {self._received[:200]!r}"
        body, self._received = self._received[:length], self._received[length:]
        return RawResponse(status, headers, body)

    def continued(self) -> bool:
        """Whether the next response is `100 Continue`."""
        return self.response().status == 100

    def rest(self) -> bytes:
        """Everything until the server closes the connection."""
        while self._receive():
            pass
        data, self._received = self._received, b""
        return data

    def is_closed(self) -> bool:
        """Wait until the server closes the connection; whether it sent nothing before."""
        return self.rest() == b""

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._received:
            assert self._receive(), f"the connection ended without a response: {self._received[:200]!r}"
        found, _, self._received = self._received.partition(mark)
        return found

    def _receive(self) -> bool:
        try:
            data = self.sock.recv(1 << 16)
        except ConnectionResetError:
            return False
        self._received += data
        return bool(data)


@contextmanager
def raw_client(port: int, *, tls: ssl.SSLContext | None = None) -> Iterator[RawClient]:
    """A connection to a port of this machine."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as sock:
        if tls is None:
            yield RawClient(sock)
        else:
            with tls.wrap_socket(sock, server_hostname="127.0.0.1") as wrapped:
                yield RawClient(wrapped)


def request(method: str, path: str, *headers: str, body: bytes | None = None) -> bytes:
    """A request for 127.0.0.1, with a Content-Length if it has a body."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def exchange(port: int, data: bytes, *, to: str = "GET") -> RawResponse:
    """The first response to these bytes."""
    with raw_client(port) as client:
        client.send(data)
        return client.response(to=to)
