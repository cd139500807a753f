"""Checks the figures of `benchmark` against OpenVINO's `benchmark_app`, against `classify` and against itself.

python tools/bench/benchmark.py app|classify|same|slow IR.xml … [--pairs 7] [--seconds 5]

app       ratio of `benchmark --mode inference` to benchmark_app with the same IR, hint and time, in turn
classify  ratio of `benchmark --mode end-to-end` to `classify` on the same folder, without its start-up
          (both by wall time, and by CPU time an image)
same      how often `--baseline` reports a regression of an identical run
slow      how often it reports one if each request is made slower by a tenth

--turns makes `same` and `slow` use `--baseline-command` instead of the report of an earlier run.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from classify_command import classify_used
from cpu_time import Used, compared
from images import ROOT, folder_of_images
from infer_queue import benchmark_app_used
from report import Report, add_json_option

# A sitecustomize.py that slows a process down: after each request it spins for a ninth of the request's time, which
# lowers the throughput by a tenth. It works with one request at a time only: with several in parallel the spinning
# would overlap with inference.
SLOWER = """
import time
import openvino as ov
_infer = ov.InferRequest.infer
def infer(self, *arguments, **options):
    begun = time.perf_counter()
    found = _infer(self, *arguments, **options)
    now = time.perf_counter()
    while time.perf_counter() - now < (now - begun) / 9:
        pass
    return found
ov.InferRequest.infer = infer
"""


def benchmark(xml: Path, *extra: str, path: Path = ROOT) -> tuple[Used, int]:
    """Run the command in a process of its own; returns what it reports for one image, and the exit code."""
    command = [sys.executable, "-m", "ov_mobilenet", "benchmark", str(xml), "-d", "CPU", "--format", "json", *extra]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys((str(path), str(ROOT))))}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode in (0, 3), done.stderr
    (found,) = json.loads(done.stdout)["measurements"]
    fps = float(found["throughput_fps"])
    return Used(1 / fps, found["resources"]["cpu_cores"] / fps), done.returncode


def compare_by_command(xml: Path, runs: int, timed: list[str], slower: Path | None) -> None:
    """Print how often a run is reported as a regression of the same command, with both run in turn."""
    timed = [*timed, "--hint", "latency"]
    plain = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "ov_mobilenet", "benchmark", str(xml), "-d", "CPU"]
    command = shlex.join([*plain, *timed, "--format", "json"])
    reported = 0
    for _ in range(runs):
        code = benchmark(xml, *timed, "--baseline-command", command, path=slower or ROOT)[1]
        reported += code == 3
        print(f"    exit {code}", flush=True)
    print(f"  {xml.stem}: {'slow' if slower else 'same'} with --turns, reported in {reported} of {runs}")


def compare_by_report(xml: Path, pairs: int, timed: list[str], slower: Path | None) -> None:
    """Print how often a second run is reported as a regression of the first."""
    reported = 0
    timed = [*timed, "--hint", "latency"]
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(pairs):
            name = str(Path(folder) / "before.json")
            before, _ = benchmark(xml, *timed, "--report", name)
            after, code = benchmark(xml, *timed, "--baseline", name, path=slower or ROOT)
            reported += code == 3
            print(
                f"    {1 / before.wall_s:.0f}/s, then {1 / after.wall_s:.0f}/s"
                f" ({before.wall_s / after.wall_s:.3f}; CPU time {after.cpu_s / before.cpu_s:.3f}): exit {code}",
                flush=True,
            )
    print(f"  {xml.stem}: {'slow' if slower else 'same'}, reported in {reported} of {pairs}")


def main() -> None:
    """Run the chosen check for each IR, and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("check", choices=["app", "classify", "same", "slow"])
    parser.add_argument("xml", nargs="+", type=Path)
    parser.add_argument("--turns", action="store_true", help="same and slow: run both in turn")
    parser.add_argument("--pairs", type=int, default=7, help="number of pairs of runs")
    parser.add_argument("--seconds", type=float, default=5.0, help="duration of each run")
    add_json_option(parser)
    options = parser.parse_args()
    report = Report(options)
    timed = ["--time", str(options.seconds)]
    with tempfile.TemporaryDirectory() as folder:
        slower = Path(folder) / "slower"
        slower.mkdir()
        (slower / "sitecustomize.py").write_text(SLOWER)
        files = folder_of_images(Path(folder) / "images") if options.check == "classify" else []
        end_to_end = ["--mode", "end-to-end", "--input", str(Path(folder) / "images"), *timed]
        for xml in options.xml:
            if options.check in ("same", "slow"):
                compare = compare_by_command if options.turns else compare_by_report
                compare(xml, options.pairs, timed, slower if options.check == "slow" else None)
                continue
            extra = timed if options.check == "app" else end_to_end

            def ours(xml: Path = xml, extra: list[str] = extra) -> Used:
                return benchmark(xml, *extra)[0]

            def theirs(xml: Path = xml) -> Used:
                if options.check == "app":
                    return benchmark_app_used(xml, options.seconds)
                return classify_used(xml, files, "-d", "CPU")

            found = compared(options.pairs, ours, theirs)
            print(f"  {xml.stem}: benchmark against {options.check}: {found}", flush=True)
            report.add(f"{xml.parent.name}/{xml.stem}: benchmark against {options.check}", found.figures())
    report.write()


if __name__ == "__main__":
    main()
