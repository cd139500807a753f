"""Tuned settings compared with the defaults: `benchmark_app -hint throughput` for the network, `classify` for files.

    python tools/bench/tuning.py IR.xml … [--pairs 7] [--seconds 4] [--time-limit 60] [--budget-ms X] [--end-to-end]

Each IR is tuned once, in this process; the output is the median ratio of interleaved pairs. `--budget-ms` counts in how
many of ten later runs the 95th percentile stays within the budget. `--end-to-end` tunes from files to classes, and
compares the whole command on a folder with and without the profile; the start-up is subtracted. All ratios are those of
throughput and of CPU time an image.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from classify_command import classify_used
from cpu_time import Used, compared
from images import folder_of_images
from infer_queue import benchmark_app_used
from report import Report, add_json_option

import ov_mobilenet as ovm
from ov_mobilenet.benchmarking.inputs import RANDOM, generated_images
from ov_mobilenet.benchmarking.latency import summary
from ov_mobilenet.benchmarking.loops import Limit, TimedRun
from ov_mobilenet.benchmarking.measurement import Mode
from ov_mobilenet.benchmarking.workloads import Inference
from ov_mobilenet.tuning.tuner import Tuned

RUNS = 10


def tuned_run(xml: Path, profile: Path, seconds: float) -> tuple[TimedRun, Used]:
    """A run of the network alone, newly loaded with the profile, and what one image uses."""
    classifier = ovm.load_classifier(xml, profile=profile)
    subject = Inference(classifier, generated_images(), batch=None)
    subject.run(Limit(0.2))
    cpu = time.process_time()
    run = subject.run(Limit(seconds))
    return run, Used(1 / run.fps, (time.process_time() - cpu) / run.count)


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


def measure(xml: Path, files: list[Path], folder: Path, options: argparse.Namespace, report: Report) -> None:
    """Run the comparison that the options ask for, for one IR."""
    profile = folder / "profile.yml"
    name = f"{xml.parent.name}/{xml.stem}"
    print(name)
    if options.end_to_end:
        tune(xml, profile, options, "end-to-end", files[0].parent)
        found = compared(
            options.pairs,
            lambda: classify_used(xml, files, "--profile", str(profile)),
            lambda: classify_used(xml, files, "-d", "CPU"),
        )
        print(f"  classify with the profile against without: {found}")
        report.add(f"{name}: classify with the profile against without", found.figures())
    elif options.budget_ms is not None:
        tuned = tune(xml, profile, options)
        if tuned.profile is None:
            return
        runs = [summary(tuned_run(xml, profile, options.seconds)[0].latencies_ms).p95 for _ in range(RUNS)]
        held = sum(p95 <= options.budget_ms for p95 in runs)
        print(
            f"  p95 within {options.budget_ms:g} ms in {held} of {RUNS} runs: {', '.join(f'{p95:.2f}' for p95 in runs)}"
        )
        report.add(f"{name}: later runs within the latency budget", {"held": held, "p95_ms": runs})
    else:
        tune(xml, profile, options)
        found = compared(
            options.pairs,
            lambda: tuned_run(xml, profile, options.seconds)[1],
            lambda: benchmark_app_used(xml, options.seconds),
        )
        print(f"  tuned against benchmark_app -hint throughput: {found}")
        report.add(f"{name}: tuned against benchmark_app", found.figures())


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
    add_json_option(parser)
    options = parser.parse_args()
    report = Report(options)
    with tempfile.TemporaryDirectory() as folder:
        files = folder_of_images(Path(folder) / "images", options.images) if options.end_to_end else []
        for xml in options.xml:
            measure(xml, files, Path(folder), options, report)
    report.write()


if __name__ == "__main__":
    main()
