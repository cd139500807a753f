"""Images per second of `accuracy` against a plain loop that does the same, in one run.

    python tools/bench/accuracy.py IR.xml … [--pairs 5] [--images 1000]

The plain loop reads, crops, resizes and infers one image after another at f32 with the same geometry and counts
top-1; both see the same files and must come to the same accuracy. Both are whole processes; what each takes for ten
images is taken off.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from images import ROOT, folder_of_images

import ov_mobilenet as ovm

ENVIRONMENT = {**os.environ, "CI": "true", "PYTHONPATH": str(ROOT)}
FEW = 10

PLAIN_LOOP = """\
import sys
from pathlib import Path
import numpy as np
import openvino as ov
from ov_mobilenet.images.geometry import apply
from ov_mobilenet.images.decode import read_image
from ov_mobilenet.zoo.geometry import parse_words

xml, geometry, listed, folder, shift = sys.argv[1], parse_words(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])
compiled = ov.Core().compile_model(xml, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
nchw = compiled.inputs[0].shape[1] == 3
rows = [line.split() for line in Path(listed).read_text().splitlines()]
right = 0
for name, truth in rows:
    image = read_image(Path(folder, name), geometry.reader, exif_orientation=False)
    frame = apply(geometry, image)[None].astype(np.float32)
    scores = compiled(np.ascontiguousarray(frame.transpose(0, 3, 1, 2)) if nchw else frame)[0][0]
    right += int(scores.argmax()) == int(truth) + shift
print(right / len(rows))
"""


def seconds_of(command: list[str]) -> tuple[float, str]:
    """How long a command takes, and what it prints."""
    begun = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=ENVIRONMENT)
    return time.perf_counter() - begun, done.stdout


def measure(xml: Path, files: list[Path], pairs: int) -> None:
    """The ratio for one IR, a line."""
    classifier = ovm.load_classifier(xml, device="CPU", inference_precision="f32")
    record = classifier.record
    shift = 1 if record is not None and record.background_class == 0 else 0
    folder = files[0].parent
    lists = {}
    for count in (FEW, len(files)):
        lists[count] = folder.parent / f"list{count}.txt"
        # Any classes do: only whether both count alike is looked at.
        lists[count].write_text("".join(f"{file.name} {n % 16}\n" for n, file in enumerate(files[:count])))

    def rate(command: Callable[[Path], list[str]]) -> tuple[float, str]:
        start_up, _ = seconds_of(command(lists[FEW]))
        whole, said = seconds_of(command(lists[len(files)]))
        return (len(files) - FEW) / (whole - start_up), said

    def ours() -> tuple[float, float]:
        found, said = rate(lambda listed: [sys.executable, "-m", "ov_mobilenet", "accuracy", str(xml), "--dataset",
                           str(folder), "--annotations", str(listed), "--format", "json", "-d", "CPU"])  # fmt: skip
        return found, json.loads(said)["top1"]

    def plain() -> tuple[float, float]:
        found, said = rate(lambda listed: [sys.executable, "-c", PLAIN_LOOP, str(xml), str(classifier.geometry),
                           str(listed), str(folder), str(shift)])  # fmt: skip
        return found, float(said)

    found = []
    for turn in range(pairs):
        (a, top1), (b, same) = (ours(), plain()) if turn % 2 else (plain(), ours())[::-1]
        # An image whose first two classes are as good as equal may go either way with the batch.
        if abs(top1 - same) > 2 / len(files):
            raise SystemExit(f"{xml}: accuracy {top1} against {same} in the plain loop")
        found.append((a, b, a / b))
        print(f"    {a:.0f}/s, {b:.0f}/s: {a / b:.2f}", flush=True)
    a, b, ratio = (statistics.median(column) for column in zip(*found, strict=True))
    print(f"{xml.stem}: accuracy {a:.0f}/s, plain loop {b:.0f}/s: {ratio:.2f}x", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("xml", nargs="+", type=Path)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--images", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = folder_of_images(Path(folder) / "images", options.images)
        for xml in options.xml:
            measure(xml, files, options.pairs)


if __name__ == "__main__":
    main()
