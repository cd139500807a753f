"""What Python costs for one image: a device whose requests end at once, and decoding that returns a prepared frame.

    python tools/bench/host_bound.py [--images 20000] [--rounds 7] [--side 32] [--workers N] [--streams N]

What holds Python's lock bounds the images that one process classifies per second on many cores. Printed are
microseconds of wall time and of CPU time for one image, and images per second, for `Classifier.stream` and `InferQueue`
with 1, 4 and 8 images per request; results alone (five classes of 1000, with names and timings), and with their JSON
lines written to /dev/null. Frames are small by default: copying one of 224x224 takes as long as some of the rest, but
does not hold the lock. Goal: 25 microseconds in batches.

It uses only `Classifier`, `InferQueue`, `JsonLinesSink` and the compiled model below them, so that two versions of the
package can be compared: PYTHONPATH=OTHER_CHECKOUT python tools/bench/host_bound.py
"""

from __future__ import annotations

import argparse
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Any

import numpy as np
from cpu_time import Used, median_of, used_by
from report import SEED, Report, add_json_option
from simulated_device import Device, simulated_classifier

from ov_mobilenet.devices.processors import usable_cpus
from ov_mobilenet.outputs.text_sinks import JsonLinesSink
from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.runtime.infer_queue import InferQueue
from ov_mobilenet.runtime.items import Item, Prepared
from ov_mobilenet.runtime.stream import result_groups

BATCHES = (1, 4, 8)
Results = Callable[[Classifier, Item, int, int], Iterable[Any]]


class InstantClassifier(Classifier):
    """Decoding and resizing return the frame of the item at once."""

    def prepare(self, image: Any) -> Prepared:
        """The frame as it is."""
        return Prepared(image, image.image, perf_counter(), 0.0, 0.0)

    def prepare_or_fail(self, item: Item) -> Prepared:
        """The frame as it is."""
        return Prepared(item, item.image, perf_counter(), 0.0, 0.0)  # type: ignore[arg-type]  # a frame


def by_stream(workers: int | None) -> Results:
    """Results of a stream."""

    def results(classifier: Classifier, item: Item, images: int, batch: int) -> Iterable[Any]:
        return classifier.stream(itertools.repeat(item, images), batch_size=batch, workers=workers)

    return results


def by_queue(classifier: Classifier, item: Item, images: int, batch: int) -> Iterator[Any]:
    """Results of a queue; one thread submits and takes them."""
    queue = InferQueue(classifier, batch_size=batch)
    prepared = classifier.prepare(item)
    ahead = min(images, queue.requests * batch)
    for number in range(ahead):
        queue.submit_prepared(prepared, number)
    for number in range(ahead, images):
        yield next(queue)[1]
        queue.submit_prepared(prepared, number)
    queue.close()
    for _, result in queue:
        yield result


def by_queue_of_two_threads(classifier: Classifier, item: Item, images: int, batch: int) -> Iterator[Any]:
    """Results of a queue; another thread submits."""
    queue = InferQueue(classifier, batch_size=batch)
    prepared = classifier.prepare(item)

    def submit() -> None:
        for number in range(images):
            queue.submit_prepared(prepared, number)
        queue.close()

    thread = threading.Thread(target=submit)
    thread.start()
    for _, result in queue:
        yield result
    thread.join()


def take(results: Iterable[Any], images: int) -> None:
    """Take all results."""
    count = sum(1 for _ in results)
    assert count == images, f"{count} results of {images} images"


def write(results: Iterable[Any], images: int) -> None:
    """Take all results, and write a JSON line for each; those that are ready together in one go, as `classify` does."""
    with open(os.devnull, "w") as out:  # noqa: PTH123 (no file)
        sink = JsonLinesSink(out)
        count = 0
        for group in result_groups(iter(results)):
            sink.put_all(group)
            count += len(group)
        sink.close()
    assert count == images, f"{count} results of {images} images"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000, help="in each run")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--side", type=int, default=32, help="height and width of the frames, in pixels")
    parser.add_argument("--workers", type=int, help="decoding threads of the stream; by default one per CPU")
    parser.add_argument("--streams", type=int, default=usable_cpus(), help="requests that the device runs in parallel")
    add_json_option(parser)
    options = parser.parse_args()
    report = Report(options)
    classifier = simulated_classifier(Device(streams=options.streams, side=options.side), InstantClassifier)
    frame = np.random.default_rng(SEED).integers(0, 256, (options.side, options.side, 3), dtype=np.uint8)
    item = Item(frame, "images/n01440764/ILSVRC2012_val_00000293.JPEG")
    ways: dict[str, Results] = {
        "stream": by_stream(options.workers),
        "queue, one thread": by_queue,
        "queue, two threads": by_queue_of_two_threads,
    }
    ends = {"results": take, "JSON lines": write}
    found: dict[tuple[str, int, str], list[Used]] = {}
    for turn in range(options.rounds + 1):  # the first round only warms up
        for way, batch, end in itertools.product(ways, BATCHES, ends):
            results = ways[way](classifier, item, options.images, batch)
            used = used_by(lambda end=end, results=results: ends[end](results, options.images))  # type: ignore[misc]
            if turn:
                found.setdefault((way, batch, end), []).append(used / options.images)
    print(
        "| | images per request | wall, µs an image | least | CPU, µs an image | images/s |\n|---|---|---|---|---|---|"
    )
    for (way, batch, end), runs in found.items():
        used, least = median_of(runs), min(run.wall_s for run in runs)
        print(
            f"| {way}, {end} | {batch} | {used.wall_s * 1e6:.1f} | {least * 1e6:.1f} | {used.cpu_s * 1e6:.1f} |"
            f" {1 / used.wall_s:,.0f} |"
        )
        figures = {
            "images_per_request": batch, "wall_us": used.wall_s * 1e6, "least_wall_us": least * 1e6,
            "cpu_us": used.cpu_s * 1e6, "images_per_s": 1 / used.wall_s,
        }  # fmt: skip
        report.add(f"{way}, {end}", figures)
    report.write()


if __name__ == "__main__":
    main()
