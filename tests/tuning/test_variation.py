from __future__ import annotations

import math
import random
import statistics

import pytest

from ov_mobilenet.tuning.variation import _student_quantile, prediction_bound, robust_deviation


def test_a_further_value_stays_below_the_bound_with_the_nominal_probability() -> None:
    rng = random.Random(2)
    below = 0
    for _ in range(2000):
        known = [rng.gauss(0, 1) for _ in range(7)]
        below += rng.gauss(0, 1) <= prediction_bound(known)
    assert below / 2000 == pytest.approx(0.95, abs=0.02)
    assert prediction_bound([1.0, 1.0]) == math.inf


def test_one_outlier_among_many_does_not_push_the_bound_beyond_itself() -> None:
    assert prediction_bound([0.0] * 18 + [1.0]) <= 1.0
    rng = random.Random(4)
    below = sum(
        rng.expovariate(1.0) <= prediction_bound([rng.expovariate(1.0) for _ in range(20)]) for _ in range(2000)
    )
    assert below / 2000 >= 0.9  # also for a skewed distribution


@pytest.mark.parametrize(
    ("degrees_of_freedom", "table"), [(2, 2.920), (3, 2.353), (6, 1.943), (10, 1.812), (30, 1.697)]
)
def test_student_quantile_against_tables(degrees_of_freedom: int, table: float) -> None:
    assert _student_quantile(0.95, degrees_of_freedom) == pytest.approx(table, rel=0.003)


def test_robust_deviation_ignores_one_outlier() -> None:
    rng = random.Random(3)
    assert robust_deviation([rng.gauss(0, 0.1) for _ in range(500)]) == pytest.approx(0.1, rel=0.15)
    values = [0.0, 0.01, -0.01, 0.005, 3.0]
    assert robust_deviation(values) < 0.05 < statistics.stdev(values)
