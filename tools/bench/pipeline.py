"""Images per second of `classify`, from files to classes, relative to other ways to do the same.

    python tools/bench/pipeline.py [IR.xml …] [--pairs 5] [--images 1000]

By default it measures the built-in sample model. For each IR it prints medians of interleaved pairs:

    plain loop     tools/bench/plain_loop.py, one image after another
    serial bound   1 / (1 / decode + 1 / infer): decoding alone with one thread per core; inference alone, with one or
                   eight images per request, whichever is faster
    onnxruntime    the ONNX file given with `--onnx`, at f32, with the same decode threads

`classify` is the whole command, which prints JSON lines; its time for one image is subtracted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from images import ROOT, folder_of_images
from infer_rate import runs_per_second

import ov_mobilenet as ovm
from ov_mobilenet.cli.demo import SAMPLE
from ov_mobilenet.devices.processors import usable_cpus
from ov_mobilenet.images.load_image import load_image

WORKERS = usable_cpus()
ENVIRONMENT = {**os.environ, "CI": "true", "PYTHONPATH": str(ROOT)}


def classify_rate(xml: Path, files: list[Path], *extra: str) -> float:
    """Images per second of the command, without its start-up time."""

    def seconds(inputs: list[str]) -> float:
        command = [
            sys.executable,
            "-m",
            "ov_mobilenet",
            "classify",
            str(xml),
            *inputs,
            "--format",
            "jsonl",
            "-d",
            "CPU",
        ]
        begun = time.perf_counter()
        subprocess.run([*command, *extra], check=True, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
        return time.perf_counter() - begun

    one = seconds([str(files[0])])
    return (len(files) - 1) / (seconds([str(files[0].parent)]) - one)


def plain_rate(xml: Path, geometry: str, files: list[Path]) -> float:
    """Images per second that the plain loop reports."""
    command = [sys.executable, str(ROOT / "tools" / "bench" / "plain_loop.py"), str(xml), geometry, *map(str, files)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, env=ENVIRONMENT).stdout)


def decode_rate(classifier: ovm.Classifier, files: list[Path]) -> float:
    """Images per second of reading, decoding and resizing alone, with one thread per core."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        for _ in pool.map(lambda file: load_image(file, classifier.geometry), files):
            pass
    return len(files) / (time.perf_counter() - begun)


def infer_rate(classifier: ovm.Classifier, batch: int, seconds: float = 2.0) -> float:
    """Images per second of inference alone."""
    made = classifier.compiled(batch)
    return batch * runs_per_second(made.model, made.requests, seconds)


def onnxruntime_rate(onnx: Path, classifier: ovm.Classifier, files: list[Path]) -> float:
    """Images per second of onnxruntime with the same decode threads."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    mean, scale = np.array([123.675, 116.28, 103.53], np.float32), np.array([58.395, 57.12, 57.375], np.float32)

    def decoded(file: Path) -> Any:
        frame = load_image(file, classifier.geometry).frame
        return np.ascontiguousarray(((frame[:, :, ::-1] - mean) / scale).transpose(2, 0, 1)[None])

    begun = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        for pixels in pool.map(decoded, files):
            np.argsort(-session.run(None, {source.name: pixels})[0][0])[:5]
    return len(files) / (time.perf_counter() - begun)


def ratios(pairs: int, ours: Callable[[], float], other: Callable[[], float]) -> tuple[float, float, float]:
    """Medians of our rate, of the other rate, and of their ratio."""
    found = [(ours(), other()) if turn % 2 else (other(), ours())[::-1] for turn in range(pairs)]
    return (
        statistics.median(a for a, _ in found),
        statistics.median(b for _, b in found),
        statistics.median(a / b for a, b in found),
    )


def measure(xml: Path, files: list[Path], pairs: int, onnx: Path | None) -> None:
    """Print all comparisons for one IR, one per line."""
    classifier = ovm.load_classifier(xml, device="CPU", hint="throughput")

    def bound() -> float:
        infer = max(infer_rate(classifier, 1), infer_rate(classifier, 8))
        decode = decode_rate(classifier, files)
        print(f"    decode alone {decode:.0f}/s, inference alone {infer:.0f}/s", flush=True)
        return 1 / (1 / decode + 1 / infer)

    def line(name: str, found: tuple[float, float, float]) -> None:
        print(f"  classify {found[0]:.0f}/s, {name} {found[1]:.0f}/s: {found[2]:.2f}x", flush=True)

    print(f"{xml.stem} at {classifier.inference_precision}, geometry {classifier.geometry}")
    line(
        "plain loop",
        ratios(pairs, lambda: classify_rate(xml, files), lambda: plain_rate(xml, str(classifier.geometry), files)),
    )
    line("serial bound", ratios(pairs, lambda: classify_rate(xml, files), bound))
    if onnx is not None:
        for extra, name in ((("--inference-precision", "f32"), "onnxruntime against f32"), ((), "onnxruntime")):
            line(name, ratios(pairs, lambda e=extra: classify_rate(xml, files, *e),  # type: ignore[misc]
                              lambda: onnxruntime_rate(onnx, classifier, files)))  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("xml", nargs="*", type=Path)
    parser.add_argument("--onnx", type=Path, help="source network of the only IR; it needs torchvision's normalisation")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--images", type=int, default=1000)
    options = parser.parse_args()
    print(f"{ov.Core().get_property('CPU', 'FULL_DEVICE_NAME')}, {WORKERS} cores, OpenVINO {ov.get_version()}")
    with tempfile.TemporaryDirectory() as folder:
        files = folder_of_images(Path(folder) / "images", options.images)
        if not options.xml:
            sources = ovm.download(ovm.find_config(SAMPLE), Path(folder) / "sources", offline=True)
            options.xml = [ovm.convert(sources, Path(folder) / "ir", precisions=("FP16",))[0].xml]
        for xml in options.xml:
            measure(xml, files, options.pairs, options.onnx)


if __name__ == "__main__":
    main()
