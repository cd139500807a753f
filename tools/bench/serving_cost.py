"""CPU time of a server per request beyond decoding and inference.

    python tools/bench/serving_cost.py [MODEL …] [--rounds 12] [--requests 400] [--clients 1] [--server-options "…"]

MODEL is anything that `ov-mobilenet serve` takes; by default the sample model and, if it is there, V1-0.25-128. The
requests are a frame of the network's input size (REST binary, gRPC, REST JSON) and a JPEG of about 500x375
(`/v1/classify`). In each round the server answers some requests of each kind, and a plain loop in a third process runs
`prepare` and `run_prepared` for the same image as often. Printed is the lowest CPU time per request of all rounds (user
and system, all threads) of the server and of the loop, and their difference. The minimum excludes what other programs
on the machine add.

Both run inference in one thread: the threads of one inference spin while they wait for each other, which would blur
the difference.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shlex
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from images import folder_of_images
from report import Report, add_json_option
from serving_models import default_models, short_name
from serving_process import our_server
from serving_requests import GrpcClient, RestClient, grpc_infer, rest_binary, rest_classify, rest_json

import ov_mobilenet as ovm
from ov_mobilenet.runtime.items import as_item

LIMITS_MS = {"REST binary": 0.35, "gRPC": 0.5, "REST JSON": 3.0, "JPEG": 0.5}


class PlainLoop:
    """`prepare` and `run_prepared`, one image after another, in a process of its own."""

    def __init__(self, model: str, frame: np.ndarray, jpeg: bytes) -> None:
        self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _prepare, (model, frame, jpeg))

    def cpu_s(self, kind: str, count: int) -> float:
        """CPU time for `count` images, in seconds."""
        return self._pool.submit(_measure, kind == "JPEG", count).result()

    def close(self) -> None:
        """End the process."""
        self._pool.shutdown()


_RUNS: dict[bool, Callable[[], object]] = {}  # of the process of `PlainLoop`: by whether the image is a file


def _prepare(model: str, frame: np.ndarray, jpeg: bytes) -> None:
    classifier = ovm.load_classifier(model, device="CPU", threads=1)
    _RUNS[False] = lambda: classifier.probabilities(frame[None])
    _RUNS[True] = lambda: classifier.run_prepared(classifier.prepare(as_item(jpeg, "image")))
    for run in _RUNS.values():
        for _ in range(20):
            run()


def _measure(is_file: bool, count: int) -> float:
    run, begun = _RUNS[is_file], time.process_time()
    for _ in range(count):
        run()
    return time.process_time() - begun


def send(asks: Sequence[Callable[[], bytes]], count: int) -> None:
    """Send `count` requests, one after another in each client."""

    def some(ask: Callable[[], bytes], number: int) -> None:
        for _ in range(number):
            ask()

    if len(asks) == 1:
        some(asks[0], count)
        return
    with ThreadPoolExecutor(len(asks)) as pool:
        list(pool.map(some, asks, [count // len(asks)] * len(asks)))


def measure(model: str, jpeg: bytes, options: argparse.Namespace, log: Path, report: Report) -> None:
    """Print one line per kind of request."""
    classifier = ovm.load_classifier(model, device="CPU", threads=1)
    assert classifier.input_size is not None
    frame = np.random.default_rng(0).integers(0, 256, (*classifier.input_size, 3), dtype=np.uint8)
    name = classifier.compiled().model.inputs[0].get_any_name()
    bodies = {
        "REST binary": rest_binary("m", name, frame[None]), "gRPC": grpc_infer("m", name, frame[None]),
        "REST JSON": rest_json("m", name, frame[None]), "JPEG": rest_classify(jpeg, "m"),
    }  # fmt: skip
    print(f"{short_name(model)}, {frame.shape[1]}x{frame.shape[0]}, {options.clients} client(s)")
    loop = PlainLoop(model, frame, jpeg)
    with our_server({"m": model}, "--threads", "1", *shlex.split(options.server_options), log=log) as server:
        rest = [RestClient(server.port) for _ in range(options.clients)]
        grpc = [GrpcClient(server.grpc_port) for _ in range(options.clients)]
        ways = {
            kind: [partial(client.ask, body) for client in (grpc if kind == "gRPC" else rest)]
            for kind, body in bodies.items()
            if kind in options.kinds
        }
        for asks in ways.values():
            send(asks, 50)
        found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in ways}
        for _ in range(options.rounds):
            for kind, asks in ways.items():
                before = server.cpu_s()
                send(asks, options.requests)
                served = server.cpu_s() - before
                found[kind].append((served, loop.cpu_s(kind, options.requests)))
        for one in rest:
            one.close()
        for other in grpc:
            other.close()
    loop.close()
    for kind, pairs in found.items():
        served, alone = (1e3 * min(column) / options.requests for column in zip(*pairs, strict=True))
        print(
            f"  {kind:12} server {served:.3f} ms, inference{' and decode' if kind == 'JPEG' else ''} {alone:.3f} ms:"
            f" {served - alone:.3f} ms beyond (at most {LIMITS_MS[kind]})",
            flush=True,
        )
        report.add(f"{short_name(model)}, {kind}", {"server_cpu_ms": served, "without_server_cpu_ms": alone})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--requests", type=int, default=400, help="per kind and round")
    parser.add_argument("--clients", type=int, default=1, help="that send at the same time, over a connection each")
    parser.add_argument("--kinds", nargs="+", choices=list(LIMITS_MS), default=list(LIMITS_MS))
    parser.add_argument("--server-options", default="", help="further options of `serve`")
    add_json_option(parser)
    options = parser.parse_args()
    report = Report(options)
    with tempfile.TemporaryDirectory() as folder:
        jpeg = folder_of_images(Path(folder) / "images", 1)[0].read_bytes()
        for model in options.models or default_models()[:2]:
            measure(model, jpeg, options, Path(folder) / "server.log", report)
    report.write()


if __name__ == "__main__":
    main()
