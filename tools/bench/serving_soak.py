"""Memory, threads and sockets of a server before and after many requests.

    python tools/bench/serving_soak.py [--requests 100000] [--clients 8]

A mix of requests to the sample model: binary tensors, JSON, image files, gRPC, and requests that are refused. Some
clients connect anew every 50 requests. Each answer is compared with the first one for the same request. Printed are the
resident memory, the threads and the sockets of the server after a warm-up of a tenth of the requests and at the end,
without connections. It fails if memory grows by 20 MB or more, or if a thread or socket is left.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from images import drawings
from report import Report, add_json_option
from serving_process import Resources, ServerProcess, our_server
from serving_requests import (
    GrpcClient,
    RestClient,
    grpc_infer,
    grpc_values,
    http_post,
    rest_binary,
    rest_classify,
    rest_json,
)

import ov_mobilenet as ovm
from ov_mobilenet.cli.demo import SAMPLE

MAX_GROWTH_MB = 20.0
REQUESTS_PER_CONNECTION = 50
QUIET_S = 4.0


class Client:
    """Sends the mix over one REST connection and one channel of gRPC, and checks the answers."""

    def __init__(self, server: ServerProcess, requests: dict[str, bytes], first: dict[str, object]) -> None:
        self._server, self._requests, self._first = server, requests, first
        self.wrong = 0

    def run(self, count: int) -> None:
        """Send about `count` requests."""
        with GrpcClient(self._server.grpc_port) as grpc:
            for _ in range(0, count, REQUESTS_PER_CONNECTION):
                with RestClient(self._server.port) as rest:
                    for number in range(min(count, REQUESTS_PER_CONNECTION)):
                        kind = list(self._requests)[number % len(self._requests)]
                        self._send(kind, rest, grpc)

    def _send(self, kind: str, rest: RestClient, grpc: GrpcClient) -> None:
        request, answer = self._requests[kind], object()
        if kind == "grpc":
            answer = grpc_values(grpc.ask(request)).tobytes()
        else:
            status, body = rest.ask_any(request)
            answer = (status, b"" if status != 200 else _content(kind, body))
        if self._first.setdefault(kind, answer) != answer:
            self.wrong += 1


def _content(kind: str, body: bytes) -> bytes:
    """What must be the same in each answer."""
    return json.dumps(json.loads(body)["predictions"]).encode() if kind == "classify" else body


def mixed_requests() -> dict[str, bytes]:
    """The requests by name."""
    classifier = ovm.load_classifier(SAMPLE, device="CPU")
    assert classifier.input_size is not None
    name = classifier.compiled().model.inputs[0].get_any_name()
    random = np.random.default_rng(0)
    frame = random.integers(0, 256, (1, *classifier.input_size, 3), dtype=np.uint8)
    jpeg = next(drawings(1, 1))
    return {
        "binary": rest_binary("m", name, frame), "grpc": grpc_infer("m", name, frame),
        "other size": rest_binary("m", name, random.integers(0, 256, (1, 90, 160, 3), dtype=np.uint8)),
        "two images": rest_binary("m", name, np.concatenate([frame, frame])), "json": rest_json("m", name, frame),
        "classify": rest_classify(jpeg, "m"), "not an image": rest_classify(b"not an image", "m"),
        "unknown model": http_post("/v2/models/none/infer", b"{}", "application/json"),
        "bad JSON": http_post("/v2/models/m/infer", b"{", "application/json"),
    }  # fmt: skip


def resources_at_rest(server: ServerProcess) -> Resources:
    """What the server holds when no client is connected and the threads without work have ended."""
    time.sleep(QUIET_S)
    return server.resources()


def main() -> None:
    """Send, print and fail if something is left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=8)
    add_json_option(parser)
    options = parser.parse_args()
    report = Report(options)
    requests, first = mixed_requests(), dict[str, object]()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "server.log"
        with our_server({"m": SAMPLE}, "--inference-precision", "f32", log=log) as server:
            clients = [Client(server, requests, first) for _ in range(options.clients)]

            def send(count: int) -> Resources:
                with ThreadPoolExecutor(len(clients)) as pool:
                    list(pool.map(lambda client: client.run(count // len(clients)), clients))
                return resources_at_rest(server)

            before = send(options.requests // 10)
            begun, cpu_s = time.perf_counter(), server.cpu_s()
            after = send(options.requests)
            elapsed, cpu_s = time.perf_counter() - begun, server.cpu_s() - cpu_s
    wrong = sum(client.wrong for client in clients)
    growth = after.rss_mb - before.rss_mb
    print(
        f"{options.requests} requests in {elapsed:.0f} s, CPU time of the server"
        f" {cpu_s / options.requests * 1e3:.2f} ms each, {wrong} wrong answers"
    )
    print(f"  after warm-up {before.rss_mb:.0f} MB, {before.threads} threads, {before.sockets} sockets")
    print(f"  at the end    {after.rss_mb:.0f} MB, {after.threads} threads, {after.sockets} sockets: {growth:+.1f} MB")
    figures = {
        "requests": options.requests,
        "wrong": wrong,
        "wall_s": elapsed,
        "server_cpu_s": cpu_s,
        "growth_mb": growth,
    }
    report.add(
        "soak", figures | {"threads": [before.threads, after.threads], "sockets": [before.sockets, after.sockets]}
    )
    report.write()
    if wrong or growth >= MAX_GROWTH_MB or after.threads > before.threads or after.sockets > before.sockets:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
