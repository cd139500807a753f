"""The statistics of all batch norms, against torch's own batch norm and numbers computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from recorded_networks import SPECS, natural_images, recorded, values_of  # noqa: E402

from ov_mobilenet.diagnosis.evidence import Moments, StoredStatistics, equal_weights  # noqa: E402
from ov_mobilenet.diagnosis.layer_combinations import activations_to_try, variants_of  # noqa: E402
from ov_mobilenet.diagnosis.layer_evidence import (  # noqa: E402
    LayerFlow,
    joined,
    layer_divergences,
    observe,
    relative_difference,
    sampling_noise,
    stored_statistics,
)
from ov_mobilenet.zoo.layer_settings import LayerSettings  # noqa: E402


def test_moments_are_those_that_torch_records() -> None:
    """Batch norms in training mode, with one batch and momentum 1, record what is observed in evaluation mode."""
    images = natural_images(12, 3)
    network = recorded("v2", natural_images(40, 1))
    values = values_of(images).permute(0, 2, 3, 1).numpy()
    flow = observe(network.module, values)
    assert flow.outputs == pytest.approx(network.outputs(images), abs=1e-4)
    first = next(layer for layer in network.module.modules() if isinstance(layer, torch.nn.BatchNorm2d))
    convolution = next(layer for layer in network.module.modules() if isinstance(layer, torch.nn.Conv2d))
    fresh = torch.nn.BatchNorm2d(first.num_features, momentum=1.0).train()
    with torch.no_grad():
        fresh(convolution(values_of(images)))
    mean, square = flow.moments[0].mean.mean(0), flow.moments[0].mean_square.mean(0)
    assert mean == pytest.approx(fresh.running_mean.numpy(), abs=1e-5)
    assert square - mean**2 == pytest.approx(fresh.running_var.numpy(), rel=1e-3)


def test_parts_are_joined() -> None:
    """Two halves, observed apart, are the whole."""
    network, images = recorded("v1", natural_images(40, 1)), natural_images(14, 2)
    values = values_of(images).permute(0, 2, 3, 1).numpy()
    whole = observe(network.module, values)
    parts = joined(observe(network.module, values[:5]), observe(network.module, values[5:]))
    for one, other in zip(whole.moments, parts.moments, strict=True):
        assert one.mean == pytest.approx(other.mean, abs=1e-4)
        assert one.mean_square == pytest.approx(other.mean_square, rel=1e-3, abs=1e-4)


def test_divergence_by_hand() -> None:
    """Two channels: mean 1 and variance 1 against 0 and 1 is 1/2; against variance 0 it is limited to 1."""
    moments = Moments(np.array([[0.0, 0.0], [2.0, 2.0]]), np.array([[0.0, 0.0], [4.0, 4.0]]))  # mean 1, variance 1
    flow = LayerFlow((moments,), np.zeros((2, 1)))
    stored = (StoredStatistics(np.array([0.0, 0.0]), np.array([1.0, 0.0])),)
    assert layer_divergences(flow, stored, equal_weights(2)) == pytest.approx(np.array([[0.75]]))


def test_sampling_noise_is_that_of_the_number_of_images() -> None:
    """One value per image, from a normal distribution: mean and variance of n values diverge by about 3 / (4 n)."""
    generator = np.random.default_rng(0)
    sample = generator.standard_normal((50, 400))
    flow = LayerFlow((Moments(sample, sample**2),), np.zeros((50, 1)))
    weights = generator.multinomial(50, np.full(50, 1 / 50), 100) / 50
    assert sampling_noise(flow, weights)[0] == pytest.approx(3 / (4 * 50) + 0.005, abs=0.005)


def test_relative_difference_by_hand() -> None:
    """A constant output has no spread; a shift of one class by its spread counts."""
    outputs = np.array([[0.0, 1.0], [2.0, 3.0]])
    assert relative_difference(outputs, outputs) == 0
    assert relative_difference(outputs + 1, outputs) == pytest.approx(1.0)
    assert relative_difference(np.ones((2, 2)), np.zeros((2, 2))) == np.inf
    assert relative_difference(np.zeros((2, 2)), np.zeros((2, 2))) == 0


def test_initial_statistics_are_no_statistics() -> None:
    """Mean 0 and variance 1 were not recorded: the batch norm was folded, or never trained."""
    network = recorded("v1", natural_images(20, 1))
    assert len(stored_statistics(network.module)) == 27
    last = [layer for layer in network.module.modules() if isinstance(layer, torch.nn.BatchNorm2d)][-1]
    last.reset_running_stats()
    assert stored_statistics(network.module) == ()


def test_given_settings_are_kept() -> None:
    """Only what is not given is searched."""
    given = LayerSettings(activation="relu", batch_norm_epsilon=1e-4)
    network = type(SPECS["v2"])(architecture="mobilenet_v2", width=0.35, classes=20, settings=given)
    assert [one.activation for one in activations_to_try(network)] == ["relu"]
    found = {(one.padding, one.batch_norm_epsilon) for one in variants_of(network, "relu")}
    assert found == {("torch", 1e-4), ("same", 1e-4)}
