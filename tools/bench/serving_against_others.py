"""CPU time of a server per request, relative to other servers with the same IR.

    python tools/bench/serving_against_others.py [MODEL …] [--rounds 8] [--requests 200] [--clients 1]
        --triton PYTHON --kserve PYTHON --mlserver PYTHON

Each server needs a Python environment of its own, because their generated messages cannot be loaded into one process;
`tools/serve-others-requirements.txt` names the packages. PYTHON is the interpreter of the environment; a server that is
not given is left out. Triton's Python backend runs under pytriton, whose interpreters do not run with the standard
library of Python 3.11.7, but with that of 3.10.

MODEL is anything that `ov-mobilenet serve` takes; by default the sample model and, if it is there, V1-0.25-128. All
servers get the same UINT8 frame of the network's size and run inference in one thread; the programs of the others
(`serving_others/`) do nothing else. They take turns, a group of requests each. Printed is the lowest CPU time per
request of all rounds (user and system, all processes of a server), with inference, and our share of it. MLServer has no
binary tensors over REST.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
from images import ROOT
from report import Report, add_json_option
from serving_cost import send
from serving_models import default_models, short_name
from serving_others.network import INPUT, NAME
from serving_process import ServerProcess, free_ports, our_server
from serving_requests import GrpcClient, RestClient, grpc_infer, grpc_values, rest_binary

import ov_mobilenet as ovm
from ov_mobilenet.resolve import open_model

OTHERS = ("triton", "kserve", "mlserver")
LIMIT = 0.5
OURS = "ov-mobilenet"


def other_server(name: str, python: str, xml: Path, log: Path) -> ServerProcess:
    """Another server, in its own environment."""
    ports = free_ports(2)
    command = [python, "-m", f"serving_others.{name}_program", str(xml), *map(str, ports)]
    environment = {"PYTHONPATH": str(ROOT / "tools" / "bench"), "LD_LIBRARY_PATH": _library_folder(python)}
    return ServerProcess(command, ports=ports, ready=f"/v2/models/{NAME}/ready", environment=environment, log=log)


def _library_folder(python: str) -> str:
    """Where libpython is, which Triton's stub loads."""
    code = "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def ways_to_ask(
    server: ServerProcess, input_name: str, frame: np.ndarray, clients: int, expected: np.ndarray, stack: ExitStack
) -> dict[str, list[Callable[[], bytes]]]:
    """The functions that send one request, for each transport that the server answers correctly."""
    rest = [stack.enter_context(RestClient(server.port)) for _ in range(clients)]
    grpc = [stack.enter_context(GrpcClient(server.grpc_port)) for _ in range(clients)]
    request, message = rest_binary(NAME, input_name, frame), grpc_infer(NAME, input_name, frame)
    np.testing.assert_allclose(grpc_values(grpc[0].ask(message)), expected, atol=0.05)
    ways: dict[str, list[Callable[[], bytes]]] = {"gRPC": [partial(client.ask, message) for client in grpc]}
    status, body = rest[0].ask_any(request)
    if status == 200:
        np.testing.assert_allclose(np.frombuffer(body[-expected.nbytes :], np.float32), expected, atol=0.05)
        ways["REST binary"] = [partial(client.ask, request) for client in rest]
    return ways


def measure(model: str, options: argparse.Namespace, folder: Path, report: Report) -> None:
    """Print one line per transport and server."""
    classifier = ovm.load_classifier(model, device="CPU", threads=1)
    assert classifier.input_size is not None
    frame = np.random.default_rng(0).integers(0, 256, (1, *classifier.input_size, 3), dtype=np.uint8)
    expected = classifier.probabilities(frame)[0]
    servers = {OURS: our_server({NAME: model}, "--threads", "1", log=folder / "ours.log")}
    for name in OTHERS:
        if (python := getattr(options, name)) is not None:
            servers[name] = other_server(name, python, open_model(model).xml, folder / f"{name}.log")
    found: dict[str, dict[str, list[float]]] = {"REST binary": {}, "gRPC": {}}
    with ExitStack() as stack:
        ways = {}
        for name, server in servers.items():
            stack.enter_context(server)
            input_name = classifier.compiled().model.inputs[0].get_any_name() if name == OURS else INPUT
            ways[name] = ways_to_ask(server, input_name, frame, options.clients, expected, stack)
        for turn in range(options.rounds + 1):
            for name, server in servers.items():
                for transport, asks in ways[name].items():
                    before = server.cpu_s()
                    send(asks, options.requests)
                    if turn:  # the first round warms up
                        found[transport].setdefault(name, []).append((server.cpu_s() - before) / options.requests)
    print(f"{short_name(model)}, {frame.shape[2]}x{frame.shape[1]}, {options.clients} client(s)")
    for transport, by_server in found.items():
        best = {name: 1e3 * min(values) for name, values in by_server.items()}
        figures = ", ".join(f"{name} {value:.3f} ms" for name, value in best.items())
        others = [value for name, value in best.items() if name != OURS]
        share = f": {best[OURS] / min(others):.2f} of the best of the others (at most {LIMIT})" if others else ""
        print(f"  {transport:12} {figures}{share}", flush=True)
        report.add(f"{short_name(model)}, {transport}: server's CPU ms a request", best)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--requests", type=int, default=200, help="per server, transport and round")
    parser.add_argument("--clients", type=int, default=1, help="that send at the same time, over a connection each")
    for name in OTHERS:
        parser.add_argument(f"--{name}", metavar="PYTHON")
    add_json_option(parser)
    options = parser.parse_args()
    report = Report(options)
    with tempfile.TemporaryDirectory() as folder:
        for model in options.models or default_models()[:2]:
            measure(model, options, Path(folder), report)
    report.write()


if __name__ == "__main__":
    main()
