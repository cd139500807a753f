"""Percentiles and histogram of latencies, and throughput over intervals.

Percentiles are by nearest rank: of n sorted values the one at position ceil(p / 100 * n), counted from 1. Each is a
measured latency, never an interpolation. This is definition 1 of Hyndman and Fan, "Sample quantiles in statistical
packages", The American Statistician 50 (1996), and the definition that OpenVINO's `benchmark_app` uses.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from ov_mobilenet.benchmarking.measurement import Histogram, Latency, Spread

BINS = 40
# Number of intervals: a third of them must be enough for a confidence interval, and a plot shows no more.
MIN_INTERVALS, MAX_INTERVALS = 21, 60
# With fewer requests per interval its throughput is not meaningful.
MIN_REQUESTS_PER_INTERVAL = 4


def nearest_rank(ordered: Sequence[float], permille: int) -> float:
    """The value at position ceil(permille / 1000 * n); per mille are integers because 0.999 * 1000 > 999 in floats."""
    return ordered[max(1, -(-permille * len(ordered) // 1000)) - 1]


def summary(latencies_ms: Iterable[float]) -> Latency:
    """Percentiles of at least one latency."""
    ordered = sorted(latencies_ms)
    return Latency(
        mean=math.fsum(ordered) / len(ordered),
        min=ordered[0],
        p50=nearest_rank(ordered, 500),
        p90=nearest_rank(ordered, 900),
        p95=nearest_rank(ordered, 950),
        p99=nearest_rank(ordered, 990),
        p99_9=nearest_rank(ordered, 999),
        max=ordered[-1],
    )


def histogram(latencies_ms: Sequence[float]) -> Histogram:
    """Histogram between the smallest and the largest latency; each bin is wider than the last by the same factor."""
    low, high = min(latencies_ms), max(latencies_ms)
    if not 0 < low < high:
        return Histogram((low, high), (len(latencies_ms),))
    factor = (high / low) ** (1 / BINS)
    edges = (low, *(low * factor**number for number in range(1, BINS)), high)
    counts = [0] * BINS
    for value in latencies_ms:
        counts[min(BINS, bisect_right(edges, value)) - 1] += 1
    return Histogram(edges, tuple(counts))


def spread(ends: Sequence[float], begun: float, images: Sequence[int]) -> Spread:
    """Throughput over intervals of a second, or of less so that there are at least `MIN_INTERVALS`.

    Args:
        ends: when each request was completed, in seconds, ascending.
        begun: when the first was started.
        images: number of images of each request.
    """
    duration = ends[-1] - begun if ends else 0.0
    count = min(MAX_INTERVALS, max(MIN_INTERVALS, int(duration)), len(ends) // MIN_REQUESTS_PER_INTERVAL)
    if count < 1 or duration <= 0:
        return Spread(max(0.0, duration), (), None, None, None, None)
    length = duration / count
    fps, before, last = [], begun, 0
    for number in range(count):
        # An interval runs from the last request before it to its own last request, so that its throughput is not
        # rounded to whole requests.
        cut = len(ends) if number == count - 1 else bisect_right(ends, begun + (number + 1) * length)
        if cut > last:
            done = ends[cut - 1]
            fps.append(sum(images[last:cut]) / max(done - before, 1e-9))
            before, last = done, cut
        else:
            fps.append(0.0)
    mean = statistics.fmean(fps)
    variation = statistics.stdev(fps) / mean if len(fps) > 1 and mean else None
    return Spread(length, tuple(fps), min(fps), statistics.median(fps), max(fps), variation)
