"""CPU time and wall time of `AsyncQueue` with concurrent clients, relative to a stream, measured alternately.

    python tools/bench/async_queue.py MODEL FOLDER [--clients 16] [--images 600] [--rounds 7]

The clients are asyncio tasks of this process: each submits the next JPEG file, as bytes, when it has the answer to the
one before. Printed are, for each setting, the ratio of CPU times (a stream's to the queue's), that of wall times, and
the median latency.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import time
from pathlib import Path

from cpu_time import Used, compared_runs, used_by
from report import Report, add_json_option

import ov_mobilenet as ovm
from ov_mobilenet.runtime.async_queue import AsyncQueue

SETTINGS: dict[str, tuple[int, float]] = {
    "batch 1": (1, 0.0),
    "batch 4, 0 ms": (4, 0.0),
    "batch 4, 2 ms": (4, 2.0),
    "batch 4, 5 ms": (4, 5.0),
    "batch 4, 10 ms": (4, 10.0),
    "batch 4, 20 ms": (4, 20.0),
    "batch 8, 10 ms": (8, 10.0),
}


async def answer_all(queue: AsyncQueue, images: list[bytes], clients: int, latencies: list[float]) -> None:
    """Answer every image; latencies are appended in seconds."""
    left = iter(images)

    async def client() -> None:
        for image in left:
            started = time.perf_counter()
            await queue.infer(image)
            latencies.append(time.perf_counter() - started)

    await asyncio.gather(*(client() for _ in range(clients)))
    await queue.close()


def main() -> None:
    """Measure and print, for each setting, the ratio and the median latency."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=7)
    add_json_option(parser)
    options = parser.parse_args()
    report = Report(options)
    model = ovm.load_classifier(options.model, device="CPU", inference_precision="f32")
    files = [path.read_bytes() for path in sorted(options.folder.rglob("*.JPEG"))]
    images = list(itertools.islice(itertools.cycle(files), options.images))
    found: dict[str, list[tuple[Used, Used]]] = {name: [] for name in SETTINGS}
    latencies: dict[str, list[float]] = {name: [] for name in SETTINGS}
    model.classify_batch(images)  # compiles the model for the batch of a stream
    for _ in range(options.rounds):
        by_stream = used_by(lambda: model.classify_batch(images)) / len(images)
        for name, (batch, wait_ms) in SETTINGS.items():
            queue = AsyncQueue(model, batch_size=batch, max_wait_ms=wait_ms)
            used = used_by(
                lambda q=queue, name=name: asyncio.run(answer_all(q, images, options.clients, latencies[name]))  # type: ignore[misc]
            )
            found[name].append((used / len(images), by_stream))
    for name, runs in found.items():
        result, latency_ms = compared_runs(runs), statistics.median(latencies[name]) * 1e3
        print(f"{name:16} {1 / result.cpu:.2f}, wall {result.wall:.2f}, {latency_ms:.1f} ms")
        report.add(f"{name}: the queue against a stream", {**result.figures(), "latency_ms": latency_ms})
    report.write()


if __name__ == "__main__":
    main()
