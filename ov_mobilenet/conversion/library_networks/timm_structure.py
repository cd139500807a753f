"""From a row of the tables to the channels of every layer: timm's rules for width and depth. Does not need torch."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from ov_mobilenet.conversion.architectures.blocks import round_channels
from ov_mobilenet.conversion.library_networks.timm_tables import (
    TimmActivation,
    TimmArchitecture,
    TimmFamily,
    TimmHead,
    TimmKind,
    TimmPadding,
    TimmRow,
)


class TimmBlock(Struct, frozen=True, kw_only=True):
    """One block: 1x1 expansion, depthwise convolution, squeeze-and-excite, 1x1 projection; or one convolution.

    Attributes:
        inputs, hidden, outputs: number of channels before, inside and after the block.
        squeeze: channels of the squeeze-and-excite bottleneck; 0 without one.
        projects_linearly: whether there is no activation after the last convolution.
        residual: whether the input is added to the output.
    """

    kind: TimmKind
    inputs: int
    hidden: int
    outputs: int
    kernel: int
    stride: int
    activation: TimmActivation
    squeeze: int
    squeeze_activation: TimmActivation
    projects_linearly: bool
    residual: bool


class TimmStructure(Struct, frozen=True, kw_only=True):
    """A whole network without its classifier; the attributes are those of `TimmFamily`, scaled."""

    stem: int
    stages: tuple[tuple[TimmBlock, ...], ...]
    activation: TimmActivation
    padding: TimmPadding
    epsilon: float
    head: TimmHead
    features: int
    head_bias: bool


def timm_structure(architecture: TimmArchitecture) -> TimmStructure:
    """Scale a family by the width and the depth of one of its networks."""
    family, width, fixed = architecture.family, architecture.width, architecture.fixed_ends
    channels = stem = family.stem if fixed else round_channels(family.stem * width)
    stages = []
    for number, rows in enumerate(family.stages):
        is_end = number in (0, len(family.stages) - 1)
        repeats = _repeats([row.repeats for row in rows], 1.0 if fixed and is_end else architecture.depth)
        blocks: list[TimmBlock] = []
        for row, count in zip(rows, repeats, strict=True):
            for _ in range(count):
                stride = 1 if blocks else row.stride
                block = _block(row, family, channels, round_channels(row.channels * width), stride, number)
                blocks.append(block)
                channels = block.outputs
        stages.append(tuple(blocks))
    features = family.features
    if family.features_grow and not fixed:
        features = max(features, round_channels(features * width))
    return TimmStructure(
        stem=stem, stages=tuple(stages), activation=family.activation, padding=family.padding,
        epsilon=family.epsilon, head=family.head, features=features, head_bias=family.head_bias,
    )  # fmt: skip


def _repeats(repeats: Sequence[int], depth: float) -> list[int]:
    """Scale the number of blocks of a stage, rounded up, and share it among the rows, the last row first."""
    total = sum(repeats)
    wanted = math.ceil(total * depth)
    scaled: list[int] = []
    for count in reversed(repeats):
        share = max(1, round(count / total * wanted))
        scaled.append(share)
        total, wanted = total - count, wanted - share
    return scaled[::-1]


def _block(row: TimmRow, family: TimmFamily, inputs: int, outputs: int, stride: int, stage: int) -> TimmBlock:
    hidden = round_channels(inputs * row.expansion) if row.kind == "inverted" else inputs
    activation: TimmActivation = "relu" if row.relu else family.activation
    with_activation = row.kind == "convolution" or (row.kind == "separable" and family.pointwise_activation)
    may_add = not with_activation and (stage > 0 or family.first_residual)
    squeeze = 0
    if row.squeeze:
        squeeze = round_channels(hidden * 0.25) if family.gate == "reference" else round(hidden * 0.25)
    return TimmBlock(
        kind=row.kind,
        inputs=inputs,
        hidden=hidden,
        outputs=outputs,
        kernel=row.kernel,
        stride=stride,
        activation=activation,
        squeeze=squeeze,
        squeeze_activation="relu" if family.gate == "reference" else activation,
        projects_linearly=not with_activation,
        residual=may_add and stride == 1 and inputs == outputs,
    )
