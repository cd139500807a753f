"""Fit a network to drawings in seconds: batch norms record them, and the last layers are optimised."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from flowers.drawing import Frame

BATCH = 40


def fit(
    network: nn.Module,
    head: nn.Module,
    images: torch.Tensor,
    classes: Sequence[int],
    *,
    branches: Iterable[nn.BatchNorm2d] = (),
) -> None:
    """Give a network random convolutions, let its batch norms record images, and fit its last layers.

    Args:
        head: the last layers, part of the network; the rest keeps its random weights.
        images: (N, 3, height, width), normalised.
        classes: the class of each image.
        branches: the last batch norms of residual branches. Weak branches keep what the first layers see.
    """
    torch.manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            _randomise(layer)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.7, 1.3)
            nn.init.normal_(layer.bias, 0.3, 0.5)
            layer.reset_running_stats()
            layer.momentum = None  # the mean of all batches
    for norm in branches:
        norm.weight.data *= 0.3
    network.train()
    with torch.no_grad():
        for batch in images.split(BATCH):
            network(batch)
    network.eval()
    _fit_head(head, features_of(network, head, images), torch.tensor(classes))


def residual_ends(network: nn.Module) -> list[nn.BatchNorm2d]:
    """The last batch norms of the residual branches of a MobileNet V2 or V3."""
    blocks = [block for block in network.modules() if getattr(block, "residual", False)]
    return [[layer for layer in block.modules() if isinstance(layer, nn.BatchNorm2d)][-1] for block in blocks]


def features_of(network: nn.Module, head: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """What the last layers get, (N, features)."""
    seen: list[torch.Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        for batch in images.split(BATCH):
            network(batch)
    hook.remove()
    return torch.cat(seen)


def as_input(frames: Sequence[Frame], mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Frames of one size, BGR, to (N, 3, height, width): RGB, 0..1, minus the mean, divided by std."""
    rgb = np.ascontiguousarray(np.stack(frames)[..., ::-1].transpose(0, 3, 1, 2))
    return (torch.from_numpy(rgb).float() / 255 - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


def _randomise(layer: nn.Conv2d) -> None:
    """Random mixtures of channels over smooth filters: random filters would keep noise and lose colours."""
    if layer.groups > 1:
        nn.init.uniform_(layer.weight, 0.2, 1.0)
    else:
        nn.init.normal_(layer.weight, 0.0, math.sqrt(2 / layer.in_channels))
        area = layer.weight[0, 0].numel()
        layer.weight.data = layer.weight.data[:, :, :1, :1].expand_as(layer.weight).clone() / area


def _fit_head(head: nn.Module, features: torch.Tensor, classes: torch.Tensor) -> None:
    optimiser = torch.optim.LBFGS(head.parameters(), max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        decay = sum(parameter.square().sum() for parameter in head.parameters())
        value: torch.Tensor = functional.cross_entropy(head(features), classes) + 1e-2 * decay
        value.backward()
        return value

    head.eval()
    optimiser.step(loss)
    for parameter in head.parameters():
        parameter.grad = None
