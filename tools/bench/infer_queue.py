"""Throughput of `InferQueue` relative to OpenVINO's `benchmark_app`, with the same IR, hint and time.

    python tools/bench/infer_queue.py [IR.xml …] [--pairs 5] [--seconds 5]

By default it measures the built-in sample model. Frames are prepared once. The queue returns each result with its five
best classes and timings; `benchmark_app` returns no results. `--memory` also prints how much more memory 100,000 inputs
need than 1,000.
"""

from __future__ import annotations

import argparse
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import openvino as ov

import ov_mobilenet as ovm
from ov_mobilenet.cli.demo import SAMPLE
from ov_mobilenet.runtime.infer_queue import InferQueue
from ov_mobilenet.runtime.items import Item, Prepared

BATCHES = (1, 8)


def benchmark_app_rate(xml: Path, seconds: float) -> float:
    """Inferences per second as reported by OpenVINO."""
    command = [str(Path(sys.executable).with_name("benchmark_app")), "-m", str(xml), "-d", "CPU", "-hint", "throughput"]
    done = subprocess.run([*command, "-t", str(int(seconds))], check=True, capture_output=True, text=True)
    match = re.search(r"Throughput:\s+([\d.]+) FPS", done.stdout)
    assert match is not None
    return float(match[1])


def queue_rate(classifier: ovm.Classifier, batch: int, seconds: float) -> float:
    """Results per second of the queue, with one thread that submits and reads."""
    assert classifier.input_size is not None
    pixels = np.random.default_rng(0).integers(0, 256, (32, *classifier.input_size, 3), dtype=np.uint8)
    frames = [Prepared(Item(frame, "noise"), frame, 0.0, 0.0, 0.0) for frame in pixels]
    queue = InferQueue(classifier, batch_size=batch)
    submitted = done = 0
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        queue.submit_prepared(frames[submitted % len(frames)], submitted)
        submitted += 1
        if submitted - done > queue.requests * batch:
            next(queue)
            done += 1
    queue.close()
    done += sum(1 for _ in queue)
    return done / (time.perf_counter() - begun)


def memory(classifier: ovm.Classifier) -> None:
    """Print the growth of resident memory from 1,000 inputs to 100,000."""
    assert classifier.input_size is not None
    frame = np.zeros((*classifier.input_size, 3), np.uint8)
    peaks = []
    for count in (1_000, 100_000):
        assert sum(1 for _ in classifier.stream(frame for _ in range(count))) == count
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(f"  resident memory {peaks[0]:.0f} MB after 1,000 inputs, {peaks[1] - peaks[0]:.1f} MB more after 100,000")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("xml", nargs="*", type=Path)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    print(f"{ov.Core().get_property('CPU', 'FULL_DEVICE_NAME')}, OpenVINO {ov.get_version()}")
    with tempfile.TemporaryDirectory() as folder:
        if not options.xml:
            sources = ovm.download(ovm.find_config(SAMPLE), Path(folder) / "sources", offline=True)
            options.xml = [ovm.convert(sources, Path(folder) / "ir", precisions=("FP16",))[0].xml]
        for xml in options.xml:
            classifier = ovm.load_classifier(xml, device="CPU", hint="throughput")
            print(f"{xml.stem} at {classifier.inference_precision}")
            found: dict[int, list[float]] = {batch: [] for batch in BATCHES}
            for _ in range(options.pairs):
                for batch in BATCHES:
                    theirs = benchmark_app_rate(xml, options.seconds)
                    ours = queue_rate(classifier, batch, options.seconds)
                    found[batch].append(ours / theirs)
                    print(f"    batch {batch}: queue {ours:.0f}/s, benchmark_app {theirs:.0f}/s", flush=True)
            for batch, ratios in found.items():
                print(f"  batch {batch}: {statistics.median(ratios):.2f}x benchmark_app")
            if options.memory:
                memory(classifier)


if __name__ == "__main__":
    main()
