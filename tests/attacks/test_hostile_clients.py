"""HTTP clients that want to keep a server from answering others, or to fill its memory."""

from __future__ import annotations

import json
import socket
import struct
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import cv2
import pytest
from served_process import ServedProcess, serving
from serving.raw_http import RawClient, RawResponse, exchange, raw_client, request
from signs import held_out

MIB = 1 << 20
LIMIT = MIB  # of a body
MAX_CONNECTIONS = 40
OPTIONS = {
    "header-timeout": 0.3, "body-timeout": 0.3, "idle-timeout": 1, "max-body-bytes": LIMIT,
    "max-buffered-bytes": 4 * LIMIT,    "max-connections": MAX_CONNECTIONS, "max-pixels": 1_000_000,
}  # fmt: skip
# What all bodies that are buffered may take, and as much again while they are handed on; the rest is noise.
MAX_GROWTH_MB = 60.0
CLASSIFY = request("POST", "/v1/classify", "Transfer-Encoding: chunked")


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedProcess]:
    """A server in a process of its own."""
    words = [word for name, value in OPTIONS.items() for word in (f"--{name}", str(value))]
    sample = "mobilenet-v1-0.25-128-signs"
    with serving({"signs": sample}, tmp_path_factory.mktemp("victim"), "--no-grpc", *words) as process:
        answer_to_others(process)
        yield process


@pytest.fixture(scope="module")
def sign() -> bytes:
    """A drawing, as a PNG file."""
    return drawing()


def drawing() -> bytes:
    frame, _ = next(iter(held_out(5, 1)))
    return bytes(cv2.imencode(".png", frame)[1].tobytes())


def answer_to_others(server: ServedProcess) -> None:
    """Another client, with an image: it is answered."""
    answer = exchange(server.port, request("POST", "/v1/classify?top_k=1", body=drawing()))
    assert answer.status == 200, answer.body
    assert answer.document["predictions"][0]["probability"] > 0.5


@contextmanager
def attacked(server: ServedProcess) -> Iterator[ExitStack]:
    """Check that others are answered during an attack and after it, and that memory is bounded."""
    before = server.resident_mb
    with ExitStack() as attack:
        yield attack
        answer_to_others(server)
        assert server.resident_mb - before < MAX_GROWTH_MB
    answer_to_others(server)
    assert server.runs
    assert "Traceback" not in server.log.read_text("utf-8")


def connect(attack: ExitStack, server: ServedProcess) -> RawClient:
    return attack.enter_context(raw_client(server.port))


def test_headers_that_arrive_slowly(victim: ServedProcess) -> None:
    with attacked(victim) as attack:
        clients = [connect(attack, victim) for _ in range(2 * MAX_CONNECTIONS)]
        for client in clients:
            client.send(b"GET /v2 HTTP/1.1\r\nHost: 127.0.0.1\r\nX-")
        for letter in b"slow":
            for client in clients:
                client.send(bytes([letter]))
        answer_to_others(victim)
        ends = {client.rest()[:12] for client in clients}
        assert ends <= {b"HTTP/1.1 408", b"HTTP/1.1 503", b""}
        assert b"HTTP/1.1 408" in ends


def test_bodies_that_arrive_slowly(victim: ServedProcess) -> None:
    with attacked(victim) as attack:
        clients = [connect(attack, victim) for _ in range(2 * MAX_CONNECTIONS)]
        for client in clients:
            client.send(request("POST", "/v1/classify", "Content-Length: 1000") + b"a")
        for letter in b"slow":
            for client in clients:
                client.send(bytes([letter]))
        answer_to_others(victim)
        ends = {client.rest()[:12] for client in clients}
        assert ends <= {b"HTTP/1.1 408", b"HTTP/1.1 503", b""}
        assert b"HTTP/1.1 408" in ends


def test_clients_that_do_not_read(victim: ServedProcess) -> None:
    with attacked(victim) as attack:
        for _ in range(MAX_CONNECTIONS):
            client = connect(attack, victim)
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.send(request("GET", "/v2/models/signs") * 30)
        answer_to_others(victim)


def test_huge_heads(victim: ServedProcess) -> None:
    with attacked(victim) as attack:
        for start in (b"GET /", b"GET /v2 HTTP/1.1\r\nX: ", b"GET /v2 HTTP/1.1\r\n"):
            client = connect(attack, victim)
            client.send(start)
            for _ in range(64):
                client.send(b"x" * MIB if not start.endswith(b"1.1\r\n") else b"X: y\r\n" * 170_000)
            # A reset may overtake the response.
            assert client.rest()[:12] in (b"", b"HTTP/1.1 414", b"HTTP/1.1 431")
            answer_to_others(victim)


def test_huge_bodies(victim: ServedProcess) -> None:
    with attacked(victim) as attack:
        for length in (LIMIT + 1, 10**9, 10**15, 2**63 - 1):
            client = connect(attack, victim)
            client.send(request("POST", "/v1/classify", f"Content-Length: {length}"))
            assert client.response().status == 413
        for length in (2**64, 10**40):
            client = connect(attack, victim)
            client.send(request("POST", "/v1/classify", f"Content-Length: {length}"))
            assert client.response().status == 400
        endless = connect(attack, victim)
        endless.send(CLASSIFY)
        for _ in range(64):
            endless.send(b"100000\r\n" + b"x" * MIB + b"\r\n")
        answer_to_others(victim)


def test_many_bodies_at_once(victim: ServedProcess) -> None:
    with attacked(victim) as attack:
        clients = [connect(attack, victim) for _ in range(MAX_CONNECTIONS - 4)]
        for client in clients:
            client.send(request("POST", "/v1/classify", f"Content-Length: {LIMIT}") + b"x" * (LIMIT - 1))
        statuses = [client.response().status for client in clients]
        assert set(statuses) <= {408, 503}
        assert 503 in statuses


def test_tiny_chunks(victim: ServedProcess) -> None:
    with attacked(victim) as attack:
        for piece in (b"1\r\nx\r\n" * 100_000, (b"1;" + b"x" * 1000 + b"\r\nx\r\n") * 5000):
            client = connect(attack, victim)
            client.send(CLASSIFY + piece + b"0\r\n\r\n")
            assert client.response().status == 413
            answer_to_others(victim)


def test_smuggled_requests(victim: ServedProcess) -> None:
    inner = request("GET", "/v2/models/signs")
    for framing in (
        f"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{len(inner):x}\r\n",
        f"Transfer-Encoding: chunked\r\nContent-Length: {len(inner) + 5}\r\n\r\n0\r\n\r\n",
        "Content-Length: 0\r\nContent-Length: 40\r\n\r\n",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        "X: y\nContent-Length: 0\r\n\r\n",
        "X: y\rContent-Length: 0\r\n\r\n",
    ):
        with attacked(victim) as attack:
            client = connect(attack, victim)
            client.send(f"POST /v1/classify HTTP/1.1\r\nHost: 127.0.0.1\r\n{framing}".encode("latin-1") + inner)
            answers = client.rest()
            assert answers.startswith(b"HTTP/1.1 400 ")
            assert answers.count(b"HTTP/1.1") == 1, "the inner request was answered"


def test_a_thousand_connections(victim: ServedProcess) -> None:
    sockets: list[socket.socket] = []
    with attacked(victim) as attack:
        for _ in range(1000):
            sock = attack.enter_context(socket.create_connection(("127.0.0.1", victim.port), 30))
            sockets.append(sock)
            if len(sockets) % 250 == 0:
                answer_to_others(victim)
        assert victim.open_sockets < MAX_CONNECTIONS + 80


def test_connections_that_are_reset(victim: ServedProcess, sign: bytes) -> None:
    data = request("POST", "/v1/classify", body=sign)
    with attacked(victim):
        for cut in range(1, len(data), len(data) // 60):
            with socket.create_connection(("127.0.0.1", victim.port), 30) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.sendall(data[:cut] if cut % 2 else data)


def test_images_that_are_bombs(victim: ServedProcess) -> None:
    bombs = [png_of_zeros(30_000, 30_000), png_of_zeros(1001, 1000), gif_of(65_535, 65_535), bmp_of(40_000, 40_000)]
    with attacked(victim):
        for bomb in bombs:
            answer = exchange(victim.port, request("POST", "/v1/classify", body=bomb))
            assert answer.status == 422
            assert "too large to decode safely: expected at most " in answer.error
        answer = send_form(victim, bombs * 16)
        assert answer.status == 422
        assert len(answer.document["results"]) == 64


def test_metadata_and_sizes_that_are_bombs(victim: ServedProcess) -> None:
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"\0" * 50 * MIB))
    profile = png_chunk(b"iCCP", b"name\0\0" + zlib.compress(b"\0" * 50 * MIB))
    plain = png_of_zeros(100, 100)
    with attacked(victim):
        for chunk in (text, profile):
            bomb = plain[:33] + chunk + plain[33:]
            assert exchange(victim.port, request("POST", "/v1/classify", body=bomb)).status in (200, 422)
        head = {"inputs": [{"name": "input", "datatype": "UINT8", "shape": [1, 10**6, 10**6, 3], "data": [0]}]}
        body = json.dumps(head).encode()
        assert exchange(victim.port, request("POST", "/v2/models/signs/infer", body=body)).status == 400
        nested = b'{"inputs": ' + b"[" * 500_000
        assert exchange(victim.port, request("POST", "/v2/models/signs/infer", body=nested)).status == 400


def test_forms_that_are_bombs(victim: ServedProcess) -> None:
    with attacked(victim):
        assert send_form(victim, [b"x"] * 8000).status == 400
        for piece in (b"\r", b"\r\n--", b"\r\n--frontie", b"-"):
            boundary = "Content-Type: multipart/form-data; boundary=frontier"
            body = b'--frontier\r\nContent-Disposition: form-data; filename="a"\r\n\r\n' + piece * (
                LIMIT // 2 // len(piece)
            )
            assert exchange(victim.port, request("POST", "/v1/classify", boundary, body=body)).status == 400


def send_form(server: ServedProcess, files: list[bytes]) -> RawResponse:
    part = b'--frontier\r\nContent-Disposition: form-data; filename="a"\r\n\r\n'
    body = b"".join(part + file + b"\r\n" for file in files) + b"--frontier--\r\n"
    boundary = "Content-Type: multipart/form-data; boundary=frontier"
    return exchange(server.port, request("POST", "/v1/classify", boundary, body=body))


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_zeros(width: int, height: int) -> bytes:
    """A black image of this size; of a large one, its first MiB."""
    rows = bytes(min(MIB, (width + 1) * height))
    return b"\x89PNG\r\n\x1a\n" + b"".join((
        png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        png_chunk(b"IDAT", zlib.compress(rows)), png_chunk(b"IEND", b""),
    ))  # fmt: skip


def gif_of(width: int, height: int) -> bytes:
    size = struct.pack("<HH", width, height)
    image = b"\x2c" + struct.pack("<HH", 0, 0) + size + b"\0\x02\x02\x4c\x01\0"
    return b"GIF89a" + size + b"\x80\0\0\0\0\0\xff\xff\xff" + image + b"\x3b"


def bmp_of(width: int, height: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header
