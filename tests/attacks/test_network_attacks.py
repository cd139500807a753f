"""Bad servers and bad networks: the right file or none."""

from __future__ import annotations

import gzip
import itertools
import json
import os
from pathlib import Path

import pytest
from attacks.loopback_server import Behaviour, Exchange, describe, leftovers, run, says, serve, serving
from attacks.served_model import ServedModel

from ov_mobilenet.downloads.transport import CHUNK_BYTES
from ov_mobilenet.errors import DownloadError, HashMismatchError

ETAG = '"v1"'


def other(content: bytes) -> bytes:
    return bytes(byte ^ 1 for byte in content)


# The connection


def test_drop_after_every_tenth_of_the_file(served: ServedModel) -> None:
    size = len(served.content)
    served.on(serve(served.content, ETAG, stop_after=size // 10))
    served.download(attempts=10)
    assert served.is_right()
    assert served.server.ranges() == [None, *range(size // 10, size, size // 10)]
    assert [exchange.headers["If-Range"] for exchange in served.server.exchanges[1:]] == [ETAG] * 9
    assert sum(served.server.sent()) == size  # no byte twice
    assert served.waits == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert served.sizes[1:] == sorted(served.sizes[1:])


@pytest.mark.parametrize("piece", [20_000, 33_333, 99_999])
def test_drop_between_chunk_boundaries(piece: int, served: ServedModel) -> None:
    """What had come in of a chunk comes again, no more."""
    served.on(serve(served.content, ETAG, stop_after=piece))
    served.download(attempts=30)
    assert served.is_right()
    assert sum(served.server.sent()) <= len(served.content) + CHUNK_BYTES * len(served.server.exchanges)


def test_drop_in_every_attempt_keeps_the_part(served: ServedModel) -> None:
    served.on(serve(served.content, stop_after=len(served.content) // 10))
    with pytest.raises(DownloadError, match="connection failed|closed early") as caught:
        served.download(attempts=4)
    assert caught.value.exit_code == 1
    assert not served.target.exists()
    assert served.part().stat().st_size == len(served.content) // 10 * 4


@pytest.mark.parametrize("tenth", range(10))
def test_drop_without_validator(tenth: int, served: ServedModel) -> None:
    served.on(serve(served.content, None, stop_after=len(served.content) // 10 * tenth), serve(served.content, None))
    served.download()
    assert served.is_right()
    assert served.server.ranges() == [None, None]


def test_drop_before_the_headers(served: ServedModel) -> None:
    served.on(lambda exchange: None, serve(served.content))
    served.download()
    assert served.is_right()


def test_connection_refused(served: ServedModel) -> None:
    with serving() as closed:
        url = closed.url + "/net.onnx"
    with pytest.raises(DownloadError, match="refused"):
        served.download(url, attempts=3)
    assert len(served.waits) == 2
    assert served.nothing_kept()


def test_stall_before_the_headers(served: ServedModel) -> None:
    served.on(Exchange.hold, serve(served.content))
    served.download(read_timeout_s=0.2)
    assert served.is_right()


def test_stall_in_the_middle(served: ServedModel) -> None:
    def stall(exchange: Exchange) -> None:
        serve(served.content, stop_after=served.half())(exchange)
        exchange.wfile.flush()
        exchange.hold()

    served.on(stall, serve(served.content))
    served.download(read_timeout_s=0.2)
    assert served.is_right()
    assert served.server.ranges() == [None, served.half()]


def test_stall_in_every_attempt(served: ServedModel) -> None:
    served.on(Exchange.hold)
    with pytest.raises(DownloadError, match="timed out"):
        served.download(read_timeout_s=0.1, attempts=3)
    assert len(served.server.exchanges) == 3
    assert served.nothing_kept()


def test_endless_body(served: ServedModel) -> None:
    def endless(exchange: Exchange) -> None:
        exchange.head(200)
        for _ in itertools.count():
            exchange.body(b"x" * 4096)

    served.on(endless)
    with pytest.raises(HashMismatchError, match="too many bytes"):
        served.download()
    assert len(served.server.exchanges) == 1
    assert max(served.sizes) <= len(served.content)
    assert served.nothing_kept()


def test_endless_headers(served: ServedModel) -> None:
    def endless(exchange: Exchange) -> None:
        exchange.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for _ in itertools.count():
            exchange.wfile.write(b"X-More: " + b"x" * 1000 + b"\r\n")

    served.on(endless)
    with pytest.raises(DownloadError, match="connection failed"):
        served.download(attempts=2)
    assert served.nothing_kept()


@pytest.mark.parametrize("answer", [b"", b"\0" * 100, b"HTTP/1.1 OK\r\n\r\n", b"SSH-2.0-OpenSSH_9.6\r\n"])
def test_answer_is_not_http(answer: bytes, served: ServedModel) -> None:
    served.on(lambda exchange: exchange.wfile.write(answer), serve(served.content))
    served.download()
    assert served.is_right()


# Ranges


def test_range_ignored(served: ServedModel) -> None:
    def ignores(exchange: Exchange) -> None:
        exchange.head(200, Content_Length=len(served.content), ETag=ETAG)
        exchange.body(served.content)

    served.on(serve(served.content, stop_after=served.half()), ignores)
    served.download()
    assert served.is_right()
    assert served.server.ranges() == [None, served.half()]
    assert served.server.sent() == [served.half(), len(served.content)]


def wrong_range(served: ServedModel, start: int, total: int, body: bytes) -> Behaviour:
    def behave(exchange: Exchange) -> None:
        range_ = f"bytes {start}-{total - 1}/{total}"
        exchange.head(206, Content_Length=len(body), Content_Range=range_, ETag=ETAG)
        exchange.body(body)

    return behave


@pytest.mark.parametrize("case", ["offset", "zero", "total", "shifted", "none", "nonsense", "multipart"])
def test_wrong_answer_to_a_range_request(case: str, served: ServedModel) -> None:
    size, content = len(served.content), served.content
    wrong = {
        "offset": wrong_range(served, 10, size, content[10:]),
        "zero": wrong_range(served, 0, size, content),
        "total": wrong_range(served, size // 2, size + 7, content[size // 2 :] + b"x" * 7),
        "shifted": wrong_range(served, size // 2, size, content[size // 2 - 1 : -1]),
        "none": says(206),
        "nonsense": says(206, Content_Range="bytes */*"),
        "multipart": says(206, Content_Type="multipart/byteranges; boundary=x"),
    }[case]
    served.on(serve(content, stop_after=size // 2), wrong, serve(content))
    served.download()
    assert served.is_right()
    assert served.server.ranges() == [None, size // 2, None]


def test_wrong_answer_to_every_range_request(served: ServedModel) -> None:
    served.on(
        serve(served.content, stop_after=served.half()), wrong_range(served, 3, len(served.content), served.content[3:])
    )
    with pytest.raises(DownloadError, match="status 200, got 206|invalid answer to a range request"):
        served.download()
    assert not served.target.exists()


def test_range_answer_that_is_too_long(served: ServedModel) -> None:
    rest = served.content[served.half() :]

    def longer(exchange: Exchange) -> None:
        exchange.head(206, Content_Range=f"bytes {served.half()}-{len(served.content) - 1}/*", ETag=ETAG)
        exchange.body(rest + b"more")

    served.on(serve(served.content, stop_after=served.half()), longer, serve(served.content))
    served.download()
    assert served.is_right()


def test_range_not_satisfiable(served: ServedModel) -> None:
    served.on(serve(served.content, stop_after=served.half()), says(416), serve(served.content))
    served.download()
    assert served.is_right()
    assert served.server.ranges() == [None, served.half(), None]


def test_partial_answer_that_was_not_requested(served: ServedModel) -> None:
    served.on(wrong_range(served, 0, len(served.content), served.content))
    with pytest.raises(DownloadError, match="expected status 200, got 206"):
        served.download()
    assert served.nothing_kept()


def test_busy_server_does_not_discard_the_part(served: ServedModel) -> None:
    served.on(serve(served.content, stop_after=served.half()), says(503), lambda exchange: None, serve(served.content))
    served.download()
    assert served.is_right()
    assert sum(served.server.sent()) == len(served.content)


def test_file_changed_between_attempts(served: ServedModel) -> None:
    served.on(serve(other(served.content), '"v1"', stop_after=served.half()), serve(served.content, '"v2"'))
    served.download()
    assert served.is_right()
    assert served.server.ranges() == [None, served.half()]
    assert served.server.sent() == [served.half(), len(served.content)]


def test_file_changed_and_if_range_ignored(served: ServedModel) -> None:
    """The server goes on with another file: the mix is noticed, and one whole file fetched."""
    size = len(served.content)
    mixed = wrong_range(served, size // 2, size, served.content[size // 2 :])
    served.on(serve(other(served.content), stop_after=size // 2), mixed, serve(served.content))
    served.download(attempts=2)
    assert served.is_right()
    assert served.server.ranges() == [None, size // 2, None]


@pytest.mark.parametrize("etag", ['W/"v1"', None, ""])
def test_no_strong_validator_no_resume(etag: str | None, served: ServedModel) -> None:
    served.on(serve(served.content, etag, stop_after=served.half()), serve(served.content, etag))
    served.download()
    assert served.is_right()
    assert served.server.ranges() == [None, None]


def test_last_modified_as_validator(served: ServedModel) -> None:
    date = "Wed, 21 Oct 2015 07:28:00 GMT"

    def dated(exchange: Exchange) -> None:
        exchange.head(200, Content_Length=len(served.content), Last_Modified=date)
        exchange.body(served.content[: served.half()])

    served.on(dated, serve(served.content, date))
    served.download()
    assert served.is_right()
    assert served.server.exchanges[1].headers["If-Range"] == date
    assert sum(served.server.sent()) == len(served.content)


# Across runs


def test_resume_across_runs(served: ServedModel) -> None:
    served.on(serve(served.content, stop_after=served.half()), serve(served.content))
    model = served.describe()
    arguments = [
        "download",
        model,
        "-o",
        served.root,
        "--cache-dir",
        served.cache,
        "--allow-http",
        "--num_attempts",
        "1",
    ]
    code, _, err = run(*arguments)
    assert (code, err.count("error:")) == (1, 1)
    part = served.part()
    assert part.read_bytes() == served.content[: served.half()]
    assert json.loads(part.with_name(part.name + ".json").read_text())["validator"] == ETAG
    assert run(*arguments)[0] == 0
    assert served.is_right()
    assert served.server.ranges() == [None, served.half()]
    assert sum(served.server.sent()) == len(served.content)


@pytest.fixture
def interrupted(served: ServedModel) -> ServedModel:
    """A first run that broke off in the middle."""
    served.on(serve(served.content, stop_after=served.half()), serve(served.content))
    with pytest.raises(DownloadError):
        served.download(attempts=1)
    return served


@pytest.mark.parametrize("attempts", [1, 4])
def test_tampered_part(attempts: int, interrupted: ServedModel) -> None:
    interrupted.part().write_bytes(other(interrupted.content[: interrupted.half()]))
    interrupted.download(attempts=attempts)
    assert interrupted.is_right()
    assert interrupted.server.ranges() == [None, interrupted.half(), None]


@pytest.mark.parametrize("surplus", [None, 0, 1, 10_000_000])
def test_part_of_impossible_length(surplus: int | None, interrupted: ServedModel) -> None:
    with interrupted.part().open("r+b") as part:
        part.truncate(0 if surplus is None else len(interrupted.content) + surplus)
    interrupted.download()
    assert interrupted.is_right()
    assert interrupted.server.ranges() == [None, None]


@pytest.mark.parametrize("length", [1, 1000, 200_000, 327_679])
def test_truncated_or_extended_part(length: int, interrupted: ServedModel) -> None:
    """Cut short it is gone on with; filled up with zeros it is noticed."""
    with interrupted.part().open("r+b") as part:
        part.truncate(length)
    interrupted.download(attempts=1)
    assert interrupted.is_right()
    assert interrupted.server.ranges()[:2] == [None, length]


@pytest.mark.parametrize(
    "note",
    ["", "{", "[]", "null", '{"url": 1}', "\0", '{"url": "URL", "validator": 7, "digest": "x"}', "[" * 9999, None],
)
def test_corrupt_part_metadata(note: str | None, interrupted: ServedModel) -> None:
    part = interrupted.part()
    path = part.with_name(part.name + ".json")
    path.unlink()
    if note is not None:
        path.write_text(note)
    interrupted.download()
    assert interrupted.is_right()
    assert interrupted.server.ranges() == [None, None]


def test_header_injection_through_part_metadata(interrupted: ServedModel) -> None:
    part = interrupted.part()
    path = part.with_name(part.name + ".json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "validator": '"v1"\r\nX-Evil: 1'}))
    with pytest.raises(DownloadError):
        interrupted.download(attempts=1)
    assert len(interrupted.server.exchanges) == 1  # nothing of it was sent
    path.unlink()
    interrupted.download()
    assert interrupted.is_right()


def test_part_of_another_url(interrupted: ServedModel) -> None:
    url = interrupted.on(serve(interrupted.content), path="/elsewhere")
    interrupted.download(url)
    assert interrupted.is_right()
    assert interrupted.server.ranges() == [None, None]


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
    """What is kept of an encoded answer cannot be gone on with."""
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
    assert served.server.ranges()[-1] == served.half()  # also the rest comes by the redirects


def test_redirect_to_https_that_fails(served: ServedModel) -> None:
    served.on(says(302, Location=served.server.url.replace("http", "https") + "/net.onnx"))
    with pytest.raises(DownloadError, match="connection failed.*SSL"):
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
        assert len(secure.exchanges) == 1  # and not tried again
        assert served.nothing_kept()
        served.download(source, allow_http=True)
    assert served.is_right()


def test_https(served: ServedModel, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(certificate) as secure:
        source = secure.on("/net.onnx", serve(served.content))
        with pytest.raises(DownloadError, match=r"(?i)certificate verify failed"):
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
    bad = served.on(serve(other(served.content)))
    good = served.on(serve(served.content), path="/mirror")
    served.download([bad, good])
    assert served.is_right()
    assert [exchange.target for exchange in served.server.exchanges] == ["/net.onnx", "/mirror"]


def test_wrong_bytes_from_every_source(served: ServedModel) -> None:
    urls = [served.on(serve(other(served.content)), path=path) for path in ("/a", "/b")]
    with pytest.raises(HashMismatchError, match="SHA384 differs") as caught:
        served.download(urls)
    assert caught.value.exit_code == 3
    assert all(url in str(caught.value) for url in urls)
    assert len(served.server.exchanges) == 2
    assert served.nothing_kept()


def test_wrong_bytes_do_not_replace_the_earlier_file(served: ServedModel) -> None:
    served.folder.mkdir(parents=True)
    served.target.write_bytes(b"earlier")
    served.on(serve(other(served.content)))
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
    with pytest.raises(DownloadError, match=f"the server refused the request: expected status 200, got {status}"):
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
