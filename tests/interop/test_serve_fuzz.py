"""A thousand wrong requests over both transports to one server, which answers each, and the right ones between them."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator

import grpc
import pytest
import requests
from served_fuzz import FuzzedRequest, fuzzed_request
from served_images import ServedImages, drawn_images
from served_process import ServedProcess, serving, wait_until

from ov_mobilenet.cli.demo import SAMPLE

pytestmark = pytest.mark.serve

COUNT = 1000
EVERY = 100
MAX_GROWTH_MB = 30
# Of an answer to a request that is wrong: anything else than a fault of the server. 503: overloaded.
GRPC_CODES = {
    "OK", "INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED", "RESOURCE_EXHAUSTED", "PERMISSION_DENIED",
    "DEADLINE_EXCEEDED",
}  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ServedImages:
    return drawn_images(SAMPLE, tmp_path_factory.mktemp("images"), 2)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedProcess]:
    with serving({"signs": SAMPLE}, tmp_path_factory.mktemp("server")) as process:
        yield process


def http_answer(server: ServedProcess, data: bytes) -> bytes:
    """All bytes that come back on a connection. After `data` nothing more is sent."""
    received = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                received += part
        except (ConnectionResetError, BrokenPipeError):  # refused before all was read
            pass
    return received


def status_of(server: ServedProcess, channel: grpc.Channel, request: FuzzedRequest) -> str:
    """The status of the answer; "closed" if the connection was closed without one."""
    if request.transport == "grpc":
        call = channel.unary_unary(f"/inference.GRPCInferenceService/{request.method}", bytes, bytes)
        try:
            call(request.data, timeout=30)
        except grpc.RpcError as error:
            return str(error.code().name)
        return "OK"
    received = http_answer(server, request.data)
    if not received:
        return "closed"
    assert received.startswith(b"HTTP/1.1 "), received[:200]
    return received[9:12].decode("ascii")


def test_a_thousand_wrong_requests(server: ServedProcess, images: ServedImages) -> None:
    image = images.files[1].read_bytes()
    expected = [class_id for _, class_id, _ in images.classes_of(images.files[1], 5)]
    found: Counter[tuple[str, str]] = Counter()
    faults: list[tuple[int, str, bytes]] = []
    memory = threads = sockets = 0.0
    with grpc.insecure_channel(server.grpc) as channel:
        for number in range(COUNT):
            request = fuzzed_request(number, image)
            status = status_of(server, channel, request)
            found[request.kind, status] += 1
            if not (status in GRPC_CODES or status in {"closed", "503"} or status[:1] in "1234"):
                faults.append((number, status, request.data[:300]))
            if number % EVERY == EVERY - 1:
                right = requests.post(f"{server.url}/v1/classify", data=image, timeout=30)
                assert right.status_code == 200, (number, right.text)
                assert [one["class_id"] for one in right.json()["predictions"]] == expected
            if number == EVERY - 1:  # everything has been used once
                memory, threads = server.resident_mb, server.threads
                sockets = server.open_sockets
    assert faults == []
    assert server.runs
    assert server.threads <= threads
    wait_until(lambda: server.open_sockets <= sockets, "connections stay open")
    assert server.resident_mb - memory < MAX_GROWTH_MB
    assert "Traceback" not in server.log.read_text()
    # Not everything may be refused at the door.
    for kind in ("bytes", "json", "binary", "image", "form", "message"):
        statuses = {status for of, status in found if of == kind}
        assert len(statuses) > 1, (kind, found)
