"""`classify` against the plain loop while another process uses one core, or all of them.

    python tools/bench/stressed.py [IR.xml …] [--pairs 7] [--images 1000] [--folder FOLDER]

Each pair runs undisturbed, with a busy loop pinned to one core, and with one on each core; the busy loops have the same
priority. Printed are the medians of the ratios by wall time and by CPU time. Limit: at least 1.3 times the plain loop's
throughput by wall time with one core under stress. Linux.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from classify_command import classify_used, plain_used
from cpu_time import Used, compared_runs
from models_and_images import add_model_and_image_options, models_and_images
from report import Report, add_json_option

import ov_mobilenet as ovm

BUSY_LOOP = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
print("ready", flush=True)
while True:
    pass
"""


@contextmanager
def stress(cores: list[int]) -> Iterator[None]:
    """A busy loop on each of these cores, until the end."""
    processes = [
        subprocess.Popen([sys.executable, "-c", BUSY_LOOP, str(core)], stdout=subprocess.PIPE) for core in cores
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        yield
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def measure(xml: Path, files: list[Path], pairs: int, report: Report) -> None:
    """Print a line for each stress."""
    geometry = str(ovm.load_classifier(xml, device="CPU").geometry)
    cores = sorted(os.sched_getaffinity(0))
    stresses = {"no stress": [], "one core": cores[:1], "all cores": cores}
    ways: tuple[Callable[[], Used], ...] = (
        lambda: classify_used(xml, files, "-d", "CPU"),
        lambda: plain_used(xml, geometry, files),
    )
    found: dict[str, list[tuple[Used, Used]]] = {name: [] for name in stresses}
    for turn in range(pairs):
        for name, busy in stresses.items():
            with stress(busy):
                ours, other = [way() for way in (ways if turn % 2 else ways[::-1])][:: 1 if turn % 2 else -1]
            found[name].append((ours, other))
            print(f"    {name}: {1 / ours.wall_s:.0f}/s, {1 / other.wall_s:.0f}/s", flush=True)
    for name, runs in found.items():
        result = compared_runs(runs)
        print(f"  {name}: classify against the plain loop: {result}", flush=True)
        report.add(f"{xml.parent.name}/{xml.stem}, {name}: classify against the plain loop", result.figures())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model_and_image_options(parser)
    parser.add_argument("--pairs", type=int, default=7)
    add_json_option(parser)
    options = parser.parse_args()
    report = Report(options)
    with models_and_images(options) as (models, files):
        for xml in models:
            print(f"{xml.parent.name}/{xml.stem}")
            measure(xml, files, options.pairs, report)
    report.write()


if __name__ == "__main__":
    main()
