"""Tuned settings compared with the defaults: `benchmark_app -hint throughput` for the network, `classify` for files.

    python tools/bench/tuning.py IR.xml … [--pairs 7] [--seconds 4] [--time-limit 60] [--budget-ms X] [--end-to-end]

Each IR is tuned once, in this process; the output is the median ratio of interleaved pairs. `--budget-ms` counts in how
many of ten later runs the 95th percentile stays within the budget. `--end-to-end` tunes from files to classes, and
compares the whole command on a folder with and without the profile; the start-up time is subtracted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import openvino as ov
from images import ROOT, folder_of_images
from infer_queue import benchmark_app_rate

import ov_mobilenet as ovm
from ov_mobilenet.benchmarking.inputs import RANDOM, generated_images
from ov_mobilenet.benchmarking.latency import summary
from ov_mobilenet.benchmarking.loops import Limit, TimedRun
from ov_mobilenet.benchmarking.measurement import Mode
from ov_mobilenet.benchmarking.workloads import Inference
from ov_mobilenet.devices.processors import usable_cpus
from ov_mobilenet.tuning.tuner import Tuned

RUNS = 10


def tuned_run(xml: Path, profile: Path, seconds: float) -> TimedRun:
    """A run of the network alone, newly loaded with the profile."""
    classifier = ovm.load_classifier(xml, profile=profile)
    subject = Inference(classifier, generated_images(), batch=None)
    subject.run(Limit(0.2))
    return subject.run(Limit(seconds))


def classify_rate(xml: Path, files: list[Path], *extra: str) -> float:
    """Images per second of the command, without its start-up time."""

    def seconds(what: Path) -> float:
        command = [sys.executable, "-m", "ov_mobilenet", "-q", "classify", str(xml), str(what), "--format", "jsonl"]
        begun = time.perf_counter()
        environment = {**os.environ, "CI": "true", "PYTHONPATH": str(ROOT)}
        subprocess.run([*command, *extra], check=True, stdout=subprocess.DEVNULL, env=environment)
        return time.perf_counter() - begun

    one = seconds(files[0])
    return (len(files) - 1) / (seconds(files[0].parent) - one)


def tune(
    xml: Path, profile: Path, options: argparse.Namespace, mode: Mode = "inference", source: Path | str = RANDOM
) -> Tuned:
    """Tune, save the profile, and print the notes."""
    begun = time.perf_counter()
    found = ovm.tune(
        xml, device="CPU", time_limit_s=options.time_limit, latency_budget_ms=options.budget_ms, mode=mode,
        input=source,
    )  # fmt: skip
    print(f"  {len(found.measurements)} settings in {time.perf_counter() - begun:.1f} s")
    for note in found.notes:
        print(f"  {note}")
    if found.profile is not None:
        found.save(profile)
        print(f"  {found.profile.settings}", flush=True)
    return found


def spread_of(ratios: list[float]) -> str:
    """The median with the smallest and the largest ratio."""
    return f"{statistics.median(ratios):.3f}x ({min(ratios):.2f} to {max(ratios):.2f})"


def measure(xml: Path, files: list[Path], folder: Path, options: argparse.Namespace) -> None:
    """Run the comparison that the options ask for, for one IR."""
    profile = folder / "profile.yml"
    print(f"{xml.parent.name}/{xml.stem}")
    if options.end_to_end:
        tune(xml, profile, options, "end-to-end", files[0].parent)
        ratios = []
        for turn in range(options.pairs):
            ways: list[tuple[str, ...]] = [("--profile", str(profile)), ("-d", "CPU")]
            rates = {way: classify_rate(xml, files, *way) for way in (ways if turn % 2 else ways[::-1])}
            ratios.append(rates[ways[0]] / rates[ways[1]])
            print(f"    tuned {rates[ways[0]]:.0f}/s, classify {rates[ways[1]]:.0f}/s", flush=True)
        print(f"  end to end, tuned compared with classify: {spread_of(ratios)}")
    elif options.budget_ms is not None:
        found = tune(xml, profile, options)
        if found.profile is None:
            return
        runs = [summary(tuned_run(xml, profile, options.seconds).latencies_ms).p95 for _ in range(RUNS)]
        held = sum(p95 <= options.budget_ms for p95 in runs)
        print(
            f"  p95 within {options.budget_ms:g} ms in {held} of {RUNS} runs: {', '.join(f'{p95:.2f}' for p95 in runs)}"
        )
    else:
        tune(xml, profile, options)
        ratios = []
        for turn in range(options.pairs):
            theirs = benchmark_app_rate(xml, options.seconds) if turn % 2 else 0.0
            ours = tuned_run(xml, profile, options.seconds).fps
            theirs = theirs or benchmark_app_rate(xml, options.seconds)
            ratios.append(ours / theirs)
            print(f"    tuned {ours:.0f}/s, benchmark_app {theirs:.0f}/s", flush=True)
        print(f"  tuned compared with benchmark_app -hint throughput: {spread_of(ratios)}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("xml", nargs="+", type=Path)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--time-limit", type=float, default=60.0)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--budget-ms", type=float)
    parser.add_argument("--end-to-end", action="store_true")
    options = parser.parse_args()
    print(f"{ov.Core().get_property('CPU', 'FULL_DEVICE_NAME')}, {usable_cpus()} cores, OpenVINO {ov.get_version()}")
    with tempfile.TemporaryDirectory() as folder:
        files = folder_of_images(Path(folder) / "images", options.images) if options.end_to_end else []
        for xml in options.xml:
            measure(xml, files, Path(folder), options)


if __name__ == "__main__":
    main()
