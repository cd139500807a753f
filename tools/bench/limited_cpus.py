"""Classify JPEGs with one CPU: an affinity mask, and a CPU quota. The defaults against other numbers of threads.

    python tools/bench/limited_cpus.py [IR.xml] [--images 300] [--rounds 7]

By default it measures the built-in sample model. Each limit gets a process of its own, which prints the medians of
ratios of throughput in interleaved rounds, and in parentheses the same by CPU time, which a busy machine changes less:

    workers=1          `stream` with one decoding thread
    plain loop         read, decode, resize and infer one image after another
    all CPUs           a decoding thread for each CPU of the machine, and OpenVINO's own number of threads and pinning,
                       as without reading the limit

Two containers: two processes with a quota of one CPU each at the same time; inferences per second of each, with the
default settings and with OpenVINO's pinning. The quota needs root and control groups (version 1 or 2) that can be
written.
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
from ov_mobilenet.devices.processors import cpus_in_mask

sys.path.insert(0, str(ROOT / "tools"))
from control_group import cpu_group

SECONDS = 3.0


def compare(xml: Path, files: list[Path], rounds: int) -> None:
    """Print the ratios; in the limited process."""
    default = ovm.load_classifier(xml, device="CPU", hint="throughput")
    cpus = os.cpu_count() or 1
    unaware = ovm.load_classifier(
        xml, device="CPU", hint="throughput", threads=cpus_in_mask(), properties=(("ENABLE_CPU_PINNING", "YES"),)
    )

    def plain() -> None:
        for file in files:
            default.classify(file)

    ways: dict[str, Callable[[], object]] = {
        "default": lambda: list(default.stream(files)),
        "workers=1": lambda: list(default.stream(files, workers=1)),
        "plain loop": plain,
        "all CPUs": lambda: list(unaware.stream(files, workers=cpus)),
    }
    wall: dict[str, list[float]] = {name: [] for name in ways}
    work: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):  # the first round only warms up
        for name in sorted(ways, reverse=turn % 2 == 1):
            begun, used = time.perf_counter(), time.process_time()
            ways[name]()
            if turn:
                wall[name].append(time.perf_counter() - begun)
                work[name].append(time.process_time() - used)

    def against(name: str, seconds: dict[str, list[float]]) -> float:
        return statistics.median(b / a for a, b in zip(seconds["default"], seconds[name], strict=True))

    ratios = [f"{against(name, wall):.2f} ({against(name, work):.2f}) x {name}" for name in ways if name != "default"]
    print(f"  default {len(files) / statistics.median(wall['default']):.0f} images/s = {', '.join(ratios)}", flush=True)


def infer(xml: Path, pinning: bool) -> None:
    """Print the inferences per second of the network alone."""
    from infer_rate import used_per_run

    properties = (("ENABLE_CPU_PINNING", "YES"),) if pinning else ()
    model = ovm.load_classifier(xml, device="CPU", properties=properties).compiled(1)
    print(1 / used_per_run(model.model, model.requests, SECONDS).wall_s, flush=True)


def two_containers(call: list[str], rounds: int) -> None:
    """Print the inferences per second of each of two processes, without and with pinning."""
    found: dict[bool, list[float]] = {False: [], True: []}
    with cpu_group(1.0) as first, cpu_group(1.0) as second:
        for turn in range(rounds):
            for pinning in (False, True) if turn % 2 else (True, False):
                arguments = [*call, "--infer", json.dumps(pinning)]
                each = [
                    subprocess.Popen([*limit, *arguments], stdout=subprocess.PIPE, text=True)
                    for limit in (first, second)
                ]
                found[pinning] += [float(process.communicate()[0]) for process in each]
    free, pinned = (statistics.median(found[pinning]) for pinning in (False, True))
    print(f"  default {free:.0f} inferences/s, pinned {pinned:.0f}: {free / pinned:.2f}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("xml", nargs="?", type=Path)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--compare", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--infer", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.compare is not None:
        return compare(options.xml, sorted(options.compare.iterdir()), options.rounds)
    if options.infer is not None:
        return infer(options.xml, options.infer)
    with tempfile.TemporaryDirectory() as folder:
        images = folder_of_images(Path(folder) / "images", options.images)[0].parent
        if options.xml is None:
            from ov_mobilenet.cli.demo import SAMPLE

            sources = ovm.download(ovm.find_config(SAMPLE), Path(folder) / "sources", offline=True)
            options.xml = ovm.convert(sources, Path(folder) / "ir", precisions=("FP16",))[0].xml
        os.environ["PYTHONPATH"] = str(ROOT)
        call = [sys.executable, __file__, str(options.xml)]
        both = [*call, "--rounds", str(options.rounds), "--compare", str(images)]
        print(f"{os.cpu_count()} CPUs, {options.images} images, {options.rounds} rounds")
        print("affinity mask of one CPU (taskset -c 0):", flush=True)
        subprocess.run(["taskset", "-c", "0", *both], check=True)
        for quota in (1.0, 0.5):
            print(f"quota of {quota:g} CPU:", flush=True)
            with cpu_group(quota) as limit:
                subprocess.run([*limit, *both], check=True)
        print("two containers with a quota of one CPU each:", flush=True)
        two_containers(call, options.rounds)


if __name__ == "__main__":
    main()
