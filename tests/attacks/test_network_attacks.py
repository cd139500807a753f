"""Broken connections, range requests, and resuming across runs: the file is correct or absent."""

from __future__ import annotations

import itertools
import json

import pytest
from attacks.loopback_server import Behaviour, Exchange, run, says, serve, serving
from attacks.served_model import ServedModel, wrong_bytes

from ov_mobilenet.downloads.transport import CHUNK_BYTES
from ov_mobilenet.errors import DownloadError, HashMismatchError

ETAG = '"v1"'


# The connection


def test_drop_after_every_tenth_of_the_file(served: ServedModel) -> None:
    size = len(served.content)
    served.on(serve(served.content, ETAG, stop_after=size // 10))
    served.download(attempts=10)
    assert served.is_right()
    assert served.server.ranges() == [None, *range(size // 10, size, size // 10)]
    assert [exchange.headers["If-Range"] for exchange in served.server.exchanges[1:]] == [ETAG] * 9
    assert sum(served.server.sent()) == size  # no byte is sent twice
    assert served.waits == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert served.sizes[1:] == sorted(served.sizes[1:])


@pytest.mark.parametrize("piece", [20_000, 33_333, 99_999])
def test_drop_between_chunk_boundaries(piece: int, served: ServedModel) -> None:
    """At most the incomplete chunk is sent again."""
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
    with pytest.raises(DownloadError, match="status 206|invalid response to a range request"):
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
    with pytest.raises(DownloadError, match="status 206"):
        served.download()
    assert served.nothing_kept()


def test_busy_server_does_not_discard_the_part(served: ServedModel) -> None:
    served.on(serve(served.content, stop_after=served.half()), says(503), lambda exchange: None, serve(served.content))
    served.download()
    assert served.is_right()
    assert sum(served.server.sent()) == len(served.content)


def test_file_changed_between_attempts(served: ServedModel) -> None:
    served.on(serve(wrong_bytes(served.content), '"v1"', stop_after=served.half()), serve(served.content, '"v2"'))
    served.download()
    assert served.is_right()
    assert served.server.ranges() == [None, served.half()]
    assert served.server.sent() == [served.half(), len(served.content)]


def test_file_changed_and_if_range_ignored(served: ServedModel) -> None:
    """The server resumes with another file: the mix is detected, and the new file is fetched completely."""
    size = len(served.content)
    mixed = wrong_range(served, size // 2, size, served.content[size // 2 :])
    served.on(serve(wrong_bytes(served.content), stop_after=size // 2), mixed, serve(served.content))
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
    """A model whose first download was interrupted in the middle."""
    served.on(serve(served.content, stop_after=served.half()), serve(served.content))
    with pytest.raises(DownloadError):
        served.download(attempts=1)
    return served


@pytest.mark.parametrize("attempts", [1, 4])
def test_tampered_part(attempts: int, interrupted: ServedModel) -> None:
    interrupted.part().write_bytes(wrong_bytes(interrupted.content[: interrupted.half()]))
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
    """A truncated part is resumed; one extended with zeros is detected."""
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
    assert len(interrupted.server.exchanges) == 1  # no second request
    path.unlink()
    interrupted.download()
    assert interrupted.is_right()


def test_part_of_another_url(interrupted: ServedModel) -> None:
    url = interrupted.on(serve(interrupted.content), path="/elsewhere")
    interrupted.download(url)
    assert interrupted.is_right()
    assert interrupted.server.ranges() == [None, None]
