"""MobileNet V2 in torch: inverted residuals with linear bottlenecks (https://arxiv.org/abs/1801.04381).

The state-dict keys are those of torchvision's checkpoints, so that published weights load with `strict=True`.
"""

from __future__ import annotations

import torch
from torch import nn

from ov_mobilenet.conversion.architectures.blocks import Block, backbone


def conv_bn_relu6(inputs: int, outputs: int, *, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, batch norm and ReLU6; the padding keeps the size at stride 1."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


class InvertedResidualV2(nn.Module):
    """Expansion, depthwise convolution and projection, with a residual connection where the shapes allow."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv_bn_relu6(block.inputs, block.hidden)] if block.expands else []
        layers += [
            conv_bn_relu6(block.hidden, block.hidden, kernel=3, stride=block.stride, groups=block.hidden),
            nn.Conv2d(block.hidden, block.outputs, 1, bias=False),
            nn.BatchNorm2d(block.outputs),
        ]
        self.conv = nn.Sequential(*layers)
        self.residual = block.residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inputs, H, W) to (N, outputs, ceil(H / stride), ceil(W / stride))."""
        out: torch.Tensor = self.conv(x)
        return x + out if self.residual else out


class MobileNetV2(nn.Module):
    """MobileNet V2: float RGB images (N, 3, H, W), normalised as in training, to logits (N, classes).

    Args:
        classes: number of classes.
        width: factor for all channel counts (1.4, 1.3, 1.0, 0.75, 0.5 and 0.35 are published); the last convolution
            has 1280 channels at least.
    """

    def __init__(self, classes: int = 1000, width: float = 1.0) -> None:
        super().__init__()
        structure = backbone("mobilenet_v2", width)
        self.features = nn.Sequential(
            conv_bn_relu6(3, structure.stem, kernel=3, stride=2),
            *(InvertedResidualV2(block) for block in structure.blocks),
            conv_bn_relu6(structure.blocks[-1].outputs, structure.last),
        )
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(structure.last, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map normalised images (N, 3, H, W) to logits (N, classes)."""
        pooled = self.features(x).mean(dim=(2, 3))
        logits: torch.Tensor = self.classifier(pooled)
        return logits
