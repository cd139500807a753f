"""The plots. Their texts are figures and words of ours: what comes from the report stands in the page, as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ov_mobilenet.benchmarking.html.drawing import (
    BAD,
    INK,
    MARKERS,
    MUTED,
    PAPER,
    SERIES,
    axes,
    scale,
    svg,
)  # fmt: skip
from ov_mobilenet.benchmarking.html.markup import Markup, element
from ov_mobilenet.benchmarking.html.words import figure
from ov_mobilenet.benchmarking.measurement import BaselineComparison, Histogram, Latency, Measurement, Spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.ticker import Locator

_SHAPES = tuple(MARKERS)


def series(number: int) -> tuple[str, str]:
    """Colour and marker of the so-manieth group; the pairs differ for the first 36."""
    return SERIES[number % len(SERIES)], _SHAPES[(number + number // len(SERIES)) % len(_SHAPES)]


def coloured(number: int, character: str) -> Markup:
    """The mark of a legend, in the colour of a series."""
    style = f"color:var(--series-{number % len(SERIES) + 1})"
    return element("span", character, class_="mark", style=style, aria_hidden="true")


def front(points: Sequence[Measurement]) -> list[Measurement]:
    """Those that no other beats in median latency and in throughput at once, the quickest answer first."""
    kept: list[Measurement] = []
    for one in sorted(points, key=lambda one: (one.latency_ms.p50, -one.throughput_fps)):
        if not kept or one.throughput_fps > kept[-1].throughput_fps:
            kept.append(one)
    return kept


def throughput_against_latency(measurements: Sequence[Measurement], groups: Sequence[Sequence[int]]) -> Markup:
    """A point a measurement at its median latency, a line to p95, and the front of each group that has one.

    Args:
        measurements: all of them; the point of `measurements[n]` is labelled n + 1.
        groups: indices into `measurements`; a group has a colour and a shape.
    """
    drawn, ax = axes(380, 300)
    for number, group in enumerate(groups):
        colour, marker = series(number)
        points = [measurements[index] for index in group]
        for one in points:
            saturated = one.open_loop is not None and one.open_loop.saturated
            ax.plot(
                [one.latency_ms.p50, one.latency_ms.p95], [one.throughput_fps] * 2, color=colour, linewidth=1.2,
                marker="|", markevery=[1], markersize=6,
            )  # fmt: skip
            ax.plot(
                one.latency_ms.p50, one.throughput_fps, marker, markersize=8, markeredgecolor=colour,
                markerfacecolor=PAPER if saturated else colour, markeredgewidth=1.5,
            )  # fmt: skip
        best = front([one for one in points if one.open_loop is None])
        if len(best) > 1:
            ax.plot(
                [one.latency_ms.p50 for one in best], [one.throughput_fps for one in best], "--", color=colour,
                linewidth=1,
            )  # fmt: skip
    latencies = [one.latency_ms.p50 for one in measurements]
    scale(ax.xaxis, [*latencies, *(one.latency_ms.p95 for one in measurements)])
    scale(ax.yaxis, [one.throughput_fps for one in measurements])
    ax.margins(0.12)
    if ax.get_yscale() == "linear":
        ax.set_ylim(0, 1.12 * max(one.throughput_fps for one in measurements) or 1)
    if ax.get_xscale() == "linear":
        ax.set_xlim(0, 1.12 * max(one.latency_ms.p95 for one in measurements) or 1)
    ax.set_title("FPS")
    ax.set_xlabel("latency, ms: p50, line to p95")
    _number_points(ax, [(one.latency_ms.p50, one.throughput_fps) for one in measurements])
    return svg(
        drawn, "front", "Throughput against latency; the numbers of the points are those of the table of measurements"
    )


def _number_points(ax: Axes, points: Sequence[tuple[float, float]]) -> None:
    """Each point's number where it covers no other point or number, as far as there is room."""
    ax.figure.draw_without_rendering()  # type: ignore[union-attr]  # the layout, so that data have places
    places = [tuple(ax.transData.transform(point)) for point in points]
    taken = [(x, y, 6.0) for x, y in places]
    for number, (x, y) in enumerate(places, 1):
        size = 6.5 if number < 10 else 8.5
        dx, dy = min(_AROUND, key=lambda way: _overlap((x + way[0], y + way[1], size), taken))
        taken.append((x + dx, y + dy, size))
        led = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.6} if max(abs(dx), abs(dy)) > 12 else None
        ax.annotate(
            str(number), points[number - 1], (dx, dy), textcoords="offset pixels", ha="center", va="center",
            fontsize=11, arrowprops=led,
        )  # fmt: skip


# Where the number of a point may stand from it, in pixels, the best first.
_AROUND = tuple(
    (far * across, far * up)
    for far in (13, 21, 29, 37)
    for across, up in ((0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1), (-1, 0), (1, 0))
)


def _overlap(place: tuple[float, float, float], taken: Sequence[tuple[float, float, float]]) -> float:
    """By how much squares of a centre and half a side lie over one another, the others' sum."""
    x, y, size = place
    return sum(max(0.0, size + far - max(abs(x - other_x), abs(y - other_y))) for other_x, other_y, far in taken)


def latency_histogram(histogram: Histogram, latency: Latency, key: str) -> Markup:
    """How often each latency came, on a logarithmic axis, and where p50, p95 and p99 lie."""
    drawn, ax = axes(350, 180)
    edges, counts = histogram.edges_ms, histogram.counts
    if edges[0] == edges[-1]:  # all alike: one bin around them
        edges, counts = (0.95 * edges[0], 1.05 * edges[0] or 1.0), (sum(counts),)
    ax.stairs(counts, edges, fill=True, color=SERIES[0], alpha=0.55)
    ax.stairs(counts, edges, color=SERIES[0])
    scale(ax.xaxis, edges, logarithmic=True)
    top = max(counts) or 1
    ax.set_ylim(0, 1.5 * top)
    share_of_axis = ax.transData + ax.transAxes.inverted()
    for level, (name, value) in enumerate((("p50", latency.p50), ("p95", latency.p95), ("p99", latency.p99))):
        height = (1.42 - 0.16 * level) * top
        ax.plot([value, value], [0, height], color=INK, linewidth=1, linestyle=(0, (3, 2)))
        right = share_of_axis.transform((value, 0.0))[0] > 0.8
        ax.annotate(
            name, (value, height), (-4 if right else 4, 0), textcoords="offset pixels", va="center",
            ha="right" if right else "left", fontsize=10,
        )  # fmt: skip
    ax.yaxis.set_major_locator(_few_ticks())
    ax.set_title("latencies in a bin")
    ax.set_xlabel("latency, ms")
    spoken = (
        f"Distribution of the latencies of measurement {key}: from {figure(latency.min)} to {figure(latency.max)} ms, "
        f"p50 {figure(latency.p50)}, p95 {figure(latency.p95)}, p99 {figure(latency.p99)}"
    )
    return svg(drawn, f"histogram{key}", spoken)


def throughput_over_time(spread: Spread, key: str) -> Markup:
    """Throughput of each interval, from 0, and the median."""
    drawn, ax = axes(350, 180)
    edges = [number * spread.interval_s for number in range(len(spread.fps) + 1)]
    ax.stairs(spread.fps, edges, fill=True, color=SERIES[1], alpha=0.3)
    ax.stairs(spread.fps, edges, color=SERIES[1], baseline=None)
    if spread.median is not None:
        ax.axhline(spread.median, color=INK, linewidth=1, linestyle=(0, (3, 2)))
    scale(ax.yaxis, [0.0, max(spread.fps)])
    scale(ax.xaxis, [0.0, edges[-1]])
    ax.set_xlim(0, edges[-1])
    ax.set_ylim(0, 1.15 * max(spread.fps) or 1)
    ax.yaxis.set_major_locator(_few_ticks())
    ax.set_title("FPS")
    ax.set_xlabel("time, s")
    spoken = (
        f"Throughput of measurement {key} over its intervals: from {figure(spread.min)} to {figure(spread.max)} FPS, "
        f"median {figure(spread.median)}"
    )
    return svg(drawn, f"spread{key}", spoken)


def _few_ticks() -> Locator:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(3, steps=[1, 2, 5, 10], integer=False)


def stage_bars(rows: Sequence[tuple[str, Mapping[str, float]]], names: Sequence[str]) -> Markup:
    """A bar a measurement: its number and the mean milliseconds of its stages, one after the other."""
    drawn, ax = axes(380, 64 + 30 * len(rows))
    for place, (_, stages) in enumerate(rows):
        begin = 0.0
        for number, name in enumerate(names):
            value = stages.get(name, 0.0)
            ax.barh(place, value, left=begin, height=0.6, color=series(number)[0], edgecolor=PAPER, linewidth=0.8)
            begin += value
    _rows(ax, [key for key, _ in rows])
    ends = [sum(stages.get(name, 0.0) for name in names) for _, stages in rows]
    scale(ax.xaxis, [0.0, max(ends)])
    ax.set_xlim(0, 1.05 * max(ends) or 1)
    ax.set_xlabel("ms an image, mean")
    spoken = "; ".join(f"measurement {key}: {figure(end)} ms" for (key, _), end in zip(rows, ends, strict=True))
    return svg(drawn, "stages", f"Stages one after the other. {spoken}")


def ratios(rows: Sequence[tuple[str, BaselineComparison]]) -> Markup:
    """A point a comparison: present throughput by the baseline's, its confidence interval, the limit allowed."""
    drawn, ax = axes(380, 64 + 30 * len(rows))
    shown = [1.0]
    for place, (_, one) in enumerate(rows):
        colour = BAD if one.regressed else SERIES[0]
        if one.low is not None and one.high is not None:
            ax.plot([one.low, one.high], [place, place], color=colour, marker="|", markersize=9)
            shown += [one.low, one.high]
        limit = 1 - one.max_regression
        ax.plot([limit, limit], [place - 0.4, place + 0.4], color=MUTED, linewidth=1.2, linestyle=":")
        ax.plot(one.ratio, place, "X" if one.regressed else "o", color=colour, markersize=8)
        shown += [limit, one.ratio]
    ax.axvline(1.0, color=INK, linewidth=1)
    _rows(ax, [key for key, _ in rows])
    scale(ax.xaxis, shown, logarithmic=False)
    room = 0.08 * (max(shown) - min(shown)) or 0.05
    ax.set_xlim(min(shown) - room, max(shown) + room)
    ax.set_xlabel("throughput by the baseline's")
    spoken = "; ".join(
        f"measurement {key}: {figure(one.ratio)}{', slower than allowed' if one.regressed else ''}" for key, one in rows
    )
    return svg(drawn, "ratios", f"Throughput by the baseline's. {spoken}")


def _rows(ax: Axes, keys: Sequence[str]) -> None:
    ax.set_yticks(range(len(keys)), keys)
    ax.tick_params(axis="y", labelcolor=INK, length=0)
    ax.set_ylim(len(keys) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
