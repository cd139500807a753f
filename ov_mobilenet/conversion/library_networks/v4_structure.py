"""From a row of the tables of MobileNet V4 to the channels of every layer. Does not need torch."""

from __future__ import annotations

from msgspec import Struct

from ov_mobilenet.conversion.architectures.blocks import round_channels
from ov_mobilenet.conversion.library_networks.v4_tables import (
    V4_ARCHITECTURES,
    V4_ATTENTION,
    V4Activation,
    V4Downsampling,
    V4Stage,
)


class V4Convolution(Struct, frozen=True, kw_only=True):
    """Convolution, batch norm and activation."""

    inputs: int
    outputs: int
    kernel: int
    stride: int


class V4EdgeResidual(Struct, frozen=True, kw_only=True):
    """3x3 convolution at stride 2 that expands the channels, and a 1x1 projection; without a residual connection."""

    inputs: int
    hidden: int
    outputs: int
    stride: int = 2


class V4InvertedBottleneck(Struct, frozen=True, kw_only=True):
    """Depthwise convolution, 1x1 expansion, depthwise convolution, 1x1 projection.

    Attributes:
        start, middle: sizes of the kernels of the depthwise convolutions before and after the expansion; 0 without one.
    """

    inputs: int
    hidden: int
    outputs: int
    start: int
    middle: int
    stride: int

    @property
    def residual(self) -> bool:
        """Whether the input is added to the output."""
        return self.stride == 1 and self.inputs == self.outputs


class V4Attention(Struct, frozen=True, kw_only=True):
    """Attention whose heads have queries of their own and share keys and values.

    Attributes:
        channels: before and after the block.
        heads: number of queries for each position.
        dimension: length of a query, of a key and of a value.
        reduction: stride of the depthwise convolutions before keys and values; 1 without them.
    """

    channels: int
    heads: int
    dimension: int
    reduction: int
    stride: int = 1

    @property
    def outputs(self) -> int:
        """Channels after the block."""
        return self.channels


V4Block = V4Convolution | V4EdgeResidual | V4InvertedBottleneck | V4Attention


class V4Structure(Struct, frozen=True, kw_only=True):
    """The whole network.

    Attributes:
        stem: channels of the first convolution.
        head: channels of the 1x1 convolution after the pooling; the width does not change it.
        layer_scale: whether the result of each bottleneck and attention is multiplied by a factor for each channel.
        downsampling: how a spatial convolution in a block halves the size: by its stride, or at stride 1 and then by
            an average of 2x2 or by a 3x3 binomial filter.
    """

    stem: int
    stages: tuple[tuple[V4Block, ...], ...]
    activation: V4Activation
    layer_scale: bool
    downsampling: V4Downsampling
    head: int = 1280


def v4_structure(architecture: str) -> V4Structure:
    """The structure of one of `V4_ARCHITECTURES`."""
    variant, width, downsampling = V4_ARCHITECTURES[architecture]
    # timm scales the first convolution only above width 1.0, and no network is wider.
    channels = variant.stem
    stages: list[tuple[V4Block, ...]] = []
    for rows in variant.first:
        stages.append(_convolutions(rows, channels, width))
        channels = stages[-1][-1].outputs
    if not variant.first:
        outputs = round_channels(48 * width)
        stages.append((V4EdgeResidual(inputs=channels, hidden=channels * 4, outputs=outputs),))
        channels = outputs
    for stage in variant.stages:
        outputs = round_channels(stage.channels * width)
        stages.append(_stage_blocks(stage, channels, outputs))
        channels = outputs
    last = V4Convolution(inputs=channels, outputs=round_channels(960 * width), kernel=1, stride=1)
    return V4Structure(
        stem=variant.stem, stages=(*stages, (last,)), activation=variant.activation,
        layer_scale=variant.layer_scale, downsampling=downsampling,
    )  # fmt: skip


def _convolutions(rows: tuple[tuple[int, int, int], ...], inputs: int, width: float) -> tuple[V4Block, ...]:
    blocks: list[V4Block] = []
    for kernel, stride, channels in rows:
        outputs = round_channels(channels * width)
        blocks.append(V4Convolution(inputs=inputs, outputs=outputs, kernel=kernel, stride=stride))
        inputs = outputs
    return tuple(blocks)


def _stage_blocks(stage: V4Stage, inputs: int, outputs: int) -> tuple[V4Block, ...]:
    blocks: list[V4Block] = []
    for row in stage.rows:
        if row == V4_ATTENTION:
            heads, dimension, reduction = stage.attention
            blocks.append(V4Attention(channels=outputs, heads=heads, dimension=dimension, reduction=reduction))
            continue
        start, middle, expansion = row
        blocks.append(
            V4InvertedBottleneck(
                inputs=inputs, hidden=inputs * expansion, outputs=outputs, start=start, middle=middle,
                stride=1 if blocks else 2,
            )
        )  # fmt: skip
        inputs = outputs
    return tuple(blocks)
