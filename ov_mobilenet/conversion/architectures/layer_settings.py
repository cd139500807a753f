"""Apply to a module what its state dict does not hold: activation, padding and epsilon of the batch norms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ov_mobilenet.errors import OvMobilenetError
from ov_mobilenet.zoo.layer_settings import Activation, LayerSettings, Padding

if TYPE_CHECKING:
    import torch

SAME_MULTIPLE = 32  # all architectures halve height and width five times

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


def check_input_size(
    architecture: str,
    settings: LayerSettings,
    shape: tuple[int, ...],
    error: type[OvMobilenetError],
    where: Path | None = None,
) -> None:
    """Check that the padding of a network is exact for its input shape: SAME depends on whether a size is even.

    Args:
        shape: of the input, NCHW.
        error: the class of the error.

    Raises:
        OvMobilenetError: the padding is SAME and a size is not a multiple of 32.
    """
    padding = complete_settings(architecture, settings).padding
    if padding == "same" and any(side < SAME_MULTIPLE or side % SAME_MULTIPLE for side in shape[2:]):
        published = "" if settings.padding is not None else f", that of {architecture},"
        raise error(
            f"the padding `same`{published} is not exact for this input size", where=where,
            expected=f"height and width that are multiples of {SAME_MULTIPLE}", got=list(shape),
            fix="Choose another input shape; or the padding `torch`, if the network was trained with it",
        )  # fmt: skip


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
