"""Bad servers and bad networks: the right file or none."""

from __future__ import annotations

import gzip
import itertools
import json
import os

import pytest
from attacks.loopback_server import Exchange, describe, leftovers, run, says, serve, serving

from ov_mobilenet.downloads.transport import CHUNK_BYTES
from ov_mobilenet.errors import DownloadError, HashMismatchError

ETAG = '"v1"'


def other(content: bytes) -> bytes:
    return bytes(byte ^ 1 for byte in content)


def half(bench) -> int:
    return len(bench.content) // 2


def nothing_came(bench) -> bool:
    return not bench.target.exists() and leftovers(bench.room) == []


# The connection


def test_drop_at_every_tenth(bench):
    size = len(bench.content)
    bench.on(serve(bench.content, ETAG, stop_after=size // 10))
    bench.download(attempts=10)
    assert bench.is_right()
    assert bench.server.ranges() == [None, *range(size // 10, size, size // 10)]
    assert [exchange.headers["If-Range"] for exchange in bench.server.exchanges[1:]] == [ETAG] * 9
    assert sum(bench.server.sent()) == size  # no byte twice
    assert bench.waits == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert bench.sizes[1:] == sorted(bench.sizes[1:])


@pytest.mark.parametrize("piece", [20_000, 33_333, 99_999])
def test_drop_at_odd_places(piece, bench):
    """What had come in of a chunk comes again, no more."""
    bench.on(serve(bench.content, ETAG, stop_after=piece))
    bench.download(attempts=30)
    assert bench.is_right()
    assert sum(bench.server.sent()) <= len(bench.content) + CHUNK_BYTES * len(bench.server.exchanges)


def test_drop_at_every_tenth_is_given_up_and_kept(bench):
    bench.on(serve(bench.content, stop_after=len(bench.content) // 10))
    with pytest.raises(DownloadError, match="connection failed|ended early") as caught:
        bench.download(attempts=4)
    assert caught.value.exit_code == 1
    assert not bench.target.exists()
    assert bench.part().stat().st_size == len(bench.content) // 10 * 4


@pytest.mark.parametrize("tenth", range(10))
def test_drop_without_resume(tenth, bench):
    bench.on(serve(bench.content, None, stop_after=len(bench.content) // 10 * tenth), serve(bench.content, None))
    bench.download()
    assert bench.is_right()
    assert bench.server.ranges() == [None, None]


def test_drop_before_the_headers(bench):
    bench.on(lambda exchange: None, serve(bench.content))
    bench.download()
    assert bench.is_right()


def test_nobody_listens(bench):
    with serving() as closed:
        url = closed.url + "/net.onnx"
    with pytest.raises(DownloadError, match="refused"):
        bench.download(url, attempts=3)
    assert len(bench.waits) == 2
    assert nothing_came(bench)


def test_stall_before_the_headers(bench):
    bench.on(Exchange.hold, serve(bench.content))
    bench.download(read_timeout_s=0.2)
    assert bench.is_right()


def test_stall_in_the_middle(bench):
    def stall(exchange):
        serve(bench.content, stop_after=half(bench))(exchange)
        exchange.wfile.flush()
        exchange.hold()

    bench.on(stall, serve(bench.content))
    bench.download(read_timeout_s=0.2)
    assert bench.is_right()
    assert bench.server.ranges() == [None, half(bench)]


def test_stall_for_ever(bench):
    bench.on(Exchange.hold)
    with pytest.raises(DownloadError, match="timed out"):
        bench.download(read_timeout_s=0.1, attempts=3)
    assert len(bench.server.exchanges) == 3
    assert nothing_came(bench)


def test_endless_answer(bench):
    def endless(exchange):
        exchange.head(200)
        for _ in itertools.count():
            exchange.body(b"x" * 4096)

    bench.on(endless)
    with pytest.raises(HashMismatchError, match="too many bytes"):
        bench.download()
    assert len(bench.server.exchanges) == 1
    assert max(bench.sizes) <= len(bench.content)
    assert nothing_came(bench)


def test_endless_headers(bench):
    def endless(exchange):
        exchange.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for _ in itertools.count():
            exchange.wfile.write(b"X-More: " + b"x" * 1000 + b"\r\n")

    bench.on(endless)
    with pytest.raises(DownloadError, match="connection failed"):
        bench.download(attempts=2)
    assert nothing_came(bench)


@pytest.mark.parametrize("answer", [b"", b"\0" * 100, b"HTTP/1.1 OK\r\n\r\n", b"SSH-2.0-OpenSSH_9.6\r\n"])
def test_no_http(answer, bench):
    bench.on(lambda exchange: exchange.wfile.write(answer), serve(bench.content))
    bench.download()
    assert bench.is_right()


# Ranges


def test_range_ignored(bench):
    def ignores(exchange):
        exchange.head(200, Content_Length=len(bench.content), ETag=ETAG)
        exchange.body(bench.content)

    bench.on(serve(bench.content, stop_after=half(bench)), ignores)
    bench.download()
    assert bench.is_right()
    assert bench.server.ranges() == [None, half(bench)]
    assert bench.server.sent() == [half(bench), len(bench.content)]


def wrong_range(bench, start, total, body):
    def behave(exchange):
        range_ = f"bytes {start}-{total - 1}/{total}"
        exchange.head(206, Content_Length=len(body), Content_Range=range_, ETag=ETAG)
        exchange.body(body)

    return behave


@pytest.mark.parametrize("case", ["offset", "zero", "total", "shifted", "none", "nonsense", "multipart"])
def test_range_answered_wrongly(case, bench):
    size, content = len(bench.content), bench.content
    wrong = {
        "offset": wrong_range(bench, 10, size, content[10:]),
        "zero": wrong_range(bench, 0, size, content),
        "total": wrong_range(bench, size // 2, size + 7, content[size // 2 :] + b"x" * 7),
        "shifted": wrong_range(bench, size // 2, size, content[size // 2 - 1 : -1]),
        "none": says(206),
        "nonsense": says(206, Content_Range="bytes */*"),
        "multipart": says(206, Content_Type="multipart/byteranges; boundary=x"),
    }[case]
    bench.on(serve(content, stop_after=size // 2), wrong, serve(content))
    bench.download()
    assert bench.is_right()
    assert bench.server.ranges() == [None, size // 2, None]


def test_range_answered_wrongly_for_ever(bench):
    bench.on(serve(bench.content, stop_after=half(bench)), wrong_range(bench, 3, len(bench.content), bench.content[3:]))
    with pytest.raises(DownloadError, match="status 200, got 206|answers a request for a part wrongly"):
        bench.download()
    assert not bench.target.exists()


def test_range_with_too_much(bench):
    rest = bench.content[half(bench) :]

    def longer(exchange):
        exchange.head(206, Content_Range=f"bytes {half(bench)}-{len(bench.content) - 1}/*", ETag=ETAG)
        exchange.body(rest + b"more")

    bench.on(serve(bench.content, stop_after=half(bench)), longer, serve(bench.content))
    bench.download()
    assert bench.is_right()


def test_range_not_satisfiable(bench):
    bench.on(serve(bench.content, stop_after=half(bench)), says(416), serve(bench.content))
    bench.download()
    assert bench.is_right()
    assert bench.server.ranges() == [None, half(bench), None]


def test_range_without_asking(bench):
    bench.on(wrong_range(bench, 0, len(bench.content), bench.content))
    with pytest.raises(DownloadError, match="expected status 200, got 206"):
        bench.download()
    assert nothing_came(bench)


def test_busy_server_costs_nothing_of_what_is_kept(bench):
    bench.on(serve(bench.content, stop_after=half(bench)), says(503), lambda exchange: None, serve(bench.content))
    bench.download()
    assert bench.is_right()
    assert sum(bench.server.sent()) == len(bench.content)


def test_file_changed_between_attempts(bench):
    bench.on(serve(other(bench.content), '"v1"', stop_after=half(bench)), serve(bench.content, '"v2"'))
    bench.download()
    assert bench.is_right()
    assert bench.server.ranges() == [None, half(bench)]
    assert bench.server.sent() == [half(bench), len(bench.content)]


def test_file_changed_and_if_range_ignored(bench):
    """The server goes on with another file: the mix is noticed, and one whole file fetched."""
    size = len(bench.content)
    mixed = wrong_range(bench, size // 2, size, bench.content[size // 2 :])
    bench.on(serve(other(bench.content), stop_after=size // 2), mixed, serve(bench.content))
    bench.download(attempts=2)
    assert bench.is_right()
    assert bench.server.ranges() == [None, size // 2, None]


@pytest.mark.parametrize("etag", ['W/"v1"', None, ""])
def test_no_strong_validator_no_resume(etag, bench):
    bench.on(serve(bench.content, etag, stop_after=half(bench)), serve(bench.content, etag))
    bench.download()
    assert bench.is_right()
    assert bench.server.ranges() == [None, None]


def test_last_modified_as_validator(bench):
    date = "Wed, 21 Oct 2015 07:28:00 GMT"

    def dated(exchange):
        exchange.head(200, Content_Length=len(bench.content), Last_Modified=date)
        exchange.body(bench.content[: half(bench)])

    bench.on(dated, serve(bench.content, date))
    bench.download()
    assert bench.is_right()
    assert bench.server.exchanges[1].headers["If-Range"] == date
    assert sum(bench.server.sent()) == len(bench.content)


# Across runs


def test_resume_across_runs(bench):
    bench.on(serve(bench.content, stop_after=half(bench)), serve(bench.content))
    model = bench.describe()
    arguments = ["download", model, "-o", bench.room, "--cache-dir", bench.cache, "--allow-http", "--num_attempts", "1"]
    code, _, err = run(*arguments)
    assert (code, err.count("error:")) == (1, 1)
    part = bench.part()
    assert part.read_bytes() == bench.content[: half(bench)]
    assert json.loads(part.with_name(part.name + ".json").read_text())["validator"] == ETAG
    assert run(*arguments)[0] == 0
    assert bench.is_right()
    assert bench.server.ranges() == [None, half(bench)]
    assert sum(bench.server.sent()) == len(bench.content)


@pytest.fixture
def interrupted(bench):
    """A first run that broke off in the middle."""
    bench.on(serve(bench.content, stop_after=half(bench)), serve(bench.content))
    with pytest.raises(DownloadError):
        bench.download(attempts=1)
    return bench


@pytest.mark.parametrize("attempts", [1, 4])
def test_tampered_part(attempts, interrupted):
    interrupted.part().write_bytes(other(interrupted.content[: half(interrupted)]))
    interrupted.download(attempts=attempts)
    assert interrupted.is_right()
    assert interrupted.server.ranges() == [None, half(interrupted), None]


@pytest.mark.parametrize("surplus", [None, 0, 1, 10_000_000])
def test_part_of_impossible_length(surplus, interrupted):
    with interrupted.part().open("r+b") as part:
        part.truncate(0 if surplus is None else len(interrupted.content) + surplus)
    interrupted.download()
    assert interrupted.is_right()
    assert interrupted.server.ranges() == [None, None]


@pytest.mark.parametrize("length", [1, 1000, 200_000, 327_679])
def test_part_of_another_length(length, interrupted):
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
def test_spoilt_note(note, interrupted):
    part = interrupted.part()
    path = part.with_name(part.name + ".json")
    path.unlink()
    if note is not None:
        path.write_text(note)
    interrupted.download()
    assert interrupted.is_right()
    assert interrupted.server.ranges() == [None, None]


def test_hostile_validator_in_the_note(interrupted):
    part = interrupted.part()
    path = part.with_name(part.name + ".json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "validator": '"v1"\r\nX-Evil: 1'}))
    with pytest.raises(DownloadError):
        interrupted.download(attempts=1)
    assert len(interrupted.server.exchanges) == 1  # nothing of it was sent
    path.unlink()
    interrupted.download()
    assert interrupted.is_right()


def test_part_of_another_url(interrupted):
    url = interrupted.on(serve(interrupted.content), path="/elsewhere")
    interrupted.download(url)
    assert interrupted.is_right()
    assert interrupted.server.ranges() == [None, None]


# Lengths


@pytest.mark.parametrize("lie", [-1, 1, -300_000, 10**12])
def test_announces_another_length(lie, bench):
    def liar(exchange):
        exchange.head(200, Content_Length=len(bench.content) + lie)
        exchange.body(bench.content)

    bench.on(liar)
    with pytest.raises(HashMismatchError, match="announces another size"):
        bench.download()
    assert len(bench.server.exchanges) == 1
    assert nothing_came(bench)


def test_sends_less_than_announced(bench):
    bench.on(serve(bench.content, None, stop_after=len(bench.content) - 1))
    with pytest.raises(DownloadError, match="connection failed|ended early") as caught:
        bench.download()
    assert not isinstance(caught.value, HashMismatchError)
    assert len(bench.server.exchanges) == 4
    assert not bench.target.exists()


def test_sends_more_than_announced(bench):
    def longer(exchange):
        exchange.head(200, Content_Length=len(bench.content))
        exchange.body(bench.content + b"and more" * 1000)

    bench.on(longer)
    bench.download()
    assert bench.is_right()


@pytest.mark.parametrize(("change", "words"), [(-1, "ended early"), (1, "too many bytes")])
def test_no_length_and_a_wrong_size(change, words, bench):
    def silent(exchange):
        exchange.head(200)
        exchange.body((bench.content + b"x")[: len(bench.content) + change])

    bench.on(silent)
    with pytest.raises(DownloadError, match=words):
        bench.download(attempts=2)
    assert not bench.target.exists()


def chunked(content, end=b"0\r\n\r\n"):
    def behave(exchange):
        exchange.protocol_version = "HTTP/1.1"
        exchange.head(200, Transfer_Encoding="chunked")
        for i in range(0, len(content), 9000):
            piece = content[i : i + 9000]
            exchange.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        exchange.wfile.write(end)

    return behave


def test_chunked(bench):
    bench.on(chunked(bench.content))
    bench.download()
    assert bench.is_right()


@pytest.mark.parametrize("end", [b"", b"zz\r\n", b"-5\r\n", b"ffffffffffffffffffff\r\n"])
def test_chunked_and_broken(end, bench):
    bench.on(chunked(bench.content[:50_000], end), serve(bench.content))
    bench.download()
    assert bench.is_right()


@pytest.mark.parametrize("length", [None, "true", "packed"])
def test_gzip_encoding(length, bench):
    packed = gzip.compress(bench.content)
    said = {"true": len(bench.content), "packed": len(packed)}

    def zips(exchange):
        headers = {} if length is None else {"Content_Length": said[length]}
        exchange.head(200, Content_Encoding="gzip", ETag=ETAG, **headers)
        exchange.body(packed)

    bench.on(zips, serve(bench.content))
    bench.download()
    assert bench.is_right()
    assert bench.server.exchanges[0].headers["Accept-Encoding"] == "identity"


def test_gzip_encoding_dropped(bench):
    """What is kept of an encoded answer cannot be gone on with."""
    packed = gzip.compress(bench.content)

    def zips(exchange):
        exchange.head(200, Content_Encoding="gzip", Content_Length=len(packed), ETag=ETAG)
        exchange.body(packed[: len(packed) // 2])

    bench.on(zips, serve(bench.content))
    bench.download()
    assert bench.is_right()
    assert bench.server.ranges() == [None, None]


def test_gzip_bomb(bench):
    def bomb(exchange):
        exchange.head(200, Content_Encoding="gzip")
        exchange.body(gzip.compress(bytes(200_000_000)))

    bench.on(bomb)
    with pytest.raises(HashMismatchError, match="too many bytes"):
        bench.download()
    assert nothing_came(bench)


# Redirects


def test_redirect(bench):
    bench.on(says(302, Location="/a/other"))
    bench.on(says(307, Location=f"{bench.server.url}/third"), path="/a/other")
    bench.on(serve(bench.content, stop_after=half(bench)), serve(bench.content), path="/third")
    bench.download()
    assert bench.is_right()
    assert bench.server.ranges()[-1] == half(bench)  # also the rest comes by the redirects


def test_redirect_to_https_that_fails(bench):
    bench.on(says(302, Location=bench.server.url.replace("http", "https") + "/net.onnx"))
    with pytest.raises(DownloadError, match="connection failed.*SSL"):
        bench.download(attempts=1)
    assert nothing_came(bench)


def test_redirect_to_http_is_refused(bench, certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    bench.on(serve(bench.content))
    with serving(certificate) as secure:
        source = secure.on("/net.onnx", says(302, Location=bench.server.url + "/net.onnx"))
        with pytest.raises(DownloadError, match="only https is fetched.*--allow-http"):
            bench.download(source, allow_http=False)
        assert bench.server.exchanges == []
        assert len(secure.exchanges) == 1  # and not tried again
        assert nothing_came(bench)
        bench.download(source, allow_http=True)
    assert bench.is_right()


def test_https(bench, certificate, monkeypatch):
    with serving(certificate) as secure:
        source = secure.on("/net.onnx", serve(bench.content))
        with pytest.raises(DownloadError, match=r"(?i)certificate verify failed"):
            bench.download(source, attempts=1, allow_http=False)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        bench.download(source, allow_http=False)
    assert bench.is_right()


def test_http_is_refused(bench):
    bench.on(serve(bench.content))
    with pytest.raises(DownloadError, match="only https is fetched.*--allow-http"):
        bench.download(allow_http=False)
    assert bench.server.exchanges == []


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "file:/etc/passwd", "ftp://127.0.0.1/x", "data:,x", "javascript:x", "FILE:///x"]
)
def test_redirect_to_another_scheme(location, bench):
    bench.on(says(302, Location=location))
    with pytest.raises(DownloadError, match="only https is fetched"):
        bench.download()
    assert len(bench.server.exchanges) == 1
    assert nothing_came(bench)


@pytest.mark.parametrize("locations", [["/net.onnx"], ["/b", "/net.onnx"]])
def test_redirect_loop(locations, bench):
    for path, location in zip(["/net.onnx", *locations], locations, strict=False):
        bench.on(says(302, Location=location), path=path)
    with pytest.raises(DownloadError, match="too many redirects"):
        bench.download()
    assert len(bench.server.exchanges) == 10
    assert nothing_came(bench)


@pytest.mark.parametrize("location", ["http://[x", "http://127.0.0.1:99999/", "http://", "//", "http:///x"])
def test_redirect_to_nonsense(location, bench):
    mirror = bench.on(serve(bench.content), path="/mirror")
    first = bench.on(says(302, Location=location))
    bench.download([first, mirror], attempts=2)
    assert bench.is_right()


# Contents and status


def test_wrong_bytes_then_the_next_mirror(bench):
    bad = bench.on(serve(other(bench.content)))
    good = bench.on(serve(bench.content), path="/mirror")
    bench.download([bad, good])
    assert bench.is_right()
    assert [exchange.target for exchange in bench.server.exchanges] == ["/net.onnx", "/mirror"]


def test_wrong_bytes_everywhere(bench):
    urls = [bench.on(serve(other(bench.content)), path=path) for path in ("/a", "/b")]
    with pytest.raises(HashMismatchError, match="SHA384 differs") as caught:
        bench.download(urls)
    assert caught.value.exit_code == 3
    assert all(url in str(caught.value) for url in urls)
    assert len(bench.server.exchanges) == 2
    assert nothing_came(bench)


def test_wrong_bytes_leave_the_earlier_file(bench):
    bench.folder.mkdir(parents=True)
    bench.target.write_bytes(b"earlier")
    bench.on(serve(other(bench.content)))
    with pytest.raises(HashMismatchError):
        bench.download()
    assert bench.target.read_bytes() == b"earlier"
    assert leftovers(bench.room) == []


def test_busy_then_fine_after_the_seconds_asked_for(bench):
    bench.on(says(503, Retry_After=17), serve(bench.content))
    bench.download()
    assert bench.is_right()
    assert bench.waits == [17]


def test_busy_then_fine_at_the_date_asked_for(bench):
    date, later = "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:29:30 GMT"
    bench.on(says(503, Date=date, Retry_After=later), serve(bench.content))
    bench.download()
    assert bench.is_right()
    assert bench.waits == [90]


@pytest.mark.parametrize(
    ("asked", "waited"),
    [("999999999", 300), ("-5", 0.25), ("soon", 0.25), ("0", 0.25), ("1e9", 0.25), ("Wed, 99 Oct 2015", 0.25)],
)
def test_retry_after_that_is_absurd(asked, waited, bench):
    bench.on(says(503, Retry_After=asked), serve(bench.content))
    bench.download()
    assert bench.waits == [waited]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_status_that_may_pass(status, bench):
    bench.on(says(status), says(status), serve(bench.content))
    bench.download()
    assert bench.is_right()
    assert bench.waits == [0.25, 0.5]


@pytest.mark.parametrize("status", [204, 304, 400, 401, 403, 404, 410, 501])
def test_status_that_stays(status, bench):
    bench.on(says(status))
    with pytest.raises(DownloadError, match=f"the server refused: expected status 200, got {status}"):
        bench.download()
    assert (len(bench.server.exchanges), bench.waits) == (1, [])
    assert nothing_came(bench)


def test_busy_for_ever(bench):
    bench.on(says(503))
    with pytest.raises(DownloadError, match="503"):
        bench.download(attempts=3)
    assert len(bench.server.exchanges) == 3
    assert nothing_came(bench)


# Proxies


def test_proxy_is_used(bench, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", bench.server.url)
    monkeypatch.setenv("http_proxy", bench.server.url)
    bench.on(serve(bench.content), path="http://models.invalid/net.onnx")
    bench.download("http://models.invalid/net.onnx")
    assert bench.is_right()
    assert [exchange.target for exchange in bench.server.exchanges] == ["http://models.invalid/net.onnx"]


def test_proxy_is_used_by_the_command(bench, tmp_path):
    bench.on(serve(bench.content), path="http://models.invalid/net.onnx")
    model = describe(tmp_path / "net", {"net.onnx": (bench.content, "http://models.invalid/net.onnx")})
    arguments = ["download", model, "-o", tmp_path, "--cache-dir", bench.cache, "--allow-http"]
    assert run(*arguments, http_proxy=bench.server.url)[0] == 0
    assert bench.is_right()


def test_proxy_for_https_is_asked_to_connect(bench, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", bench.server.url)
    bench.on(says(403), path="models.invalid:443")
    with pytest.raises(DownloadError, match="connection failed.*403"):
        bench.download("https://models.invalid/net.onnx", attempts=1)
    assert [exchange.command for exchange in bench.server.exchanges] == ["CONNECT"]


def test_no_proxy_is_honoured(bench, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    bench.on(serve(bench.content))
    bench.download()
    assert bench.is_right()


def test_names_are_not_taken_from_the_server(bench):
    def names(exchange):
        disposition = 'attachment; filename="../../evil"'
        exchange.head(200, Content_Length=len(bench.content), Content_Disposition=disposition)
        exchange.body(bench.content)

    bench.on(names)
    bench.download()
    assert bench.is_right()
    assert not any("evil" in name for _, _, names in os.walk(bench.room) for name in names)
