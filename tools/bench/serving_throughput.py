"""Images per CPU second of `serve` with concurrent clients, relative to `classify` on the same files.

    python tools/bench/serving_throughput.py [MODEL …] [--pairs 5] [--images 1000] [--clients 16]

The clients send JPEGs to `/v1/classify`, each over its own connection; they run in processes of their own, so that the
CPU time of the server is measured without theirs. `classify` is the whole command, which prints JSON lines; its time
for one image is subtracted. Printed are medians of interleaved pairs. Images are those of imagenet200, if they are
there, otherwise drawings of the same size. By default it measures the sample model, V1-0.25-128 and V2, the latter two
if they are there.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openvino as ov
from images import ROOT, folder_of_images
from serving_models import default_models, short_name
from serving_process import ServerProcess, our_server
from serving_requests import RestClient, rest_classify

CLIENT_PROCESSES = 2
LIMIT = 0.8


def classify_cpu_s(model: str, inputs: list[str]) -> float:
    """CPU time of the command, in seconds."""
    command = [sys.executable, "-m", "ov_mobilenet", "classify", model, *inputs, "--format", "jsonl", "-d", "CPU"]
    before = _children_s()
    environment = {**os.environ, "CI": "true", "PYTHONPATH": str(ROOT)}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    return _children_s() - before


def send_files(port: int, clients: int, files: list[Path]) -> None:
    """Send each file once, over `clients` connections at the same time."""

    def some(first: int) -> None:
        with RestClient(port) as client:
            for file in files[first::clients]:
                client.ask(rest_classify(file.read_bytes(), "m"))

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(some, range(clients)))


def served(server: ServerProcess, clients: int, files: list[Path]) -> tuple[float, float]:
    """CPU time and elapsed time of the server for all files, in seconds."""
    context = multiprocessing.get_context("spawn")
    share = clients // CLIENT_PROCESSES
    with context.Pool(CLIENT_PROCESSES) as pool:
        pool.map(abs, range(CLIENT_PROCESSES * 4))  # they have started
        before, begun = server.cpu_s(), time.perf_counter()
        pool.starmap(send_files, [(server.port, share, files[n::CLIENT_PROCESSES]) for n in range(CLIENT_PROCESSES)], 1)
        return server.cpu_s() - before, time.perf_counter() - begun


def measure(model: str, files: list[Path], options: argparse.Namespace, log: Path) -> None:
    """Print one line."""
    found: list[tuple[float, float, float]] = []
    with our_server({"m": model}, log=log) as server:
        served(server, options.clients, files[:100])
        for _ in range(options.pairs):
            cpu_s, elapsed_s = served(server, options.clients, files)
            one_s = classify_cpu_s(model, [str(files[0])])
            all_s = classify_cpu_s(model, [str(files[0].parent)])
            found.append((len(files) / cpu_s, (len(files) - 1) / (all_s - one_s), len(files) / elapsed_s))
    ours, theirs, elapsed = (statistics.median(column) for column in zip(*found, strict=True))
    ratio = statistics.median(a / b for a, b, _ in found)
    print(
        f"{short_name(model)}: serve {ours:.0f} images per CPU second ({elapsed:.0f}/s beside its clients),"
        f" classify {theirs:.0f}: {ratio:.2f} (at least {LIMIT})",
        flush=True,
    )


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=16)
    options = parser.parse_args()
    print(
        f"{ov.Core().get_property('CPU', 'FULL_DEVICE_NAME')}, OpenVINO {ov.get_version()}, {options.clients} clients"
    )
    with tempfile.TemporaryDirectory() as folder:
        files = folder_of_images(Path(folder) / "images", options.images)
        for model in options.models or default_models():
            measure(model, files, options, Path(folder) / "server.log")


if __name__ == "__main__":
    main()
