"""The blocks of timm's MobileNet V1, V2 and V3 as torch modules, with timm's state-dict keys."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from ov_mobilenet.conversion.library_networks.same_padding import same_padding
from ov_mobilenet.conversion.library_networks.timm_structure import TimmBlock
from ov_mobilenet.conversion.library_networks.timm_tables import TimmActivation, TimmPadding

_ACTIVATIONS: dict[TimmActivation, type[nn.Module]] = {"relu": nn.ReLU, "relu6": nn.ReLU6, "hardswish": nn.Hardswish}
Size = tuple[int, int]


class TimmLayers:
    """Makes the layers of one network in the order in which the image passes them, and follows its size.

    The size decides TensorFlow's SAME padding and the window of global pooling. Both are computed here and not in
    `forward`, so that a trace holds constants.

    Args:
        size: height and width of the network's input in pixels.
    """

    def __init__(self, padding: TimmPadding, epsilon: float, size: Size) -> None:
        self.padding = padding
        self.epsilon = epsilon
        self.size = size

    def convolution(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
        """A convolution without bias that gives ceil(size / stride)."""
        height, width = self.size
        self.size = (-(-height // stride), -(-width // stride))
        if self.padding == "symmetric":
            return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        (top, bottom), (left, right) = same_padding(height, kernel, stride), same_padding(width, kernel, stride)
        if (top, left) == (bottom, right):
            return nn.Conv2d(inputs, outputs, kernel, stride, (top, left), groups=groups, bias=False)
        return PaddedConv2d(inputs, outputs, kernel, stride, groups=groups, sides=(left, right, top, bottom))

    def global_pool(self) -> nn.AvgPool2d:
        """The mean of each channel, (N, C, 1, 1).

        A window of the whole size and not a mean over two dimensions: the CPU plugin computes means in f32, and the
        conversions from and to bf16 made V3 small 10 % slower there (OpenVINO 2026.4, AVX512-BF16, batch 1, 1 thread).
        """
        return nn.AvgPool2d(self.size)

    def batch_norm(self, channels: int) -> nn.BatchNorm2d:
        """Batch norm with the epsilon of the network."""
        return nn.BatchNorm2d(channels, eps=self.epsilon)


def timm_activation(name: TimmActivation) -> nn.Module:
    """The module of an activation."""
    return _ACTIVATIONS[name](inplace=True)


class PaddedConv2d(nn.Conv2d):
    """A convolution without bias whose input is padded by different numbers of zeros on its sides.

    Args:
        sides: zeros on the left, right, top and bottom.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, *, groups: int, sides: tuple[int, ...]):
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)
        self.sides = sides

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Pad and convolve (N, C, H, W)."""
        return super().forward(functional.pad(features, self.sides))


class TimmSqueezeExcite(nn.Module):
    """Squeeze-and-excite: scale each channel by a number in [0, 1] computed from the means of all channels."""

    def __init__(self, block: TimmBlock, layers: TimmLayers) -> None:
        super().__init__()
        self.pool = layers.global_pool()
        self.conv_reduce = nn.Conv2d(block.hidden, block.squeeze, 1)
        self.activation = timm_activation(block.squeeze_activation)
        self.conv_expand = nn.Conv2d(block.squeeze, block.hidden, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scale the channels of (N, channels, H, W)."""
        gate = self.conv_expand(self.activation(self.conv_reduce(self.pool(x))))
        return x * functional.hardsigmoid(gate)


def _squeeze_excite(block: TimmBlock, layers: TimmLayers) -> nn.Module:
    return TimmSqueezeExcite(block, layers) if block.squeeze else nn.Identity()


class TimmSeparable(nn.Module):
    """Depthwise and 1x1 convolution: the blocks of V1, and the first block of V2 and V3, which has no expansion."""

    def __init__(self, block: TimmBlock, layers: TimmLayers) -> None:
        super().__init__()
        self.conv_dw = layers.convolution(block.inputs, block.inputs, block.kernel, block.stride, block.inputs)
        self.bn1 = layers.batch_norm(block.inputs)
        self.se = _squeeze_excite(block, layers)
        self.conv_pw = layers.convolution(block.inputs, block.outputs)
        self.bn2 = layers.batch_norm(block.outputs)
        self.activation = timm_activation(block.activation)
        self.last = nn.Identity() if block.projects_linearly else timm_activation(block.activation)
        self.residual = block.residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inputs, H, W) to (N, outputs, ceil(H / stride), ceil(W / stride))."""
        out = self.se(self.activation(self.bn1(self.conv_dw(x))))
        out = self.last(self.bn2(self.conv_pw(out)))
        return x + out if self.residual else out


class TimmInverted(nn.Module):
    """1x1 expansion, depthwise convolution, squeeze-and-excite and 1x1 projection without an activation."""

    def __init__(self, block: TimmBlock, layers: TimmLayers) -> None:
        super().__init__()
        self.conv_pw = layers.convolution(block.inputs, block.hidden)
        self.bn1 = layers.batch_norm(block.hidden)
        self.conv_dw = layers.convolution(block.hidden, block.hidden, block.kernel, block.stride, block.hidden)
        self.bn2 = layers.batch_norm(block.hidden)
        self.se = _squeeze_excite(block, layers)
        self.conv_pwl = layers.convolution(block.hidden, block.outputs)
        self.bn3 = layers.batch_norm(block.outputs)
        self.activation = timm_activation(block.activation)
        self.residual = block.residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inputs, H, W) to (N, outputs, ceil(H / stride), ceil(W / stride))."""
        out = self.activation(self.bn1(self.conv_pw(x)))
        out = self.se(self.activation(self.bn2(self.conv_dw(out))))
        out = self.bn3(self.conv_pwl(out))
        return x + out if self.residual else out


class TimmConvolution(nn.Module):
    """One convolution with batch norm and activation: the last block of V3."""

    def __init__(self, block: TimmBlock, layers: TimmLayers) -> None:
        super().__init__()
        self.conv = layers.convolution(block.inputs, block.outputs, block.kernel, block.stride)
        self.bn1 = layers.batch_norm(block.outputs)
        self.activation = timm_activation(block.activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inputs, H, W) to (N, outputs, ceil(H / stride), ceil(W / stride))."""
        out: torch.Tensor = self.activation(self.bn1(self.conv(x)))
        return out


_BLOCKS: dict[str, type[TimmSeparable | TimmInverted | TimmConvolution]] = {
    "separable": TimmSeparable, "inverted": TimmInverted, "convolution": TimmConvolution,
}  # fmt: skip


def timm_block(block: TimmBlock, layers: TimmLayers) -> nn.Module:
    """The module of one block; the blocks are made in the order in which the image passes them."""
    return _BLOCKS[block.kind](block, layers)
