"""Whether something has become slower: ratios of throughput, their interval of confidence, and the rule.

Ratios of interleaved pairs: the Hodges-Lehmann estimate (median of all averages of two log ratios) with the interval
of the signed rank test. Figures of two separate runs: the median of all differences of their logarithms, with the
interval of the rank sum test. Both make no assumption on how times are distributed, and single disturbances
do not move them: Hollander, Wolfe and Chicken, "Nonparametric Statistical Methods", 3rd edition (2014), chapters 3, 4.

Of two separate runs the fastest third of the intervals is taken, since what else runs on a machine only slows it down,
and may do so in one run and not in the other.

A regression is reported when the ratio lies beyond what is allowed and the whole interval below 1. Two runs of the same
differ by noise: it must both be large and not be chance.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import NamedTuple

CONFIDENCE = 0.90  # a twentieth on either side; one side is what a regression is asked of
MAX_REGRESSION = 0.05
# With noise of 3 % and every twentieth figure a third too low, 11 report a slow-down of a tenth in 0.92 of cases, 15 in
# 0.95, and 7 in 0.71; tests/measure/test_baseline.py simulates that.
PAIRS = 15


class Ratio(NamedTuple):
    """An estimate with its interval; None where there are too few figures for that confidence."""

    ratio: float
    low: float | None
    high: float | None

    def regressed(self, max_regression: float) -> bool:
        """See the module; without an interval the ratio alone decides."""
        return self.ratio < 1 - max_regression and (self.high is None or self.high < 1)


def of_pairs(present: Sequence[float], baseline: Sequence[float], *, confidence: float = CONFIDENCE) -> Ratio:
    """Present by baseline, of throughputs that were measured in turn.

    Args:
        present, baseline: above 0, equally many and at least one.
    """
    logs = [math.log(a / b) for a, b in zip(present, baseline, strict=True)]
    averages = sorted((a + b) / 2 for a, b in combinations_with_replacement(logs, 2))
    return _of(averages, _signed_rank_counts(len(logs)), confidence)


def of_samples(present: Sequence[float], baseline: Sequence[float], *, confidence: float = CONFIDENCE) -> Ratio:
    """The same of throughputs over the intervals of two separate runs; the fastest third of either counts."""
    ours, theirs = _fastest(present), _fastest(baseline)
    differences = sorted(math.log(a / b) for a in ours for b in theirs)
    return _of(differences, _rank_sum_counts(len(ours), len(theirs)), confidence)


def _fastest(values: Sequence[float]) -> list[float]:
    """A third, but no fewer than five where there are so many: they still have an interval of confidence."""
    return sorted(values)[-max(5, len(values) // 3) :]


def _of(ordered: list[float], counts: list[int], confidence: float) -> Ratio:
    """The median of ordered values, and the two that the test's distribution leaves."""
    outside = _most_outside(counts, confidence)
    low = high = None
    if outside is not None:
        low, high = math.exp(ordered[outside]), math.exp(ordered[-1 - outside])
    return Ratio(math.exp(statistics.median(ordered)), low, high)


def _most_outside(counts: list[int], confidence: float) -> int | None:
    """The largest number of values to leave off at either end so that the rest has the confidence; None for none."""
    allowed = (1 - confidence) / 2 * sum(counts)
    below = 0
    for statistic, count in enumerate(counts):
        below += count
        if below > allowed:
            return statistic - 1 if statistic else None
    return None


def _signed_rank_counts(n: int) -> list[int]:
    """In how many of all 2^n ways the ranks 1..n with a plus sign add up to each sum."""
    counts = [1]
    for rank in range(1, n + 1):
        shifted = [0] * rank + counts
        counts = [a + b for a, b in zip([*counts, *[0] * rank], shifted, strict=True)]
    return counts


def _rank_sum_counts(m: int, n: int) -> list[int]:
    """In how many ways m and n values can be mixed so that each number of pairs is in the other order."""
    table = [[1] for _ in range(n + 1)]  # for no value of the first kind
    for first in range(1, m + 1):
        row = [[1]]
        for second in range(1, n + 1):
            # The largest of all is of the first kind, above all of the second, or of the second.
            above = [0] * second + table[second]
            size = first * second + 1
            padded = row[second - 1] + [0] * (size - len(row[second - 1]))
            row.append([a + b for a, b in zip(above + [0] * (size - len(above)), padded, strict=True)])
        table = row
    return table[n]
