"""Measurements as table rows: for the screen, CSV and Markdown."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence

from ov_mobilenet.benchmarking.measurement import Layers, Measurement
from ov_mobilenet.benchmarking.report import BaselineComparison, Report

HEADS = (
    "model",
    "weights",
    "device",
    "precision",
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
NUMBERS_FROM = HEADS.index("batch")
LAYER_HEADS = ("layer", "type", "precision", "implementation", "ms", "share")
LAYER_TYPE_HEADS = ("type", "precision", "layers", "ms", "share")
_STAGES = ("decode", "geometry", "queue", "inference")


def shared_titles(measurements: Iterable[Measurement]) -> set[str]:
    """Titles that several networks have, such as IRs of one name and precision in different folders."""
    networks = {(m.network.title, m.network.digest) for m in measurements}
    counts = Counter(title for title, _ in networks)
    return {title for title, number in counts.items() if number > 1}


def row(measurement: Measurement, *, with_file: bool = False) -> tuple[str, ...]:
    """The cells of a measurement below `HEADS`.

    Args:
        with_file: whether the note names the IR, because name and weight precision do not tell which one it is.
    """
    latency, network = measurement.latency_ms, measurement.network
    times = (latency.mean, latency.p50, latency.p95, latency.p99, latency.max)
    notes = [network.xml] if with_file else []
    if measurement.open_loop is not None:
        saturated = ", saturated" if measurement.open_loop.saturated else ""
        notes.append(f"at {measurement.open_loop.rate_fps:g} FPS{saturated}")
    if measurement.stages_ms is not None:
        notes.append(", ".join(f"{name} {number(measurement.stages_ms[name].p50)}" for name in _STAGES))
    if measurement.failed:
        notes.append(f"{measurement.failed} images failed")
    return (
        network.name, network.precision or "-", measurement.device, measurement.inference_precision or "-",
        measurement.mode, str(measurement.batch), str(measurement.infer_requests), number(measurement.throughput_fps),
        *map(number, times), "; ".join(notes),
    )  # fmt: skip


def number(value: float | None) -> str:
    """A figure with four significant digits."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"


def layer_rows(layers: Layers) -> Iterable[tuple[str, ...]]:
    """The slowest layers below `LAYER_HEADS`."""
    for layer in layers.top:
        yield (layer.name, layer.type, layer.precision or "-", layer.implementation or "-", number(layer.time_ms),
               f"{layer.share:.1%}")  # fmt: skip


def layer_type_rows(layers: Layers) -> Iterable[tuple[str, ...]]:
    """The layer types below `LAYER_TYPE_HEADS`."""
    for kind in layers.by_type:
        yield (kind.type, kind.precision or "-", str(kind.count), number(kind.time_ms), f"{kind.share:.1%}")


def sentence(comparison: BaselineComparison) -> str:
    """A comparison in words."""
    interval = ""
    if comparison.low is not None and comparison.high is not None:
        interval = f" ({comparison.low:.3f} to {comparison.high:.3f})"
    verdict = "REGRESSION of more than" if comparison.regressed else "within the allowed"
    return (
        f"{comparison.ratio:.3f}x{interval} the throughput of {comparison.baseline}, "
        f"{number(comparison.present_fps)} against {number(comparison.baseline_fps)} FPS, {comparison.way}: "
        f"{verdict} {comparison.max_regression:.1%}"
    )


def as_csv(report: Report) -> str:
    """One line per measurement, with all single figures; unknown values are empty."""
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
    for m in report.measurements:
        latency, spread, start, used = m.latency_ms, m.spread, m.start_up_ms, m.resources
        stages = m.stages_ms or {}
        loop = m.open_loop
        writer.writerow((
            m.network.name, m.network.precision, m.device, m.device_name, m.inference_precision,
            m.asked.hint, m.mode, m.batch, m.num_streams, m.infer_requests, loop and loop.rate_fps,
            None if loop is None else loop.saturated, m.count, m.failed, m.duration_s, m.throughput_fps,
            spread.min, spread.median, spread.max, spread.variation, latency.mean, latency.p50, latency.p90,
            latency.p95, latency.p99, latency.p99_9, latency.max,
            *(stages[stage].p50 if stage in stages else None for stage in _STAGES),
            start and start.compile, start and start.first_inference, start and start.cached_compile,
            used.cpu_time_s, used.cpu_cores, used.peak_memory_mb, used.energy_j,
        ))  # fmt: skip
    return text.getvalue()


def as_markdown(report: Report) -> str:
    """The machine, the table of measurements, comparisons, failures and layers."""
    machine = report.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    shared = shared_titles(report.measurements)
    rows = [row(measurement, with_file=measurement.network.title in shared) for measurement in report.measurements]
    parts = [
        "# Benchmark",
        f"{machine.cpu}, {machine.cores} cores, {machine.system}; {versions}; {report.created}"
        + ("; **the machine was busy**" if machine.load.busy else ""),
        _markdown_table(HEADS, rows, NUMBERS_FROM),
    ]
    if report.comparisons:
        lines = (f"- {report.measurements[c.measurement].network.title}: {sentence(c)}" for c in report.comparisons)
        parts += ["## Comparisons", "\n".join(lines)]
    if report.failures:
        parts += ["## Failures", "\n".join(f"- {f.model} on {f.device}: {f.error}" for f in report.failures)]
    for m in report.measurements:
        if m.layers is not None:
            parts += [
                f"## Layers of {m.network.xml if m.network.title in shared else m.network.title} on {m.device}",
                _markdown_table(LAYER_TYPE_HEADS, layer_type_rows(m.layers), 2),
                _markdown_table(LAYER_HEADS, layer_rows(m.layers), 4),
            ]
    return "\n\n".join(parts) + "\n"


def _markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int) -> str:
    rule = ["---" if index < numbers_from else "---:" for index in range(len(heads))]
    lines = [heads, rule, *([cell.replace("|", "\\|") for cell in cells] for cells in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
