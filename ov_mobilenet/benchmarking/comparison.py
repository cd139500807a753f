"""Compares a measurement with a baseline: with the recorded figures, or by measuring both in turn.

- Same network and same settings: the recorded figures are compared, interval by interval. Measuring the baseline again
  would hide a regression, because whatever slows down a build also slows down the baseline measured with it. If the
  present figures are slower, they are measured again to rule out a disturbance.
- Another network or other settings: both are measured in turn, if the baseline's IR still exists unchanged. Otherwise
  the recorded figures are compared.
- To compare two builds in turn, give the other build as a command.
"""

from __future__ import annotations

import json
import shlex
import statistics
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, cast

from ov_mobilenet.benchmarking.baseline import CONFIDENCE, MAX_REGRESSION, PAIRS, ratio_of_runs
from ov_mobilenet.benchmarking.bench import Bench, describe_network
from ov_mobilenet.benchmarking.latency import spread
from ov_mobilenet.benchmarking.measurement import Measurement
from ov_mobilenet.benchmarking.options import Workload
from ov_mobilenet.benchmarking.ratios import Ratio, ratio_of_pairs
from ov_mobilenet.benchmarking.report import BaselineComparison, Report
from ov_mobilenet.devices.settings import DeviceSettings, Hint, InferencePrecision
from ov_mobilenet.errors import OvMobilenetError, UsageError, printable
from ov_mobilenet.ir.files import open_ir
from ov_mobilenet.runtime.runnable import make_runnable

# A regression against recorded figures must show in each of these further runs too: a disturbance does not last.
RETRIES = 2
# In a shorter run, start and end dominate the figures.
MIN_RUN_S = 0.3


def find_earlier(present: Measurement, earlier: Report, *, alone: bool) -> Measurement | None:
    """The measurement of the earlier report to compare with; None if none or several match.

    It has the same mode and the same network, by digest or else by name. If there are several, the one with the same
    settings is used.

    Args:
        alone: whether the present measurement is the only one of its report. Then the only earlier one of its mode
            matches, too.
    """
    same_mode = [m for m in earlier.measurements if m.mode == present.mode and m.open_loop is None]
    tests: tuple[Callable[[Measurement], bool], ...] = (
        lambda m: _is_same(m, present),
        lambda m: m.network.name == present.network.name and _speed_settings(m) == _speed_settings(present),
        lambda m: m.network.digest == present.network.digest,
        lambda m: m.network.name == present.network.name,
        lambda m: alone,
    )
    for test in tests:
        matches = [m for m in same_mode if test(m)]
        if len(matches) == 1:
            return matches[0]
    return None


def compare_with_earlier(
    number: int, bench: Bench, present: Measurement, earlier: Measurement, name: str, max_regression: float
) -> BaselineComparison:
    """Compare with a measurement of an earlier report, as the module describes.

    Args:
        number: index of the present measurement in its report.
        name: file name of the earlier report.
        max_regression: allowed loss of throughput, in [0, 1].

    Raises:
        UsageError: the baseline or the present measurement has no throughput.
    """
    if not _is_same(earlier, present):
        other = _rebuild(earlier)
        if other is not None:
            return _in_turn(number, bench, other, name, max_regression)
    if earlier.throughput_fps <= 0 or not present.spread.fps:
        raise UsageError("the baseline has no throughput to compare with", where=name, expected="throughput above 0")
    before = _clamped(earlier.spread.fps or (earlier.throughput_fps,))
    ratio = ratio_of_runs(_clamped(present.spread.fps), before)
    for _ in range(RETRIES):
        if not ratio.regressed(max_regression):
            break
        run = bench.run()
        again = ratio_of_runs(_clamped(spread(run.ends, run.begun, run.images).fps or (run.fps,)), before)
        ratio = max(ratio, again, key=lambda each: each.ratio)
    return _comparison(
        number, "recorded", name, 1, earlier.throughput_fps, present.throughput_fps, ratio, max_regression
    )  # fmt: skip


def compare_with_command(
    number: int, bench: Bench, command: str, *, pairs: int = PAIRS, max_regression: float = MAX_REGRESSION
) -> BaselineComparison:
    """Compare with a command that prints a report as JSON, run in turn with the present network.

    Args:
        number: index of the present measurement in its report.
        command: split like a shell command line, but run without a shell.
        max_regression: allowed loss of throughput, in [0, 1].

    Raises:
        UsageError: the command cannot be run, fails, or does not print a report with one measurement of this mode.
    """

    def baseline_fps() -> float:
        return command_fps(command, bench.workload.mode)

    return _measure_pairs(number, "command", bench, baseline_fps, command, pairs, max_regression)


def command_fps(command: str, mode: str) -> float:
    """The throughput that a command reports for its only measurement of that mode.

    Raises:
        UsageError: the command cannot be run, fails, or does not print a report with one measurement of this mode.
    """
    try:
        done = subprocess.run(shlex.split(command), capture_output=True, check=False)
    except (OSError, ValueError) as error:
        raise UsageError("the baseline command cannot be run", got=error) from error
    if done.returncode != 0:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no message"]
        raise UsageError("the baseline command failed", expected="exit code 0", got=f"{done.returncode}: {last[0]}")
    try:
        document = json.loads(done.stdout)
        fps = [float(m["throughput_fps"]) for m in document["measurements"] if m["mode"] == mode]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            "the baseline command does not print a report", expected="JSON as `benchmark --format json` prints it",
            got=printable(str(error)),
        ) from error  # fmt: skip
    if len(fps) != 1:
        raise UsageError(f"the baseline command reports {len(fps)} measurements of mode {mode}", expected="1")
    if fps[0] <= 0:
        raise UsageError("the baseline command reports no throughput", expected="above 0", got=fps[0])
    return fps[0]


def _in_turn(number: int, bench: Bench, other: Bench, name: str, max_regression: float) -> BaselineComparison:
    other.warm_up()
    seconds = _run_time_s(other.workload, PAIRS)
    return _measure_pairs(number, "interleaved", bench, lambda: other.run(seconds).fps, name, PAIRS, max_regression)


def _measure_pairs(
    number: int,
    way: Literal["interleaved", "command"],
    bench: Bench,
    baseline_fps: Callable[[], float],
    name: str,
    pairs: int,
    max_regression: float,
) -> BaselineComparison:
    seconds = _run_time_s(bench.workload, pairs)
    bench.warm_up()
    present: list[float] = []
    baseline: list[float] = []
    for turn in range(pairs):
        # The second of a pair runs on a warmer machine, so the order alternates.
        if turn % 2:
            present.append(bench.run(seconds).fps)
            baseline.append(baseline_fps())
        else:
            baseline.append(baseline_fps())
            present.append(bench.run(seconds).fps)
    ratio = ratio_of_pairs(present, baseline, confidence=CONFIDENCE)
    return _comparison(
        number, way, name, pairs, statistics.median(baseline), statistics.median(present), ratio, max_regression
    )


def _comparison(
    number: int,
    way: Literal["interleaved", "recorded", "command"],
    name: str,
    pairs: int,
    baseline_fps: float,
    present_fps: float,
    ratio: Ratio,
    max_regression: float,
) -> BaselineComparison:
    return BaselineComparison(
        number, way, name, pairs, baseline_fps, present_fps, ratio.ratio, ratio.low, ratio.high, CONFIDENCE,
        max_regression, ratio.regressed(max_regression),
    )  # fmt: skip


def _run_time_s(workload: Workload, pairs: int) -> float:
    """Seconds per run: all runs together take as long as one measurement."""
    return max(MIN_RUN_S, (workload.time_s or 0.0) / pairs)


def _is_same(one: Measurement, other: Measurement) -> bool:
    return one.network.digest == other.network.digest and _speed_settings(one) == _speed_settings(other)


def _speed_settings(measurement: Measurement) -> tuple[object, ...]:
    """The settings that the throughput depends on."""
    asked = measurement.asked
    images = "" if measurement.mode == "inference" else asked.input
    return (
        asked.device, asked.hint, asked.inference_precision, asked.streams, asked.threads, asked.nireq, asked.pinning,
        tuple(sorted(asked.properties.items())), measurement.batch, asked.decode, images,
    )  # fmt: skip


def _rebuild(earlier: Measurement) -> Bench | None:
    """A bench that repeats an earlier measurement; None if its IR is missing or changed, or cannot run here."""
    xml, asked = Path(earlier.network.xml), earlier.asked
    if xml.suffix != ".xml":
        return None
    try:
        network = make_runnable(open_ir(xml))
        if describe_network(network).digest != earlier.network.digest:
            return None
        settings = DeviceSettings(
            device=asked.device,
            hint=cast("Hint | None", asked.hint),  # DeviceSettings checks it
            inference_precision=cast("InferencePrecision | None", asked.inference_precision),
            streams=asked.streams,
            threads=asked.threads,
            nireq=asked.nireq,
            pinning=asked.pinning,
            properties=tuple(asked.properties.items()),
        )
        workload = Workload(
            mode=earlier.mode, batch=asked.batch, time_s=asked.time_s, iterations=asked.iterations,
            warmup_s=asked.warmup_s, input=asked.input, start_up=False,
        )  # fmt: skip
        return Bench(network, settings, workload)
    except (OvMobilenetError, OSError):
        return None


def _clamped(values: Sequence[float]) -> list[float]:
    """The values, but above 0: an interval in which no request was completed has no logarithm."""
    return [max(value, 1e-9) for value in values]
