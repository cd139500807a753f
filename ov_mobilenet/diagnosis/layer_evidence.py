"""Evidence for the settings of a torch module's layers: what flows into every batch norm, and what it recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ov_mobilenet.diagnosis.evidence import Moments, StoredStatistics, equal_weights, gaussian_divergence

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

# Of V2 at 224 x 224 one image takes 18 ms in batches of 1, 20 ms of 2, 35 ms of 10 and 50 ms of 20 (torch 2.13, one
# thread); the statistics of a batch need several images.
BATCH, BATCH_FOR_STATISTICS = 2, 10
# A channel that was always 0 in training has no variance, and under another activation its divergence is beyond 1e9.
# Without a limit one such channel would outweigh the rest of the network.
MAX_CHANNEL_DIVERGENCE = 1.0


@dataclass(frozen=True)
class LayerFlow:
    """What was observed of a module under one combination of settings.

    Attributes:
        moments: of what flows into each batch norm, in the order of the data flow.
        outputs: the module's outputs, (images, classes), before softmax.
    """

    moments: tuple[Moments, ...]
    outputs: NDArray[np.float64]


def stored_statistics(module: torch.nn.Module) -> tuple[StoredStatistics, ...]:
    """The statistics of the batch norms; empty if one of them has the initial values, or none."""
    found = [recorded_statistics(layer) for layer in _batch_norms(module)]
    return tuple(one for one in found if one is not None) if all(one and one.is_recorded for one in found) else ()


def recorded_statistics(layer: torch.nn.BatchNorm2d) -> StoredStatistics | None:
    """The statistics of a batch norm; None if it has none."""
    if layer.running_mean is None or layer.running_var is None:
        return None
    return StoredStatistics(layer.running_mean.double().numpy(), layer.running_var.double().numpy())


def observe(module: torch.nn.Module, values: NDArray[np.float32], *, batch_statistics: bool = False) -> LayerFlow:
    """Run a module and record what flows into its batch norms.

    Args:
        module: in channels-last format, as the values are.
        values: float32 (N, H, W, 3), normalised pixels in the channel order of the network.
        batch_statistics: normalise with the statistics of the images themselves, as in training, instead of the
            recorded ones. What one layer makes of images unlike those of the training is then not passed on to the
            next. The outputs mean nothing. The recorded statistics are not changed.
    """
    import torch

    size = BATCH_FOR_STATISTICS if batch_statistics else BATCH
    layers = _batch_norms(module)
    for layer in layers if batch_statistics else ():
        layer.train()
        layer.momentum = 0.0  # so that the recorded statistics stay
    means: list[list[NDArray[np.float64]]] = [[] for _ in layers]
    squares: list[list[NDArray[np.float64]]] = [[] for _ in layers]

    def hook(place: int) -> torch.utils.hooks.RemovableHandle:
        def record(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            flow = inputs[0]
            means[place].append(flow.mean((2, 3)).double().numpy())
            # torch.var_mean takes 25 times as long (10 x 96 x 112 x 112, one thread: 64 ms; the norm: 2.5 ms).
            norm = torch.linalg.vector_norm(flow, dim=(2, 3)).double().numpy()
            squares[place].append(norm**2 / (flow.shape[2] * flow.shape[3]))

        return layers[place].register_forward_pre_hook(record)

    handles = [hook(place) for place in range(len(layers))]
    try:
        with torch.no_grad():
            planes = [torch.from_numpy(part).permute(0, 3, 1, 2) for part in _batches(values, size)]
            outputs = [module(part).double().numpy() for part in planes]
    finally:
        for handle in handles:
            handle.remove()
        module.eval()
    moments = (Moments(np.concatenate(m), np.concatenate(s)) for m, s in zip(means, squares, strict=True))
    return LayerFlow(tuple(moments), np.concatenate(outputs))


def joined(first: LayerFlow, second: LayerFlow) -> LayerFlow:
    """The observations of two sets of images under the same settings."""
    moments = (
        Moments(np.concatenate([a.mean, b.mean]), np.concatenate([a.mean_square, b.mean_square]))
        for a, b in zip(first.moments, second.moments, strict=True)
    )
    return LayerFlow(tuple(moments), np.concatenate([first.outputs, second.outputs]))


def layer_divergences(
    flow: LayerFlow, stored: Sequence[StoredStatistics], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The divergence of what flows into each batch norm from what it recorded, (weightings, layers), in nats.

    Mean over the channels of the divergence of two normal distributions, each at most `MAX_CHANNEL_DIVERGENCE`.

    Args:
        weights: (weightings, images), each row sums to 1.
    """
    columns = []
    for moments, recorded in zip(flow.moments, stored, strict=True):
        mean, variance = _weighted(moments, weights)
        columns.append(_mean_over_channels(mean, variance, recorded.mean, recorded.variance))
    return np.stack(columns, axis=1)


def sampling_noise(flow: LayerFlow, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The divergence of each layer that comes only from the number of images, (layers,), in nats.

    It is estimated as the mean divergence of resampled images from all of them.

    Args:
        weights: the resamples, (weightings, images).
    """
    noise = []
    for moments in flow.moments:
        mean, variance = _weighted(moments, weights)
        all_mean, all_variance = _weighted(moments, equal_weights(len(moments.mean)))
        noise.append(_mean_over_channels(mean, variance, all_mean, all_variance).mean())
    return np.array(noise)


def relative_difference(outputs: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """How much two networks differ: root mean square of the difference, per standard deviation over the images."""
    spread = float((reference - reference.mean(0)).std())
    difference = float(np.sqrt(np.square(outputs - reference).mean()))
    return difference / spread if spread > 0 else 0.0 if difference == 0 else np.inf


def _batch_norms(module: torch.nn.Module) -> list[torch.nn.BatchNorm2d]:
    import torch

    return [layer for layer in module.modules() if isinstance(layer, torch.nn.BatchNorm2d)]


def _batches(values: NDArray[np.float32], size: int) -> list[NDArray[np.float32]]:
    """Parts of nearly equal size: statistics of one or two images would be none."""
    return np.array_split(values, -(-len(values) // size))


def _weighted(moments: Moments, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean = weights @ moments.mean
    return mean, weights @ moments.mean_square - mean**2


def _mean_over_channels(
    mean: NDArray[np.float64],
    variance: NDArray[np.float64],
    other_mean: NDArray[np.float64],
    other_variance: NDArray[np.float64],
) -> NDArray[np.float64]:
    divergence = gaussian_divergence(mean, variance, other_mean, other_variance)
    result: NDArray[np.float64] = np.minimum(divergence, MAX_CHANNEL_DIVERGENCE).mean(1)
    return result
