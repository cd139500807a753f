"""The only code that talks to the network.

A transport is a function from a URL to a stream; tests pass their own. The real one speaks https alone, follows
redirects by hand so that none can lead to another scheme, and never sends more than a plain GET.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from ov_mobilenet._version import __version__
from ov_mobilenet.errors import DownloadError

if TYPE_CHECKING:
    import requests

CHUNK_BYTES = 1 << 18
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 30.0
MAX_REDIRECTS = 10


@dataclass(frozen=True)
class Stream:
    """An answer being read: its announced size in bytes (None if unknown) and its chunks."""

    size: int | None
    chunks: Iterator[bytes]


Transport = Callable[[str], AbstractContextManager[Stream]]


@contextmanager
def https(url: str, *, allow_http: bool = False) -> Iterator[Stream]:
    """Open a URL.

    Raises:
        DownloadError: another scheme, an error status, a redirect to http, a connection that fails or stalls.
    """
    import requests

    with requests.Session() as session:
        session.headers.update({"User-Agent": f"ov-mobilenet/{__version__}", "Accept-Encoding": "identity"})
        try:
            response = _get(session, url, allow_http)
        except (requests.RequestException, OSError, ValueError) as error:  # ValueError: "https://[x"
            raise _failed(url, error) from error
        with response:
            length = re.fullmatch(r"[0-9]{1,18}", response.headers.get("Content-Length", ""))
            yield Stream(int(length[0]) if length else None, _chunks(response, url))


def _chunks(response: requests.Response, url: str) -> Iterator[bytes]:
    """The body; errors of the connection are told apart here from errors of whoever writes the chunks."""
    import requests

    try:
        yield from response.iter_content(CHUNK_BYTES)
    except (requests.RequestException, OSError) as error:
        raise _failed(url, error) from error


def _get(session: requests.Session, url: str, allow_http: bool) -> requests.Response:
    for _ in range(MAX_REDIRECTS):
        _check_scheme(url, allow_http)
        response = session.get(url, stream=True, allow_redirects=False, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S))
        if response.is_redirect:
            target = urljoin(url, response.headers["location"])
            response.close()
            url = target
            continue
        if response.status_code != 200:
            response.close()
            raise DownloadError("the server refused", where=url, expected="status 200", got=response.status_code)
        return response
    raise DownloadError("too many redirects", where=url, expected=f"at most {MAX_REDIRECTS}")


def _check_scheme(url: str, allow_http: bool) -> None:
    scheme = urlsplit(url).scheme
    if scheme != "https" and not (allow_http and scheme == "http"):
        raise DownloadError("only https is fetched", where=url, expected="https", got=scheme or "no scheme")


def _failed(url: str, error: BaseException) -> DownloadError:
    """The innermost reason: requests wraps urllib3, which wraps the socket's own words."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    return DownloadError(f"connection failed ({type(error).__name__}: {error})", where=url)
