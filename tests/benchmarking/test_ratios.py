from __future__ import annotations

import math
import random

import pytest

from ov_mobilenet.benchmarking.ratios import Ratio, ratio_of_pairs


def simulated(
    rng: random.Random, ratio: float, pairs: int, *, disturbed: tuple[float, float] = (0.0, 0.0), noise: float = 0.03
) -> Ratio:
    """Two things measured in turn; a share of the figures of each is a third too low."""

    def figures(mean: float, share: float) -> list[float]:
        return [
            mean * math.exp(rng.gauss(0, noise)) * (0.67 if rng.random() < share else 1) for _ in range(pairs)
        ]  # fmt: skip

    return ratio_of_pairs(figures(ratio, disturbed[0]), figures(1.0, disturbed[1]))


def test_interval_has_its_nominal_coverage() -> None:
    rng = random.Random(1)
    covered = 0
    for _ in range(2000):
        found = simulated(rng, 1.2, 11, noise=0.05)
        assert found.low is not None and found.high is not None
        covered += found.low <= 1.2 <= found.high
    assert covered / 2000 >= 0.95
    assert covered / 2000 < 0.995  # an interval that is too wide would cover more


@pytest.mark.parametrize(
    ("ratio", "disturbed", "low", "high"),
    [
        (1.0, (0.0, 0.0), 0.0, 0.06),
        (1.1, (0.05, 0.05), 0.97, 1.0),
        (1.1, (0.15, 0.15), 0.8, 1.0),  # the signed-rank interval reports 0.57
        (1.0, (0.15, 0.0), 0.0, 0.1),  # the signed-rank interval reports 0.13
    ],
)
def test_share_of_reported_differences_on_a_disturbed_machine(
    ratio: float, disturbed: tuple[float, float], low: float, high: float
) -> None:
    rng = random.Random(2)
    share = sum(simulated(rng, ratio, 15, disturbed=disturbed).differs for _ in range(1500)) / 1500
    assert low <= share <= high


def test_interval_against_the_binomial_table() -> None:
    # 12 pairs: P(X <= 2) = 0.0193 and P(X <= 3) = 0.0730 for p = 1/2, so two values are left out on each side at 95 %.
    values = [math.exp(value) for value in range(1, 13)]
    found = ratio_of_pairs(values, [1.0] * 12)
    assert (found.ratio, found.low, found.high) == pytest.approx((math.exp(6.5), math.exp(3), math.exp(10)))


def test_too_few_pairs_have_no_interval() -> None:
    five = ratio_of_pairs([1.0] * 5, [2.0] * 5)
    assert five.ratio == pytest.approx(0.5)
    assert (five.low, five.high) == (None, None)
    assert not five.differs and not five.is_within(10)
    six = ratio_of_pairs([1.0] * 6, [2.0] * 6)
    assert six.high == pytest.approx(0.5) and six.differs
    assert ratio_of_pairs([1.0] * 5, [2.0] * 5, confidence=0.90).high == pytest.approx(0.5)


def test_three_disturbed_rounds_of_twenty_do_not_move_the_interval() -> None:
    clean = [math.exp(0.15 + 0.01 * (number % 3)) for number in range(20)]
    found = ratio_of_pairs([1 / 3, 1 / 3, 1 / 3, *clean[3:]], [1.0] * 20)
    assert found.low is not None and found.low > 1.1


def test_ratio_of_equal_pairs() -> None:
    found = ratio_of_pairs([3.0] * 7, [2.0] * 7)
    assert found.ratio == pytest.approx(1.5)
    assert found.is_within(0.6) and not found.is_within(0.4)
