"""The ratio of two things measured in turn, with a confidence interval; shared by `benchmark` and `tune`.

Both are measured once per round, one right after the other, so that whatever slows the machine down for a while slows
both. Ratios are taken as logarithms. The estimate is the median of the paired differences, the interval lies between
two of their order statistics chosen by the binomial distribution (the sign test): Conover, "Practical Nonparametric
Statistics", 3rd edition (1999), section 3.2. It assumes nothing about how times are distributed.

The alternative is the Hodges-Lehmann estimate with the interval of Wilcoxon's signed-rank test: Hollander, Wolfe and
Chicken, "Nonparametric Statistical Methods", 3rd edition (2014), chapter 3. It is shorter when nothing else runs on the
machine, but a few disturbed rounds widen or shift it. Simulated: 15 pairs, noise of 3 % per figure, 95 % confidence,
20,000 runs per line; a disturbed figure is a third too low. The share of runs whose interval excludes 1:

    disturbed figures               true ratio   signed rank   median (used here)
    none                                  1.00          0.05                 0.04
    none                                  1.03          0.69                 0.49
    1 in 20, both sides                   1.10          0.86                 0.99
    3 in 20, both sides                   1.10          0.57                 0.86
    3 in 20, one side only                1.00          0.13                 0.07
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Ratio:
    """The ratio of two measured things, with its confidence interval; above 1 if the first is better.

    Attributes:
        low, high: confidence interval; None with too few measurements for it (5 pairs at 95 %).
    """

    ratio: float
    low: float | None
    high: float | None

    @property
    def differs(self) -> bool:
        """Whether the interval excludes 1; False without an interval."""
        return self.low is not None and self.high is not None and not self.low <= 1 <= self.high

    def is_within(self, fraction: float) -> bool:
        """Whether the whole interval lies between 1 / (1 + fraction) and 1 + fraction."""
        return (
            self.low is not None
            and self.high is not None
            and self.low > 1 / (1 + fraction)
            and self.high < 1 + fraction
        )  # fmt: skip

    def regressed(self, max_regression: float) -> bool:
        """Whether the ratio is below 1 - max_regression and the interval below 1; the ratio decides without one."""
        return self.ratio < 1 - max_regression and (self.high is None or self.high < 1)


def ratio_of_pairs(values: Sequence[float], others: Sequence[float], *, confidence: float = CONFIDENCE) -> Ratio:
    """The ratio of values to others, the n-th of both measured in the n-th round.

    Args:
        values, others: above 0, of the same length, at least one each.
    """
    logs = sorted(math.log(value / other) for value, other in zip(values, others, strict=True))
    return interval_between(logs, _values_outside(len(logs), confidence))


def interval_between(ordered_logs: Sequence[float], outside: int | None) -> Ratio:
    """The median of sorted logarithms, and the interval that leaves out `outside` of them on each side."""
    ratio = math.exp(statistics.median(ordered_logs))
    if outside is None:
        return Ratio(ratio, None, None)
    return Ratio(ratio, math.exp(ordered_logs[outside]), math.exp(ordered_logs[-1 - outside]))


def _values_outside(count: int, confidence: float) -> int | None:
    """How many of `count` sorted values lie outside the interval on each side; None with too few values."""
    tail, outside = 1, -1
    while tail <= (1 - confidence) / 2 * 2**count:
        outside += 1
        tail += math.comb(count, outside + 1)
    return None if outside < 0 else outside
