"""Wrong lengths, encodings, redirects, contents and status codes, and proxies: the file is correct or absent."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from attacks.loopback_server import Behaviour, Exchange, describe, leftovers, run, says, serve, serving
from attacks.served_model import ServedModel, wrong_bytes

from ov_mobilenet.errors import DownloadError, HashMismatchError

ETAG = '"v1"'


# Lengths


@pytest.mark.parametrize("lie", [-1, 1, -300_000, 10**12])
def test_content_length_differs_from_the_description(lie: int, served: ServedModel) -> None:
    def liar(exchange: Exchange) -> None:
        exchange.head(200, Content_Length=len(served.content) + lie)
        exchange.body(served.content)

    served.on(liar)
    with pytest.raises(HashMismatchError, match="announced by the server differs"):
        served.download()
    assert len(served.server.exchanges) == 1
    assert served.nothing_kept()


def test_body_shorter_than_content_length(served: ServedModel) -> None:
    served.on(serve(served.content, None, stop_after=len(served.content) - 1))
    with pytest.raises(DownloadError, match="connection failed|closed early") as caught:
        served.download()
    assert not isinstance(caught.value, HashMismatchError)
    assert len(served.server.exchanges) == 4
    assert not served.target.exists()


def test_body_longer_than_content_length(served: ServedModel) -> None:
    def longer(exchange: Exchange) -> None:
        exchange.head(200, Content_Length=len(served.content))
        exchange.body(served.content + b"and more" * 1000)

    served.on(longer)
    served.download()
    assert served.is_right()


@pytest.mark.parametrize(("change", "words"), [(-1, "closed early"), (1, "too many bytes")])
def test_wrong_size_without_content_length(change: int, words: str, served: ServedModel) -> None:
    def silent(exchange: Exchange) -> None:
        exchange.head(200)
        exchange.body((served.content + b"x")[: len(served.content) + change])

    served.on(silent)
    with pytest.raises(DownloadError, match=words):
        served.download(attempts=2)
    assert not served.target.exists()


def chunked(content: bytes, end: bytes = b"0\r\n\r\n") -> Behaviour:
    def behave(exchange: Exchange) -> None:
        exchange.protocol_version = "HTTP/1.1"
        exchange.head(200, Transfer_Encoding="chunked")
        for i in range(0, len(content), 9000):
            piece = content[i : i + 9000]
            exchange.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        exchange.wfile.write(end)

    return behave


def test_chunked(served: ServedModel) -> None:
    served.on(chunked(served.content))
    served.download()
    assert served.is_right()


@pytest.mark.parametrize("end", [b"", b"zz\r\n", b"-5\r\n", b"ffffffffffffffffffff\r\n"])
def test_invalid_chunked_encoding(end: bytes, served: ServedModel) -> None:
    served.on(chunked(served.content[:50_000], end), serve(served.content))
    served.download()
    assert served.is_right()


@pytest.mark.parametrize("length", [None, "true", "packed"])
def test_gzip_encoding(length: str | None, served: ServedModel) -> None:
    packed = gzip.compress(served.content)
    said = {"true": len(served.content), "packed": len(packed)}

    def zips(exchange: Exchange) -> None:
        headers = {} if length is None else {"Content_Length": said[length]}
        exchange.head(200, Content_Encoding="gzip", ETag=ETAG, **headers)
        exchange.body(packed)

    served.on(zips, serve(served.content))
    served.download()
    assert served.is_right()
    assert served.server.exchanges[0].headers["Accept-Encoding"] == "identity"


def test_drop_of_a_gzip_encoded_body(served: ServedModel) -> None:
    """The part of an encoded body cannot be resumed."""
    packed = gzip.compress(served.content)

    def zips(exchange: Exchange) -> None:
        exchange.head(200, Content_Encoding="gzip", Content_Length=len(packed), ETag=ETAG)
        exchange.body(packed[: len(packed) // 2])

    served.on(zips, serve(served.content))
    served.download()
    assert served.is_right()
    assert served.server.ranges() == [None, None]


def test_gzip_bomb(served: ServedModel) -> None:
    def bomb(exchange: Exchange) -> None:
        exchange.head(200, Content_Encoding="gzip")
        exchange.body(gzip.compress(bytes(200_000_000)))

    served.on(bomb)
    with pytest.raises(HashMismatchError, match="too many bytes"):
        served.download()
    assert served.nothing_kept()


# Redirects


def test_redirect(served: ServedModel) -> None:
    served.on(says(302, Location="/a/other"))
    served.on(says(307, Location=f"{served.server.url}/third"), path="/a/other")
    served.on(serve(served.content, stop_after=served.half()), serve(served.content), path="/third")
    served.download()
    assert served.is_right()
    assert served.server.ranges()[-1] == served.half()  # the resumed request is redirected as well


def test_redirect_to_https_that_fails(served: ServedModel) -> None:
    served.on(says(302, Location=served.server.url.replace("http", "https") + "/net.onnx"))
    with pytest.raises(DownloadError, match="no encrypted connection"):
        served.download(attempts=1)
    assert served.nothing_kept()


def test_redirect_to_http_is_refused(served: ServedModel, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    served.on(serve(served.content))
    with serving(certificate) as secure:
        source = secure.on("/net.onnx", says(302, Location=served.server.url + "/net.onnx"))
        with pytest.raises(DownloadError, match="URL scheme not allowed.*--allow-http"):
            served.download(source, allow_http=False)
        assert served.server.exchanges == []
        assert len(secure.exchanges) == 1  # not retried
        assert served.nothing_kept()
        served.download(source, allow_http=True)
    assert served.is_right()


def test_https(served: ServedModel, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(certificate) as secure:
        source = secure.on("/net.onnx", serve(served.content))
        with pytest.raises(DownloadError, match="certificate is not accepted"):
            served.download(source, attempts=1, allow_http=False)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        served.download(source, allow_http=False)
    assert served.is_right()


def test_http_is_refused(served: ServedModel) -> None:
    served.on(serve(served.content))
    with pytest.raises(DownloadError, match="URL scheme not allowed.*--allow-http"):
        served.download(allow_http=False)
    assert served.server.exchanges == []


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "file:/etc/passwd", "ftp://127.0.0.1/x", "data:,x", "javascript:x", "FILE:///x"]
)
def test_redirect_to_another_scheme(location: str, served: ServedModel) -> None:
    served.on(says(302, Location=location))
    with pytest.raises(DownloadError, match="URL scheme not allowed"):
        served.download()
    assert len(served.server.exchanges) == 1
    assert served.nothing_kept()


@pytest.mark.parametrize("locations", [["/net.onnx"], ["/b", "/net.onnx"]])
def test_redirect_loop(locations: list[str], served: ServedModel) -> None:
    for path, location in zip(["/net.onnx", *locations], locations, strict=False):
        served.on(says(302, Location=location), path=path)
    with pytest.raises(DownloadError, match="too many redirects"):
        served.download()
    assert len(served.server.exchanges) == 10
    assert served.nothing_kept()


@pytest.mark.parametrize("location", ["http://[x", "http://127.0.0.1:99999/", "http://", "//", "http:///x"])
def test_redirect_to_an_invalid_url(location: str, served: ServedModel) -> None:
    mirror = served.on(serve(served.content), path="/mirror")
    first = served.on(says(302, Location=location))
    served.download([first, mirror], attempts=2)
    assert served.is_right()


# Contents and status


def test_wrong_bytes_from_the_first_source(served: ServedModel) -> None:
    bad = served.on(serve(wrong_bytes(served.content)))
    good = served.on(serve(served.content), path="/mirror")
    served.download([bad, good])
    assert served.is_right()
    assert [exchange.target for exchange in served.server.exchanges] == ["/net.onnx", "/mirror"]


def test_wrong_bytes_from_every_source(served: ServedModel) -> None:
    urls = [served.on(serve(wrong_bytes(served.content)), path=path) for path in ("/a", "/b")]
    with pytest.raises(HashMismatchError, match="SHA384 differs") as caught:
        served.download(urls)
    assert caught.value.exit_code == 3
    assert all(url in str(caught.value) for url in urls)
    assert len(served.server.exchanges) == 2
    assert served.nothing_kept()


def test_wrong_bytes_do_not_replace_the_earlier_file(served: ServedModel) -> None:
    served.folder.mkdir(parents=True)
    served.target.write_bytes(b"earlier")
    served.on(serve(wrong_bytes(served.content)))
    with pytest.raises(HashMismatchError):
        served.download()
    assert served.target.read_bytes() == b"earlier"
    assert leftovers(served.root) == []


def test_retry_after_in_seconds(served: ServedModel) -> None:
    served.on(says(503, Retry_After=17), serve(served.content))
    served.download()
    assert served.is_right()
    assert served.waits == [17]


def test_retry_after_as_a_date(served: ServedModel) -> None:
    date, later = "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:29:30 GMT"
    served.on(says(503, Date=date, Retry_After=later), serve(served.content))
    served.download()
    assert served.is_right()
    assert served.waits == [90]


@pytest.mark.parametrize(
    ("asked", "waited"),
    [("999999999", 300), ("-5", 0.25), ("soon", 0.25), ("0", 0.25), ("1e9", 0.25), ("Wed, 99 Oct 2015", 0.25)],
)
def test_invalid_or_excessive_retry_after(asked: str, waited: float, served: ServedModel) -> None:
    served.on(says(503, Retry_After=asked), serve(served.content))
    served.download()
    assert served.waits == [waited]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_transient_status_is_retried(status: int, served: ServedModel) -> None:
    served.on(says(status), says(status), serve(served.content))
    served.download()
    assert served.is_right()
    assert served.waits == [0.25, 0.5]


@pytest.mark.parametrize("status", [204, 304, 400, 401, 403, 404, 410, 501])
def test_permanent_status_is_not_retried(status: int, served: ServedModel) -> None:
    served.on(says(status))
    with pytest.raises(DownloadError, match=rf"the server .* \(status {status}\)"):
        served.download()
    assert (len(served.server.exchanges), served.waits) == (1, [])
    assert served.nothing_kept()


def test_busy_in_every_attempt(served: ServedModel) -> None:
    served.on(says(503))
    with pytest.raises(DownloadError, match="503"):
        served.download(attempts=3)
    assert len(served.server.exchanges) == 3
    assert served.nothing_kept()


# Proxies


def test_proxy_is_used(served: ServedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", served.server.url)
    monkeypatch.setenv("http_proxy", served.server.url)
    served.on(serve(served.content), path="http://models.invalid/net.onnx")
    served.download("http://models.invalid/net.onnx")
    assert served.is_right()
    assert [exchange.target for exchange in served.server.exchanges] == ["http://models.invalid/net.onnx"]


def test_proxy_is_used_by_the_command(served: ServedModel, tmp_path: Path) -> None:
    served.on(serve(served.content), path="http://models.invalid/net.onnx")
    model = describe(tmp_path / "net", {"net.onnx": (served.content, "http://models.invalid/net.onnx")})
    arguments = ["download", model, "-o", tmp_path, "--cache-dir", served.cache, "--allow-http"]
    assert run(*arguments, http_proxy=served.server.url)[0] == 0
    assert served.is_right()


def test_https_proxy_receives_connect(served: ServedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", served.server.url)
    served.on(says(403), path="models.invalid:443")
    with pytest.raises(DownloadError, match="connection failed.*403"):
        served.download("https://models.invalid/net.onnx", attempts=1)
    assert [exchange.command for exchange in served.server.exchanges] == ["CONNECT"]


def test_no_proxy_is_honoured(served: ServedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    served.on(serve(served.content))
    served.download()
    assert served.is_right()


def test_content_disposition_is_ignored(served: ServedModel) -> None:
    def names(exchange: Exchange) -> None:
        disposition = 'attachment; filename="../../evil"'
        exchange.head(200, Content_Length=len(served.content), Content_Disposition=disposition)
        exchange.body(served.content)

    served.on(names)
    served.download()
    assert served.is_right()
    assert not any("evil" in name for _, _, names in os.walk(served.root) for name in names)
