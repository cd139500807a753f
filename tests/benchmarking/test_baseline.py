from __future__ import annotations

import math
import random
from itertools import product

import pytest

from ov_mobilenet.benchmarking.baseline import CONFIDENCE, PAIRS, ratio_of_runs
from ov_mobilenet.benchmarking.ratios import Ratio, ratio_of_pairs

NOISE = 0.03


def throughputs(rng: random.Random, mean: float, count: int) -> list[float]:
    """Throughputs with noise; one in twenty loses a third to other work on the machine."""
    return [mean * math.exp(rng.gauss(0, NOISE)) * (0.67 if rng.random() < 0.05 else 1) for _ in range(count)]


def share_reported(present: float, method: str) -> float:
    """Share of simulated runs in which a regression is reported, at the default limit of 5 %."""
    rng = random.Random(1)
    reported = 0
    for _ in range(300):
        if method == "pairs":
            a, b = (throughputs(rng, mean, PAIRS) for mean in (present, 1000.0))
            reported += ratio_of_pairs(a, b, confidence=CONFIDENCE).regressed(0.05)
        else:
            a, b = (throughputs(rng, mean, 21) for mean in (present, 1000.0))
            reported += ratio_of_runs(a, b).regressed(0.05)
    return reported / 300


def test_disturbing_half_of_a_run_is_not_a_regression() -> None:
    rng = random.Random(2)
    quiet = throughputs(rng, 1000.0, 21)
    disturbed = throughputs(rng, 1000.0, 10) + throughputs(rng, 600.0, 11)
    assert not ratio_of_runs(disturbed, quiet).regressed(0.05)
    slower = throughputs(rng, 900.0, 10) + throughputs(rng, 540.0, 11)
    assert ratio_of_runs(slower, quiet).regressed(0.05)


@pytest.mark.parametrize("method", ["pairs", "runs"])
def test_equal_throughput_is_not_a_regression_and_ten_percent_less_is(method: str) -> None:
    assert share_reported(1000.0, method) <= 0.02
    assert share_reported(900.0, method) >= 0.95


def test_interval_of_two_runs_against_published_tables() -> None:
    # 5 and 5: tables of the rank-sum test give U <= 2 for 0.025, so two of 25 differences are left out on each side.
    a, b = [1.0, 2.0, 4.0, 8.0, 16.0], [1.0, 3.0, 9.0, 27.0, 81.0]
    ordered = sorted(x / y for x, y in product(a, b))
    found = ratio_of_runs(a, b, confidence=0.95)
    assert (found.low, found.high) == pytest.approx((ordered[2], ordered[-3]))


def test_a_regression_is_both_large_and_not_chance() -> None:
    assert not Ratio(0.80, 0.60, 1.05).regressed(0.05)
    assert not Ratio(0.97, 0.96, 0.98).regressed(0.05)
    assert Ratio(0.94, 0.90, 0.99).regressed(0.05)
    assert not Ratio(1.20, 1.10, 1.30).regressed(0.05)
    assert Ratio(0.94, None, None).regressed(0.05)
