"""Each formula against values computed by hand or by numerical integration."""

from __future__ import annotations

import math

import numpy as np
import pytest
from observed_evidence import mutual_information

from ov_mobilenet.diagnosis.evidence import (
    RESAMPLES,
    Answers,
    LayerStatistics,
    Moments,
    StoredStatistics,
    binary_entropy,
    bootstrap_weights,
    entropy,
    equal_weights,
    gaussian_divergence,
)


def test_entropy_by_hand() -> None:
    found = entropy(np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0], [1 / 3] * 3]))
    np.testing.assert_allclose(found, [1.5 * math.log(2), 0.0, math.log(3)], atol=1e-10)


def test_binary_entropy_adds_up_over_the_labels() -> None:
    one = -(0.2 * math.log(0.2) + 0.8 * math.log(0.8))
    found = binary_entropy(np.array([[0.5, 0.2, 0.0], [1.0, 0.8, 0.5]]))
    np.testing.assert_allclose(found, [math.log(2) + one, one + math.log(2)], atol=1e-10)


def information(probabilities: np.ndarray) -> float:
    return float(Answers(probabilities).scores(equal_weights(len(probabilities)))[0])


def test_mutual_information_by_hand() -> None:
    sure_and_varied = np.eye(4)
    assert information(sure_and_varied) == pytest.approx(math.log(4))
    assert information(np.tile(sure_and_varied[0], (4, 1))) == pytest.approx(0)
    assert information(np.full((5, 4), 0.25)) == pytest.approx(0)
    # A symmetric channel with error 0.1 and equal inputs: log 2 - H(0.1).
    error = -(0.1 * math.log(0.1) + 0.9 * math.log(0.9))
    assert information(np.array([[0.9, 0.1], [0.1, 0.9]])) == pytest.approx(math.log(2) - error)


def test_mutual_information_is_the_mean_divergence_from_the_mean_answer() -> None:
    answers = np.random.default_rng(0).dirichlet(np.full(6, 0.5), 9)
    mean = answers.mean(0)
    by_definition = sum(float(p) * math.log(p / q) for row in answers for p, q in zip(row, mean, strict=True)) / 9
    assert information(answers) == pytest.approx(by_definition)


def test_mutual_information_of_labels_is_the_sum_over_the_labels() -> None:
    answers = np.random.default_rng(1).random((7, 3))
    by_label = 0.0
    for label in range(3):
        both = np.stack([answers[:, label], 1 - answers[:, label]], 1)
        by_label += mutual_information(both)
    assert Answers(answers, multilabel=True).scores(equal_weights(7))[0] == pytest.approx(by_label)


def test_weights_count_an_image_as_often_as_it_was_drawn() -> None:
    answers = np.random.default_rng(2).dirichlet(np.ones(5), 4)
    drawn = [0, 0, 3, 2]
    weights = np.bincount(drawn, minlength=4)[None] / 4
    assert Answers(answers).scores(weights)[0] == pytest.approx(mutual_information(answers[drawn]))


@pytest.mark.parametrize(("m", "a", "n", "b"), [(0.0, 1.0, 0.0, 1.0), (0.3, 0.5, -0.2, 2.0), (2.0, 3.0, 1.0, 0.7)])
def test_gaussian_divergence_by_numerical_integration(m: float, a: float, n: float, b: float) -> None:
    x = np.linspace(m - 12 * math.sqrt(a), m + 12 * math.sqrt(a), 200_001)

    def log_density(mean: float, variance: float) -> np.ndarray:
        return -0.5 * ((x - mean) ** 2 / variance + math.log(2 * math.pi * variance))

    p = log_density(m, a)
    integral = float((np.exp(p) * (p - log_density(n, b))).sum() * (x[1] - x[0]))
    one = np.array([m]), np.array([a]), np.array([n]), np.array([b])
    assert gaussian_divergence(*one)[0] == pytest.approx(integral, abs=1e-8)


def test_layer_statistics_of_a_drawn_subset_are_those_of_all_its_values() -> None:
    """Moments per image, weighted, against mean and variance over all pixels of the drawn images together."""
    flow = np.random.default_rng(3).normal(1.0, 2.0, (5, 3, 6, 7))
    stored = StoredStatistics(np.array([0.0, 1.0, 2.0]), np.array([1.0, 4.0, 9.0]))
    evidence = LayerStatistics(Moments(flow.mean((2, 3)), (flow**2).mean((2, 3))), stored)
    drawn = [4, 1, 1, 0, 2]
    pixels = flow[drawn].transpose(1, 0, 2, 3).reshape(3, -1)
    a, shift = pixels.var(1), pixels.mean(1) - stored.mean
    b = stored.variance
    expected = -np.mean((np.log(b / a) + (a + shift**2) / b - 1) / 2)
    assert evidence.scores(np.bincount(drawn, minlength=5)[None] / 5)[0] == pytest.approx(expected)


def test_initial_statistics_are_not_recorded_ones() -> None:
    assert not StoredStatistics(np.zeros(4), np.ones(4)).is_recorded
    assert StoredStatistics(np.array([0.0, 0.1]), np.ones(2)).is_recorded
    assert StoredStatistics(np.zeros(2), np.array([1.0, 0.9])).is_recorded


def test_bootstrap_draws_as_many_images_as_there_are_with_replacement() -> None:
    weights = bootstrap_weights(20, seed=5)
    assert weights.shape == (RESAMPLES, 20)
    np.testing.assert_allclose(weights.sum(1), 1)
    np.testing.assert_allclose(weights * 20, np.round(weights * 20), atol=1e-9)
    # An image is left out of a resample with the probability (1 - 1/20)^20 = 0.358.
    assert float((weights == 0).mean()) == pytest.approx(0.95**20, abs=0.01)
    assert np.array_equal(weights, bootstrap_weights(20, seed=5))
    assert not np.array_equal(weights, bootstrap_weights(20, seed=6))


def test_the_spread_of_bootstrap_scores_is_that_of_resampling_by_hand() -> None:
    answers = np.random.default_rng(7).dirichlet(np.full(4, 0.3), 30)
    found = Answers(answers).scores(bootstrap_weights(30, seed=0))
    rng = np.random.default_rng(99)
    by_hand = [mutual_information(answers[rng.integers(0, 30, 30)]) for _ in range(2000)]
    assert found.mean() == pytest.approx(np.mean(by_hand), rel=0.01)
    assert found.std() == pytest.approx(np.std(by_hand), rel=0.1)
