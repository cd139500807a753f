"""Throughput and top-1 of an INT8 IR relative to its float IR: inference only, measured alternately.

    python tools/bench/int8.py FP16/NAME.xml [FP16-INT8/NAME.xml] [--rounds 7] [--tune 20] [--dataset FOLDER]

Printed are throughput and CPU time an image of INT8 against f32 and bf16, with 1, 4 and 8 images per request, and with
the settings that `tune` finds for each of the two IRs at f32 and at INT8 in `--tune` seconds (0: not tuned).

`--dataset` is a folder with `images` and a `val.txt`, as imagenet200. Top-1 and the number of equal top-1 classes are
measured on every second image, at f32 and INT8. Without an INT8 IR one is calibrated on the other images; an IR that is
given must have been calibrated on those.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from cpu_time import Used, compared_runs
from infer_rate import used_per_run
from report import SEED, Report, add_json_option
from tuning import tuned_run

import ov_mobilenet as ovm
from ov_mobilenet.devices.settings import InferencePrecision

BATCHES = (1, 4, 8)
INT8 = "int8"


def compiled(xml: Path, precision: InferencePrecision | None) -> ovm.Classifier:
    """Load an IR on the CPU with the throughput hint."""
    return ovm.load_classifier(xml, device="CPU", hint="throughput", inference_precision=precision)


def in_batches(classifier: ovm.Classifier, batch: int, seconds: float) -> Used:
    """What one image uses."""
    model = classifier.compiled(batch)
    return used_per_run(model.model, model.requests, seconds) / batch


def compare(name: str, ways: Mapping[str, Callable[[], Used]], rounds: int, report: Report) -> dict[str, list[Used]]:
    """Print INT8 against each of the other ways; returns what one image uses in each round."""
    runs: dict[str, list[Used]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, used in ways.items():
            runs[way].append(used())
    for way in ways:
        if way != INT8:
            found = compared_runs(list(zip(runs[INT8], runs[way], strict=True)))
            print(f"{name}: INT8 against {way}: {found}", flush=True)
            report.add(f"{name}: INT8 against {way}", found.figures())
    return runs


def tuned(float_xml: Path, int8_xml: Path, folder: Path, options: argparse.Namespace) -> dict[str, Callable[[], Used]]:
    """Runs with the settings that `tune` finds."""
    ways: dict[str, Callable[[], Used]] = {}
    for name, xml, precision in (("f32", float_xml, "f32"), (INT8, int8_xml, "own")):
        found = ovm.tune(xml, device="CPU", precision=precision, time_limit_s=options.tune)  # type: ignore[arg-type]
        assert found.profile is not None, found.notes
        profile = folder / f"{name}.yml"
        found.save(profile)
        print(f"tuned {name}: {found.profile.settings}", flush=True)
        ways[name] = partial(_tuned_used, xml, profile, options.seconds)
    return ways


def _tuned_used(xml: Path, profile: Path, seconds: float) -> Used:
    return tuned_run(xml, profile, seconds)[1]


def split(dataset: Path) -> tuple[list[Path], list[tuple[Path, int]]]:
    """The images for calibration, and the others with their classes."""
    rows = [line.split() for line in (dataset / "val.txt").read_text().splitlines()]
    return (
        [dataset / "images" / name for name, _ in rows[::2]],
        [(dataset / "images" / name, int(truth)) for name, truth in rows[1::2]],
    )


def measure_top1(float_xml: Path, int8_xml: Path, dataset: Path, report: Report) -> None:
    """Print top-1 of both on the images that calibration has not seen."""
    _, unseen = split(dataset)
    truth = np.array([number for _, number in unseen])
    found = {}
    for name, xml in (("f32", float_xml), (INT8, int8_xml)):
        classifier = ovm.load_classifier(xml, device="CPU", inference_precision="f32", decode="exact")
        shift = 1 if classifier.record is not None and classifier.record.background_class == 0 else 0
        frames = np.stack([classifier.prepare(path).frame for path, _ in unseen])
        found[name] = classifier.probabilities(frames).argmax(1) - shift
    top1 = {name: float((best == truth).mean()) for name, best in found.items()}
    same = float((found["f32"] == found[INT8]).mean())
    print(
        f"top-1 on {len(truth)} unseen images: f32 {top1['f32']:.1%}, INT8 {top1[INT8]:.1%}"
        f" ({(top1[INT8] - top1['f32']) * 100:+.1f} points); the same class for {same:.1%}"
    )
    report.add("top-1 on unseen images", {"images": len(truth), **top1, "agreement": same})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("float", type=Path)
    parser.add_argument("int8", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.8)
    parser.add_argument("--tune", type=float, default=20.0, help="seconds for the search of each IR's best settings")
    parser.add_argument("--dataset", type=Path, help="labelled images")
    add_json_option(parser)
    options = parser.parse_args()
    if options.int8 is None and options.dataset is None:
        parser.error("an INT8 IR or --dataset is needed")
    report = Report(options)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        int8 = options.int8
        if int8 is None:
            calibration, _ = split(options.dataset)
            settings = ovm.QuantizeSettings(seed=SEED)
            int8 = ovm.quantize(options.float, calibration, folder / "int8.xml", settings=settings).model.xml
        entries = {
            "f32": compiled(options.float, "f32"),
            "bf16": compiled(options.float, "bf16"),
            INT8: compiled(int8, None),
        }
        runs: dict[str, list[Used]] = {}
        for batch in BATCHES:
            ways = {name: partial(in_batches, entry, batch, options.seconds) for name, entry in entries.items()}
            found = compare(f"batch {batch}", ways, options.rounds, report)
            runs = runs or found
        if options.tune:
            best = compare("tuned", tuned(options.float, int8, folder, options), options.rounds, report)
            ratio = statistics.median(run.wall_s for run in runs["f32"]) / statistics.median(
                run.wall_s for run in best[INT8]
            )
            print(f"tuned INT8 against f32 with batch 1: {ratio:.2f}x by wall time, not interleaved")
        if options.dataset is not None:
            measure_top1(options.float, int8, options.dataset, report)
    report.write()


if __name__ == "__main__":
    main()
