"""The HTTP transport, with a fake session instead of the network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from ov_mobilenet.downloads.transport import MAX_REDIRECTS, http_transport
from ov_mobilenet.errors import DownloadError

URL = "https://example.org/net.onnx"


class FakeResponse:
    def __init__(
        self, status_code: int = 200, content: tuple[bytes | Exception, ...] = (b"abc", b"de"), **headers: str
    ) -> None:
        self.status_code = status_code
        self.headers = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        self.headers["Content-Length"] = self.headers.get("content-length", "")
        self.is_redirect = "location" in self.headers
        self.content = content
        self.closed = False

    def iter_content(self, size: int) -> Iterator[bytes]:
        for chunk in self.content:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> FakeResponse:
        return self

    def __exit__(self, *error: Exception) -> None:
        self.close()


class FakeServer(dict[str, "FakeResponse | Exception"]):
    """URL -> response or exception; keeps the calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    server = FakeServer()

    def get(session: requests.Session, url: str, **options: Any) -> FakeResponse:
        server.calls.append((url, {**options, "headers": dict(session.headers)}))
        answer = server[url]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(requests.Session, "get", get)
    return server


def _read(url: str = URL, **options: Any) -> tuple[int | None, bytes]:
    with http_transport(**options)(url) as stream:
        return stream.size, b"".join(stream.chunks)


def test_a_file_is_streamed_without_decoding_and_the_response_is_closed(server: FakeServer) -> None:
    server[URL] = response = FakeResponse(content_length="5")
    assert _read() == (5, b"abcde")
    assert response.closed
    (_, options), *_ = server.calls
    assert options["headers"]["Accept-Encoding"] == "identity"
    assert options["headers"]["User-Agent"].startswith("ov-mobilenet/")
    assert options["stream"] is True
    assert min(options["timeout"]) > 0 and max(options["timeout"]) <= 60


@pytest.mark.parametrize("length", ["", "-1", "many", "²", "9" * 5000])
def test_an_invalid_content_length_is_ignored(length: str, server: FakeServer) -> None:
    server[URL] = FakeResponse(content_length=length)
    assert _read() == (None, b"abcde")


@pytest.mark.parametrize(
    ("url", "scheme"),
    [("http://example.org/x", "http"), ("file:///etc/passwd", "file"), ("ftp://example.org/x", "ftp"),
     ("HTTP://example.org/x", "http"), ("/etc/passwd", "no scheme"), ("data:,x", "data")],
)  # fmt: skip
def test_another_scheme_is_refused_before_the_first_request(url: str, scheme: str, server: FakeServer) -> None:
    with pytest.raises(DownloadError, match=f"expected https, got {scheme}"):
        _read(url)
    assert server.calls == []


@pytest.mark.parametrize("location", ["http://example.org/x", "file:///etc/passwd", "ftp://example.org/x"])
def test_a_redirect_to_another_scheme_is_refused(location: str, server: FakeServer) -> None:
    server[URL] = response = FakeResponse(302, location=location)
    with pytest.raises(DownloadError, match="URL scheme not allowed") as caught:
        _read()
    assert location in str(caught.value)
    assert [url for url, _ in server.calls] == [URL]
    assert response.closed


def test_allow_http_allows_http_only(server: FakeServer) -> None:
    server["http://example.org/x"] = FakeResponse(302, location=URL)
    server[URL] = FakeResponse()
    assert _read("http://example.org/x", allow_http=True) == (None, b"abcde")
    with pytest.raises(DownloadError, match="URL scheme not allowed"):
        _read("file:///etc/passwd", allow_http=True)


@pytest.mark.parametrize(
    ("location", "target"),
    [("https://cdn.example.org/y", "https://cdn.example.org/y"), ("/y", "https://example.org/y"),
     ("y?z=1", "https://example.org/y?z=1")],
)  # fmt: skip
def test_a_redirect_is_followed(location: str, target: str, server: FakeServer) -> None:
    server[URL], server[target] = FakeResponse(301, location=location), FakeResponse()
    assert _read() == (None, b"abcde")
    assert all(options["allow_redirects"] is False for _, options in server.calls)


def test_a_redirect_loop_ends(server: FakeServer) -> None:
    server[URL] = FakeResponse(302, location=URL)
    with pytest.raises(DownloadError, match="too many redirects"):
        _read()
    assert len(server.calls) == MAX_REDIRECTS


@pytest.mark.parametrize("location", ["https://[x", "https://[::1"])
def test_a_redirect_to_an_invalid_url_is_a_download_error(location: str, server: FakeServer) -> None:
    server[URL] = FakeResponse(302, location=location)
    with pytest.raises(DownloadError):
        _read()


@pytest.mark.parametrize("status", [204, 206, 304, 403, 404, 500, 503])
def test_another_status_is_an_error_that_names_it(status: int, server: FakeServer) -> None:
    server[URL] = response = FakeResponse(status)
    with pytest.raises(DownloadError, match=rf"\(status {status}\)") as caught:
        _read()
    assert URL in str(caught.value)
    assert response.closed


@pytest.mark.parametrize(
    "error",
    [requests.ConnectionError("no route"), OSError("no route"), ValueError("no route")],
)
def test_a_connection_that_fails_is_a_download_error(error: Exception, server: FakeServer) -> None:
    server[URL] = error
    with pytest.raises(DownloadError, match="connection failed .*no route") as caught:
        _read()
    assert URL in str(caught.value)


def test_the_innermost_reason_is_given(server: FakeServer) -> None:
    try:
        try:
            raise OSError("certificate has expired")
        except OSError as inner:
            raise requests.ConnectionError("a long story") from inner
    except requests.ConnectionError as error:
        server[URL] = error
    with pytest.raises(DownloadError, match="certificate has expired") as caught:
        _read()
    assert "a long story" not in str(caught.value)


def test_a_connection_that_drops_is_a_download_error(server: FakeServer) -> None:
    server[URL] = FakeResponse(content=(b"abc", requests.exceptions.ChunkedEncodingError("reset by peer")))
    with pytest.raises(DownloadError, match="connection failed .*closed early"):
        _read()


def test_an_error_of_the_reader_is_not_reported_as_a_connection_error(server: FakeServer) -> None:
    server[URL] = response = FakeResponse()
    with pytest.raises(OSError, match="No space left"), http_transport()(URL):
        raise OSError(28, "No space left on device")
    assert response.closed
