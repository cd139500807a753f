"""Resident memory, threads and open files of one process over many inferences: a stream, then an infer queue.

    nice python tools/bench/inference_memory.py [IR.xml] [--inferences 1000000]

By default it measures the built-in sample model. The frames have the size of the input, eight to a request. Stream and
queue first run 5000 inferences each; the memory is read after these 10,000, and again at the end. Between them each
runs half of the rest, in one piece; the memory is read after its first 10,000 and ten times later. Every result is
counted. Limit: 10 MB more at the end, and at any later reading within the stream and the queue. Linux.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from cpu_time import Used
from models_and_images import sample_ir
from report import SEED, Report, add_json_option

import ov_mobilenet as ovm
from ov_mobilenet.runtime.infer_queue import InferQueue
from ov_mobilenet.runtime.items import Item, Prepared

BATCH = 8
FIRST = 10_000
READINGS = 10
LIMIT_MB = 10.0


class Reading(NamedTuple):
    """What the process holds."""

    inferences: int
    rss_mb: float
    threads: int
    open_files: int


def reading(inferences: int) -> Reading:
    """Read what this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    threads, files = (len(os.listdir(f"/proc/self/{name}")) for name in ("task", "fd"))  # noqa: PTH208
    return Reading(inferences, pages * os.sysconf("SC_PAGE_SIZE") / 2**20, threads, files)


def by_stream(classifier: ovm.Classifier, frames: list[np.ndarray], count: int) -> Iterator[object]:
    """Results of a stream."""
    return classifier.stream((frames[number % len(frames)] for number in range(count)), batch_size=BATCH)


def by_queue(classifier: ovm.Classifier, frames: list[np.ndarray], count: int) -> Iterator[object]:
    """Results of an infer queue."""
    prepared = [Prepared(Item(frame, "noise"), frame, 0.0, 0.0, 0.0) for frame in frames]
    with InferQueue(classifier, batch_size=BATCH) as queue:
        ahead = min(count, queue.requests * BATCH)
        for number in range(count):
            queue.submit_prepared(prepared[number % len(prepared)], number)
            if number >= ahead:
                yield next(queue)[1]
        queue.close()
        for _, result in queue:
            yield result


def counted(results: Iterable[object], readings: Collection[int], found: list[Reading]) -> int:
    """The number of classified images; what the process holds after these numbers of them is added to `found`."""
    count = 0
    for result in results:
        assert isinstance(result, ovm.Classification), result
        count += 1
        if count in readings:
            found.append(reading(count))
    return count


def run(xml: Path, inferences: int) -> tuple[dict[str, list[Reading]], int]:
    """The readings of each way and of the whole, and the number of results."""
    classifier = ovm.load_classifier(xml, device="CPU", hint="throughput")
    assert classifier.input_size is not None
    pixels = np.random.default_rng(SEED).integers(0, 256, (32, *classifier.input_size, 3), dtype=np.uint8)
    frames = list(pixels)
    ways = {"stream": by_stream, "queue": by_queue}
    done = sum(counted(way(classifier, frames, FIRST // 2), (), []) for way in ways.values())
    found: dict[str, list[Reading]] = {"whole run": [reading(done)]}
    each = (inferences - done) // 2
    later = {FIRST + (each - FIRST) * step // READINGS for step in range(READINGS + 1)}
    for name, way in ways.items():
        found[name] = []
        done += counted(way(classifier, frames, each), later, found[name])
    found["whole run"].append(reading(done))
    return found, done


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("xml", nargs="?", type=Path)
    parser.add_argument("--inferences", type=int, default=1_000_000)
    add_json_option(parser)
    options = parser.parse_args()
    if options.inferences < 4 * FIRST:
        parser.error(f"--inferences: at least {4 * FIRST}")
    report = Report(options)
    with tempfile.TemporaryDirectory() as folder:
        xml = options.xml or sample_ir(Path(folder))
        begun = Used(time.perf_counter(), time.process_time())
        found, done = run(xml, options.inferences)
        used = Used(time.perf_counter(), time.process_time()) - begun
    print(f"{done} inferences, {used.wall_s:.0f} s, CPU time {used.cpu_s:.0f} s")
    too_much = []
    for name, readings in found.items():
        first, last = readings[0], readings[-1]
        growth = max(one.rss_mb for one in readings[1:]) - first.rss_mb
        print(
            f"  {name}: {first.rss_mb:.1f} MB after {first.inferences}, {last.rss_mb:.1f} MB after {last.inferences}, "
            f"growth {growth:+.2f} MB; threads {first.threads} and {last.threads}, open files {first.open_files} and "
            f"{last.open_files}"
        )
        figures = {column: [getattr(one, column) for one in readings] for column in Reading._fields}
        report.add(name, {"growth_mb": growth, **figures})
        if growth >= LIMIT_MB:
            too_much.append(name)
    report.add("the process", {"inferences": done, "wall_s": used.wall_s, "cpu_s": used.cpu_s})
    report.write()
    if too_much:
        raise SystemExit(f"the memory grew by more than {LIMIT_MB:g} MB: {', '.join(too_much)}")


if __name__ == "__main__":
    main()
