"""MobileNet V4 on the CPU: our IRs against torch.compile and onnxruntime, all in one run.

    python tools/bench/mobilenet_v4.py [--architecture mobilenetv4_conv_small] [--size 224] [--rounds 7] [--seconds 1]

The weights are random. Each engine runs the same network on all cores, one after the other in each round; printed are
medians of all rounds, and medians of the ratios within a round, by wall time and by CPU time.

latency     one image per request, one request at a time
throughput  eight images per request; OpenVINO runs as many requests in parallel as its throughput hint asks for, the
            others one at a time, as torch and onnxruntime share the cores within a request

Our IRs take raw pixels (uint8), normalise them and give probabilities; the others get normalised floats and give
logits, so they have less to do. torch.compile needs a C++ compiler and is left out without one. `--layers` prints the
types of layers that ran, with precision, count and time.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
from cpu_time import Used, compared_runs, median_of
from infer_rate import used_per_run
from report import Report, add_json_option
from v4_sources import converted, exported, random_network

import ov_mobilenet as ovm
from ov_mobilenet.benchmarking.layers import COUNTERS, per_layer
from ov_mobilenet.devices.settings import InferencePrecision

THROUGHPUT_BATCH = 8
PRECISIONS: tuple[InferencePrecision, ...] = ("f32", "bf16")
# From a duration in seconds to what one image uses.
Way = Callable[[float], Used]


def used_per_call(call: Callable[[], Any], seconds: float) -> Used:
    """What one call uses, one after the other."""
    call()
    done, begun = 0, Used(time.perf_counter(), time.process_time())
    while time.perf_counter() - begun.wall_s < seconds:
        call()
        done += 1
    return (Used(time.perf_counter(), time.process_time()) - begun) / done


def openvino_way(xml: Path, precision: InferencePrecision, batch: int) -> Way:
    """An IR."""
    hint: Any = "latency" if batch == 1 else "throughput"
    model = ovm.load_classifier(xml, device="CPU", hint=hint, inference_precision=precision).compiled(batch)
    requests = 1 if batch == 1 else model.requests
    return lambda seconds: used_per_run(model.model, requests, seconds) / batch


def onnxruntime_way(path: Path, images: np.ndarray) -> Way:
    """An ONNX file."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda seconds: used_per_call(lambda: session.run(None, {"data": images}), seconds) / len(images)


def torch_way(architecture: str, side: int, batch: int, precision: InferencePrecision) -> Way:
    """torch.compile, in a process of its own.

    Beside the thread pools of the other engines, torch ran 8 to 17 times as slowly as alone.
    """
    pool = ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn"), prepare_torch, (architecture, side, batch, precision)
    )
    pool.submit(measure_torch, 0.1).result()  # compiles
    return lambda seconds: pool.submit(measure_torch, seconds).result() / batch


_TORCH_CALLS: list[Callable[[], Any]] = []  # of the process of `torch_way`


def prepare_torch(architecture: str, side: int, batch: int, precision: InferencePrecision) -> None:
    """Compile the network with torch's settings for inference, channels last in memory."""
    dtype = torch.float32 if precision == "f32" else torch.bfloat16
    images = torch.randn(batch, 3, side, side).to(dtype, memory_format=torch.channels_last)
    module = random_network(architecture, side).to(dtype, memory_format=torch.channels_last)
    compiled = torch.compile(module, options={"freezing": True})

    def call() -> None:
        with torch.no_grad():
            compiled(images)

    for _ in range(3):  # the first calls compile
        call()
    _TORCH_CALLS.append(call)


def measure_torch(seconds: float) -> Used:
    """What a call of the compiled network uses."""
    return used_per_call(_TORCH_CALLS[0], seconds)


def layers(xml: Path, precision: InferencePrecision) -> None:
    """Print the types of layers that run for one image."""
    model = ov.Core().read_model(xml)
    model.reshape([1, *list(model.inputs[0].partial_shape)[1:]])
    compiled = ov.compile_model(
        model, "CPU", {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY", COUNTERS[0]: COUNTERS[1]}
    )
    found = per_layer(compiled, compiled.create_infer_request(), requests=60)
    print(f"layers of {xml.parent.name}/{xml.name} at {precision}: {found.total_ms:.2f} ms")
    for kind in found.by_type:
        print(f"    {kind.count:4} {kind.type:16} {kind.precision or '-':6} {kind.time_ms:7.3f} ms {kind.share:5.0%}")


def compare(title: str, ways: dict[str, Way], options: argparse.Namespace, report: Report) -> None:
    """Print the medians, and the ratios of our IRs to the other engines."""
    found: dict[str, list[Used]] = {name: [] for name in ways}
    for turn in range(options.rounds):
        for name in list(ways)[:: 1 if turn % 2 else -1]:
            found[name].append(ways[name](options.seconds))
    for name, runs in found.items():
        used = median_of(runs)
        print(f"    {name:20} {1 / used.wall_s:8.0f} images/s, CPU time {used.cpu_s * 1e3:.3f} ms an image", flush=True)
        for other, others in found.items():
            if name.startswith("ours") and not other.startswith("ours"):
                result = compared_runs(list(zip(runs, others, strict=True)))
                print(f"      {result.wall:.2f}x {other}; CPU time {result.cpu:.2f} of it", flush=True)
                report.add(f"{title}: {name} against {other}", result.figures())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="mobilenetv4_conv_small")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0)
    add_json_option(parser)
    parser.add_argument("--layers", action="store_true", help="print the layers of each of our IRs as well")
    options = parser.parse_args()
    logging.getLogger("ov_mobilenet").setLevel(logging.ERROR)  # the geometry of random weights is not known
    report = Report(options)
    print(f"{torch.get_num_threads()} threads")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        module = random_network(options.architecture, options.size)
        ours, int8 = converted(module, options.architecture, options.size, folder)
        onnx, onnx_int8 = exported(module, options.size, folder)
        runs: list[tuple[str, Path, InferencePrecision]] = [
            ("ours f32", ours, "f32"), ("ours bf16", ours, "bf16"), ("ours INT8", int8, "f32"),
        ]  # fmt: skip
        if options.layers:
            for _, xml, precision in runs:
                layers(xml, precision)
        for batch in (1, THROUGHPUT_BATCH):
            images = np.random.default_rng(0).normal(size=(batch, 3, options.size, options.size)).astype(np.float32)
            ways = {name: openvino_way(xml, precision, batch) for name, xml, precision in runs}
            ways["onnxruntime f32"] = onnxruntime_way(onnx, images)
            ways["onnxruntime INT8"] = onnxruntime_way(onnx_int8, images)
            if shutil.which("g++") or shutil.which("clang++"):
                for precision in PRECISIONS:
                    ways[f"torch.compile {precision}"] = torch_way(options.architecture, options.size, batch, precision)
            else:
                print("no C++ compiler: torch.compile is left out")
            kind = "latency" if batch == 1 else f"throughput, {batch} images per request"
            title = f"{options.architecture}, {options.size}x{options.size}, {kind}"
            print(title)
            compare(title, ways, options, report)
    report.write()


if __name__ == "__main__":
    main()
