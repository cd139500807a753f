"""The limits of HTTP connections, and what the connections of a server share."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import msgspec

from ov_mobilenet.serving.http_transport.http_turns import ParsingTurns
from ov_mobilenet.serving.request_errors import RequestError

if TYPE_CHECKING:
    from ov_mobilenet.serving.monitoring.observation import Observe
    from ov_mobilenet.serving.settings import ServerSettings

KIB = 1024
MAX_TARGET_BYTES = 8 * KIB  # path and query
MAX_HEADER_BYTES = 64 * KIB
MAX_HEADERS = 100
MAX_CHUNKS = 65_536  # of one body
MAX_CHUNK_OVERHEAD = 2 * KIB * KIB  # sizes, extensions and line ends of all chunks, and trailers, in bytes
MAX_PIPELINED = 32  # requests of one connection that wait for the response to an earlier one
READ_AHEAD = 64 * KIB  # bytes of a body that are received before the application asks for them
LINGER_S = 2.0  # how long a connection that was refused may take to read the reason
SPARE_CONNECTIONS = 64  # beyond `max_connections`, while these are told so, or are closed
RETRY_AFTER_S = 1

# Headers that say nothing about the rest of a page, but protect an answer that a browser shows.
SAFE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
)  # fmt: skip


class HttpRefusal(RequestError):
    """A request that HTTP itself refuses, with any HTTP status.

    Attributes:
        headers: of the response, besides those that every refusal has.
    """

    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self, status: int, what: str, *, expected: object = None, got: object = None, fix: str | None = None
    ) -> None:
        self._status = status
        super().__init__(what, expected=expected, got=got, fix=fix)

    @property
    def http_status(self) -> int:
        """The HTTP status."""
        return self._status


def refusal_response(refusal: HttpRefusal) -> bytes:
    """A whole response, after which the connection is closed."""
    body = msgspec.json.encode({"error": str(refusal)})
    status = refusal.http_status
    lines = [
        b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode()),
        b"content-type: application/json",
        b"content-length: %d" % len(body),
        b"cache-control: no-store",
        *(b"%s: %s" % header for header in SAFE_HEADERS),
        b"connection: close",
    ]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        lines.append(b"retry-after: %d" % RETRY_AFTER_S)
    return b"\r\n".join([*lines, b"", body])


class Evictable(Protocol):
    """A connection that can make room for another one."""

    def give_way(self) -> None:
        """Close."""


class ConnectionPool:
    """What the connections of a server share.

    Attributes:
        open: number of connections.
        waiting: those without a request in progress; the longest waiting first.
        receiving: those whose body has not arrived completely; the longest receiving first.
        closing: those that are being closed; the oldest first.
        buffered: bytes of all bodies that are received and not answered yet.
        turns: parses chunked bodies.
        observe: is told about requests that no application sees.
    """

    def __init__(self, settings: ServerSettings, observe: Observe | None = None) -> None:
        self.settings = settings
        self.observe = observe
        self.open = 0
        self.buffered = 0
        self.waiting: dict[Evictable, None] = {}
        self.receiving: dict[Evictable, None] = {}
        self.closing: dict[Evictable, None] = {}
        self.turns = ParsingTurns()

    def has_room(self) -> bool:
        """Whether one more connection can be taken.

        If there are too many, the connection gives way that keeps the server waiting the longest. So clients that only
        hold connections cannot keep others out; only as many requests as are being answered can.
        """
        if self.open < self.settings.max_connections:
            return True
        if self.open >= self.settings.max_connections + SPARE_CONNECTIONS:
            _end_first(self.closing)
        return _end_first(self.waiting) or _end_first(self.receiving) or _end_first(self.closing)


def _end_first(group: dict[Evictable, None]) -> bool:
    """Close the first connection of a group; whether there is one."""
    first = next(iter(group), None)
    if first is None:
        return False
    del group[first]
    first.give_way()
    return True
