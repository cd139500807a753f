"""What can be said of figures that vary.

Ratios are taken as logarithms, in pairs that were measured one after the other, so that what slows the machine down for
a while slows both.

    centre and interval of the differences   Hodges and Lehmann's estimate and the interval of Wilcoxon's signed rank
        test: Hollander, Wolfe, Chicken, "Nonparametric Statistical Methods", 3rd edition, 2014, sections 3.2 and 3.3.
    spread    the median absolute deviation times 1.4826: Rousseeuw and Croux, "Alternatives to the Median Absolute
        Deviation", Journal of the American Statistical Association 88 (1993).
    bound of a further value   one-sided prediction bound of a normal sample, mean + t s sqrt(1 + 1/n): Hahn and Meeker,
        "Statistical Intervals", 1991, chapter 4; of logarithms here, for latencies are skewed.
    quantile of Student's t   Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.7.5.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Ratio:
    """How many times as good one is as another.

    Attributes:
        low, high: the interval at `CONFIDENCE`; from 0 to infinity of fewer pairs than that takes, which is 6.
        pairs: how many there were.
    """

    ratio: float
    low: float
    high: float
    pairs: int

    @property
    def told_apart(self) -> bool:
        """Whether the interval leaves 1 out."""
        return not self.low <= 1.0 <= self.high

    def within(self, fraction: float) -> bool:
        """Whether the two are the same but for that fraction."""
        return self.low > 1 / (1 + fraction) and self.high < 1 + fraction


def ratio_of(logs: Sequence[float], others: Sequence[float]) -> Ratio:
    """The ratio of values that were measured in pairs, given as logarithms."""
    differences = [one - other for one, other in zip(logs, others, strict=True)]
    count = len(differences)
    walsh = sorted((differences[i] + differences[j]) / 2 for i in range(count) for j in range(i, count))
    centre = math.exp(statistics.median(walsh))
    outside = _ranks_outside(count)
    if outside == 0:
        return Ratio(centre, 0.0, math.inf, count)
    return Ratio(centre, math.exp(walsh[outside - 1]), math.exp(walsh[-outside]), count)


def spread(logs: Sequence[float]) -> float:
    """The standard deviation, little moved by single outliers; 0 of fewer than two."""
    if len(logs) < 2:
        return 0.0
    centre = statistics.median(logs)
    return 1.4826 * statistics.median(abs(value - centre) for value in logs)


def further_value_below(logs: Sequence[float]) -> float:
    """What one more value stays below at `CONFIDENCE`; infinite of fewer than three."""
    if len(logs) < 3:
        return math.inf
    quantile = _student(CONFIDENCE, len(logs) - 1)
    return statistics.fmean(logs) + quantile * statistics.stdev(logs) * math.sqrt(1 + 1 / len(logs))


def _ranks_outside(count: int) -> int:
    """Which Walsh average, from either end, ends the interval; 0 if there are too few."""
    # How many of the 2^count signs give each sum of ranks.
    ways = [1]
    for rank in range(1, count + 1):
        ways = [a + b for a, b in zip(ways + [0] * rank, [0] * rank + ways, strict=True)]
    tail, found = 0, 0
    for number in ways:
        tail += number
        if tail > (1 - CONFIDENCE) / 2 * 2**count:
            return found
        found += 1
    return found


def _student(probability: float, freedom: int) -> float:
    z = statistics.NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / freedom**power for power, term in enumerate(terms, 1))
