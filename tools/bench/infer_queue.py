"""Throughput of `InferQueue` relative to OpenVINO's `benchmark_app`, with the same IR, hint and time.

    python tools/bench/infer_queue.py [IR.xml …] [--pairs 5] [--seconds 5]

By default it measures the built-in sample model. Frames are prepared once. The queue returns each result with its five
best classes and timings; `benchmark_app` returns no results. The ratios are those of throughput and of CPU time an
image, from which the start-up of `benchmark_app` is taken off. `--memory` also prints how much more memory 100,000
inputs need than 1,000; for a million see `inference_memory.py`.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from cpu_time import Used, compared, used_by_command
from models_and_images import sample_ir
from report import SEED, Report, add_json_option

import ov_mobilenet as ovm
from ov_mobilenet.runtime.infer_queue import InferQueue
from ov_mobilenet.runtime.items import Item, Prepared

BATCHES = (1, 8)


def benchmark_app_used(xml: Path, seconds: float) -> Used:
    """Wall time of one inference as OpenVINO reports it, and its CPU time without that of compiling."""
    program = str(Path(sys.executable).with_name("benchmark_app"))
    command = [program, "-m", str(xml), "-d", "CPU", "-hint", "throughput"]
    start_up, _ = used_by_command([*command, "-niter", "0"], os.environ)
    used, output = used_by_command([*command, "-t", str(int(seconds))], os.environ)
    rate, count = (re.search(pattern, output) for pattern in (r"Throughput:\s+([\d.]+) FPS", r"Count:\s+(\d+)"))
    assert rate is not None and count is not None, output
    return Used(1 / float(rate[1]), (used - start_up).cpu_s / int(count[1]))


def queue_used(classifier: ovm.Classifier, batch: int, seconds: float) -> Used:
    """What one result of the queue uses, with one thread that submits and reads."""
    assert classifier.input_size is not None
    pixels = np.random.default_rng(SEED).integers(0, 256, (32, *classifier.input_size, 3), dtype=np.uint8)
    frames = [Prepared(Item(frame, "noise"), frame, 0.0, 0.0, 0.0) for frame in pixels]
    queue = InferQueue(classifier, batch_size=batch)
    submitted = done = 0
    begun = Used(time.perf_counter(), time.process_time())
    while time.perf_counter() - begun.wall_s < seconds:
        queue.submit_prepared(frames[submitted % len(frames)], submitted)
        submitted += 1
        if submitted - done > queue.requests * batch:
            next(queue)
            done += 1
    queue.close()
    done += sum(1 for _ in queue)
    return (Used(time.perf_counter(), time.process_time()) - begun) / done


def memory(classifier: ovm.Classifier) -> None:
    """Print the growth of resident memory from 1,000 inputs to 100,000."""
    assert classifier.input_size is not None
    frame = np.zeros((*classifier.input_size, 3), np.uint8)
    peaks = []
    for count in (1_000, 100_000):
        assert sum(1 for _ in classifier.stream(frame for _ in range(count))) == count
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(f"  resident memory {peaks[0]:.0f} MB after 1,000 inputs, {peaks[1] - peaks[0]:.1f} MB more after 100,000")


def measure(xml: Path, options: argparse.Namespace, report: Report) -> None:
    """Print a line for each batch size."""
    classifier = ovm.load_classifier(xml, device="CPU", hint="throughput")
    print(f"{xml.parent.name}/{xml.stem} at {classifier.inference_precision}")
    for batch in BATCHES:
        found = compared(
            options.pairs,
            partial(queue_used, classifier, batch, options.seconds),
            partial(benchmark_app_used, xml, options.seconds),
        )
        print(f"  batch {batch}: queue against benchmark_app: {found}", flush=True)
        report.add(f"{xml.parent.name}/{xml.stem}, batch {batch}: queue against benchmark_app", found.figures())
    if options.memory:
        memory(classifier)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("xml", nargs="*", type=Path)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--memory", action="store_true")
    add_json_option(parser)
    options = parser.parse_args()
    report = Report(options)
    with tempfile.TemporaryDirectory() as folder:
        for xml in options.xml or [sample_ir(Path(folder))]:
            measure(xml, options, report)
    report.write()


if __name__ == "__main__":
    main()
