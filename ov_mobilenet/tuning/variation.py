"""How much measurements vary, and which value a further measurement is expected to stay below.

standard deviation   the median absolute deviation times 1.4826: Rousseeuw and Croux, "Alternatives to the Median
    Absolute Deviation", Journal of the American Statistical Association 88 (1993).
prediction bound     one-sided bound of one further value of a normal sample, mean + t s sqrt(1 + 1/n): Hahn and
    Meeker, "Statistical Intervals" (1991), chapter 4; used on logarithms, because latencies are skewed. For any
    distribution, one further value exceeds the largest of n with probability 1 / (n + 1): chapter 5 there.
quantile of Student's t   Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.7.5.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from ov_mobilenet.benchmarking.ratios import CONFIDENCE


def robust_deviation(values: Sequence[float]) -> float:
    """The standard deviation, insensitive to single outliers; 0 for fewer than two values."""
    if len(values) < 2:
        return 0.0
    centre = statistics.median(values)
    return 1.4826 * statistics.median(abs(value - centre) for value in values)


def prediction_bound(values: Sequence[float]) -> float:
    """The bound that one further value stays below with probability `CONFIDENCE`; infinite for fewer than three."""
    count = len(values)
    if count < 3:
        return math.inf
    quantile = _student_quantile(CONFIDENCE, count - 1)
    bound = statistics.fmean(values) + quantile * statistics.stdev(values) * math.sqrt(1 + 1 / count)
    # With 19 values or more the largest is such a bound too, and an outlier does not push it beyond itself.
    return min(bound, max(values)) if count / (count + 1) >= CONFIDENCE else bound


def _student_quantile(probability: float, degrees_of_freedom: int) -> float:
    z = statistics.NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / degrees_of_freedom**power for power, term in enumerate(terms, 1))
