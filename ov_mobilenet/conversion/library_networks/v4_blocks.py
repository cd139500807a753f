"""The blocks of timm's MobileNet V4 as torch modules, with timm's state-dict keys."""

from __future__ import annotations

import torch
from torch import nn

from ov_mobilenet.conversion.library_networks.v4_attention import V4SharedAttention
from ov_mobilenet.conversion.library_networks.v4_layers import (
    V4ConvolutionUnit,
    V4LayerScale,
    v4_activation,
    v4_batch_norm,
    v4_convolution,
    v4_pooling,
)
from ov_mobilenet.conversion.library_networks.v4_structure import (
    V4Attention,
    V4Block,
    V4Convolution,
    V4EdgeResidual,
    V4InvertedBottleneck,
    V4Structure,
)
from ov_mobilenet.conversion.library_networks.v4_tables import V4Activation, V4Downsampling


class V4ConvolutionBlock(nn.Module):
    """A block that is one convolution with batch norm and activation; its batch norm has another key than a unit's."""

    def __init__(self, block: V4Convolution, activation: V4Activation) -> None:
        super().__init__()
        self.conv = v4_convolution(block.inputs, block.outputs, block.kernel, block.stride)
        self.bn1 = v4_batch_norm(block.outputs)
        self.activation = v4_activation(activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        out: torch.Tensor = self.activation(self.bn1(self.conv(x)))
        return out


class V4EdgeResidualBlock(nn.Module):
    """3x3 expansion at stride 2 and 1x1 projection."""

    def __init__(self, block: V4EdgeResidual, activation: V4Activation, downsampling: V4Downsampling) -> None:
        super().__init__()
        self.conv_exp = v4_convolution(block.inputs, block.hidden, 3, 2 if downsampling == "stride" else 1)
        self.bn1 = v4_batch_norm(block.hidden)
        self.activation = v4_activation(activation)
        self.pool = None if downsampling == "stride" else v4_pooling(downsampling, block.hidden)
        self.conv_pwl = v4_convolution(block.hidden, block.outputs, 1)
        self.bn2 = v4_batch_norm(block.outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / 2, W / 2)."""
        hidden = self.activation(self.bn1(self.conv_exp(x)))
        if self.pool is not None:
            hidden = self.pool(hidden)
        out: torch.Tensor = self.bn2(self.conv_pwl(hidden))
        return out


class V4InvertedBottleneckBlock(nn.Module):
    """The paper's universal inverted bottleneck; which depthwise convolutions it has depends on the block."""

    def __init__(self, block: V4InvertedBottleneck, structure: V4Structure) -> None:
        super().__init__()
        activation, downsampling = structure.activation, structure.downsampling
        self.dw_start = None
        if block.start:
            stride = 1 if block.middle else block.stride
            depthwise = v4_convolution(block.inputs, block.inputs, block.start, stride, block.inputs)
            self.dw_start = V4ConvolutionUnit(depthwise, None, downsampling)
        self.pw_exp = V4ConvolutionUnit(v4_convolution(block.inputs, block.hidden, 1), v4_activation(activation))
        self.dw_mid = None
        if block.middle:
            depthwise = v4_convolution(block.hidden, block.hidden, block.middle, block.stride, block.hidden)
            self.dw_mid = V4ConvolutionUnit(depthwise, v4_activation(activation), downsampling)
        self.pw_proj = V4ConvolutionUnit(v4_convolution(block.hidden, block.outputs, 1), None)
        self.layer_scale = V4LayerScale(block.outputs) if structure.layer_scale else None
        self.residual = block.residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        out = x if self.dw_start is None else self.dw_start(x)
        out = self.pw_exp(out)
        if self.dw_mid is not None:
            out = self.dw_mid(out)
        out = self.pw_proj(out)
        if self.layer_scale is not None:
            out = self.layer_scale(out)
        return x + out if self.residual else out


class V4AttentionBlock(nn.Module):
    """Batch norm, attention and layer scale, with a residual connection."""

    def __init__(self, block: V4Attention, size: tuple[int, int]) -> None:
        super().__init__()
        self.norm = v4_batch_norm(block.channels)
        self.attn = V4SharedAttention(block, size)
        self.layer_scale = V4LayerScale(block.channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, channels, H, W) to the same shape."""
        out: torch.Tensor = self.layer_scale(self.attn(x, self.norm))
        return x + out


def v4_block(block: V4Block, structure: V4Structure, size: tuple[int, int]) -> nn.Module:
    """The module of one block.

    Args:
        size: height and width of its input.
    """
    if isinstance(block, V4Convolution):
        return V4ConvolutionBlock(block, structure.activation)
    if isinstance(block, V4EdgeResidual):
        return V4EdgeResidualBlock(block, structure.activation, structure.downsampling)
    if isinstance(block, V4Attention):
        return V4AttentionBlock(block, size)
    return V4InvertedBottleneckBlock(block, structure)
