"""MobileNet V2 with the state-dict keys of transformers."""

from __future__ import annotations

from torch import Tensor, nn

from ov_mobilenet.conversion.library_networks.transformers_arguments import TransformersSettings
from ov_mobilenet.conversion.library_networks.transformers_layers import TransformersConvLayer

_STEM = 32
_FIRST_BLOCK = 16
_LAST = 1280
# Channels and stride of each block after the first; https://arxiv.org/abs/1801.04381.
_BLOCKS = (
    (24, 2), (24, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1), (64, 1), (64, 1), (96, 1), (96, 1), (96, 1),
    (160, 2), (160, 1), (160, 1), (320, 1),
)  # fmt: skip


class TransformersMobileNetV2(nn.Module):
    """An image classifier: from normalised RGB (N, 3, height, width) to logits (N, classes)."""

    def __init__(self, settings: TransformersSettings, size: tuple[int, int], classes: int) -> None:
        super().__init__()
        self.mobilenet_v2 = _TransformersBackboneV2(settings, size)
        self.classifier = nn.Linear(self.mobilenet_v2.features, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map images to logits."""
        logits: Tensor = self.classifier(self.mobilenet_v2(images).mean((2, 3)))
        return logits


class _TransformersBackboneV2(nn.Module):
    def __init__(self, settings: TransformersSettings, size: tuple[int, int]) -> None:
        super().__init__()
        self.conv_stem = _TransformersStem(settings, size)
        size, channels = self.conv_stem.output_size, settings.channels_v2(_FIRST_BLOCK)
        self.layer = nn.ModuleList()
        reached, dilation = 2, 1
        for base, published_stride in _BLOCKS:
            # Where output_stride is reached, a stride becomes a dilation, and only the blocks behind it are dilated.
            dilates = reached == settings.output_stride
            stride = 1 if dilates else published_stride
            outputs = settings.channels_v2(base)
            block = _TransformersBlock(
                settings, size, channels, outputs, stride=stride, dilation=dilation if dilates else 1
            )
            self.layer.append(block)
            size, channels = block.output_size, outputs
            reached *= stride
            dilation *= published_stride if dilates else 1
        keeps = settings.finegrained_output and settings.depth_multiplier < 1
        self.features = _LAST if keeps else settings.channels_v2(_LAST)
        self.conv_1x1 = TransformersConvLayer(settings, size, channels, self.features, kernel=1)

    def forward(self, features: Tensor) -> Tensor:
        features = self.conv_stem(features)
        for layer in self.layer:
            features = layer(features)
        last: Tensor = self.conv_1x1(features)
        return last


class _TransformersStem(nn.Module):
    """The first convolution and the first block, which has no addition."""

    def __init__(self, settings: TransformersSettings, size: tuple[int, int]) -> None:
        super().__init__()
        channels = settings.channels_v2(_STEM)
        self.first_conv = TransformersConvLayer(settings, size, 3, channels, kernel=3, stride=2)
        size = self.first_conv.output_size
        self.expand_1x1 = (
            None
            if settings.first_layer_is_expansion
            else TransformersConvLayer(settings, size, channels, channels, kernel=1)
        )
        self.conv_3x3 = TransformersConvLayer(settings, size, channels, channels, kernel=3, groups=channels)
        self.reduce_1x1 = TransformersConvLayer(
            settings, size, channels, settings.channels_v2(_FIRST_BLOCK), kernel=1, activates=False
        )
        self.output_size = size

    def forward(self, features: Tensor) -> Tensor:
        features = self.first_conv(features)
        if self.expand_1x1 is not None:
            features = self.expand_1x1(features)
        reduced: Tensor = self.reduce_1x1(self.conv_3x3(features))
        return reduced


class _TransformersBlock(nn.Module):
    """An inverted residual block; it expands also at an expand_ratio of 1."""

    def __init__(
        self,
        settings: TransformersSettings,
        size: tuple[int, int],
        inputs: int,
        outputs: int,
        *,
        stride: int,
        dilation: int,
    ) -> None:
        super().__init__()
        hidden = settings.expanded_v2(inputs)
        self.expand_1x1 = TransformersConvLayer(settings, size, inputs, hidden, kernel=1)
        self.conv_3x3 = TransformersConvLayer(
            settings, size, hidden, hidden, kernel=3, stride=stride, groups=hidden, dilation=dilation
        )
        self.output_size = self.conv_3x3.output_size
        self.reduce_1x1 = TransformersConvLayer(settings, self.output_size, hidden, outputs, kernel=1, activates=False)
        self._adds = stride == 1 and inputs == outputs

    def forward(self, features: Tensor) -> Tensor:
        reduced: Tensor = self.reduce_1x1(self.conv_3x3(self.expand_1x1(features)))
        return features + reduced if self._adds else reduced
