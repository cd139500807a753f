"""MobileNet V2 in torch: inverted residuals with linear bottlenecks (https://arxiv.org/abs/1801.04381).

The keys of the state dict are those of torchvision's checkpoints, so that published weights load strictly.
"""

from __future__ import annotations

import torch
from torch import nn

# Table 2 of the paper: expansion, channels, repeats, stride of the first repeat.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def round_channels(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of `divisor`, but never more than 10 % below (the reference implementation's rule)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor


def conv_bn_relu6(inputs: int, outputs: int, *, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU6; padded so that stride 1 keeps the size."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; add the input where the shape allows."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = [conv_bn_relu6(inputs, hidden)] if expansion != 1 else []
        layers += [
            conv_bn_relu6(hidden, hidden, kernel=3, stride=stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float (N, inputs, H, W) to (N, outputs, ceil(H / stride), ceil(W / stride))."""
        out: torch.Tensor = self.conv(x)
        return x + out if self.residual else out


class MobileNetV2(nn.Module):
    """Float (N, 3, H, W), RGB, normalised as the weights want it, to (N, classes) logits."""

    def __init__(self, classes: int = 1000, width: float = 1.0) -> None:
        super().__init__()
        channels = round_channels(32 * width)
        features: list[nn.Module] = [conv_bn_relu6(3, channels, kernel=3, stride=2)]
        for expansion, base, repeats, stride in STAGES:
            outputs = round_channels(base * width)
            for index in range(repeats):
                features.append(
                    InvertedResidual(channels, outputs, stride=stride if index == 0 else 1, expansion=expansion)
                )
                channels = outputs
        last = round_channels(1280 * max(1.0, width))
        features.append(conv_bn_relu6(channels, last))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        pooled = self.features(x).mean(dim=(2, 3))
        logits: torch.Tensor = self.classifier(pooled)
        return logits
