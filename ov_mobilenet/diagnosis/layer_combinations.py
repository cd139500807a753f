"""The combinations of activation, padding and batch-norm epsilon that a MobileNet may have been trained with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from ov_mobilenet.conversion.architectures import MobileNetSpec, complete_settings
from ov_mobilenet.zoo.layer_settings import ACTIVATIONS, PADDINGS, LayerSettings, Padding

if TYPE_CHECKING:
    import torch

EPSILONS = (1e-3, 1e-5)  # TensorFlow's and PyTorch's
# Activations that networks are trained with and that cannot be converted. They are tried as well: a network with
# LeakyReLU 0.02 agrees so well with 0.01 (V1 0.25: median divergence 0.002) that only the right one exposes it.
OTHER_ACTIVATIONS = ("leaky-relu-0.02", "leaky-relu-0.05", "leaky-relu-0.2", "leaky-relu-0.3", "elu", "silu", "gelu")


class Combination(Struct, frozen=True, kw_only=True):
    """One combination of settings.

    Attributes:
        activation: one of `ACTIVATIONS` or of `OTHER_ACTIVATIONS`.
    """

    activation: str
    padding: Padding
    batch_norm_epsilon: float

    @property
    def is_supported(self) -> bool:
        """Whether a network with these settings can be converted."""
        return self.activation in ACTIVATIONS

    @property
    def settings(self) -> LayerSettings:
        """As settings of a module; without the activation if it is not supported."""
        found = msgspec.structs.asdict(self)
        return msgspec.convert(found if self.is_supported else {**found, "activation": None}, LayerSettings)


def published_combination(network: MobileNetSpec) -> Combination:
    """What the architecture was published with, but for the settings that the network gives."""
    complete = complete_settings(network.architecture, network.settings)
    return msgspec.convert(msgspec.structs.asdict(complete), Combination)


def activations_to_try(network: MobileNetSpec) -> tuple[Combination, ...]:
    """All activations, with the published padding and epsilon; only the network's own if it gives one."""
    published = published_combination(network)
    if network.settings.activation is not None:
        return (published,)
    return tuple(
        msgspec.structs.replace(published, activation=name) for name in (*ACTIVATIONS, *OTHER_ACTIVATIONS)
    )  # fmt: skip


def variants_of(network: MobileNetSpec, activation: str) -> tuple[Combination, ...]:
    """All combinations with an activation, except for settings that the network gives."""
    given = network.settings
    paddings = PADDINGS if given.padding is None else (given.padding,)
    epsilons = EPSILONS if given.batch_norm_epsilon is None else (given.batch_norm_epsilon,)
    return tuple(
        Combination(activation=activation, padding=padding, batch_norm_epsilon=epsilon)
        for padding in paddings
        for epsilon in epsilons
    )


def build_with(network: MobileNetSpec, combination: Combination, state: dict[str, torch.Tensor]) -> torch.nn.Module:
    """The module with these settings and weights, in evaluation mode and in channels-last format.

    Channels-last saves a third of the time of V2 with the statistics of the batch (10 images, one thread: 35 and 23 ms
    an image; torch 2.13, AMD EPYC).
    """
    import torch

    from ov_mobilenet.conversion.architectures import build

    with torch.device("meta"):
        module = build(msgspec.structs.replace(network, settings=combination.settings))
    module.load_state_dict(state, strict=True, assign=True)
    if not combination.is_supported:
        _replace_relu(module.get_submodule("features"), _other_activation(combination.activation))
    return module.to(memory_format=torch.channels_last).eval()


def _replace_relu(module: torch.nn.Module, activation: Callable[[], torch.nn.Module]) -> None:
    from torch import nn

    for name, child in list(module.named_children()):
        if isinstance(child, nn.ReLU | nn.ReLU6):
            setattr(module, name, activation())
        else:
            _replace_relu(child, activation)


def _other_activation(name: str) -> Callable[[], torch.nn.Module]:
    from torch import nn

    kinds: dict[str, Callable[[], torch.nn.Module]] = {"elu": nn.ELU, "silu": nn.SiLU, "gelu": nn.GELU}
    return kinds.get(name) or (lambda: nn.LeakyReLU(float(name.rpartition("-")[2])))
