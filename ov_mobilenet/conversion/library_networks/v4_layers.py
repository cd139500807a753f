"""The layers of timm's MobileNet V4 as torch modules, with timm's state-dict keys."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from ov_mobilenet.conversion.library_networks.v4_tables import V4Activation, V4Downsampling

_EPSILON = 1e-5


def v4_activation(name: V4Activation) -> nn.Module:
    """The activation; GELU is the exact one, with the error function."""
    return nn.ReLU() if name == "relu" else nn.GELU()


def v4_convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias, padded by the same number of zeros on all sides."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)


def v4_batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch norm with torch's epsilon, with which timm trained all variants."""
    return nn.BatchNorm2d(channels, eps=_EPSILON)


class V4BlurPool(nn.Module):
    """A 3x3 binomial filter at stride 2, with zeros outside of the image; it has no weights in the state dict."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        row = torch.tensor([0.25, 0.5, 0.25])
        weight = (row[:, None] * row).expand(channels, 1, 3, 3).contiguous()
        self.register_buffer("weight", weight, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Halve the size of (N, channels, H, W)."""
        weight = self.get_buffer("weight")
        return functional.conv2d(x, weight, stride=2, padding=1, groups=weight.shape[0])


def v4_pooling(downsampling: V4Downsampling, channels: int) -> nn.Module:
    """What halves the size of an anti-aliased network."""
    return nn.AvgPool2d(2) if downsampling == "average" else V4BlurPool(channels)


class V4ConvolutionUnit(nn.Module):
    """Convolution and batch norm as one unit of an inverted bottleneck, with an optional activation.

    At stride 2 an anti-aliased network convolves at stride 1 and halves the size after the activation.
    """

    def __init__(
        self,
        convolution: nn.Conv2d,
        activation: nn.Module | None,
        downsampling: V4Downsampling = "stride",
    ) -> None:
        super().__init__()
        self.activation, self.pool = activation, None
        if convolution.stride == (2, 2) and downsampling != "stride":
            convolution.stride = (1, 1)
            self.pool = v4_pooling(downsampling, convolution.out_channels)
        self.conv = convolution
        self.bn = v4_batch_norm(convolution.out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        out: torch.Tensor = self.bn(self.conv(x))
        if self.activation is not None:
            out = self.activation(out)
        return out if self.pool is None else self.pool(out)


class V4LayerScale(nn.Module):
    """A factor for each channel; the conversion multiplies the weights of the convolution before it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scale the channels of (N, channels, H, W)."""
        return x * self.gamma.view(-1, 1, 1)
