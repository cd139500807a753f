"""What a state dict does not hold: the activation, the padding and the epsilon of the batch norms of a MobileNet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    import torch

Activation = Literal["relu", "relu6", "leaky-relu-0.1", "leaky-relu-0.01", "hardswish"]
Padding = Literal["torch", "same"]
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)
PADDINGS: tuple[Padding, ...] = get_args(Padding)


class LayerSettings(Struct, frozen=True, kw_only=True):
    """Settings of the layers of a network; None for what its architecture was published with.

    Attributes:
        activation: replaces ReLU and ReLU6. The h-swish of MobileNetV3 and its squeeze-and-excite stay as they are.
        padding: of convolutions with stride 2. `torch` pads all four sides by half of the kernel; `same`, TensorFlow's
            SAME, pads right and bottom more, for an input whose height and width are multiples of 32.
        batch_norm_epsilon: the number that is added to the variance.
    """

    activation: Activation | None = None
    padding: Padding | None = None
    batch_norm_epsilon: float | None = None

    def __bool__(self) -> bool:
        return self != LayerSettings()


_PUBLISHED = {
    "mobilenet_v1": LayerSettings(activation="relu6", padding="same", batch_norm_epsilon=1e-3),
    "mobilenet_v2": LayerSettings(activation="relu6", padding="torch", batch_norm_epsilon=1e-5),
    "mobilenet_v3_small": LayerSettings(activation="relu", padding="torch", batch_norm_epsilon=1e-3),
    "mobilenet_v3_large": LayerSettings(activation="relu", padding="torch", batch_norm_epsilon=1e-3),
}


def complete_settings(architecture: str, settings: LayerSettings) -> LayerSettings:
    """The settings with the published ones of an architecture for those that are None."""
    published = _PUBLISHED[architecture]
    given = {name: value for name, value in msgspec.structs.asdict(settings).items() if value is not None}
    return msgspec.structs.replace(published, **given)


def apply_settings(module: torch.nn.Module, settings: LayerSettings) -> None:
    """Change the layers of a MobileNet in place; the keys of its state dict stay the same."""
    from torch import nn

    for name, child in list(module.named_children()):
        if settings.batch_norm_epsilon is not None and isinstance(child, nn.BatchNorm2d):
            child.eps = settings.batch_norm_epsilon
        elif settings.activation is not None and isinstance(child, nn.ReLU | nn.ReLU6):
            setattr(module, name, _activation(settings.activation))
        elif settings.padding is not None and isinstance(child, nn.Conv2d) and child.stride == (2, 2):
            setattr(module, name, _padded(child, settings.padding))
        else:
            apply_settings(child, settings)


def _activation(name: Activation) -> torch.nn.Module:
    from torch import nn

    if name == "relu":
        return nn.ReLU(inplace=True)
    if name == "relu6":
        return nn.ReLU6(inplace=True)
    if name == "hardswish":
        return nn.Hardswish(inplace=True)
    return nn.LeakyReLU(float(name.rpartition("-")[2]), inplace=True)


def _padded(convolution: torch.nn.Conv2d, padding: Padding) -> torch.nn.Conv2d:
    """A convolution with stride 2 and another padding; the weights are not copied."""
    from torch import nn

    from ov_mobilenet.conversion.architectures.same_convolution import SameConv2d

    size, channels = convolution.kernel_size[0], (convolution.in_channels, convolution.out_channels)
    if padding == "same":
        return SameConv2d(*channels, kernel=size, stride=2, groups=convolution.groups)
    return nn.Conv2d(*channels, size, 2, size // 2, groups=convolution.groups, bias=False)
