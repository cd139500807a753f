"""The plots of the HTML report as values: positions in pixels, which `templates/plots.svg.jinja` draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ov_mobilenet.benchmarking.html.labels import Entries, Entry
from ov_mobilenet.benchmarking.measurement import Measurement
from ov_mobilenet.benchmarking.report import BaselineComparison
from ov_mobilenet.html.axis import Axis, make_axis
from ov_mobilenet.html.formatting import figure

# Around (0, 0); each about as large as the others.
SHAPES = (
    "M5 0A5 5 0 1 1-5 0A5 5 0 1 1 5 0Z", "M-4.5-4.5H4.5V4.5H-4.5Z", "M0-5.5L5.5 4.5H-5.5Z", "M0-6L6 0L0 6L-6 0Z",
    "M0 5.5L5.5-4.5H-5.5Z", "M-2-6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z",
)  # fmt: skip
COLOURS = 6  # --series-1 and so on in the style sheet
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 24, 26, 44


@dataclass(frozen=True)
class Plot:
    """The parts that all plots have.

    Attributes:
        width, height: natural size in CSS pixels.
        description: read out by a screen reader instead of the plot.
    """

    width: int
    height: int
    x: Axis
    y: Axis
    x_title: str
    y_title: str
    description: str


@dataclass(frozen=True)
class Group:
    """Measurements that share colour and shape.

    Attributes:
        front: the measurements that no other one of the group beats; empty if there is only one.
    """

    name: str
    colour: int
    shape: str
    entries: tuple[Entry, ...]
    front: tuple[Measurement, ...]


@dataclass(frozen=True)
class FrontPlot(Plot):
    """Throughput against latency."""

    groups: tuple[Group, ...]


@dataclass(frozen=True)
class StepPlot(Plot):
    """A step function.

    Attributes:
        outline: its path.
        percentiles: name, position and height of each vertical line.
        median: height of a horizontal line.
    """

    outline: str
    percentiles: tuple[tuple[str, float, float], ...] = ()
    median: float | None = None


def pareto_front(measurements: Sequence[Measurement]) -> list[Measurement]:
    """The measurements that no other one beats in both median latency and throughput, lowest latency first."""
    kept: list[Measurement] = []
    for each in sorted(measurements, key=lambda each: (each.latency_ms.p50, -each.throughput_fps)):
        if not kept or each.throughput_fps > kept[-1].throughput_fps:
            kept.append(each)
    return kept


def front_plot(labelled: Entries) -> FrontPlot:
    """Throughput against latency of all measurements, of which there is at least one."""
    measured = [entry.measurement for entry in labelled.entries]
    latencies = [latency for m in measured for latency in (m.latency_ms.p50, m.latency_ms.p95)]
    width, height = 400, 320
    return FrontPlot(
        width, height,
        make_axis(latencies, _LEFT, width - _RIGHT, margin=0.08),
        make_axis((m.throughput_fps for m in measured), height - _BOTTOM, _TOP, margin=0.1),
        "latency, ms: p50, line to p95", "FPS",
        "Throughput against latency; the numbers of the points are those of the table of measurements",
        _groups(labelled),
    )  # fmt: skip


def _groups(labelled: Entries) -> tuple[Group, ...]:
    names = [name for name in ("network", "weights", "mode", "device") if name in labelled.differing] or ["network"]
    members: dict[str, list[Entry]] = {}
    for entry in labelled.entries:
        parts = [entry.settings[name] for name in names]
        if entry.measurement.open_loop is not None:
            parts.append("fixed rate")
        members.setdefault(" · ".join(parts), []).append(entry)
    groups = []
    for number, (name, entries) in enumerate(members.items()):
        front = pareto_front([entry.measurement for entry in entries if entry.measurement.open_loop is None])
        # Pairs of colour and shape are unique for the first 36 groups.
        shape = SHAPES[(number + number // COLOURS) % len(SHAPES)]
        groups.append(
            Group(name, number % COLOURS + 1, shape, tuple(entries), tuple(front) if len(front) > 1 else ())
        )  # fmt: skip
    return tuple(groups)


def latency_plot(entry: Entry) -> StepPlot | None:
    """The histogram of the latencies with p50, p95 and p99; None without latencies."""
    histogram, latency = entry.measurement.histogram, entry.measurement.latency_ms
    edges, counts = histogram.edges_ms, histogram.counts
    if not any(counts):
        return None
    if edges[0] == edges[-1]:  # all latencies are equal: one bin around them
        edges, counts = (0.95 * edges[0], 1.05 * edges[0] or 1.0), (sum(counts),)
    width, height = 360, 190
    lines = (("p50", latency.p50), ("p95", latency.p95), ("p99", latency.p99))
    x = make_axis([*edges, *(value for _, value in lines)], _LEFT, width - _RIGHT, logarithmic=True)
    y = make_axis([1.5 * max(counts)], height - _BOTTOM, _TOP, max_ticks=4)
    percentiles = tuple(
        (name, x.at(value), y.at((1.42 - 0.18 * level) * max(counts))) for level, (name, value) in enumerate(lines)
    )
    description = (
        f"Distribution of the latencies of measurement {entry.key}: from {figure(latency.min)} to "
        f"{figure(latency.max)} ms, p50 {figure(latency.p50)}, p95 {figure(latency.p95)}, p99 {figure(latency.p99)}"
    )
    return StepPlot(
        width, height, x, y, "latency, ms", "latencies per bin", description, _steps(x, y, edges, counts), percentiles
    )


def throughput_plot(entry: Entry) -> StepPlot | None:
    """The throughput of each interval and the median; None without intervals."""
    spread = entry.measurement.spread
    if not spread.fps:
        return None
    width, height = 360, 190
    edges = [number * spread.interval_s for number in range(len(spread.fps) + 1)]
    x = make_axis(edges, _LEFT, width - _RIGHT, logarithmic=False)
    y = make_axis([max(spread.fps)], height - _BOTTOM, _TOP, margin=0.15, max_ticks=4)
    description = (
        f"Throughput of measurement {entry.key} over its intervals: from {figure(spread.min)} to "
        f"{figure(spread.max)} FPS, median {figure(spread.median)}"
    )
    median = None if spread.median is None else y.at(spread.median)
    return StepPlot(
        width, height, x, y, "time, s", "FPS", description, _steps(x, y, edges, spread.fps), median=median
    )  # fmt: skip


def _steps(x: Axis, y: Axis, edges: Sequence[float], values: Sequence[float]) -> str:
    """The path of a step function down to 0 at both ends."""
    steps = (f"V{y.at(value):g}H{x.at(end):g}" for value, end in zip(values, edges[1:], strict=True))
    return f"M{x.at(edges[0]):g} {y.start:g}{''.join(steps)}V{y.start:g}"


def ratio_axis(comparisons: Sequence[BaselineComparison]) -> Axis:
    """The axis that all comparisons share: ratio 1, limits and intervals are on it."""
    values = [1.0]
    for each in comparisons:
        values += [each.ratio, 1 - each.max_regression, *(end for end in (each.low, each.high) if end is not None)]
    return make_axis(values, 6, 194, logarithmic=False, from_zero=False, margin=0.05)
