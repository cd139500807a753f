"""The blocks of timm's MobileNet V4 (https://arxiv.org/abs/2404.10518), with the channels of each. Does not need torch."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from ov_mobilenet.conversion.architectures.blocks import round_channels

V4Activation = Literal["relu", "gelu"]
V4Downsampling = Literal["stride", "average", "blur"]

_HEAD_CHANNELS = 1280


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
    head: int = _HEAD_CHANNELS


# A bottleneck as (start, middle, expansion), or ATTENTION.
_Row = tuple[int, int, int]
_ATTENTION: _Row = (0, 0, 0)


class _Stage(Struct, frozen=True):
    """A stage of bottlenecks, of which the first halves the size.

    Attributes:
        attention: heads, dimension and reduction of the stage's attention blocks.
    """

    channels: int
    rows: tuple[_Row, ...]
    attention: tuple[int, int, int] = (0, 0, 0)


class _Variant(Struct, frozen=True, kw_only=True):
    """A row of the paper's tables.

    Attributes:
        first: stages of plain convolutions, each (kernel, stride, channels); empty for the variants that begin with one
            edge residual of expansion 4 and 48 channels.
    """

    stem: int
    stages: tuple[_Stage, ...]
    first: tuple[tuple[tuple[int, int, int], ...], ...] = ()
    activation: V4Activation = "relu"
    layer_scale: bool = False


_CONV_SMALL = _Variant(
    stem=32,
    first=(((3, 2, 32), (1, 1, 32)), ((3, 2, 96), (1, 1, 64))),
    stages=(
        _Stage(96, ((5, 5, 3), *((0, 3, 2),) * 4, (3, 0, 4))),
        _Stage(128, ((3, 3, 6), (5, 5, 4), (0, 5, 4), (0, 5, 3), (0, 3, 4), (0, 3, 4))),
    ),
)
_MEDIUM_80 = _Stage(80, ((3, 5, 4), (3, 3, 2)))
_CONV_MEDIUM = _Variant(
    stem=32,
    stages=(
        _MEDIUM_80,
        _Stage(160, ((3, 5, 6), (3, 3, 4), (3, 3, 4), (3, 5, 4), (3, 3, 4), (3, 0, 4), (0, 0, 2), (3, 0, 4))),
        _Stage(
            256,
            (
                (5, 5, 6), (5, 5, 4), (3, 5, 4), (3, 5, 4), (0, 0, 4), (3, 0, 4),
                (3, 5, 2), (5, 5, 4), (0, 0, 4), (0, 0, 4), (5, 0, 2),
            ),
        ),
    ),
)  # fmt: skip
_LARGE_96 = _Stage(96, ((3, 5, 4), (3, 3, 4)))
_CONV_LARGE = _Variant(
    stem=24,
    stages=(
        _LARGE_96,
        _Stage(192, ((3, 5, 4), *((3, 3, 4),) * 3, (3, 5, 4), *((5, 3, 4),) * 5, (3, 0, 4))),
        _Stage(
            512,
            (*((5, 5, 4),) * 4, (5, 0, 4), (5, 3, 4), (5, 0, 4), (5, 0, 4), (5, 3, 4), (5, 5, 4), *((5, 0, 4),) * 3),
        ),
    ),
)
_HYBRID_MEDIUM = _Variant(
    stem=32,
    layer_scale=True,
    stages=(
        _MEDIUM_80,
        _Stage(
            160,
            (
                (3, 5, 6), (0, 0, 2), (3, 3, 4), (3, 5, 4), _ATTENTION, (3, 3, 4), _ATTENTION, (3, 0, 4),
                _ATTENTION, (3, 3, 4), _ATTENTION, (3, 0, 4),
            ),
            (4, 64, 2),
        ),
        _Stage(
            256,
            (
                (5, 5, 6), (5, 5, 4), (3, 5, 4), (3, 5, 4), (0, 0, 2), (3, 5, 2), (0, 0, 2), (0, 0, 4), _ATTENTION,
                (3, 0, 4), _ATTENTION, (5, 5, 4), _ATTENTION, (5, 0, 4), _ATTENTION, (5, 0, 4),
            ),
            (4, 64, 1),
        ),
    ),
)  # fmt: skip
_HYBRID_LARGE = _Variant(
    stem=24,
    activation="gelu",
    layer_scale=True,
    stages=(
        _LARGE_96,
        _Stage(
            192,
            (
                (3, 5, 4), (3, 3, 4), (3, 3, 4), (3, 3, 4), (3, 5, 4), (5, 3, 4), (5, 3, 4), _ATTENTION, (5, 3, 4),
                _ATTENTION, (5, 3, 4), _ATTENTION, (5, 3, 4), _ATTENTION, (3, 0, 4),
            ),
            (8, 48, 2),
        ),
        _Stage(
            512,
            (
                *((5, 5, 4),) * 4, (5, 0, 4), (5, 3, 4), (5, 0, 4), (5, 0, 4), (5, 3, 4), (5, 5, 4), _ATTENTION,
                (5, 0, 4), _ATTENTION, (5, 0, 4), _ATTENTION, (5, 0, 4), _ATTENTION, (5, 0, 4),
            ),
            (8, 64, 1),
        ),
    ),
)  # fmt: skip

# timm's name: the table, the width, the downsampling.
_NAMES: dict[str, tuple[_Variant, float, V4Downsampling]] = {
    "mobilenetv4_conv_small_035": (_CONV_SMALL, 0.35, "stride"),
    "mobilenetv4_conv_small_050": (_CONV_SMALL, 0.5, "stride"),
    "mobilenetv4_conv_small": (_CONV_SMALL, 1.0, "stride"),
    "mobilenetv4_conv_medium": (_CONV_MEDIUM, 1.0, "stride"),
    "mobilenetv4_conv_large": (_CONV_LARGE, 1.0, "stride"),
    "mobilenetv4_conv_aa_medium": (_CONV_MEDIUM, 1.0, "average"),
    "mobilenetv4_conv_blur_medium": (_CONV_MEDIUM, 1.0, "blur"),
    "mobilenetv4_conv_aa_large": (_CONV_LARGE, 1.0, "average"),
    "mobilenetv4_hybrid_medium_075": (_HYBRID_MEDIUM, 0.75, "stride"),
    "mobilenetv4_hybrid_medium": (_HYBRID_MEDIUM, 1.0, "stride"),
    "mobilenetv4_hybrid_large_075": (_HYBRID_LARGE, 0.75, "stride"),
    "mobilenetv4_hybrid_large": (_HYBRID_LARGE, 1.0, "stride"),
}

V4_ARCHITECTURES: tuple[str, ...] = tuple(_NAMES)


def v4_structure(architecture: str) -> V4Structure:
    """The structure of one of `V4_ARCHITECTURES`."""
    variant, width, downsampling = _NAMES[architecture]
    # Below width 1.0 timm does not scale the first convolution.
    stem = variant.stem
    channels = stem
    stages: list[tuple[V4Block, ...]] = []
    for rows in variant.first or (None,):
        if rows is None:
            outputs = round_channels(48 * width)
            stages.append((V4EdgeResidual(inputs=channels, hidden=channels * 4, outputs=outputs),))
            channels = outputs
        else:
            blocks: list[V4Block] = []
            for kernel, stride, unscaled in rows:
                outputs = round_channels(unscaled * width)
                blocks.append(V4Convolution(inputs=channels, outputs=outputs, kernel=kernel, stride=stride))
                channels = outputs
            stages.append(tuple(blocks))
    for stage in variant.stages:
        outputs = round_channels(stage.channels * width)
        stages.append(_stage_blocks(stage, channels, outputs))
        channels = outputs
    last = V4Convolution(inputs=channels, outputs=round_channels(960 * width), kernel=1, stride=1)
    return V4Structure(
        stem=stem,
        stages=(*stages, (last,)),
        activation=variant.activation,
        layer_scale=variant.layer_scale,
        downsampling=downsampling,
    )


def _stage_blocks(stage: _Stage, inputs: int, outputs: int) -> tuple[V4Block, ...]:
    blocks: list[V4Block] = []
    for row in stage.rows:
        if row == _ATTENTION:
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
