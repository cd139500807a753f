"""MobileNet V3, small and large, in torch: squeeze-and-excite and h-swish (https://arxiv.org/abs/1905.02244).

The state-dict keys are those of torchvision's checkpoints, so that published weights load with `strict=True`.
"""

from __future__ import annotations

import torch
from torch import nn

from ov_mobilenet.conversion.architectures.blocks import Block, backbone

# The values that torchvision trained with; torch's defaults are 1e-5 and 0.1.
_BATCH_NORM_EPSILON = 1e-3
_BATCH_NORM_MOMENTUM = 0.01


def conv_bn(
    inputs: int,
    outputs: int,
    activation: nn.Module | None,
    *,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
) -> nn.Sequential:
    """Convolution, batch norm and an optional activation; the padding keeps the size at stride 1."""
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=_BATCH_NORM_EPSILON, momentum=_BATCH_NORM_MOMENTUM),
    ]
    return nn.Sequential(*layers, *([activation] if activation is not None else []))


class SqueezeExcite(nn.Module):
    """Squeeze-and-excite: scale each channel by a number in [0, 1] computed from the means of all channels."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scale the channels of (N, channels, H, W)."""
        means = x.mean(dim=(2, 3), keepdim=True)
        return x * nn.functional.hardsigmoid(self.fc2(nn.functional.relu(self.fc1(means))))


class InvertedResidualV3(nn.Module):
    """Expansion, depthwise convolution, squeeze-and-excite and projection, with a residual connection if possible."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        activation = nn.Hardswish if block.hard_swish else nn.ReLU
        layers: list[nn.Module] = []
        if block.expands:
            layers.append(conv_bn(block.inputs, block.hidden, activation()))
        layers.append(
            conv_bn(
                block.hidden,
                block.hidden,
                activation(),
                kernel=block.kernel,
                stride=block.stride,
                groups=block.hidden,
            )
        )
        if block.squeeze:
            layers.append(SqueezeExcite(block.hidden, block.squeeze))
        layers.append(conv_bn(block.hidden, block.outputs, None))
        self.block = nn.Sequential(*layers)
        self.residual = block.residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inputs, H, W) to (N, outputs, ceil(H / stride), ceil(W / stride))."""
        out: torch.Tensor = self.block(x)
        return x + out if self.residual else out


class MobileNetV3(nn.Module):
    """MobileNet V3: float RGB images (N, 3, H, W), normalised as in training, to logits (N, classes).

    Args:
        architecture: `mobilenet_v3_small` or `mobilenet_v3_large`.
        classes: number of classes.
        width: factor for all channel counts.
        hidden: features of the first classifier layer; 0 for the value that follows from `width`.
    """

    def __init__(self, architecture: str, *, classes: int = 1000, width: float = 1.0, hidden: int = 0) -> None:
        super().__init__()
        structure = backbone(architecture, width)
        self.features = nn.Sequential(
            conv_bn(3, structure.stem, nn.Hardswish(), kernel=3, stride=2),
            *(InvertedResidualV3(block) for block in structure.blocks),
            conv_bn(structure.blocks[-1].outputs, structure.last, nn.Hardswish()),
        )
        hidden = hidden or structure.hidden
        self.classifier = nn.Sequential(
            nn.Linear(structure.last, hidden), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(hidden, classes)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map normalised images (N, 3, H, W) to logits (N, classes)."""
        pooled = self.features(x).mean(dim=(2, 3))
        logits: torch.Tensor = self.classifier(pooled)
        return logits
