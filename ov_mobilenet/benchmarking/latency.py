"""Latencies to percentiles, bins and intervals.

Percentiles are by nearest rank: of n sorted values the one at place ceil(p / 100 * n), counted from 1; each is a
latency that really was, none lies between two. It is definition 1 of Hyndman and Fan, "Sample quantiles in statistical
packages", The American Statistician 50 (1996), and what OpenVINO's `benchmark_app` does.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from ov_mobilenet.benchmarking.measurement import Histogram, Latency, Spread

BINS = 40
# Enough that a third of them gives an interval of confidence, and no more than a plot shows.
FEWEST, MOST = 21, 60
# Fewer requests than these in an interval, and its throughput says nothing.
REQUESTS_AN_INTERVAL = 4


def nearest_rank(ordered: Sequence[float], permille: int) -> float:
    """The value at ceil(permille / 1000 * n), in whole numbers: 0.999 * 1000 is above 999 in floats."""
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
    """Bins between the least and the largest, each wider than the last by the same factor."""
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
    """Throughput over intervals of a second, or shorter ones where there are fewer than `FEWEST` of them.

    Args:
        ends: when each request was done, in seconds, rising.
        begun: when the first was started.
        images: of each request.
    """
    duration = ends[-1] - begun if ends else 0.0
    wanted = min(MOST, max(FEWEST, int(duration)), len(ends) // REQUESTS_AN_INTERVAL)
    if wanted < 1 or duration <= 0:
        return Spread(max(0.0, duration), (), None, None, None, None)
    length = duration / wanted
    found, before, last = [], begun, 0
    for number in range(wanted):
        # From the last request of the interval before to its own last one: not rounded to whole requests.
        cut = len(ends) if number == wanted - 1 else bisect_right(ends, begun + (number + 1) * length)
        if cut > last:
            done = ends[cut - 1]
            found.append(sum(images[last:cut]) / max(done - before, 1e-9))
            before, last = done, cut
        else:
            found.append(0.0)
    mean = statistics.fmean(found)
    variation = statistics.stdev(found) / mean if len(found) > 1 and mean else None
    return Spread(length, tuple(found), min(found), statistics.median(found), max(found), variation)
