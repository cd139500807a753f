"""Measurements as rows: for the screen, CSV and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from ov_mobilenet.benchmarking.measurement import BaselineComparison, Layers, Measurement, Report

HEADS = (
    "model",
    "device",
    "runs at",
    "mode",
    "batch",
    "requests",
    "FPS",
    "mean ms",
    "p50",
    "p95",
    "p99",
    "max",
    "note",
)
NUMBERS_FROM = 4
_STAGES = ("decode", "geometry", "queue", "inference")


def row(one: Measurement) -> tuple[str, ...]:
    """A measurement below `HEADS`."""
    latency = one.latency_ms
    times = (latency.mean, latency.p50, latency.p95, latency.p99, latency.max)
    notes = []
    if one.open_loop is not None:
        notes.append(f"at {one.open_loop.rate_fps:g} FPS" + (", saturated" if one.open_loop.saturated else ""))
    if one.stages_ms is not None:
        notes.append(", ".join(f"{name} {number(one.stages_ms[name].p50)}" for name in _STAGES))
    if one.failed:
        notes.append(f"{one.failed} images failed")
    return (
        one.network.name, one.device, one.inference_precision or "-", one.mode, str(one.batch),
        str(one.infer_requests), number(one.throughput_fps), *map(number, times), "; ".join(notes),
    )  # fmt: skip


def number(value: float | None) -> str:
    """Four figures that count."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"


def layer_rows(layers: Layers) -> Iterable[tuple[str, ...]]:
    """The longest layers: name, type, precision, what ran, milliseconds, share."""
    for one in layers.top:
        yield (one.name, one.type, one.precision or "-", one.implementation or "-", number(one.time_ms),
               f"{one.share:.1%}")  # fmt: skip


def type_rows(layers: Layers) -> Iterable[tuple[str, ...]]:
    """Types of layers: type, precision, how many, milliseconds, share."""
    for one in layers.by_type:
        yield (one.type, one.precision or "-", str(one.count), number(one.time_ms), f"{one.share:.1%}")


def sentence(one: BaselineComparison) -> str:
    """A comparison in words."""
    interval = "" if one.low is None or one.high is None else f" ({one.low:.3f} to {one.high:.3f})"
    verdict = "REGRESSION" if one.regressed else "within"
    return (
        f"{one.ratio:.3f}x{interval} of {one.baseline}, {number(one.present_fps)} against "
        f"{number(one.baseline_fps)} FPS, {one.way}: {verdict} {one.max_regression:.1%}"
    )


def as_csv(report: Report) -> str:
    """One line a measurement, with all plain figures; what is not known is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    heads = (
        "model", "weights", "device", "device_name", "inference_precision", "hint", "mode", "batch", "num_streams",
        "infer_requests", "max_rate", "saturated", "count", "failed", "duration_s", "throughput_fps", "fps_min",
        "fps_median", "fps_max", "fps_variation", "mean_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "p99.9_ms",
        "max_ms", *(f"{stage}_p50_ms" for stage in _STAGES), "compile_ms", "first_inference_ms", "cached_compile_ms",
        "cpu_time_s", "cpu_cores", "peak_memory_mb", "energy_j",
    )  # fmt: skip
    writer.writerow(heads)
    for one in report.measurements:
        latency, spread, start, used = one.latency_ms, one.spread, one.start_up_ms, one.resources
        stages = one.stages_ms or {}
        loop = one.open_loop
        writer.writerow((
            one.network.name, one.network.precision, one.device, one.device_name, one.inference_precision,
            one.asked.hint, one.mode, one.batch, one.num_streams, one.infer_requests, loop and loop.rate_fps,
            None if loop is None else loop.saturated, one.count, one.failed, one.duration_s, one.throughput_fps,
            spread.min, spread.median, spread.max, spread.variation, latency.mean, latency.p50, latency.p90,
            latency.p95, latency.p99, latency.p99_9, latency.max,
            *(stages[stage].p50 if stage in stages else None for stage in _STAGES),
            start and start.compile, start and start.first_inference, start and start.cached_compile,
            used.cpu_time_s, used.cpu_cores, used.peak_memory_mb, used.energy_j,
        ))  # fmt: skip
    return text.getvalue()


def as_markdown(report: Report) -> str:
    """Where it was measured, the table, comparisons and layers."""
    machine = report.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    parts = [
        "# Benchmark",
        f"{machine.cpu}, {machine.cores} cores, {machine.system}; {versions}; {report.created}"
        + ("; **the machine was busy**" if machine.load.busy else ""),
        _markdown_table(HEADS, map(row, report.measurements), NUMBERS_FROM),
    ]
    if report.comparisons:
        lines = (
            f"- {report.measurements[one.measurement].network.name}: {sentence(one)}" for one in report.comparisons
        )
        parts += ["## Compared", "\n".join(lines)]
    if report.failures:
        parts += ["## Failed", "\n".join(f"- {one.model} on {one.device}: {one.error}" for one in report.failures)]
    for one in report.measurements:
        if one.layers is not None:
            parts += [
                f"## Layers of {one.network.name} on {one.device}",
                _markdown_table(("type", "runs at", "layers", "ms", "share"), type_rows(one.layers), 2),
                _markdown_table(("layer", "type", "runs at", "by", "ms", "share"), layer_rows(one.layers), 4),
            ]
    return "\n\n".join(parts) + "\n"


def _markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int) -> str:
    rule = ["---" if index < numbers_from else "---:" for index in range(len(heads))]
    lines = [heads, rule, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
