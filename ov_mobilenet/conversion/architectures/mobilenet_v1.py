"""MobileNet V1 in torch, with the same results as TensorFlow's MobileNet V1."""

import torch
from torch import Tensor, nn

from ov_mobilenet.conversion.architectures.blocks import Block, backbone
from ov_mobilenet.conversion.architectures.same_convolution import SameConv2d

# The value that TensorFlow's MobileNets were trained with; torch's default is 1e-5.
_BATCH_NORM_EPSILON = 1e-3
# For training only. Lower than torch's 0.1, so that the statistics do not follow single batches.
_BATCH_NORM_MOMENTUM = 0.03


def _conv_bn_relu6(
    in_channels: int, out_channels: int, *, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        SameConv2d(in_channels, out_channels, kernel=kernel, stride=stride, groups=groups),
        nn.BatchNorm2d(out_channels, eps=_BATCH_NORM_EPSILON, momentum=_BATCH_NORM_MOMENTUM),
        nn.ReLU6(inplace=True),
    )


class DepthwiseSeparable(nn.Module):
    """A 3x3 depthwise and a 1x1 pointwise convolution, each with batch norm and ReLU6."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            _conv_bn_relu6(block.inputs, block.inputs, kernel=3, stride=block.stride, groups=block.inputs),
            _conv_bn_relu6(block.inputs, block.outputs, kernel=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        output: Tensor = self.conv(features)
        return output


class MobileNetV1(nn.Module):
    """MobileNet V1 with the state-dict keys of torchvision's MobileNetV2.

    The input is float (N, 3, H, W), RGB, normalised as `(x - 127.5) / 127.5`, with H and W multiples of 32, as in all
    published networks (128, 160, 192, 224). The output is logits (N, num_classes). torchvision has no MobileNet V1, so
    the keys follow its V2: `features.0.0` is the first convolution, `features.N.conv.0` and `features.N.conv.1` are the
    depthwise and the pointwise convolution of block N (1..13), `classifier.1` is the last layer.

    Args:
        num_classes: number of classes.
        width_multiplier: factor for all channel counts (1.0, 0.75, 0.5 and 0.25 are published).
        dropout: dropout rate before the classifier.
    """

    def __init__(self, *, num_classes: int = 1001, width_multiplier: float = 1.0, dropout: float = 0.001) -> None:
        super().__init__()
        structure = backbone("mobilenet_v1", width_multiplier)
        self.features = nn.Sequential(
            _conv_bn_relu6(3, structure.stem, kernel=3, stride=2),
            *(DepthwiseSeparable(block) for block in structure.blocks),
        )
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(structure.features, num_classes))
        self._initialise()

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images (N, 3, H, W) to logits (N, num_classes)."""
        pooled = torch.mean(self.features(images), dim=(2, 3))
        logits: Tensor = self.classifier(pooled)
        return logits

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)
