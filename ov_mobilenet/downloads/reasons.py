"""Why a download failed, in words, and what to do about it."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from ov_mobilenet.downloads.speed import MIN_BYTES_PER_S, WINDOW_S, TooSlowError

_UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL)
_CHECK_NETWORK = "Check the network connection, and HTTPS_PROXY if there is a proxy"
_LATER = "Try again later, or give another source with --mirror"
_ANOTHER_SOURCE = "Give another source with --mirror"


@dataclass(frozen=True)
class Reason:
    """Why a server did not send a file.

    Attributes:
        words: what happened, without the name of the host.
        advice: what to do, as a sentence without its full stop.
    """

    words: str
    advice: str


def connection_reason(error: BaseException) -> Reason:
    """The reason of a failed connection, from the error of requests and those that it wraps."""
    import requests

    causes = list(_causes(error))
    innermost = causes[-1]

    def has(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if isinstance(innermost, TooSlowError):
        expected = f"at least {MIN_BYTES_PER_S} are expected over {WINDOW_S:g} s"
        return Reason(f"the server is too slow: {innermost}, {expected}", _ANOTHER_SOURCE)
    if has(requests.exceptions.ProxyError):
        return Reason(f"the proxy does not work: {_text(innermost)}", "Check HTTPS_PROXY and HTTP_PROXY")
    if isinstance(innermost, ssl.SSLCertVerificationError):
        return Reason(
            f"its certificate is not accepted: {getattr(innermost, 'verify_message', '') or _text(innermost)}",
            "If a proxy inspects encrypted connections, set REQUESTS_CA_BUNDLE to the file of its CA certificate",
        )
    if has(ssl.SSLError):
        return Reason("no encrypted connection can be made", _CHECK_NETWORK)
    if has(socket.gaierror):
        return Reason("its name cannot be resolved", _CHECK_NETWORK)
    if has(ConnectionRefusedError):
        return Reason("the connection was refused", _CHECK_NETWORK)
    if has(TimeoutError, requests.Timeout):
        return Reason("it timed out", _LATER)
    if isinstance(innermost, OSError) and innermost.errno in _UNREACHABLE:
        return Reason("the network cannot be reached", _CHECK_NETWORK)
    if has(ConnectionError, http.client.HTTPException, requests.exceptions.ChunkedEncodingError):
        return Reason("the connection was closed early, or the answer is not HTTP", _LATER)
    return Reason(_text(innermost), _CHECK_NETWORK)


def status_reason(status: int) -> Reason:
    """The reason behind an HTTP status other than success."""
    if status in (404, 410):
        return Reason(f"the server has no such file (status {status})", _ANOTHER_SOURCE)
    if status in (401, 403):
        return Reason(f"the server refuses access (status {status})", _ANOTHER_SOURCE)
    if status == 407:
        return Reason("the proxy requires a password (status 407)", "Check HTTPS_PROXY and HTTP_PROXY")
    if status == 429:
        return Reason("the server receives too many requests (status 429)", _LATER)
    if status >= 500:
        return Reason(f"the server failed (status {status})", _LATER)
    return Reason(f"the server gave an unexpected answer (status {status})", _LATER)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and the errors that it wraps, the innermost last."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__


def _text(error: BaseException) -> str:
    """The text of an error without the representation of objects in it."""
    text = " ".join(str(error).split())
    return text if text and " object at 0x" not in text else type(error).__name__
