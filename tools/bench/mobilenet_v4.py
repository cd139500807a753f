"""MobileNet V4 on the CPU: our IRs against torch.compile and onnxruntime, all in one run.

    python tools/bench/mobilenet_v4.py [--architecture mobilenetv4_conv_small] [--size 224] [--rounds 7] [--seconds 1]

The weights are random. Each engine runs the same network on all cores, one after the other in each round; printed are
medians of all rounds, and medians of the ratios within a round.

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
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
from infer_rate import runs_per_second
from v4_sources import converted, exported, random_network

import ov_mobilenet as ovm
from ov_mobilenet.benchmarking.layers import COUNTERS, per_layer
from ov_mobilenet.devices.settings import InferencePrecision

THROUGHPUT_BATCH = 8
PRECISIONS: tuple[InferencePrecision, ...] = ("f32", "bf16")
Rate = Callable[[float], float]


def calls_per_second(call: Callable[[], Any], seconds: float) -> float:
    """Calls per second, one after the other."""
    call()
    done, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        call()
        done += 1
    return done / (time.perf_counter() - begun)


def openvino_rate(xml: Path, precision: InferencePrecision, batch: int) -> Rate:
    """Images per second of an IR."""
    hint: Any = "latency" if batch == 1 else "throughput"
    model = ovm.load_classifier(xml, device="CPU", hint=hint, inference_precision=precision).compiled(batch)
    requests = 1 if batch == 1 else model.requests
    return lambda seconds: batch * runs_per_second(model.model, requests, seconds)


def onnxruntime_rate(path: Path, images: np.ndarray) -> Rate:
    """Images per second of an ONNX file."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda seconds: len(images) * calls_per_second(lambda: session.run(None, {"data": images}), seconds)


def torch_rate(architecture: str, side: int, batch: int, precision: InferencePrecision) -> Rate:
    """Images per second of torch.compile, in a process of its own.

    Beside the thread pools of the other engines, torch ran 8 to 17 times as slowly as alone.
    """
    pool = ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn"), prepare_torch, (architecture, side, batch, precision)
    )
    pool.submit(measure_torch, 0.1).result()  # compiles
    return lambda seconds: batch * pool.submit(measure_torch, seconds).result()


_TORCH_CALLS: list[Callable[[], Any]] = []  # of the process of `torch_rate`


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


def measure_torch(seconds: float) -> float:
    """Calls per second of the compiled network."""
    return calls_per_second(_TORCH_CALLS[0], seconds)


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


def compare(rates: dict[str, Rate], rounds: int, seconds: float) -> None:
    """Print the medians, and the ratios of our IRs to the other engines."""
    found: dict[str, list[float]] = {name: [] for name in rates}
    for turn in range(rounds):
        for name in list(rates)[:: 1 if turn % 2 else -1]:
            found[name].append(rates[name](seconds))
    for name, values in found.items():
        ratios = [
            f"{statistics.median(a / b for a, b in zip(values, others, strict=True)):.2f} of {other}"
            for other, others in found.items()
            if name.startswith("ours") and not other.startswith("ours")
        ]
        print(f"    {name:20} {statistics.median(values):8.0f} images/s  {', '.join(ratios)}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="mobilenetv4_conv_small")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--layers", action="store_true", help="print the layers of each of our IRs as well")
    options = parser.parse_args()
    logging.getLogger("ov_mobilenet").setLevel(logging.ERROR)  # the geometry of random weights is not known
    names = ("openvino", "nncf", "torch", "onnxruntime")
    print(f"{cpu_name()}, {torch.get_num_threads()} threads, Python {platform.python_version()},",
          ", ".join(f"{name} {version(name)}" for name in names))  # fmt: skip
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
            rates = {name: openvino_rate(xml, precision, batch) for name, xml, precision in runs}
            rates["onnxruntime f32"] = onnxruntime_rate(onnx, images)
            rates["onnxruntime INT8"] = onnxruntime_rate(onnx_int8, images)
            if shutil.which("g++") or shutil.which("clang++"):
                for precision in PRECISIONS:
                    rates[f"torch.compile {precision}"] = torch_rate(
                        options.architecture, options.size, batch, precision
                    )
            else:
                print("no C++ compiler: torch.compile is left out")
            print(f"{options.architecture}, {options.size}x{options.size},",
                  "latency" if batch == 1 else f"throughput, {batch} images per request")  # fmt: skip
            compare(rates, options.rounds, options.seconds)


def cpu_name() -> str:
    """The name of the CPU as OpenVINO gives it."""
    return str(ov.Core().get_property("CPU", "FULL_DEVICE_NAME"))


if __name__ == "__main__":
    main()
