"""Throughput of the command `accuracy` relative to a simple loop that computes the same, measured alternately.

    python tools/bench/accuracy.py IR.xml … [--pairs 5] [--images 1000]

The simple loop reads, crops, resizes and classifies one image after another at f32 with the same geometry and counts
top-1. Both use the same files and must get the same accuracy. Both are whole processes; the time and the CPU time that
each needs for ten images are subtracted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from cpu_time import Used, compared, used_by_command
from images import ROOT, folder_of_images
from report import Report, add_json_option

import ov_mobilenet as ovm

ENVIRONMENT = {**os.environ, "CI": "true", "PYTHONPATH": str(ROOT)}
FEW = 10

SIMPLE_LOOP = """\
import sys
from pathlib import Path
import numpy as np
import openvino as ov
from ov_mobilenet.images.geometry import apply_geometry
from ov_mobilenet.images.decode import read_image
from ov_mobilenet.zoo.geometry import parse_geometry

xml, words, listed, folder = sys.argv[1:5]
geometry, shift = parse_geometry(words), int(sys.argv[5])
compiled = ov.Core().compile_model(xml, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
nchw = compiled.inputs[0].shape[1] == 3
rows = [line.split() for line in Path(listed).read_text().splitlines()]
right = 0
for name, truth in rows:
    image = read_image(Path(folder, name), geometry.reader, exif_orientation=False)
    frame = apply_geometry(geometry, image)[None].astype(np.float32)
    scores = compiled(np.ascontiguousarray(frame.transpose(0, 3, 1, 2)) if nchw else frame)[0][0]
    right += int(scores.argmax()) == int(truth) + shift
print(right / len(rows))
"""


def measure(xml: Path, files: list[Path], pairs: int, report: Report) -> None:
    """Measure one IR and print the ratio."""
    classifier = ovm.load_classifier(xml, device="CPU", inference_precision="f32")
    record = classifier.record
    shift = 1 if record is not None and record.background_class == 0 else 0
    folder = files[0].parent
    lists = {}
    for count in (FEW, len(files)):
        lists[count] = folder.parent / f"list{count}.txt"
        # The classes are arbitrary: only the counts of both programs are compared.
        lists[count].write_text("".join(f"{file.name} {n % 16}\n" for n, file in enumerate(files[:count])))

    top1: dict[str, float] = {}

    def used(command: Callable[[Path], list[str]], top1_of: Callable[[str], float], name: str) -> Used:
        start_up, _ = used_by_command(command(lists[FEW]), ENVIRONMENT)
        total, output = used_by_command(command(lists[len(files)]), ENVIRONMENT)
        top1[name] = top1_of(output)
        return (total - start_up) / (len(files) - FEW)

    def ours() -> Used:
        return used(lambda listed: [sys.executable, "-m", "ov_mobilenet", "accuracy", str(xml), "--dataset",
                    str(folder), "--annotations", str(listed), "--format", "json", "-d", "CPU"],
                    lambda output: float(json.loads(output)["top1"]), "ours")  # fmt: skip

    def plain() -> Used:
        return used(lambda listed: [sys.executable, "-c", SIMPLE_LOOP, str(xml), str(classifier.geometry),
                    str(listed), str(folder), str(shift)], float, "plain")  # fmt: skip

    found = compared(pairs, ours, plain)
    # If two classes have almost equal probabilities, the batch size may decide which one is first.
    if abs(top1["ours"] - top1["plain"]) > 2 / len(files):
        raise SystemExit(f"{xml}: accuracy {top1['ours']} against {top1['plain']} in the simple loop")
    print(f"{xml.stem}: accuracy against the simple loop: {found}", flush=True)
    report.add(f"{xml.parent.name}/{xml.stem}: accuracy against the simple loop", found.figures())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("xml", nargs="+", type=Path)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--images", type=int, default=1000)
    add_json_option(parser)
    options = parser.parse_args()
    report = Report(options)
    with tempfile.TemporaryDirectory() as folder:
        files = folder_of_images(Path(folder) / "images", options.images)
        for xml in options.xml:
            measure(xml, files, options.pairs, report)
    report.write()


if __name__ == "__main__":
    main()
