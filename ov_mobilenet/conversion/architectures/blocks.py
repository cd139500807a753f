"""The channels of every block of the four architectures as a function of the width multiplier. Does not need torch.

The tables are those of the papers: https://arxiv.org/abs/1704.04861 (V1), https://arxiv.org/abs/1801.04381 (V2),
https://arxiv.org/abs/1905.02244 (V3).
"""

from __future__ import annotations

from msgspec import Struct

# V1, one row per depthwise-separable block: channels, stride.
_V1 = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1),
    (1024, 2), (1024, 1),
)  # fmt: skip
# V2, one row per group of blocks: expansion, channels, repeats, stride of the first block.
_V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
# V3, one row per block: kernel, expanded channels, channels, squeeze-and-excite, h-swish (else ReLU), stride.
_V3_SMALL = (
    (3, 16, 16, True, False, 2),
    (3, 72, 24, False, False, 2),
    (3, 88, 24, False, False, 1),
    (5, 96, 40, True, True, 2),
    (5, 240, 40, True, True, 1),
    (5, 240, 40, True, True, 1),
    (5, 120, 48, True, True, 1),
    (5, 144, 48, True, True, 1),
    (5, 288, 96, True, True, 2),
    (5, 576, 96, True, True, 1),
    (5, 576, 96, True, True, 1),
)
_V3_LARGE = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)
_V3 = {"mobilenet_v3_small": _V3_SMALL, "mobilenet_v3_large": _V3_LARGE}
_V3_HIDDEN = {"mobilenet_v3_small": 1024, "mobilenet_v3_large": 1280}

ARCHITECTURES = ("mobilenet_v1", "mobilenet_v2", *_V3)


class Block(Struct, frozen=True, kw_only=True):
    """One block: 1x1 expansion, depthwise convolution, squeeze-and-excite, 1x1 projection.

    Attributes:
        inputs, hidden, outputs: number of channels before, inside and after the block. Without an expansion `hidden`
            equals `inputs`.
        squeeze: channels of the squeeze-and-excite bottleneck; 0 without one.
        hard_swish: whether the activation is h-swish instead of ReLU (V3).
    """

    inputs: int
    hidden: int
    outputs: int
    stride: int
    kernel: int = 3
    squeeze: int = 0
    hard_swish: bool = False

    @property
    def expands(self) -> bool:
        """Whether the block begins with a 1x1 convolution from `inputs` to `hidden` channels."""
        return self.hidden != self.inputs

    @property
    def residual(self) -> bool:
        """Whether the input is added to the output (V2 and V3)."""
        return self.stride == 1 and self.inputs == self.outputs


class Backbone(Struct, frozen=True, kw_only=True):
    """The network without its classifier.

    Attributes:
        stem: channels of the first convolution.
        last: channels of the 1x1 convolution after the blocks; 0 for V1, which has none.
        hidden: features of the first layer of V3's two-layer classifier; 0 for V1 and V2.
    """

    stem: int
    blocks: tuple[Block, ...]
    last: int = 0
    hidden: int = 0

    @property
    def features(self) -> int:
        """Number of channels that are pooled and classified."""
        return self.last or self.blocks[-1].outputs


def round_channels(channels: float, divisor: int = 8) -> int:
    """Round to the nearest multiple of `divisor`, at most 10 % down (the rule of the reference implementation)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor


def backbone(architecture: str, width: float) -> Backbone:
    """The backbone of one of `ARCHITECTURES`; `width` is the width multiplier. Raises: KeyError."""
    if architecture == "mobilenet_v1":
        return _backbone_v1(width)
    if architecture == "mobilenet_v2":
        return _backbone_v2(width)
    return _backbone_v3(architecture, width)


def _backbone_v1(width: float) -> Backbone:
    def scaled(channels: int) -> int:
        # TensorFlow's rule: truncate, to 8 channels at least.
        return max(int(channels * width), 8)

    channels = stem = scaled(32)
    blocks = []
    for base, stride in _V1:
        blocks.append(Block(inputs=channels, hidden=channels, outputs=scaled(base), stride=stride))
        channels = scaled(base)
    return Backbone(stem=stem, blocks=tuple(blocks))


def _backbone_v2(width: float) -> Backbone:
    channels = stem = round_channels(32 * width)
    blocks = []
    for expansion, base, repeats, first_stride in _V2:
        outputs = round_channels(base * width)
        for index in range(repeats):
            stride = first_stride if index == 0 else 1
            blocks.append(Block(inputs=channels, hidden=channels * expansion, outputs=outputs, stride=stride))
            channels = outputs
    return Backbone(stem=stem, blocks=tuple(blocks), last=round_channels(1280 * max(1.0, width)))


def _backbone_v3(architecture: str, width: float) -> Backbone:
    channels = stem = round_channels(16 * width)
    blocks = []
    for kernel, expanded, base, excite, hard_swish, stride in _V3[architecture]:
        hidden, outputs = round_channels(expanded * width), round_channels(base * width)
        blocks.append(
            Block(
                inputs=channels,
                hidden=hidden,
                outputs=outputs,
                stride=stride,
                kernel=kernel,
                squeeze=round_channels(hidden // 4) if excite else 0,
                hard_swish=hard_swish,
            )
        )
        channels = outputs
    hidden = round_channels(_V3_HIDDEN[architecture] * width)
    return Backbone(stem=stem, blocks=tuple(blocks), last=6 * channels, hidden=hidden)
