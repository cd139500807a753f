"""Images per second of `classify`, from files to classes, relative to other ways to do the same.

    python tools/bench/pipeline.py [IR.xml …] [--pairs 7] [--images 1000] [--folder FOLDER] [--only-plain]

By default it measures the built-in sample model. For each IR it prints medians of interleaved pairs, by wall time and
by CPU time:

    plain loop     tools/bench/plain_loop.py, one image after another
    serial bound   1 / (1 / decode + 1 / infer): decoding alone with one thread per core; inference alone, with one or
                   eight images per request, whichever is faster
    onnxruntime    the ONNX file given with `--onnx`, at f32, with the same decode threads

`classify` is the whole command, which prints JSON lines; its time for one image is subtracted. The CPU time of the
serial bound is that of decoding and inference, each alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from classify_command import classify_used, plain_used
from cpu_time import Used, compared, used_by
from infer_rate import used_per_run
from models_and_images import add_model_and_image_options, models_and_images
from report import Report, add_json_option

import ov_mobilenet as ovm
from ov_mobilenet.devices.processors import usable_cpus
from ov_mobilenet.images.load_image import load_image

WORKERS = usable_cpus()


def decode_used(classifier: ovm.Classifier, files: list[Path]) -> Used:
    """What reading, decoding and resizing alone use for one image, with one thread per core."""

    def decode() -> None:
        with ThreadPoolExecutor(WORKERS) as pool:
            for _ in pool.map(lambda file: load_image(file, classifier.geometry), files):
                pass

    return used_by(decode) / len(files)


def infer_used(classifier: ovm.Classifier, batch: int, seconds: float = 2.0) -> Used:
    """What inference alone uses for one image."""
    made = classifier.compiled(batch)
    return used_per_run(made.model, made.requests, seconds) / batch


def onnxruntime_used(onnx: Path, classifier: ovm.Classifier, files: list[Path]) -> Used:
    """What onnxruntime uses for one image, with the same decode threads."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    mean, scale = np.array([123.675, 116.28, 103.53], np.float32), np.array([58.395, 57.12, 57.375], np.float32)

    def decoded(file: Path) -> Any:
        frame = load_image(file, classifier.geometry).frame
        return np.ascontiguousarray(((frame[:, :, ::-1] - mean) / scale).transpose(2, 0, 1)[None])

    def classify() -> None:
        with ThreadPoolExecutor(WORKERS) as pool:
            for pixels in pool.map(decoded, files):
                np.argsort(-session.run(None, {source.name: pixels})[0][0])[:5]

    return used_by(classify) / len(files)


def measure(xml: Path, files: list[Path], options: argparse.Namespace, report: Report) -> None:
    """Print all comparisons for one IR, one per line."""
    classifier = ovm.load_classifier(xml, device="CPU", hint="throughput")
    name = f"{xml.parent.name}/{xml.stem}"

    def bound() -> Used:
        infer = min((infer_used(classifier, batch) for batch in (1, 8)), key=lambda used: used.wall_s)
        decode = decode_used(classifier, files)
        print(f"    decode alone {1 / decode.wall_s:.0f}/s, inference alone {1 / infer.wall_s:.0f}/s", flush=True)
        return Used(decode.wall_s + infer.wall_s, decode.cpu_s + infer.cpu_s)

    def compare(other: str, used: Callable[[], Used], *extra: str) -> None:
        found = compared(options.pairs, lambda: classify_used(xml, files, "-d", "CPU", *extra), used)
        print(f"  classify against {other}: {found}", flush=True)
        report.add(f"{name}: classify against {other}", found.figures())

    print(f"{name} at {classifier.inference_precision}, geometry {classifier.geometry}")
    compare("the plain loop", lambda: plain_used(xml, str(classifier.geometry), files))
    if options.only_plain:
        return
    compare("the serial bound", bound)
    if options.onnx is not None:
        for extra, other in ((("--inference-precision", "f32"), "onnxruntime, both at f32"), ((), "onnxruntime")):
            compare(other, lambda: onnxruntime_used(options.onnx, classifier, files), *extra)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model_and_image_options(parser)
    parser.add_argument("--onnx", type=Path, help="source network of the only IR; it needs torchvision's normalisation")
    parser.add_argument("--only-plain", action="store_true", help="only the comparison with the plain loop")
    parser.add_argument("--pairs", type=int, default=7)
    add_json_option(parser)
    options = parser.parse_args()
    report = Report(options)
    with models_and_images(options) as (models, files):
        for xml in models:
            measure(xml, files, options, report)
    report.write()


if __name__ == "__main__":
    main()
