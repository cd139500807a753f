"""Requests that are lost or answered wrongly while a server is stopped or loads its models again, under load.

    python tools/bench/serving_signals.py [--times 20] [--clients 6]

Clients send frames over REST and gRPC without a pause, and compare every answer with `probabilities`.

SIGTERM  the server is started and stopped; it must exit with 0. A request is lost if it was sent completely over an
         accepted connection, and its connection ended without a response. An answer that the server does not take
         requests any more (503, UNAVAILABLE) is counted as refused: the server did not accept the request.
SIGHUP   one server gets the signal again and again; nothing may be refused.
reload   the files of the model are replaced by those of another one, in turns, with `--reload`; nothing may be refused,
         each answer is that of one of the two, and that of the new one follows.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import openvino as ov
from serving_process import ServerProcess, our_server
from serving_requests import GrpcClient, RestClient, grpc_infer, grpc_values, rest_binary

import ov_mobilenet as ovm
from ov_mobilenet.cli.demo import SAMPLE

UNDER_LOAD_S = 0.3
RELOAD_S = 30.0
TOLERANCE = 1e-5  # the answer of a batch may differ in the last bits


class Load:
    """Clients that send until they are stopped.

    Attributes:
        counts: answers by kind: right, wrong, refused, lost.
        examples: the text of one of each kind.
        last: number of the model that gave the latest answer.
    """

    def __init__(self, server: ServerProcess, clients: int, frame: np.ndarray, input_name: str, models: Models) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self.last = -1
        self._server, self._models = server, models
        self._rest, self._grpc = rest_binary("m", input_name, frame), grpc_infer("m", input_name, frame)
        self._lock, self._stopping = threading.Lock(), threading.Event()
        self._threads = [
            threading.Thread(target=self._ask_grpc if number % 3 == 2 else self._ask_rest) for number in range(clients)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _count(self, kind: str, example: object = "") -> None:
        with self._lock:
            self.counts[kind] += 1
            self.examples.setdefault(kind, str(example)[:200])

    def _check(self, values: np.ndarray) -> None:
        model = self._models.number_of(values)
        if model >= 0:
            self.last = model
        self._count("wrong" if model < 0 else "right", values)

    def _ask_rest(self) -> None:
        while not self._stopping.is_set():
            try:
                client = RestClient(self._server.port)
            except OSError:  # nobody listens any more
                return
            with client:
                try:
                    while not (client.is_last or self._stopping.is_set()):
                        status, body = client.ask_any(self._rest)
                        if status == 200:
                            self._check(np.frombuffer(body[-self._models.answers[0].nbytes :], np.float32))
                        else:
                            self._count("refused" if status == 503 else "wrong", body)
                except ConnectionError as error:
                    self._count("lost", error)

    def _ask_grpc(self) -> None:
        with GrpcClient(self._server.grpc_port) as client:
            while not self._stopping.is_set():
                try:
                    self._check(grpc_values(client.ask(self._grpc)))
                except grpc.RpcError as error:
                    unavailable = error.code() is grpc.StatusCode.UNAVAILABLE
                    self._count("refused" if unavailable else "lost", error.details())
                    if unavailable:  # the client has been told; gRPC cancels calls that arrive while it stops
                        return


class Models:
    """The IRs of two models and their answers for one frame."""

    def __init__(self, folder: Path) -> None:
        sources = ovm.download(ovm.find_config(SAMPLE), folder / "sources", offline=True)
        self.irs = [one.xml for one in ovm.convert(sources, folder / "ir", precisions=("FP32", "FP16"))]
        classifiers = [ovm.load_classifier(xml, device="CPU", inference_precision="f32") for xml in self.irs]
        size = classifiers[0].input_size
        assert size is not None
        self.input_name = classifiers[0].compiled().model.inputs[0].get_any_name()
        self.frame = np.random.default_rng(0).integers(0, 256, (1, *size, 3), dtype=np.uint8)
        self.answers = [one.probabilities(self.frame)[0] for one in classifiers]
        assert np.abs(self.answers[0] - self.answers[1]).max() > 10 * TOLERANCE

    def number_of(self, values: np.ndarray) -> int:
        """The model that gives this answer; -1 for none."""
        near = [np.abs(values - answer).max() < TOLERANCE for answer in self.answers]
        return near.index(True) if True in near else -1

    def install(self, number: int, folder: Path) -> Path:
        """Copy an IR into a folder as model.xml, the weights first."""
        for suffix in (".bin", ".xml"):
            new = folder / f"new{suffix}"
            shutil.copyfile(self.irs[number].with_suffix(suffix), new)
            new.replace(folder / f"model{suffix}")
        return folder / "model.xml"


def report(name: str, counts: Counter[str], examples: dict[str, str], times: int, *, may_refuse: bool) -> bool:
    """Print a line; whether nothing went wrong."""
    print(
        f"{name}, {times} times: "
        + ", ".join(f"{counts[kind]} {kind}" for kind in ("right", "refused", "lost", "wrong"))
    )
    bad = ["lost", "wrong"] + ([] if may_refuse else ["refused"])
    for kind in bad:
        if counts[kind]:
            print(f"    {kind}, for example: {examples[kind]}")
    return not any(counts[kind] for kind in bad)


def stopped(models: Models, times: int, clients: int, start: Callable[..., ServerProcess]) -> bool:
    """SIGTERM."""
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    codes: Counter[int] = Counter()
    for _ in range(times):
        with start(str(models.irs[0])) as server:
            with Load(server, clients, models.frame, models.input_name, models) as load:
                time.sleep(UNDER_LOAD_S)
                server.process.send_signal(signal.SIGTERM)
                codes[server.process.wait(60)] += 1
            counts += load.counts
            examples = load.examples | examples
    good = report("SIGTERM", counts, examples, times, may_refuse=True)
    print(f"    exit codes {dict(codes)}")
    return good and set(codes) == {0}


def signalled(models: Models, times: int, clients: int, start: Callable[..., ServerProcess]) -> bool:
    """SIGHUP."""
    with start(str(models.irs[0])) as server, Load(server, clients, models.frame, models.input_name, models) as load:
        for _ in range(times):
            server.process.send_signal(signal.SIGHUP)
            time.sleep(UNDER_LOAD_S)
    return report("SIGHUP", load.counts, load.examples, times, may_refuse=False)


def reloaded(models: Models, folder: Path, times: int, clients: int, start: Callable[..., ServerProcess]) -> bool:
    """Changed files."""
    missed = 0
    xml = models.install(0, folder)
    with (
        start(str(xml), "--reload") as server,
        Load(server, clients, models.frame, models.input_name, models) as load,
    ):  # fmt: skip
        for turn in range(1, times + 1):
            models.install(turn % 2, folder)
            until = time.monotonic() + RELOAD_S
            while load.last != turn % 2 and time.monotonic() < until:
                time.sleep(0.02)
            missed += load.last != turn % 2
    print(f"reload: {times - missed} of {times} changes were served")
    return report("reload", load.counts, load.examples, times, may_refuse=False) and not missed


def main() -> None:
    """Run all, and fail if a request was lost or answered wrongly."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--clients", type=int, default=6)
    options = parser.parse_args()
    print(f"{ov.Core().get_property('CPU', 'FULL_DEVICE_NAME')}, OpenVINO {ov.get_version()}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        models = Models(folder)

        def start(xml: str, *extra: str) -> ServerProcess:
            return our_server({"m": xml}, "--inference-precision", "f32", *extra, log=folder / "server.log")

        (folder / "served").mkdir()
        good = [
            stopped(models, options.times, options.clients, start),
            signalled(models, options.times, options.clients, start),
            reloaded(models, folder / "served", options.times, options.clients, start),
        ]
    raise SystemExit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
