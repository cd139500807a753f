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
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from classify_command import classify_used
from cpu_time import Used, compared_runs
from images import folder_of_images
from report import Report, add_json_option
from serving_models import default_models, short_name
from serving_process import ServerProcess, our_server
from serving_requests import RestClient, rest_classify

CLIENT_PROCESSES = 2
LIMIT = 0.8


def send_files(port: int, clients: int, files: list[Path]) -> None:
    """Send each file once, over `clients` connections at the same time."""

    def some(first: int) -> None:
        with RestClient(port) as client:
            for file in files[first::clients]:
                client.ask(rest_classify(file.read_bytes(), "m"))

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(some, range(clients)))


def served(server: ServerProcess, clients: int, files: list[Path]) -> Used:
    """What the server uses for one file; the wall time is that beside the clients, which use the same cores."""
    context = multiprocessing.get_context("spawn")
    share = clients // CLIENT_PROCESSES
    with context.Pool(CLIENT_PROCESSES) as pool:
        pool.map(abs, range(CLIENT_PROCESSES * 4))  # they have started
        before, begun = server.cpu_s(), time.perf_counter()
        pool.starmap(send_files, [(server.port, share, files[n::CLIENT_PROCESSES]) for n in range(CLIENT_PROCESSES)], 1)
        return Used(time.perf_counter() - begun, server.cpu_s() - before) / len(files)


def measure(model: str, files: list[Path], options: argparse.Namespace, log: Path, report: Report) -> None:
    """Print one line."""
    found: list[tuple[Used, Used]] = []
    with our_server({"m": model}, log=log) as server:
        served(server, options.clients, files[:100])
        for _ in range(options.pairs):
            ours = served(server, options.clients, files)
            found.append((ours, classify_used(model, files, "-d", "CPU")))
    result = compared_runs(found)
    print(
        f"{short_name(model)}: serve {1 / result.ours.cpu_s:.0f} images per CPU second ({1 / result.ours.wall_s:.0f}/s"
        f" beside its clients), classify {1 / result.other.cpu_s:.0f} ({1 / result.other.wall_s:.0f}/s):"
        f" {1 / result.cpu:.2f} (at least {LIMIT})",
        flush=True,
    )
    report.add(f"{short_name(model)}: serve against classify", result.figures())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=16)
    add_json_option(parser)
    options = parser.parse_args()
    report = Report(options)
    with tempfile.TemporaryDirectory() as folder:
        files = folder_of_images(Path(folder) / "images", options.images)
        for model in options.models or default_models():
            measure(model, files, options, Path(folder) / "server.log", report)
    report.write()


if __name__ == "__main__":
    main()
