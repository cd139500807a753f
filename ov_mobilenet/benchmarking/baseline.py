"""Whether throughput has regressed against a baseline.

A regression is reported when the ratio to the baseline is below the limit (5 % by default) and its whole confidence
interval is below 1: two runs of the same build differ by noise, so the difference must be both large and not chance.

Measurements taken in turn are compared by `ratio_of_pairs`. Figures of two separate runs are not paired: their ratio is
the median of all differences of logarithms, with the interval of the rank-sum test (Hollander, Wolfe and Chicken,
"Nonparametric Statistical Methods", 3rd edition (2014), chapter 4). Only the fastest third of the intervals of each run
is used, since other work on a machine only slows it down, and may do so in one run and not in the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ov_mobilenet.benchmarking.ratios import Ratio, interval_between

CONFIDENCE = 0.90  # 5 % on each side; a regression is a question about one side only
MAX_REGRESSION = 0.05
# With noise of 3 % and every twentieth figure a third too low, a regression of 10 % is reported in 0.99 of all cases
# with 15 pairs, in 0.98 with 11 and in 0.68 with 7; a false one in 0.001. tests/benchmarking/test_baseline.py simulates
# the default.
PAIRS = 15
# The fewest figures of each run that have an interval of this confidence.
FEWEST_FIGURES = 5


def ratio_of_runs(present: Sequence[float], baseline: Sequence[float], *, confidence: float = CONFIDENCE) -> Ratio:
    """The ratio of the throughputs that two separate runs had in their intervals.

    Args:
        present, baseline: above 0, at least one each; the fastest third of each is used.
    """
    fastest, fastest_before = _fastest_third(present), _fastest_third(baseline)
    logs = sorted(math.log(a / b) for a in fastest for b in fastest_before)
    return interval_between(logs, _values_outside(_rank_sum_counts(len(fastest), len(fastest_before)), confidence))


def _fastest_third(values: Sequence[float]) -> list[float]:
    return sorted(values)[-max(FEWEST_FIGURES, len(values) // 3) :]


def _values_outside(counts: list[int], confidence: float) -> int | None:
    """How many differences lie outside the interval on each side; None with too few figures."""
    allowed = (1 - confidence) / 2 * sum(counts)
    tail = 0
    for statistic, count in enumerate(counts):
        tail += count
        if tail > allowed:
            return statistic - 1 if statistic else None
    return None


def _rank_sum_counts(m: int, n: int) -> list[int]:
    """The number of orders of m and n values for each value of the rank-sum (Mann-Whitney) statistic."""
    table = [[1] for _ in range(n + 1)]  # with no value of the first kind
    for first in range(1, m + 1):
        row = [[1]]
        for second in range(1, n + 1):
            # The largest value is of the first kind, above all `second` of the other, or of the second kind.
            above = [0] * second + table[second]
            size = first * second + 1
            padded = row[second - 1] + [0] * (size - len(row[second - 1]))
            row.append([a + b for a, b in zip(above + [0] * (size - len(above)), padded, strict=True)])
        table = row
    return table[n]
