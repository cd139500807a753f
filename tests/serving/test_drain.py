"""SIGTERM under load: every request that was sent over an established connection is answered."""

from __future__ import annotations

import json
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from serving.drain_clients import (
    ANSWERED,
    LOST,
    REFUSED,
    WRONG,
    Outcomes,
    call_until_unavailable,
    send_until_refused,
)
from serving.server_process import SAMPLE, ServerProcess, served

from ov_mobilenet import find_config

SIGN = find_config(SAMPLE).folder / "samples" / "stop_red_01.jpg"
LABEL = b'"stop red"'
CLIENTS = 8


def drain_under_load(server: ServerProcess, signum: int) -> Outcomes:
    outcomes = Outcomes()
    image = SIGN.read_bytes()
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [
            pool.submit(send_until_refused, server.port, image, LABEL, outcomes, keep_alive=number % 2 == 0)
            for number in range(CLIENTS)
        ]
        assert outcomes.enough.wait(60)
        code, stderr = server.end(signum)
        for client in clients:
            client.result(60)
    assert code == 0, stderr
    return outcomes


@pytest.mark.parametrize("signum", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.full)])
def test_no_request_is_lost(signum: int) -> None:
    with served(f"--name=signs={SAMPLE}") as server:
        outcomes = drain_under_load(server, signum)
    assert (outcomes.counts[LOST], outcomes.counts[WRONG]) == (0, 0), outcomes.errors
    assert outcomes.counts[REFUSED] == CLIENTS
    assert outcomes.counts[ANSWERED] >= 40


def test_no_call_over_grpc_is_lost() -> None:
    outcomes = Outcomes()
    with served(f"--name=signs={SAMPLE}") as server, ThreadPoolExecutor(CLIENTS) as pool:
        arguments = (str(server.announced["grpc"]), SIGN.read_bytes(), b":stop red", outcomes)
        clients = [pool.submit(call_until_unavailable, *arguments) for _ in range(CLIENTS)]
        assert outcomes.enough.wait(60), outcomes
        code, stderr = server.end()
        for client in clients:
            client.result(60)
    assert code == 0, stderr
    assert (outcomes.counts[LOST], outcomes.counts[WRONG]) == (0, 0), outcomes.errors
    assert outcomes.counts[REFUSED] == CLIENTS


@pytest.mark.full
@pytest.mark.parametrize("number", range(20))
def test_no_request_is_lost_in_twenty_ends(number: int) -> None:
    with served(f"--name=signs={SAMPLE}") as server:
        outcomes = drain_under_load(server, signal.SIGTERM)
    assert (outcomes.counts[LOST], outcomes.counts[WRONG]) == (0, 0), outcomes.errors


def request(path: str, body: bytes = b"") -> bytes:
    method = "POST" if body else "GET"
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def receive_all(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(65536), b""))


def test_what_is_on_its_way_at_the_signal_is_answered_and_new_connections_are_refused() -> None:
    image = SIGN.read_bytes()
    with served(f"--name=signs={SAMPLE}") as server:
        address = ("127.0.0.1", server.port)
        with (
            socket.create_connection(address, 60) as half_sent,
            socket.create_connection(address, 60) as kept,
            socket.create_connection(address, 60) as silent,
        ):
            kept.sendall(request("/v2/health/ready"))
            assert kept.recv(65536).startswith(b"HTTP/1.1 200")
            whole = request("/v1/classify", image)
            half_sent.sendall(whole[: len(whole) // 2])
            server.process.send_signal(signal.SIGTERM)
            # A server that does not take new connections any more has received the signal.
            refused = threading.Event()
            while not refused.is_set():
                try:
                    socket.create_connection(address, 60).close()
                except ConnectionRefusedError:
                    refused.set()
            half_sent.sendall(whole[len(whole) // 2 :])
            answer = receive_all(half_sent)
            assert answer.startswith(b"HTTP/1.1 200") and LABEL in answer
            assert b"connection: close" in answer.lower()
            assert receive_all(kept) == receive_all(silent) == b""
        assert server.process.wait(60) == 0


def test_the_server_is_not_ready_while_it_drains() -> None:
    with served(f"--name=signs={SAMPLE}") as server:
        address = ("127.0.0.1", server.port)
        with socket.create_connection(address, 60) as busy, socket.create_connection(address, 60) as probe:
            busy.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
            probe.sendall(request("/v2/health/ready"))
            assert probe.recv(65536).startswith(b"HTTP/1.1 200")
            probe.sendall(b"GET /v2/health/ready HTTP/1.1\r\n")
            server.process.send_signal(signal.SIGTERM)
            assert server.process.stderr is not None
            while "stopping" not in server.process.stderr.readline():
                pass
            probe.sendall(b"Host: localhost\r\n\r\n")
            answer = receive_all(probe)
            assert answer.startswith(b"HTTP/1.1 503")
            assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"ready": False}


@pytest.mark.full
def test_requests_that_take_longer_than_the_time_to_drain_are_cancelled() -> None:
    with (
        served(f"--name=signs={SAMPLE}", "--drain-timeout", "0.3") as server,
        socket.create_connection(("127.0.0.1", server.port), 60) as endless,
    ):
        endless.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nbegin")
        code, stderr = server.end()
        assert code == 0, stderr
        assert receive_all(endless).startswith(b"HTTP/1.1 503")
