"""The tables of timm's MobileNet V4 (https://arxiv.org/abs/2404.10518). Does not need torch."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

V4Activation = Literal["relu", "gelu"]
V4Downsampling = Literal["stride", "average", "blur"]

# A bottleneck as (start, middle, expansion), or ATTENTION.
V4Row = tuple[int, int, int]
V4_ATTENTION: V4Row = (0, 0, 0)


class V4Stage(Struct, frozen=True):
    """A stage of bottlenecks, of which the first halves the size.

    Attributes:
        attention: heads, dimension and reduction of the stage's attention blocks.
    """

    channels: int
    rows: tuple[V4Row, ...]
    attention: tuple[int, int, int] = (0, 0, 0)


class V4Variant(Struct, frozen=True, kw_only=True):
    """A row of the paper's tables.

    Attributes:
        first: stages of plain convolutions, each (kernel, stride, channels); empty for the variants that begin with one
            edge residual of expansion 4 and 48 channels.
    """

    stem: int
    stages: tuple[V4Stage, ...]
    first: tuple[tuple[tuple[int, int, int], ...], ...] = ()
    activation: V4Activation = "relu"
    layer_scale: bool = False


_CONV_SMALL = V4Variant(
    stem=32,
    first=(((3, 2, 32), (1, 1, 32)), ((3, 2, 96), (1, 1, 64))),
    stages=(
        V4Stage(96, ((5, 5, 3), *((0, 3, 2),) * 4, (3, 0, 4))),
        V4Stage(128, ((3, 3, 6), (5, 5, 4), (0, 5, 4), (0, 5, 3), (0, 3, 4), (0, 3, 4))),
    ),
)
_MEDIUM_80 = V4Stage(80, ((3, 5, 4), (3, 3, 2)))
_CONV_MEDIUM = V4Variant(
    stem=32,
    stages=(
        _MEDIUM_80,
        V4Stage(160, ((3, 5, 6), (3, 3, 4), (3, 3, 4), (3, 5, 4), (3, 3, 4), (3, 0, 4), (0, 0, 2), (3, 0, 4))),
        V4Stage(
            256,
            (
                (5, 5, 6), (5, 5, 4), (3, 5, 4), (3, 5, 4), (0, 0, 4), (3, 0, 4),
                (3, 5, 2), (5, 5, 4), (0, 0, 4), (0, 0, 4), (5, 0, 2),
            ),
        ),
    ),
)  # fmt: skip
_LARGE_96 = V4Stage(96, ((3, 5, 4), (3, 3, 4)))
_CONV_LARGE = V4Variant(
    stem=24,
    stages=(
        _LARGE_96,
        V4Stage(192, ((3, 5, 4), *((3, 3, 4),) * 3, (3, 5, 4), *((5, 3, 4),) * 5, (3, 0, 4))),
        V4Stage(
            512,
            (*((5, 5, 4),) * 4, (5, 0, 4), (5, 3, 4), (5, 0, 4), (5, 0, 4), (5, 3, 4), (5, 5, 4), *((5, 0, 4),) * 3),
        ),
    ),
)
_HYBRID_MEDIUM = V4Variant(
    stem=32,
    layer_scale=True,
    stages=(
        _MEDIUM_80,
        V4Stage(
            160,
            (
                (3, 5, 6), (0, 0, 2), (3, 3, 4), (3, 5, 4), V4_ATTENTION, (3, 3, 4), V4_ATTENTION, (3, 0, 4),
                V4_ATTENTION, (3, 3, 4), V4_ATTENTION, (3, 0, 4),
            ),
            (4, 64, 2),
        ),
        V4Stage(
            256,
            (
                (5, 5, 6), (5, 5, 4), (3, 5, 4), (3, 5, 4), (0, 0, 2), (3, 5, 2), (0, 0, 2), (0, 0, 4), V4_ATTENTION,
                (3, 0, 4), V4_ATTENTION, (5, 5, 4), V4_ATTENTION, (5, 0, 4), V4_ATTENTION, (5, 0, 4),
            ),
            (4, 64, 1),
        ),
    ),
)  # fmt: skip
_HYBRID_LARGE = V4Variant(
    stem=24,
    activation="gelu",
    layer_scale=True,
    stages=(
        _LARGE_96,
        V4Stage(
            192,
            (
                (3, 5, 4), (3, 3, 4), (3, 3, 4), (3, 3, 4), (3, 5, 4), (5, 3, 4), (5, 3, 4), V4_ATTENTION, (5, 3, 4),
                V4_ATTENTION, (5, 3, 4), V4_ATTENTION, (5, 3, 4), V4_ATTENTION, (3, 0, 4),
            ),
            (8, 48, 2),
        ),
        V4Stage(
            512,
            (
                *((5, 5, 4),) * 4, (5, 0, 4), (5, 3, 4), (5, 0, 4), (5, 0, 4), (5, 3, 4), (5, 5, 4), V4_ATTENTION,
                (5, 0, 4), V4_ATTENTION, (5, 0, 4), V4_ATTENTION, (5, 0, 4), V4_ATTENTION, (5, 0, 4),
            ),
            (8, 64, 1),
        ),
    ),
)  # fmt: skip

# timm's name: the table, the width, the downsampling.
V4_ARCHITECTURES: dict[str, tuple[V4Variant, float, V4Downsampling]] = {
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
