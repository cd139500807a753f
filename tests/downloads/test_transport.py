"""The only code that talks to the network, with a session that does not."""

from __future__ import annotations

import pytest
import requests

from ov_mobilenet.downloads.transport import MAX_REDIRECTS, http_transport
from ov_mobilenet.errors import DownloadError

URL = "https://example.org/net.onnx"


class FakeResponse:
    def __init__(self, status_code=200, content=(b"abc", b"de"), **headers):
        self.status_code = status_code
        self.headers = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        self.headers["Content-Length"] = self.headers.get("content-length", "")
        self.is_redirect = "location" in self.headers
        self.content = content
        self.closed = False

    def iter_content(self, size):
        for chunk in self.content:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    def close(self):
        self.closed = True

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


@pytest.fixture
def server(monkeypatch):
    """URL -> response or exception; the calls are kept."""

    class Server(dict):
        def __init__(self):
            self.calls = []

    server = Server()

    def get(session, url, **options):
        server.calls.append((url, {**options, "headers": dict(session.headers)}))
        answer = server[url]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(requests.Session, "get", get)
    return server


def _read(url=URL, **options):
    with http_transport(**options)(url) as stream:
        return stream.size, b"".join(stream.chunks)


def test_a_file_is_streamed_unpacked_by_nobody_and_the_answer_closed(server):
    server[URL] = response = FakeResponse(content_length="5")
    assert _read() == (5, b"abcde")
    assert response.closed
    (_, options), *_ = server.calls
    assert options["headers"]["Accept-Encoding"] == "identity"
    assert options["headers"]["User-Agent"].startswith("ov-mobilenet/")
    assert options["stream"] is True
    assert min(options["timeout"]) > 0 and max(options["timeout"]) <= 60


@pytest.mark.parametrize("length", ["", "-1", "many", "²", "9" * 5000])
def test_a_strange_length_is_no_length(length, server):
    server[URL] = FakeResponse(content_length=length)
    assert _read() == (None, b"abcde")


@pytest.mark.parametrize(
    ("url", "scheme"),
    [("http://example.org/x", "http"), ("file:///etc/passwd", "file"), ("ftp://example.org/x", "ftp"),
     ("HTTP://example.org/x", "http"), ("/etc/passwd", "no scheme"), ("data:,x", "data")],
)  # fmt: skip
def test_another_scheme_is_refused_before_anything_is_asked(url, scheme, server):
    with pytest.raises(DownloadError, match=f"expected https, got {scheme}"):
        _read(url)
    assert server.calls == []


@pytest.mark.parametrize("location", ["http://example.org/x", "file:///etc/passwd", "ftp://example.org/x"])
def test_a_redirect_to_another_scheme_is_refused(location, server):
    server[URL] = response = FakeResponse(302, location=location)
    with pytest.raises(DownloadError, match="only https is fetched") as caught:
        _read()
    assert location in str(caught.value)
    assert [url for url, _ in server.calls] == [URL]
    assert response.closed


def test_http_is_taken_when_allowed_but_nothing_else(server):
    server["http://example.org/x"] = FakeResponse(302, location=URL)
    server[URL] = FakeResponse()
    assert _read("http://example.org/x", allow_http=True) == (None, b"abcde")
    with pytest.raises(DownloadError, match="only https"):
        _read("file:///etc/passwd", allow_http=True)


@pytest.mark.parametrize(
    ("location", "target"),
    [("https://cdn.example.org/y", "https://cdn.example.org/y"), ("/y", "https://example.org/y"),
     ("y?z=1", "https://example.org/y?z=1")],
)  # fmt: skip
def test_a_redirect_is_followed(location, target, server):
    server[URL], server[target] = FakeResponse(301, location=location), FakeResponse()
    assert _read() == (None, b"abcde")
    assert all(options["allow_redirects"] is False for _, options in server.calls)


def test_redirects_in_a_circle_end(server):
    server[URL] = FakeResponse(302, location=URL)
    with pytest.raises(DownloadError, match="too many redirects"):
        _read()
    assert len(server.calls) == MAX_REDIRECTS


@pytest.mark.parametrize("location", ["https://[x", "https://[::1"])
def test_a_redirect_to_no_url_is_a_download_error(location, server):
    server[URL] = FakeResponse(302, location=location)
    with pytest.raises(DownloadError):
        _read()


@pytest.mark.parametrize("status", [204, 206, 304, 403, 404, 500, 503])
def test_another_status_is_an_error_that_names_it(status, server):
    server[URL] = response = FakeResponse(status)
    with pytest.raises(DownloadError, match=f"expected status 200, got {status}") as caught:
        _read()
    assert URL in str(caught.value)
    assert response.closed


@pytest.mark.parametrize(
    "error",
    [requests.ConnectionError("no route"), requests.Timeout("no route"), OSError("no route"), ValueError("no route")],
)
def test_a_connection_that_fails_is_a_download_error(error, server):
    server[URL] = error
    with pytest.raises(DownloadError, match="connection failed .*no route") as caught:
        _read()
    assert URL in str(caught.value)


def test_the_innermost_reason_is_given(server):
    try:
        try:
            raise OSError("certificate has expired")
        except OSError as inner:
            raise requests.ConnectionError("a long story") from inner
    except requests.ConnectionError as error:
        server[URL] = error
    with pytest.raises(DownloadError, match="OSError: certificate has expired") as caught:
        _read()
    assert "a long story" not in str(caught.value)


def test_a_connection_that_breaks_off_is_a_download_error(server):
    server[URL] = FakeResponse(content=(b"abc", requests.ConnectionError("reset by peer")))
    with pytest.raises(DownloadError, match="connection failed .*reset by peer"):
        _read()


def test_an_error_of_the_reader_is_not_called_one_of_the_connection(server):
    server[URL] = response = FakeResponse()
    with pytest.raises(OSError, match="No space left"), http_transport()(URL):
        raise OSError(28, "No space left on device")
    assert response.closed
