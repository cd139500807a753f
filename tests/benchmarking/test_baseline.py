from __future__ import annotations

import math
import random
from itertools import product

import pytest

from ov_mobilenet.benchmarking.baseline import PAIRS, Ratio, of_pairs, of_samples

NOISE = 0.03


def throughputs(random_: random.Random, mean: float, count: int) -> list[float]:
    """With noise, and now and then somebody else takes a third."""
    return [mean * math.exp(random_.gauss(0, NOISE)) * (0.67 if random_.random() < 0.05 else 1) for _ in range(count)]


def reported(present: float, ways: str) -> float:
    """Share of runs in which a regression is reported, at the default of 5 %."""
    random_ = random.Random(1)
    found = 0
    for _ in range(300):
        if ways == "pairs":
            a, b = (throughputs(random_, mean, PAIRS) for mean in (present, 1000.0))
            found += of_pairs(a, b).regressed(0.05)
        else:
            a, b = (throughputs(random_, mean, 21) for mean in (present, 1000.0))
            found += of_samples(a, b).regressed(0.05)
    return found / 300


def test_half_a_run_disturbed_is_no_regression() -> None:
    random_ = random.Random(2)
    quiet = throughputs(random_, 1000.0, 21)
    disturbed = throughputs(random_, 1000.0, 10) + throughputs(random_, 600.0, 11)
    assert not of_samples(disturbed, quiet).regressed(0.05)
    slower = throughputs(random_, 900.0, 10) + throughputs(random_, 540.0, 11)
    assert of_samples(slower, quiet).regressed(0.05)


@pytest.mark.parametrize("ways", ["pairs", "samples"])
def test_the_same_is_no_regression_and_a_tenth_slower_is_one(ways: str) -> None:
    assert reported(1000.0, ways) <= 0.02
    assert reported(900.0, ways) >= 0.9


def test_the_interval_of_pairs_by_hand() -> None:
    # Seven log ratios 1..7: 28 averages; the signed rank test leaves off two at either end (tables: T <= 2, 0.0234).
    logs = [1, 2, 3, 4, 5, 6, 7]
    averages = sorted((a + b) / 2 for i, a in enumerate(logs) for b in logs[i:])
    found = of_pairs([math.exp(value) for value in logs], [1.0] * 7, confidence=0.95)
    assert found.ratio == pytest.approx(math.exp(4))
    assert found.low == pytest.approx(math.exp(averages[2]))
    assert found.high == pytest.approx(math.exp(averages[-3]))


def test_the_interval_of_samples_by_hand() -> None:
    # 5 and 5: tables of the rank sum test give U <= 2 for 0.025, so two of 25 differences are left off.
    a, b = [1.0, 2.0, 4.0, 8.0, 16.0], [1.0, 3.0, 9.0, 27.0, 81.0]
    ordered = sorted(x / y for x, y in product(a, b))
    found = of_samples(a, b, confidence=0.95)
    assert (found.low, found.high) == pytest.approx((ordered[2], ordered[-3]))


def test_five_pairs_have_no_interval_of_that_confidence() -> None:
    assert of_pairs([1.0] * 5, [2.0] * 5, confidence=0.95) == Ratio(pytest.approx(0.5), None, None)
    assert of_pairs([1.0] * 6, [2.0] * 6, confidence=0.95).high == pytest.approx(0.5)


def test_large_but_chance_and_small_but_sure_are_no_regressions() -> None:
    assert not Ratio(0.80, 0.60, 1.05).regressed(0.05)
    assert not Ratio(0.97, 0.96, 0.98).regressed(0.05)
    assert Ratio(0.94, 0.90, 0.99).regressed(0.05)
    assert not Ratio(1.20, 1.10, 1.30).regressed(0.05)
