"""The only code that accesses the network.

A transport is a function from a URL to a stream; tests pass their own. The HTTP transport accepts only https by
default, checks the scheme of every redirect, honours the proxy variables, and sends only GET requests.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urljoin, urlsplit

from ov_mobilenet._version import __version__
from ov_mobilenet.downloads.reasons import Reason, connection_reason, status_reason
from ov_mobilenet.downloads.speed import limit_speed
from ov_mobilenet.errors import DownloadError

if TYPE_CHECKING:
    import requests

log = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 14  # small, because an incomplete chunk is lost with the connection
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 30.0  # the connection has stalled if no byte arrives for this long
MAX_REDIRECTS = 10
TRANSIENT_STATUS = (408, 425, 429, 500, 502, 503, 504)


class TransientError(DownloadError):
    """A failure that may not occur again at the next attempt.

    Attributes:
        retry_after_s: delay requested by the server in seconds; None without one.
        restart: whether the server refuses to resume, so that the next attempt must start over.
    """

    retry_after_s: float | None = None
    restart: bool = False


@dataclass(frozen=True)
class ResponseStream:
    """The response to a request, while it is read.

    Attributes:
        size: announced size of the whole file in bytes; None if unknown.
        start: offset of the first byte in the file: 0, or the requested one.
        validator: the value to send when the download is resumed (a strong ETag, or a date); None without one.
        chunks: the bytes.
    """

    size: int | None
    chunks: Iterator[bytes]
    start: int = 0
    validator: str | None = None


class Transport(Protocol):
    """Opens a URL, at an offset if the file on the server still has this validator."""

    def __call__(
        self, url: str, *, start: int = 0, validator: str | None = None
    ) -> AbstractContextManager[ResponseStream]:
        """Raises: DownloadError."""
        ...


def _status_reason(status: int, _: Mapping[str, str]) -> Reason:
    return status_reason(status)


@dataclass(frozen=True)
class _Policy:
    allow_http: bool
    read_timeout_s: float
    http_advice: str
    tokens: Mapping[str, str] = field(repr=False)
    reason: Callable[[int, Mapping[str, str]], Reason]


def http_transport(
    *,
    allow_http: bool = False,
    read_timeout_s: float = READ_TIMEOUT_S,
    http_advice: str = "Use --allow-http to allow http; the hash is checked in any case",
    tokens: Mapping[str, str] | None = None,
    reason: Callable[[int, Mapping[str, str]], Reason] = _status_reason,
) -> Transport:
    """A transport for https, and for http if allowed.

    Args:
        http_advice: what to do about a refused http URL.
        tokens: bearer tokens by origin, such as `https://example.org`; no other server receives one, also not after a
            redirect.
        reason: says why a server refuses, from the status and the headers.
    """
    return partial(_open, policy=_Policy(allow_http, read_timeout_s, http_advice, tokens or {}, reason))


@contextmanager
def _open(url: str, *, start: int = 0, validator: str | None = None, policy: _Policy) -> Iterator[ResponseStream]:
    """Open a URL.

    Raises:
        DownloadError: the scheme is not https (also after a redirect), the server returns an error status, or the
            connection fails, stalls or is too slow.
    """
    import requests

    headers = {"User-Agent": f"ov-mobilenet/{__version__}", "Accept-Encoding": "identity"}
    if start and validator:
        headers |= {"Range": f"bytes={start}-", "If-Range": validator}
    with requests.Session() as session:
        session.headers.update(headers)
        limit_speed(session)
        session.auth = _no_credentials  # otherwise requests sends those in the user's .netrc
        try:
            response = _get(session, url, policy, (200, 206) if start and validator else (200,))
        except (requests.RequestException, OSError, ValueError) as error:  # ValueError: "https://[x"
            raise _failed(url, error) from error
        with response:
            yield _stream(response, url, start)


def _stream(response: requests.Response, url: str, start: int) -> ResponseStream:
    validator = response.headers.get("ETag", "")
    if not validator or validator.startswith("W/"):  # equal weak tags do not imply equal bytes
        validator = response.headers.get("Last-Modified", "")
    # An encoded body has another length and cannot be resumed in the middle.
    encoded = response.headers.get("Content-Encoding", "identity") not in ("", "identity")
    length = re.fullmatch(r"[0-9]{1,18}", response.headers.get("Content-Length", ""))
    size = int(length[0]) if length and not encoded else None
    chunks = _chunks(response, url)
    if response.status_code == 200:
        return ResponseStream(size, chunks, 0, None if encoded else validator or None)
    number = "([0-9]{1,18})"
    given = re.fullmatch(rf"bytes {number}-{number}/(?:{number}|\*)", response.headers.get("Content-Range", ""))
    if given is None or int(given[1]) != start or encoded:
        error = TransientError(
            "invalid response to a range request", where=url,
            expected=f"Content-Range: bytes {start}-…", got=repr(response.headers.get("Content-Range")),
        )  # fmt: skip
        error.restart = True
        raise error
    return ResponseStream(int(given[3]) if given[3] else None, chunks, start, validator or None)


def _chunks(response: requests.Response, url: str) -> Iterator[bytes]:
    """The body. Only errors of the connection are converted, not those of the code that writes the chunks."""
    import requests

    try:
        yield from response.iter_content(CHUNK_BYTES)
    except (requests.RequestException, OSError, ValueError) as error:  # ValueError: an invalid chunk size
        raise _failed(url, error) from error


def _get(session: requests.Session, url: str, policy: _Policy, wanted: tuple[int, ...]) -> requests.Response:
    timeout = (min(CONNECT_TIMEOUT_S, policy.read_timeout_s), policy.read_timeout_s)
    for _ in range(MAX_REDIRECTS):
        _check_scheme(url, policy)
        token = policy.tokens.get(origin_of(url))
        headers = {"Authorization": f"Bearer {token}"} if token else None
        response = session.get(url, stream=True, allow_redirects=False, timeout=timeout, headers=headers)
        if response.is_redirect:
            target = urljoin(url, response.headers["location"])
            response.close()
            url = target
            continue
        if response.status_code not in wanted:
            raise _refused(response, url, policy)
        return response
    raise DownloadError("too many redirects", where=url, expected=f"at most {MAX_REDIRECTS}")


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL, as browsers compare them. Raises: ValueError."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return f"{parts.scheme}://{parts.hostname}:{port}"


def _refused(response: requests.Response, url: str, policy: _Policy) -> DownloadError:
    response.close()
    transient = response.status_code in TRANSIENT_STATUS or response.status_code == 416
    kind = TransientError if transient else DownloadError
    reason = policy.reason(response.status_code, response.headers)
    error = kind(reason.words, where=url, fix=reason.advice)
    if isinstance(error, TransientError):
        error.retry_after_s = retry_after_s(response.headers)
        error.restart = response.status_code == 416
    return error


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds from `Retry-After`, a number or a date; a date is compared with the server's own clock."""
    text = headers.get("Retry-After", "")
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        return (parsedate_to_datetime(text) - parsedate_to_datetime(headers["Date"])).total_seconds()
    except (TypeError, ValueError, KeyError):
        return None


def _check_scheme(url: str, policy: _Policy) -> None:
    scheme = urlsplit(url).scheme
    if scheme != "https" and not (policy.allow_http and scheme == "http"):
        raise DownloadError(
            "URL scheme not allowed", where=url, expected="https", got=scheme or "no scheme",
            fix=policy.http_advice if scheme == "http" else None,
        )  # fmt: skip


def _no_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _failed(url: str, error: BaseException) -> TransientError:
    log.info("%s: %r", url, error)
    reason = connection_reason(error)
    return TransientError(f"connection failed ({reason.words})", where=url, fix=reason.advice)
