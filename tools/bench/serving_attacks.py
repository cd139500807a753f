"""Latency of a well-behaved client, and memory of the server, while hostile clients attack it.

    python tools/bench/serving_attacks.py [--seconds 5] [--attacks NAME …]

The good client sends a frame to the sample model by REST every 20 ms; the attackers run in a process of their own, at
the lowest priority, so that their share of the CPU is not taken for the server's. Printed are the latency and the
resident memory of the server. It fails if a latency reaches 100 ms, an answer is wrong, or memory grows by more than
the limit of buffered bytes. The line "none" tells what the latency is without an attack: on a busy machine, single
latencies mean nothing.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import socket
import statistics
import struct
import tempfile
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import openvino as ov
from serving_process import ServerProcess, our_server
from serving_requests import GrpcClient, RestClient, http_post, rest_binary, rest_classify

import ov_mobilenet as ovm
from ov_mobilenet.cli.demo import SAMPLE

LIMIT_MS = 100.0
MAX_GROWTH_MB = 256.0 + 64.0  # `max_buffered_bytes`, and what pymalloc keeps
INTERVAL_S = 0.02
POST = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\n"


def trickle(port: int, until: float, opening: bytes, drop: bytes, connections: int) -> None:
    """Connections that send a few bytes now and then, as slowhttptest does."""
    held: list[socket.socket] = []
    while time.monotonic() < until:
        with suppress(OSError):
            if len(held) < connections:
                held.append(socket.create_connection(("127.0.0.1", port), timeout=1))
                held[-1].sendall(opening)
                continue
        for one in held:
            with suppress(OSError):
                one.sendall(drop)
        time.sleep(0.5)
    for one in held:
        one.close()


def flood(port: int, until: float, opening: bytes, data: bytes, connections: int) -> None:
    """Connections that send without a pause, and connect again when they are closed."""
    held: dict[int, socket.socket] = {}
    while time.monotonic() < until:
        for number in range(connections):
            try:
                if number not in held:
                    held[number] = socket.create_connection(("127.0.0.1", port), timeout=1)
                    held[number].sendall(opening)
                held[number].sendall(data)
            except OSError:
                if number in held:
                    held.pop(number).close()
    for one in held.values():
        one.close()


def repeat(port: int, until: float, request: bytes) -> None:
    """One client that sends a request again and again."""
    while time.monotonic() < until:
        with suppress(OSError), RestClient(port) as client:
            while time.monotonic() < until and not client.is_last:
                client.ask_any(request)


def bad_protobuf(grpc_port: int, until: float) -> None:
    """Random bytes as messages of ModelInfer."""
    import grpc

    chance = random.Random(0)
    with GrpcClient(grpc_port) as client:
        while time.monotonic() < until:
            with suppress(grpc.RpcError):
                client.ask(chance.randbytes(chance.choice((10, 1000, 100_000))))


def bomb() -> bytes:
    """A PNG of 30000x30000 pixels in a megabyte."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    side = 30_000
    packer = zlib.compressobj(9)
    row = bytes(1 + side * 3)
    pixels = b"".join(packer.compress(row) for _ in range(side // 20)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def attacks() -> dict[str, Callable[[int, int, float], None]]:
    """What is sent to the ports of HTTP and gRPC until a time, by name."""
    headers, body = POST + b"X-Slow: ", POST + b"Content-Length: 1000000\r\n\r\n"
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    infer = "/v2/models/m/infer"
    deep = b'{"inputs":' + b"[" * 1_000_000
    numbers = b'{"inputs":[{"name":"input","datatype":"UINT8","shape":[1,1000,1000,3],"data":['
    numbers += b",".join([b"300"] * 3_000_000) + b"]}]}"
    return {
        "none": lambda port, grpc, until: time.sleep(max(0.0, until - time.monotonic())),
        "slow headers": lambda port, grpc, until: trickle(port, until, headers, b"a", 300),
        "slow bodies": lambda port, grpc, until: trickle(port, until, body, b"a", 300),
        "1000 connections": lambda port, grpc, until: trickle(port, until, b"", b"", 1000),
        "1000 connections to gRPC": lambda port, grpc, until: trickle(grpc, until, b"", b"", 1000),
        "huge headers": lambda port, grpc, until: flood(port, until, headers, b"a" * 65536, 8),
        "huge bodies": lambda port, grpc, until: flood(
            port, until, POST + b"Content-Length: 60000000\r\n\r\n", bytes(1 << 16), 8
        ),
        "too many chunks": lambda port, grpc, until: flood(port, until, chunked, b"1\r\na\r\n" * 5000, 8),
        "image bombs": lambda port, grpc, until: repeat(port, until, rest_classify(bomb(), "m")),
        "deep JSON": lambda port, grpc, until: repeat(port, until, http_post(infer, deep, "application/json")),
        "large JSON": lambda port, grpc, until: repeat(port, until, http_post(infer, numbers, "application/json")),
        "smuggling": lambda port, grpc, until: repeat(
            port, until, POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        "bad protobuf": lambda port, grpc, until: bad_protobuf(grpc, until),
    }  # fmt: skip


def attack(name: str, port: int, grpc_port: int, seconds: float) -> None:
    """Run an attack, in a process of its own."""
    os.nice(19)
    attacks()[name](port, grpc_port, time.monotonic() + seconds)


def measure(server: ServerProcess, name: str, request: bytes, expected: bytes, seconds: float) -> bool:
    """Attack, print one line, and tell whether it is within the limits."""
    before = peak = server.resources().rss_mb
    attacker = multiprocessing.get_context("spawn").Process(
        target=attack, args=(name, server.port, server.grpc_port, seconds)
    )
    attacker.start()
    time.sleep(1.0)  # imports
    latencies, wrong = [], 0
    client = RestClient(server.port)
    while attacker.is_alive():
        begun = time.perf_counter()
        try:
            wrong += client.ask(request) != expected
        except (OSError, RuntimeError):
            wrong += 1
            client.close()
            client = RestClient(server.port)
        latencies.append((time.perf_counter() - begun) * 1e3)
        peak = max(peak, server.resources().rss_mb)
        time.sleep(INTERVAL_S)
    client.close()
    attacker.join()
    good = not wrong and max(latencies) < LIMIT_MS and peak - before < MAX_GROWTH_MB
    p95 = statistics.quantiles(latencies, n=20)[-1]
    print(
        f"{name:26} median {statistics.median(latencies):.1f} ms, p95 {p95:.1f}, maximum {max(latencies):.1f},"
        f" memory {before:.0f} to {peak:.0f} MB, {len(latencies)} answers, {wrong} wrong{'' if good else '  FAILED'}",
        flush=True,
    )
    return good


def main() -> None:
    """Attack, print, and fail if a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--attacks", nargs="+", choices=list(attacks()), default=list(attacks()))
    options = parser.parse_args()
    print(f"{ov.Core().get_property('CPU', 'FULL_DEVICE_NAME')}, OpenVINO {ov.get_version()}")
    classifier = ovm.load_classifier(SAMPLE, device="CPU")
    assert classifier.input_size is not None
    name = classifier.compiled().model.inputs[0].get_any_name()
    frame = np.random.default_rng(0).integers(0, 256, (1, *classifier.input_size, 3), dtype=np.uint8)
    request = rest_binary("m", name, frame)
    with tempfile.TemporaryDirectory() as folder, our_server({"m": SAMPLE}, log=Path(folder) / "server.log") as server:
        with RestClient(server.port) as client:
            expected = client.ask(request)
        good = [measure(server, one, request, expected, options.seconds) for one in options.attacks]
    raise SystemExit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
