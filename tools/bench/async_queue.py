"""Images per CPU second of `AsyncQueue` with concurrent clients, relative to a stream, measured alternately.

    python tools/bench/async_queue.py MODEL FOLDER [--clients 16] [--images 600] [--rounds 7]

The clients are asyncio tasks of this process: each submits the next JPEG file, as bytes, when it has the answer to the
one before. CPU time counts, because the machine may be busy; the median latency is printed beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path

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


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of a function, in seconds."""
    started = time.process_time()
    work()
    return time.process_time() - started


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
    options = parser.parse_args()
    model = ovm.load_classifier(options.model, device="CPU", inference_precision="f32")
    files = [path.read_bytes() for path in sorted(options.folder.rglob("*.JPEG"))]
    images = list(itertools.islice(itertools.cycle(files), options.images))
    ratios: dict[str, list[float]] = {name: [] for name in SETTINGS}
    latencies: dict[str, list[float]] = {name: [] for name in SETTINGS}
    model.classify_batch(images)  # compiles the model for the batch of a stream
    for _ in range(options.rounds):
        by_stream = cpu_seconds(lambda: model.classify_batch(images))
        for name, (batch, wait_ms) in SETTINGS.items():
            queue = AsyncQueue(model, batch_size=batch, max_wait_ms=wait_ms)
            seconds = cpu_seconds(
                lambda q=queue, name=name: asyncio.run(answer_all(q, images, options.clients, latencies[name]))  # type: ignore[misc]
            )
            ratios[name].append(by_stream / seconds)
    for name in SETTINGS:
        print(f"{name:16} {statistics.median(ratios[name]):.2f} {statistics.median(latencies[name]) * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
