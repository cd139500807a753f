from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving.raw_http import HOST, exchange, raw_client, request
from serving.sample_server import sample_server

from ov_mobilenet import Classifier
from ov_mobilenet.serving.http_transport.http_turns import SLICE_BYTES, Incoming, ParsingTurns
from ov_mobilenet.serving.server import Server

LIVE = request("GET", "/v2/health/live")
KIB = 1024
LIMIT = 64 * KIB  # of a body
CHUNKED = b"POST /v1/classify HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def small(signs_classifier: Classifier) -> Iterator[Server]:
    """A server with small limits."""
    with sample_server(
        signs_classifier, max_body_bytes=LIMIT, max_buffered_bytes=3 * LIMIT, max_connections=4, grpc_port=None,
        header_timeout_s=0.2, body_timeout_s=0.2, idle_timeout_s=0.3,
    ) as server:  # fmt: skip
        yield server


def padded(size: int) -> bytes:
    """A request whose headers have about this many bytes."""
    return request("GET", "/v2/health/live", f"X-Padding: {'x' * size}")


# Heads


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (padded(60 * KIB), 200),
        (padded(65 * KIB), 431),
        (padded(2048 * KIB), 431),
        (request("GET", "/v2/health/live", *(f"X-{n}: 1" for n in range(99))), 200),
        (request("GET", "/v2/health/live", *(f"X-{n}: 1" for n in range(100))), 431),
        (request("GET", "/v2/health/live?" + "x" * 8000), 200),
        (request("GET", "/v2/health/live?" + "x" * 8200), 414),
        (request("GET", "/" + "x" * 1_000_000), 414),
    ],
    ids=["60 KiB", "65 KiB", "2 MiB", "100 headers", "101 headers", "long query", "too long query", "1 MB of path"],
)
def test_the_head_is_bounded(server: Server, data: bytes, status: int) -> None:
    answer = exchange(server.port, data)
    assert answer.status == status
    if status != 200:
        assert "at most" in answer.error
        assert answer.headers["connection"] == "close"


def test_a_header_that_never_ends_is_refused_while_it_arrives(server: Server) -> None:
    with raw_client(server.port) as client:
        client.send(b"GET / HTTP/1.1\r\nX: ")
        for _ in range(64):
            client.send(b"x" * 16 * KIB)
        assert client.response().status == 431


@pytest.mark.parametrize(
    "head",
    [
        b"POST /v1/classify HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/classify HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"POST /v1/classify HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST /v1/classify HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /v1/classify HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc",
        b"POST /v1/classify HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
        b"POST /v1/classify HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc",
        b"POST /v1/classify HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc",
        b"POST /v1/classify HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\nabc",
        b"POST /v1/classify HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\nabc",
        b"POST /v1/classify HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/classify HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        b"POST /v1/classify HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/classify HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        b"POST /v1/classify HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
        b"POST /v1/classify HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: a\r\nX: b\r\n folded\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n",
        b"GET /v2 HTTP/1.1\nHost: a\n\n",
        b"GET /v2 HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\n\r\n",
        b"GET http://127.0.0.1/v2 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /é HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
        b"FETCH /v2 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0\0\0\0",
    ],
)
def test_what_proxies_may_read_differently_is_refused(server: Server, head: bytes) -> None:
    with raw_client(server.port) as client:
        client.send(head + b"GET /v2/health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        answer = client.response()
        assert answer.status == 400
        assert answer.error
        assert answer.headers["connection"] == "close"
        assert client.is_closed(), "the bytes after it must not be read as a second request"


@pytest.mark.parametrize(
    "data",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /v2 HTTP/2.0\r\nHost: a\r\n\r\n",
        b"GET /v2 HTTP/0.9\r\nHost: a\r\n\r\n",
    ],
)
def test_other_versions_of_http_are_refused(server: Server, data: bytes) -> None:
    answer = exchange(server.port, data)
    assert answer.status == 505
    assert "HTTP/1.1" in answer.error


def test_http_1_0_is_answered_and_closed(server: Server) -> None:
    with raw_client(server.port) as client:
        client.send(b"GET /v2/health/live HTTP/1.0\r\n\r\n")
        assert client.response().document == {"live": True}
        assert client.is_closed()


# Bodies


def test_a_body_above_the_limit_is_refused_before_it_is_read(small: Server) -> None:
    with raw_client(small.port) as client:
        client.send(request("POST", "/v1/classify", f"Content-Length: {LIMIT + 1}"))
        answer = client.response()
        assert answer.status == 413
        assert str(LIMIT) in answer.error
        assert answer.headers["connection"] == "close"


def test_a_body_of_the_limit_is_read(small: Server) -> None:
    assert exchange(small.port, request("POST", "/v1/classify", body=b"x" * LIMIT)).status == 422


def test_a_client_that_waits_for_100_continue(small: Server) -> None:
    with raw_client(small.port) as client:
        client.send(request("POST", "/v1/classify", "Expect: 100-continue", "Content-Length: 4"))
        assert client.continued()
        client.send(b"junk")
        assert client.response().status == 422
        assert exchange(small.port, request("GET", "/v2", "Expect: a-sandwich")).status == 417


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (request("POST", "/v1/classify", "Expect: 100-continue", f"Content-Length: {LIMIT + 1}"), 413),
        (request("POST", "/nowhere", "Expect: 100-continue", "Content-Length: 1000"), 404),
        (request("GET", "/v1/classify", "Expect: 100-continue", "Content-Length: 1000"), 405),
        (request("POST", "/v1/classify", "Expect: 100-continue", "Content-Length: 9", "Content-Encoding: br"), 415),
    ],
)
def test_a_refused_body_is_not_asked_for(small: Server, head: bytes, status: int) -> None:
    with raw_client(small.port) as client:
        client.send(head)
        answer = client.response()
        assert answer.status == status
        assert answer.headers["connection"] == "close"


def test_a_chunked_body_is_counted_while_it_arrives(small: Server) -> None:
    with raw_client(small.port) as client:
        client.send(CHUNKED)
        for _ in range(100):
            client.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        answer = client.response()
        assert answer.status == 413
        assert str(LIMIT) in answer.error


@pytest.mark.parametrize(("chunks", "status"), [(65_535, 422), (65_536, 413), (200_000, 413)])
def test_the_number_of_chunks_is_bounded(server: Server, chunks: int, status: int) -> None:
    with raw_client(server.port) as client:
        # The last chunk, which is empty, counts too.
        client.send(CHUNKED + b"1\r\nx\r\n" * chunks + b"0\r\n\r\n")
        assert client.response().status == status


def test_extensions_of_chunks_and_trailers_are_bounded(server: Server) -> None:
    with raw_client(server.port) as client:
        client.send(CHUNKED)
        for _ in range(64):
            client.send(b"1;" + b"x" * 64 * KIB + b"\r\nx\r\n")
        assert client.response().status == 413
    with raw_client(server.port) as client:
        client.send(CHUNKED + b"1\r\nx\r\n0\r\nX: " + b"x" * 100 * KIB + b"\r\n\r\n")
        assert client.response().status == 431


def test_trailers_are_dropped(server: Server) -> None:
    trailer = b"1\r\nx\r\n0\r\nContent-Encoding: gzip\r\nHost: evil.example\r\n\r\n"
    assert exchange(server.port, CHUNKED + trailer).status == 422


@pytest.mark.parametrize("size", [b"zz", b"-3", b"0x3", b"+3", b"f" * 17, b" 3"])
def test_invalid_sizes_of_chunks(server: Server, size: bytes) -> None:
    assert exchange(server.port, CHUNKED + size + b"\r\nabc\r\n0\r\n\r\n").status == 400


def test_all_bodies_together_are_bounded(signs_classifier: Classifier) -> None:
    with sample_server(signs_classifier, max_body_bytes=LIMIT, max_buffered_bytes=2 * LIMIT, grpc_port=None) as server:
        head = request("POST", "/v1/classify", "Expect: 100-continue", f"Content-Length: {LIMIT}")
        with raw_client(server.port) as first, raw_client(server.port) as second, raw_client(server.port) as third:
            for client in (first, second):
                client.send(head)
                assert client.continued()
                client.send(b"x" * (LIMIT - 1))
            # The server has received both when it answers about as many bytes of a third client.
            third.send(head)
            assert third.continued()
            third.send(b"x" * (LIMIT - 1))
            answer = third.response()
            assert answer.status == 503
            assert answer.headers["retry-after"]
            for client in (first, second):
                client.send(b"x")
                assert client.response().status == 422
            first.send(request("POST", "/v1/classify", body=b"x" * LIMIT))
            assert first.response().status == 422, "what was answered does not count any more"


# Time


def test_headers_must_arrive_in_time(small: Server) -> None:
    with raw_client(small.port) as client:
        client.send(b"GET /v2 HTTP/1.1\r\nHost: a\r\nX-Sl")
        answer = client.response()
        assert answer.status == 408
        assert "0.2 s" in answer.error
        assert client.is_closed()


def test_a_connection_that_sends_nothing_is_closed(small: Server) -> None:
    with raw_client(small.port) as client:
        assert client.is_closed()


def test_endless_line_ends_are_not_a_request(small: Server) -> None:
    with raw_client(small.port) as client:
        client.sock.settimeout(0.02)
        while True:
            client.send(b"\r\n")
            try:
                if client.sock.recv(1000) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionResetError:
                break


@pytest.mark.parametrize("start", [request("POST", "/v1/classify", "Content-Length: 9"), CHUNKED + b"5\r\n"])
def test_a_body_must_arrive_in_time(small: Server, start: bytes) -> None:
    with raw_client(small.port) as client:
        client.send(start + b"abc")
        answer = client.response()
        assert answer.status == 408
        assert "0.2 s" in answer.error
        assert client.is_closed()


def test_an_idle_connection_is_closed(small: Server) -> None:
    with raw_client(small.port) as client:
        for _ in range(3):
            client.send(LIVE)
            assert client.response().document == {"live": True}
        assert client.is_closed()


# Connections


def test_pipelined_requests_are_answered_in_order(server: Server, sign_files: list[Path]) -> None:
    sign = sign_files[0].read_bytes()
    with raw_client(server.port) as client:
        client.send(
            request("POST", "/v1/classify", body=sign) + LIVE + request("GET", "/v2/health/ready")
            + request("POST", "/v1/classify", body=b"junk") + LIVE
        )  # fmt: skip
        assert client.response().document["source"] == "image"
        assert client.response().document == {"live": True}
        assert client.response().document == {"ready": True}
        assert client.response().status == 422
        assert client.response().document == {"live": True}


def test_pipelining_is_bounded(server: Server) -> None:
    with raw_client(server.port) as client:
        client.send(LIVE * 1000)
        answers = client.rest().split(b"HTTP/1.1 ")[1:]
        assert {one[:3] for one in answers[:-1]} == {b"200"}
        assert 1 < len(answers) < 100
        assert answers[-1].startswith(b"400")
        assert b"pipelined" in answers[-1]


def test_an_invalid_request_after_a_valid_one_is_refused_in_its_turn(server: Server, sign_files: list[Path]) -> None:
    with raw_client(server.port) as client:
        client.send(request("POST", "/v1/classify", body=sign_files[0].read_bytes()) + b"NONSENSE\r\n\r\n")
        assert client.response().status == 200
        assert client.response().status == 400
        assert client.is_closed()


def test_the_next_request_may_come_in_pieces(server: Server) -> None:
    with raw_client(server.port) as client:
        for cut in (1, 5, 17, len(LIVE) - 1):
            client.send(LIVE[:cut])
            client.send(LIVE[cut:])
            assert client.response().document == {"live": True}


def test_a_new_client_replaces_the_one_that_has_kept_the_server_waiting_the_longest(
    signs_classifier: Classifier,
) -> None:
    upload = request("POST", "/v1/classify", "Expect: 100-continue", "Content-Length: 4")
    with (
        sample_server(signs_classifier, max_connections=2, grpc_port=None) as server,
        raw_client(server.port) as uploading,
        raw_client(server.port) as idle,
    ):
        uploading.send(upload)
        assert uploading.continued()
        idle.send(LIVE)
        assert idle.response().status == 200
        with raw_client(server.port) as new:
            new.send(upload)
            assert new.continued()
            assert idle.is_closed()
            # Both connections receive a body now. The older one is told why it has to go.
            with raw_client(server.port) as newest:
                newest.send(LIVE)
                assert newest.response().status == 200
                answer = uploading.response()
                assert answer.status == 503
                assert answer.headers["retry-after"]
                assert "too many connections" in answer.error
                new.send(b"junk")
                assert new.response().status == 422


def test_small_chunks_of_one_client_do_not_hold_up_the_others() -> None:
    """Between two requests of the other client, at most a few slices are parsed, not all that has arrived."""
    turns = ParsingTurns()
    order: list[str] = []

    class Connection:
        incoming: Incoming = "head"

        def parse(self, data: bytes) -> None:
            order.append(data.decode())
            self.incoming = "chunks"

        def set_behind(self, behind: bool) -> None:
            order.append("behind" if behind else "done")

    async def receive() -> None:
        one, other = Connection(), Connection()
        turns.receive(one, b"a" * SLICE_BYTES + b"b" * SLICE_BYTES + b"c")
        turns.receive(other, b"A" * SLICE_BYTES + b"B")
        turns.receive(one, b"d")
        while "done" not in order[-1:] or order.count("done") < 2:
            order.append("loop")
            await asyncio.sleep(0)

    asyncio.run(receive())
    assert [text[:6] for text in order if text != "loop"] == [
        "aaaaaa", "behind", "AAAAAA", "behind", "bbbbbb", "B", "done", "cd", "done",
    ]  # fmt: skip
    assert order.index("B") > order.index("b" * SLICE_BYTES) + 1  # the loop ran between two turns
