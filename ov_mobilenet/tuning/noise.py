"""What can be said of figures that vary.

Ratios are taken as logarithms, in pairs that were measured one after the other, so that what slows the machine down for
a while slows both.

    ratio and its interval   the median of the differences between two order statistics of them, by the binomial
        distribution: Conover, "Practical Nonparametric Statistics", 3rd edition, 1999, section 3.2. Wilcoxon's interval
        is shorter for clean figures, but three rounds in twenty that others disturb already spoil it.
    spread    the median absolute deviation times 1.4826: Rousseeuw and Croux, "Alternatives to the Median Absolute
        Deviation", Journal of the American Statistical Association 88 (1993).
    bound of a further value   one-sided prediction bound of a normal sample, mean + t s sqrt(1 + 1/n): Hahn and Meeker,
        "Statistical Intervals", 1991, chapter 4; of logarithms here, for latencies are skewed. Of any distribution the
        largest of n is exceeded by one more value with probability 1 / (n + 1): chapter 5 there.
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
    differences = sorted(one - other for one, other in zip(logs, others, strict=True))
    count = len(differences)
    centre = math.exp(statistics.median(differences))
    place = _place_of_interval(count)
    if place == 0:
        return Ratio(centre, 0.0, math.inf, count)
    return Ratio(centre, math.exp(differences[place - 1]), math.exp(differences[-place]), count)


def spread(logs: Sequence[float]) -> float:
    """The standard deviation, little moved by single outliers; 0 of fewer than two."""
    if len(logs) < 2:
        return 0.0
    centre = statistics.median(logs)
    return 1.4826 * statistics.median(abs(value - centre) for value in logs)


def further_value_below(logs: Sequence[float]) -> float:
    """What one more value stays below at `CONFIDENCE`; infinite of fewer than three."""
    count = len(logs)
    if count < 3:
        return math.inf
    quantile = _student(CONFIDENCE, count - 1)
    bound = statistics.fmean(logs) + quantile * statistics.stdev(logs) * math.sqrt(1 + 1 / count)
    # The largest of so many is one too, and single spoilt values do not push it beyond themselves.
    return min(bound, max(logs)) if count / (count + 1) >= CONFIDENCE else bound


def _place_of_interval(count: int) -> int:
    """Which of so many sorted values, from either end and counted from 1, ends the interval; 0 if there are too few."""
    outside, place = 1, 0
    while outside <= (1 - CONFIDENCE) / 2 * 2**count:
        place += 1
        outside += math.comb(count, place)
    return place


def _student(probability: float, freedom: int) -> float:
    z = statistics.NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / freedom**power for power, term in enumerate(terms, 1))
