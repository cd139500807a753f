"""The head of a request: its limits, and what it must not hold because a proxy may read it differently."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from ov_mobilenet.serving.http_transport.http_limits import (
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    MAX_TARGET_BYTES,
    HttpRefusal,
)

# A second one could mean something else to a proxy before this server, or to the application.
SINGLE_HEADERS = frozenset({
    b"host", b"content-length", b"transfer-encoding", b"content-type", b"content-encoding", b"authorization", b"expect",
    b"origin", b"inference-header-content-length",
})  # fmt: skip
H2_PREFACE = b"PRI * HTTP/2.0"


class RequestHead:
    """What has arrived of a head.

    Attributes:
        target: path and query as sent.
        headers: in their order, with names in lower case.
    """

    def __init__(self) -> None:
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self._names: set[bytes] = set()
        self._size = 0

    def add_target(self, part: bytes) -> None:
        """Add a part of the target. Raises: HttpRefusal: it is too long."""
        self.target += part
        if len(self.target) > MAX_TARGET_BYTES:
            raise HttpRefusal(414, "the path is too long", expected=f"at most {MAX_TARGET_BYTES} bytes")

    def add_header(self, name: bytes, value: bytes, *, is_trailer: bool) -> None:
        """Add a header; a trailer is only counted. Raises: HttpRefusal: there are too many, or it occurs twice."""
        self._size += len(name) + len(value) + 4
        if self._size > MAX_HEADER_BYTES:
            raise HttpRefusal(431, "the headers are too long", expected=f"at most {MAX_HEADER_BYTES} bytes")
        if is_trailer:
            return
        if len(self.headers) >= MAX_HEADERS:
            raise HttpRefusal(431, "too many headers", expected=f"at most {MAX_HEADERS}")
        name = name.lower()
        if name in SINGLE_HEADERS:
            if name in self._names:
                raise HttpRefusal(400, f"the header {name.decode()} occurs twice")
            self._names.add(name)
        self.headers.append((name, value.rstrip(b" \t")))


def check_head(version: str, target: bytes, headers: Mapping[bytes, bytes], max_body_bytes: int) -> bool:
    """Check what httptools lets pass.

    Args:
        version: of HTTP, as "1.1".
        target: path and query as sent.
        headers: by their names in lower case.

    Returns:
        Whether the client waits for "100 Continue".

    Raises:
        HttpRefusal: the request is refused.
    """
    if version not in ("1.1", "1.0"):
        raise HttpRefusal(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "unsupported version of HTTP", expected="HTTP/1.1")
    if target[:1] != b"/" or b"#" in target:
        raise HttpRefusal(400, "invalid request target", expected="a path that starts with /")
    if version == "1.1" and not headers.get(b"host"):
        raise HttpRefusal(400, "the header Host is missing")
    encoding = headers.get(b"transfer-encoding")
    if encoding is not None and (version == "1.0" or encoding.lower() != b"chunked"):
        raise HttpRefusal(400, "unsupported Transfer-Encoding", expected="chunked, with HTTP/1.1")
    if int(headers.get(b"content-length", 0)) > max_body_bytes:
        raise too_large(max_body_bytes)
    expectation = headers.get(b"expect")
    if expectation is None:
        return False
    if expectation.lower() != b"100-continue":
        raise HttpRefusal(417, "unsupported header Expect", expected="100-continue")
    return version == "1.1"


def too_large(max_body_bytes: int) -> HttpRefusal:
    """The refusal of a body."""
    return HttpRefusal(413, "the body is too large", expected=f"at most {max_body_bytes} bytes")


def syntax_error(data: bytes, error: Exception) -> HttpRefusal:
    """The refusal of bytes that are not HTTP/1.1.

    Args:
        data: what was received last.
        error: raised by the parser.
    """
    if data.startswith(H2_PREFACE):
        return HttpRefusal(
            HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "HTTP/2 is not spoken on this port", expected="HTTP/1.1",
            fix="gRPC has a port of its own",
        )  # fmt: skip
    return HttpRefusal(400, "invalid HTTP request", got=str(error))
