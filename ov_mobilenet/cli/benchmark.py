"""`benchmark`: throughput and latency of models."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import click

from ov_mobilenet.benchmarking.comparison import compare_with_command, compare_with_earlier, find_earlier
from ov_mobilenet.benchmarking.conditions import conditions, current_load
from ov_mobilenet.benchmarking.measurement import Measurement
from ov_mobilenet.benchmarking.report import BaselineComparison, FailedMeasurement, Load, Report, read_report
from ov_mobilenet.benchmarking.sweep import Sweep, SweepResult, measurements
from ov_mobilenet.benchmarking.tables import sentence
from ov_mobilenet.cli import options
from ov_mobilenet.cli.benchmark_options import (
    BaselineFlags,
    SweepFlags,
    WorkloadFlags,
    benchmark_options,
)
from ov_mobilenet.cli.benchmark_output import check_reports, head_line, measurement_line, write_output
from ov_mobilenet.cli.device import SharedDeviceFlags
from ov_mobilenet.cli.progress import open_progress
from ov_mobilenet.errors import UsageError, printable
from ov_mobilenet.resolve import Lookup

EXIT_FAILED, EXIT_REGRESSED = 1, 3


@dataclass
class _Results:
    """The results of the command so far."""

    measurements: list[Measurement] = field(default_factory=list)
    comparisons: list[BaselineComparison] = field(default_factory=list)
    failures: list[FailedMeasurement] = field(default_factory=list)

    def add_failure(self, failure: FailedMeasurement) -> None:
        self.failures.append(failure)
        click.echo(f"error: {printable(failure.model)} on {failure.device}: {failure.error}", err=True)


@click.command("benchmark")
@click.argument("models", nargs=-1, required=True, metavar="MODEL…")
@benchmark_options
@options.profile("Profile written by `tune`, instead of the device settings and --batch.")
@click.option("--exec-graph", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Write the device's execution graphs to this folder.")  # fmt: skip
@options.format_option("table", "json", "csv", "markdown")
@click.option("--report", "reports", multiple=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Also write a report: .json, .csv, .md or .html; repeatable.")  # fmt: skip
@options.lookup
@click.pass_context
def benchmark_command(
    context: click.Context,
    models: tuple[str, ...],
    sweep_flags: SweepFlags,
    device_flags: SharedDeviceFlags,
    workload_flags: WorkloadFlags,
    baseline_flags: BaselineFlags,
    profile: Path | None,
    exec_graph: Path | None,
    output_format: str,
    reports: tuple[Path, ...],
    lookup: Lookup,
) -> int:
    """Measure throughput and latency of models.

    MODEL is a zoo name, the path of a model.yml or of an IR .xml, or a Hugging Face repository hf:OWNER/NAME.

    Several values, separated by commas, are measured in all combinations. Mode inference measures the same as
    OpenVINO's benchmark_app: inputs are prepared once, and results are not post-processed. Mode end-to-end measures all
    steps of `classify`: read, decode, crop and resize, inference, top-k.

    \b
    Examples:
      ov-mobilenet benchmark mobilenet-v2-pytorch -d CPU --mode both --input images/
      ov-mobilenet benchmark mobilenet-v2-pytorch -d CPU --precision f32,bf16 --batch 1,4 --report sweep.csv
      ov-mobilenet benchmark mobilenet-v2-pytorch -d CPU --max-rate 0,200,400
      ov-mobilenet benchmark mobilenet-v2-pytorch -d CPU --baseline before.json --max-regression 0.05
    """
    settings = device_flags.settings()
    if profile is None:
        sweep = sweep_flags.sweep(models, settings)
    else:
        sweep, settings = sweep_flags.profile_sweep(models, settings, profile, lookup)
    workload = workload_flags.workload()
    if any(sweep.max_rates) and (baseline_flags.baseline or baseline_flags.baseline_command):
        raise UsageError(
            "--max-rate fixes the throughput, so it cannot be compared with a baseline",
            expected="--baseline or --baseline-command without --max-rate",
        )
    check_reports(reports)
    earlier = read_report(baseline_flags.baseline) if baseline_flags.baseline is not None else None
    load = current_load()
    quiet = options.quiet(context)
    if load.busy and not quiet:
        click.echo(f"warning: the machine is busy ({_describe(load)}); the figures may be too low", err=True)
    if output_format == "table":
        click.echo(head_line())

    progress = context.with_resource(open_progress(context, results_on_stdout=output_format == "table"))
    task = progress.task()

    def announce(description: str) -> None:
        task.announce(f"measuring {description}")

    results = _Results()
    for result in measurements(
        sweep, settings, workload, lookup=lookup, exec_graphs=exec_graph, on_start=announce
    ):  # fmt: skip
        if isinstance(result.measured, FailedMeasurement):
            results.add_failure(result.measured)
            continue
        results.measurements.append(result.measured)
        if output_format == "table":
            click.echo(measurement_line(results.measurements))
            sys.stdout.flush()
        _compare(results, result, baseline_flags, earlier, alone=_is_single(sweep), quiet=quiet)
    report = Report(
        created=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        command=" ".join(("ov-mobilenet", *sys.argv[1:])),
        machine=conditions(load),
        measurements=tuple(results.measurements),
        comparisons=tuple(results.comparisons),
        failures=tuple(results.failures),
    )
    write_output(report, output_format, reports)
    if any(comparison.regressed for comparison in results.comparisons):
        return EXIT_REGRESSED
    return EXIT_FAILED if results.failures else 0


def _compare(
    results: _Results, result: SweepResult, flags: BaselineFlags, earlier: Report | None, *, alone: bool, quiet: bool
) -> None:
    """Compare the last measurement with the baselines, and print the outcome."""
    measured, bench = result.measured, result.bench
    assert isinstance(measured, Measurement)
    assert bench is not None
    number = len(results.measurements) - 1
    comparisons = []
    if earlier is not None:
        match = find_earlier(measured, earlier, alone=alone)
        if match is None:
            reason = f"no matching measurement in the baseline {flags.baseline}"
            results.add_failure(FailedMeasurement(measured.network.name, measured.device, measured.mode, reason))
        else:
            comparisons.append(
                compare_with_earlier(number, bench, measured, match, str(flags.baseline), flags.max_regression)
            )
    if flags.baseline_command is not None:
        comparisons.append(
            compare_with_command(number, bench, flags.baseline_command, max_regression=flags.max_regression)
        )
    results.comparisons += comparisons
    if not quiet:
        for comparison in comparisons:
            click.echo(printable(sentence(comparison)), err=True)


def _is_single(sweep: Sweep) -> bool:
    """Whether each mode is measured with one combination only."""
    return all(
        len(values) == 1
        for values in (sweep.models, sweep.devices, sweep.hints, sweep.inference_precisions, sweep.batches)
    )


def _describe(load: Load) -> str:
    return f"CPU {load.cpu_busy:.0%} busy" if load.cpu_busy is not None else f"load average {load.average:.1f}"
