"""A measurement against an earlier one: measured in turn where that tells something, else as it was recorded.

What slows a build down slows everything that runs in it, an earlier run's settings as well. So figures of the same
network with the same settings are compared as they were recorded, interval by interval, and again where they have
become slower; those of another network or of
other settings are measured anew, in turn with the present ones, where the IR still is as it was. To compare two builds
in turn, let the other one be a command.
"""

from __future__ import annotations

import json
import shlex
import statistics
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, cast

from ov_mobilenet.benchmarking.baseline import CONFIDENCE, MAX_REGRESSION, PAIRS, ratio_of_runs
from ov_mobilenet.benchmarking.benchmark import Bench, Workload, described
from ov_mobilenet.benchmarking.latency import spread
from ov_mobilenet.benchmarking.measurement import BaselineComparison, Measurement, Report
from ov_mobilenet.benchmarking.ratios import Ratio, ratio_of_pairs
from ov_mobilenet.devices.settings import DeviceSettings, Hint, InferencePrecision
from ov_mobilenet.errors import OvMobilenetError, UsageError, printable
from ov_mobilenet.ir.files import open_ir
from ov_mobilenet.runtime.runnable import make_runnable

# A regression against recorded figures must show in every one of so many further runs: what disturbs one is soon gone.
SECOND_LOOKS = 2
# Of a repetition: shorter ones measure how they begin and end.
SHORTEST_S = 0.3


def find_earlier(present: Measurement, earlier: Report, *, alone: bool) -> Measurement | None:
    """The measurement of the earlier report that is the present one's; None if there is none or no single one.

    The same network (by its bytes, else by its name) in the same mode; of several the one with the same settings.

    Args:
        alone: the present one is the only one of its report: any single one of its mode will do.
    """
    same_mode = [one for one in earlier.measurements if one.mode == present.mode and one.open_loop is None]
    tests: tuple[Callable[[Measurement], bool], ...] = (
        lambda one: _is_same(one, present),
        lambda one: one.network.name == present.network.name and _settings(one) == _settings(present),
        lambda one: one.network.digest == present.network.digest,
        lambda one: one.network.name == present.network.name,
        lambda one: alone,
    )
    for test in tests:
        found = [one for one in same_mode if test(one)]
        if len(found) == 1:
            return found[0]
    return None


def compare_with_earlier(
    number: int, bench: Bench, present: Measurement, earlier: Measurement, name: str, max_regression: float
) -> BaselineComparison:
    """See the module.

    Args:
        number: of the present one in its report.
        name: of the file.
    """
    if not _is_same(earlier, present):
        other = _again(earlier)
        if other is not None:
            return _in_turn(number, bench, other, name, max_regression)
    if earlier.throughput_fps <= 0 or not present.spread.fps:
        raise UsageError("a baseline without figures", where=name, expected="throughput above 0")
    before = _above_0(earlier.spread.fps or (earlier.throughput_fps,))
    found = ratio_of_runs(_above_0(present.spread.fps), before)
    for _ in range(SECOND_LOOKS):
        if not found.regressed(max_regression):
            break
        run = bench.run()
        again = ratio_of_runs(_above_0(spread(run.ends, run.begun, run.images).fps or (run.fps,)), before)
        found = max(found, again, key=lambda one: one.ratio)
    return _told(
        number, "recorded", name, 1, earlier.throughput_fps, present.throughput_fps, found, max_regression
    )  # fmt: skip


def compare_with_command(
    number: int, bench: Bench, command: str, *, pairs: int = PAIRS, max_regression: float = MAX_REGRESSION
) -> BaselineComparison:
    """Run a command that prints a report as JSON, in turn with the present network.

    Args:
        command: split as a shell does, but run without one.

    Raises:
        UsageError: the command cannot be run, fails, or prints no report of one measurement.
    """

    def theirs() -> float:
        return command_fps(command, bench.how.mode)

    return _pairs(number, "command", bench, theirs, command, pairs, max_regression)


def command_fps(command: str, mode: str) -> float:
    """The throughput that a command tells: of its only measurement, or its only one of that mode."""
    try:
        done = subprocess.run(shlex.split(command), capture_output=True, check=False)
    except (OSError, ValueError) as error:
        raise UsageError("the baseline command cannot be run", got=error) from error
    if done.returncode != 0:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no message"]
        raise UsageError("the baseline command failed", expected="exit code 0", got=f"{done.returncode}: {last[0]}")
    try:
        document = json.loads(done.stdout)
        found = [float(one["throughput_fps"]) for one in document["measurements"] if one["mode"] == mode]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            "the baseline command prints no report", expected="JSON as of benchmark --format json",
            got=printable(str(error)),
        ) from error  # fmt: skip
    if len(found) != 1 or found[0] <= 0:
        raise UsageError(f"the baseline command's report holds {len(found)} measurements of mode {mode}", expected="1")
    return found[0]


def _in_turn(number: int, bench: Bench, other: Bench, name: str, max_regression: float) -> BaselineComparison:
    other.warm_up()
    seconds = _part(other.how, PAIRS)
    return _pairs(number, "interleaved", bench, lambda: other.run(seconds).fps, name, PAIRS, max_regression)


def _pairs(
    number: int,
    way: Literal["interleaved", "command"],
    bench: Bench,
    theirs: Callable[[], float],
    name: str,
    pairs: int,
    max_regression: float,
) -> BaselineComparison:
    seconds = _part(bench.how, pairs)

    def ours() -> float:
        return bench.run(seconds).fps

    bench.warm_up()
    present: list[float] = []
    baseline: list[float] = []
    for turn in range(pairs):
        # Whoever comes second finds a warmer machine: they take turns in that too.
        for mine in (True, False) if turn % 2 else (False, True):
            (present if mine else baseline).append(ours() if mine else theirs())
    found = ratio_of_pairs(present, baseline, confidence=CONFIDENCE)
    return _told(
        number, way, name, pairs, statistics.median(baseline), statistics.median(present), found, max_regression
    )


def _told(
    number: int,
    way: Literal["interleaved", "recorded", "command"],
    name: str,
    pairs: int,
    baseline: float,
    present: float,
    found: Ratio,
    max_regression: float,
) -> BaselineComparison:
    return BaselineComparison(
        number, way, name, pairs, baseline, present, found.ratio, found.low, found.high, CONFIDENCE, max_regression,
        found.regressed(max_regression),
    )  # fmt: skip


def _part(how: Workload, pairs: int) -> float:
    """Seconds of each repetition: all together as long as one measurement."""
    return max(SHORTEST_S, (how.time_s or 0.0) / pairs)


def _is_same(one: Measurement, other: Measurement) -> bool:
    return one.network.digest == other.network.digest and _settings(one) == _settings(other)


def _settings(one: Measurement) -> tuple[object, ...]:
    """What decides how fast it is, of what was asked."""
    asked = one.asked
    images = "" if one.mode == "inference" else asked.input
    return (
        asked.device, asked.hint, asked.inference_precision, asked.streams, asked.threads, asked.nireq, asked.pinning,
        tuple(sorted(asked.properties.items())), one.batch, asked.decode, images,
    )  # fmt: skip


def _again(earlier: Measurement) -> Bench | None:
    """What was measured, made ready anew; None where the IR is not there as it was, or the machine cannot run it."""
    xml, asked = Path(earlier.network.xml), earlier.asked
    if xml.suffix != ".xml":
        return None
    try:
        network = make_runnable(open_ir(xml))
        if described(network).digest != earlier.network.digest:
            return None
        settings = DeviceSettings(
            device=asked.device,
            hint=cast("Hint | None", asked.hint),  # which it checks
            inference_precision=cast("InferencePrecision | None", asked.inference_precision),
            streams=asked.streams,
            threads=asked.threads,
            nireq=asked.nireq,
            pinning=asked.pinning,
            properties=tuple(asked.properties.items()),
        )
        how = Workload(mode=earlier.mode, batch=asked.batch, time_s=asked.time_s, iterations=asked.iterations,
                       warmup_s=asked.warmup_s, input=asked.input, start_up=False)  # fmt: skip
        return Bench(network, settings, replace(how, max_rate=None))
    except (OvMobilenetError, OSError):
        return None


def _above_0(values: Sequence[float]) -> list[float]:
    """An interval in which nothing came out has no logarithm."""
    return [max(value, 1e-9) for value in values]
