"""MobileNet V1 with the state-dict keys of transformers."""

from __future__ import annotations

from torch import Tensor, nn

from ov_mobilenet.conversion.library_networks.transformers_arguments import TransformersSettings
from ov_mobilenet.conversion.library_networks.transformers_layers import TransformersConvLayer

_STEM = 32
# Channels and stride of each pair of a depthwise and a pointwise convolution; https://arxiv.org/abs/1704.04861.
_BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1),
    (1024, 2), (1024, 1),
)  # fmt: skip


class TransformersMobileNetV1(nn.Module):
    """An image classifier: from normalised RGB (N, 3, height, width) to logits (N, classes)."""

    def __init__(self, settings: TransformersSettings, size: tuple[int, int], classes: int) -> None:
        super().__init__()
        self.mobilenet_v1 = _TransformersBackboneV1(settings, size)
        self.classifier = nn.Linear(self.mobilenet_v1.features, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map images to logits."""
        logits: Tensor = self.classifier(self.mobilenet_v1(images).mean((2, 3)))
        return logits


class _TransformersBackboneV1(nn.Module):
    def __init__(self, settings: TransformersSettings, size: tuple[int, int]) -> None:
        super().__init__()
        channels = settings.channels_v1(_STEM)
        self.conv_stem = TransformersConvLayer(settings, size, 3, channels, kernel=3, stride=2)
        size = self.conv_stem.output_size
        self.layer = nn.ModuleList()
        for base, stride in _BLOCKS:
            depthwise = TransformersConvLayer(
                settings, size, channels, channels, kernel=3, stride=stride, groups=channels
            )
            size, outputs = depthwise.output_size, settings.channels_v1(base)
            self.layer += [depthwise, TransformersConvLayer(settings, size, channels, outputs, kernel=1)]
            channels = outputs
        self.features = channels

    def forward(self, features: Tensor) -> Tensor:
        features = self.conv_stem(features)
        for layer in self.layer:
            features = layer(features)
        return features
