"""Throughput of an INT8 IR relative to its float IR at f32 and at bf16: inference only, measured alternately.

python tools/bench/int8.py FP32/NAME.xml FP16-INT8/NAME.xml [--rounds 7] [--seconds 0.8]
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from infer_rate import runs_per_second

import ov_mobilenet as ovm
from ov_mobilenet.devices.settings import InferencePrecision

BATCHES = (1, 4, 8)


def compiled(xml: Path, precision: InferencePrecision | None) -> ovm.Classifier:
    """Load an IR on the CPU with the throughput hint."""
    return ovm.load_classifier(xml, device="CPU", hint="throughput", inference_precision=precision)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("float", type=Path)
    parser.add_argument("int8", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.8)
    options = parser.parse_args()
    entries = {
        "f32": compiled(options.float, "f32"),
        "bf16": compiled(options.float, "bf16"),
        "int8": compiled(options.int8, None),
    }
    for batch in BATCHES:
        rates: dict[str, list[float]] = {name: [] for name in entries}
        for _ in range(options.rounds):
            for name, classifier in entries.items():
                model = classifier.compiled(batch)
                rates[name].append(batch * runs_per_second(model.model, model.requests, options.seconds))
        medians = {name: statistics.median(found) for name, found in rates.items()}
        ratios = {
            name: statistics.median(a / b for a, b in zip(rates["int8"], rates[name], strict=True))
            for name in ("f32", "bf16")
        }
        print(f"batch {batch}:", *(f"{name} {rate:.0f}/s" for name, rate in medians.items()),
              *(f"{ratio:.2f} of {name}" for name, ratio in ratios.items()), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
