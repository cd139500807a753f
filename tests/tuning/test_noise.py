from __future__ import annotations

import math
import random
import statistics

import pytest

from ov_mobilenet.tuning.noise import _student, further_value_below, ratio_of, spread


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = random.Random(1)
    covered = 0
    for _ in range(2000):
        ones = [math.log(1.2) + rng.gauss(0, 0.05) for _ in range(11)]
        found = ratio_of(ones, [rng.gauss(0, 0.05) for _ in range(11)])
        covered += found.low <= 1.2 <= found.high
    assert covered / 2000 >= 0.95
    assert covered / 2000 < 0.995  # not by being wide


def test_fewer_than_six_pairs_tell_nothing_apart() -> None:
    assert not ratio_of([1.0] * 5, [0.0] * 5).told_apart
    assert ratio_of([1.0] * 6, [0.0] * 6).told_apart


def test_a_few_spoilt_rounds_leave_the_interval_alone() -> None:
    clean = [0.15 + 0.01 * (number % 3) for number in range(20)]
    spoilt = [-1.1, -1.1, -1.1, *clean[3:]]
    found = ratio_of(spoilt, [0.0] * 20)
    assert found.low > 1.1


def test_the_order_of_a_ratio() -> None:
    found = ratio_of([math.log(3)] * 7, [math.log(2)] * 7)
    assert found.ratio == pytest.approx(1.5)
    assert found.within(0.6) and not found.within(0.4)


def test_a_further_value_stays_below_the_bound_as_often_as_it_says() -> None:
    rng = random.Random(2)
    below = 0
    for _ in range(2000):
        known = [rng.gauss(0, 1) for _ in range(7)]
        below += rng.gauss(0, 1) <= further_value_below(known)
    assert below / 2000 == pytest.approx(0.95, abs=0.02)
    assert further_value_below([1.0, 1.0]) == math.inf


def test_of_many_values_one_spoilt_one_does_not_push_the_bound_beyond_itself() -> None:
    spoilt = [0.0] * 18 + [1.0]
    assert further_value_below(spoilt) <= 1.0
    rng = random.Random(4)
    below = sum(
        rng.expovariate(1.0) <= further_value_below([rng.expovariate(1.0) for _ in range(20)]) for _ in range(2000)
    )
    assert below / 2000 >= 0.9  # nine runs of ten, however skewed


@pytest.mark.parametrize(("freedom", "table"), [(2, 2.920), (3, 2.353), (6, 1.943), (10, 1.812), (30, 1.697)])
def test_students_t(freedom: int, table: float) -> None:
    assert _student(0.95, freedom) == pytest.approx(table, rel=0.003)


def test_one_outlier_does_not_make_a_machine_noisy() -> None:
    rng = random.Random(3)
    assert spread([rng.gauss(0, 0.1) for _ in range(500)]) == pytest.approx(0.1, rel=0.15)
    assert spread([0.0, 0.01, -0.01, 0.005, 3.0]) < 0.05 < statistics.stdev([0.0, 0.01, -0.01, 0.005, 3.0])
