"""The channels of every block of timm's MobileNet V1, V2 and V3. Does not need torch.

timm numbers the stages and the blocks, so that the tables are grouped as timm groups them. Padding, epsilon, activation
and head are written out for each family; a family is what differs in anything but width and depth.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

TimmKind = Literal["separable", "inverted", "convolution"]
TimmActivation = Literal["relu", "relu6", "hardswish"]
TimmPadding = Literal["symmetric", "same"]
# none: the last block is pooled and classified; before-pooling: a 1x1 convolution with batch norm, then pooling;
# after-pooling: pooling, then a 1x1 convolution without batch norm.
TimmHead = Literal["none", "before-pooling", "after-pooling"]


class TimmRow(Struct, frozen=True):
    """Equal blocks of a stage; only the first block of a stage has the stride."""

    kind: TimmKind
    repeats: int
    kernel: int
    stride: int
    expansion: float
    channels: int
    squeeze: bool = False
    relu: bool = False


_Stages = tuple[tuple[TimmRow, ...], ...]


def _separable(repeats: int, stride: int, channels: int, *, squeeze: bool = False, relu: bool = False) -> TimmRow:
    return TimmRow("separable", repeats, 3, stride, 1, channels, squeeze, relu)


def _inverted(
    repeats: int,
    kernel: int,
    stride: int,
    expansion: float,
    channels: int,
    *,
    squeeze: bool = False,
    relu: bool = False,
) -> TimmRow:
    return TimmRow("inverted", repeats, kernel, stride, expansion, channels, squeeze, relu)


_V1: _Stages = (
    (_separable(1, 1, 64),),
    (_separable(2, 2, 128),),
    (_separable(2, 2, 256),),
    (_separable(6, 2, 512),),
    (_separable(2, 2, 1024),),
)
_V2: _Stages = (
    (_separable(1, 1, 16),),
    (_inverted(2, 3, 2, 6, 24),),
    (_inverted(3, 3, 2, 6, 32),),
    (_inverted(4, 3, 2, 6, 64),),
    (_inverted(3, 3, 1, 6, 96),),
    (_inverted(3, 3, 2, 6, 160),),
    (_inverted(1, 3, 1, 6, 320),),
)
_V3_SMALL: _Stages = (
    (_separable(1, 2, 16, squeeze=True, relu=True),),
    (_inverted(1, 3, 2, 4.5, 24, relu=True), _inverted(1, 3, 1, 3.67, 24, relu=True)),
    (_inverted(1, 5, 2, 4, 40, squeeze=True), _inverted(2, 5, 1, 6, 40, squeeze=True)),
    (_inverted(2, 5, 1, 3, 48, squeeze=True),),
    (_inverted(3, 5, 2, 6, 96, squeeze=True),),
    (TimmRow("convolution", 1, 1, 1, 1, 576),),
)
_V3_LARGE: _Stages = (
    (_separable(1, 1, 16, relu=True),),
    (_inverted(1, 3, 2, 4, 24, relu=True), _inverted(1, 3, 1, 3, 24, relu=True)),
    (_inverted(3, 5, 2, 3, 40, squeeze=True, relu=True),),
    (_inverted(1, 3, 2, 6, 80), _inverted(1, 3, 1, 2.5, 80), _inverted(2, 3, 1, 2.3, 80)),
    (_inverted(2, 3, 1, 6, 112, squeeze=True),),
    (_inverted(3, 5, 2, 6, 160, squeeze=True),),
    (TimmRow("convolution", 1, 1, 1, 1, 960),),
)


def _minimal(stages: _Stages) -> _Stages:
    """V3 without squeeze-and-excite and 5x5 kernels, for accelerators that run those slowly."""
    return tuple(
        tuple(msgspec.structs.replace(row, kernel=min(row.kernel, 3), squeeze=False) for row in stage)
        for stage in stages
    )


class TimmFamily(Struct, frozen=True, kw_only=True):
    """What the networks of one family have in common.

    Attributes:
        stem: channels of the first convolution, before they are scaled.
        activation: of all layers whose row does not say ReLU.
        pointwise_activation: whether a separable block also has the activation after its 1x1 convolution; it then has
            no residual connection.
        first_residual: whether the first stage may have a residual connection.
        gate: how squeeze-and-excite of this family rounds its channels, and which activation it has: `reference`
            rounds to multiples of 8 and takes ReLU; `plain` rounds to whole numbers and takes that of its block.
        features: channels of the 1x1 convolution of the head.
        features_grow: whether these channels are scaled by widths above 1.
        head_bias: whether the 1x1 convolution after pooling has a bias.
    """

    stages: _Stages
    stem: int
    activation: TimmActivation
    padding: TimmPadding
    epsilon: float
    head: TimmHead
    features: int = 0
    features_grow: bool = False
    head_bias: bool = False
    pointwise_activation: bool = False
    first_residual: bool = True
    gate: Literal["reference", "plain"] = "reference"


_FAMILY_V1 = TimmFamily(
    stages=_V1, stem=32, activation="relu6", padding="symmetric", epsilon=1e-5, head="none", pointwise_activation=True
)
_FAMILY_V1H = msgspec.structs.replace(_FAMILY_V1, head="before-pooling", features=1024, features_grow=True)
_FAMILY_V2 = TimmFamily(
    stages=_V2, stem=32, activation="relu6", padding="symmetric", epsilon=1e-5, head="before-pooling", features=1280,
    features_grow=True,
)  # fmt: skip
_FAMILY_V3_SMALL = TimmFamily(
    stages=_V3_SMALL, stem=16, activation="hardswish", padding="symmetric", epsilon=1e-5, head="after-pooling",
    features=1024, head_bias=True,
)  # fmt: skip
_FAMILY_V3_LARGE = TimmFamily(
    stages=_V3_LARGE, stem=16, activation="hardswish", padding="symmetric", epsilon=1e-5, head="after-pooling",
    features=1280, head_bias=True,
)  # fmt: skip
_FAMILY_V3_RW = TimmFamily(
    stages=_V3_LARGE, stem=16, activation="hardswish", padding="symmetric", epsilon=1e-3, head="after-pooling",
    features=1280, head_bias=False, first_residual=False, gate="plain",
)  # fmt: skip
_FAMILY_TF_SMALL = msgspec.structs.replace(_FAMILY_V3_SMALL, padding="same", epsilon=1e-3)
_FAMILY_TF_LARGE = msgspec.structs.replace(_FAMILY_V3_LARGE, padding="same", epsilon=1e-3)
_FAMILY_TF_SMALL_MINIMAL = msgspec.structs.replace(_FAMILY_TF_SMALL, stages=_minimal(_V3_SMALL), activation="relu")
_FAMILY_TF_LARGE_MINIMAL = msgspec.structs.replace(_FAMILY_TF_LARGE, stages=_minimal(_V3_LARGE), activation="relu")


class TimmArchitecture(Struct, frozen=True):
    """One name of timm's registry.

    Attributes:
        width: factor for the channels.
        depth: factor for the number of blocks of a stage, rounded up.
        fixed_ends: whether the stem, the head, and the depth of the first and the last stage are not scaled.
    """

    family: TimmFamily
    width: float = 1.0
    depth: float = 1.0
    fixed_ends: bool = False


TIMM_ARCHITECTURES = {
    "mobilenetv1_100": TimmArchitecture(_FAMILY_V1),
    "mobilenetv1_100h": TimmArchitecture(_FAMILY_V1H),
    "mobilenetv1_125": TimmArchitecture(_FAMILY_V1, 1.25),
    "mobilenetv2_035": TimmArchitecture(_FAMILY_V2, 0.35),
    "mobilenetv2_050": TimmArchitecture(_FAMILY_V2, 0.5),
    "mobilenetv2_075": TimmArchitecture(_FAMILY_V2, 0.75),
    "mobilenetv2_100": TimmArchitecture(_FAMILY_V2),
    "mobilenetv2_110d": TimmArchitecture(_FAMILY_V2, 1.1, 1.2, True),
    "mobilenetv2_120d": TimmArchitecture(_FAMILY_V2, 1.2, 1.4, True),
    "mobilenetv2_140": TimmArchitecture(_FAMILY_V2, 1.4),
    "mobilenetv3_small_050": TimmArchitecture(_FAMILY_V3_SMALL, 0.5, 1.0, True),
    "mobilenetv3_small_075": TimmArchitecture(_FAMILY_V3_SMALL, 0.75),
    "mobilenetv3_small_100": TimmArchitecture(_FAMILY_V3_SMALL),
    "mobilenetv3_large_075": TimmArchitecture(_FAMILY_V3_LARGE, 0.75),
    "mobilenetv3_large_100": TimmArchitecture(_FAMILY_V3_LARGE),
    "mobilenetv3_large_150d": TimmArchitecture(_FAMILY_V3_LARGE, 1.5, 1.2),
    "mobilenetv3_rw": TimmArchitecture(_FAMILY_V3_RW),
    "tf_mobilenetv3_small_075": TimmArchitecture(_FAMILY_TF_SMALL, 0.75),
    "tf_mobilenetv3_small_100": TimmArchitecture(_FAMILY_TF_SMALL),
    "tf_mobilenetv3_small_minimal_100": TimmArchitecture(_FAMILY_TF_SMALL_MINIMAL),
    "tf_mobilenetv3_large_075": TimmArchitecture(_FAMILY_TF_LARGE, 0.75),
    "tf_mobilenetv3_large_100": TimmArchitecture(_FAMILY_TF_LARGE),
    "tf_mobilenetv3_large_minimal_100": TimmArchitecture(_FAMILY_TF_LARGE_MINIMAL),
}
