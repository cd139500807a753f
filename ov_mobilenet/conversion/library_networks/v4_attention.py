"""Multi-query attention of MobileNet V4's hybrid variants, with timm's state-dict keys.

It is written for OpenVINO's CPU plugin, whose convolutions keep channels last in memory: there the transpositions
below cost nothing, and it fuses the two products and the softmax into one node.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from ov_mobilenet.conversion.library_networks.v4_layers import v4_batch_norm, v4_convolution
from ov_mobilenet.conversion.library_networks.v4_structure import V4Attention


class V4Projection(nn.Sequential):
    """A 1x1 convolution to queries, keys or values; keys and values can have a depthwise convolution before it.

    Args:
        outputs: channels of the result.
        reduction: stride of the depthwise convolution; 1 without one.
    """

    def __init__(self, inputs: int, outputs: int, reduction: int = 1) -> None:
        super().__init__()
        if reduction > 1:
            self.down_conv = v4_convolution(inputs, inputs, 3, reduction, inputs)
            self.norm = v4_batch_norm(inputs)
        self.proj = v4_convolution(inputs, outputs, 1)

    def after_norm(self, x: torch.Tensor, norm: nn.BatchNorm2d, scale: float = 1.0) -> torch.Tensor:
        """The projection of `norm(x)` times `scale`, with both as part of the weights; only without a reduction.

        OpenVINO itself does not fold a batch norm into several convolutions that follow it.
        """
        factor, shift = _factor_and_shift(norm)
        weight = self.proj.weight * scale
        return functional.conv2d(x, weight * factor.view(-1, 1, 1), torch.matmul(weight.flatten(1), shift))


def _factor_and_shift(norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """What a batch norm in evaluation mode multiplies its input by, and what it adds then."""
    mean, variance = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
    factor = norm.weight / torch.sqrt(variance + norm.eps)
    return factor, norm.bias - mean * factor


class V4SharedAttention(nn.Module):
    """Batch norm, and attention of several queries for each position to keys and values that they share.

    Args:
        size: height and width of the feature map. They are constants in the graph, which computes no shapes then.
    """

    def __init__(self, block: V4Attention, size: tuple[int, int]) -> None:
        super().__init__()
        self.heads, self.dimension, self.size = block.heads, block.dimension, size
        self.reduces = block.reduction > 1
        width = block.heads * block.dimension
        self.query = V4Projection(block.channels, width)
        self.key = V4Projection(block.channels, block.dimension, block.reduction)
        self.value = V4Projection(block.channels, block.dimension, block.reduction)
        self.output = V4Projection(width, block.channels)

    def forward(self, x: torch.Tensor, norm: nn.BatchNorm2d) -> torch.Tensor:
        """Map (N, channels, H, W) to the same shape.

        Args:
            norm: the batch norm before the attention.
        """
        # In the weights, because OpenVINO would multiply the keys, or all scores, in a node of its own.
        scale = self.dimension**-0.5
        if self.reduces:  # the padding of the depthwise convolutions follows the batch norm, so it stays on its own
            normalised = norm(x)
            queries = functional.conv2d(normalised, self.query.proj.weight * scale)
            keys, values = self.key(normalised), self.value(normalised)
        else:
            queries = self.query.after_norm(x, norm, scale)
            keys, values = self.key.after_norm(x, norm), self.value.after_norm(x, norm)
        height, width = self.size
        # All queries of a position lie next to each other, and keys and values are the same for them: the attention of
        # all heads is one product of matrices.
        queries = queries.permute(0, 2, 3, 1).reshape(-1, height * width * self.heads, self.dimension)
        keys = keys.permute(0, 2, 3, 1).flatten(1, 2)
        values = values.permute(0, 2, 3, 1).flatten(1, 2)
        scores = torch.matmul(queries, keys.transpose(1, 2))
        mixed = torch.matmul(torch.softmax(scores, -1), values)
        mixed = mixed.reshape(-1, height, width, self.heads * self.dimension).permute(0, 3, 1, 2)
        out: torch.Tensor = self.output(mixed)
        return out
