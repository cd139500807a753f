"""MobileNet V3, small and large, in torch: squeeze-and-excite and h-swish (https://arxiv.org/abs/1905.02244).

The keys of the state dict are those of torchvision's checkpoints, so that published weights load strictly.
"""

from __future__ import annotations

import torch
from torch import nn

from ov_mobilenet.conversion.architectures.blocks import Block, trunk

# torchvision trained with these; torch's defaults are 1e-5 and 0.1.
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
    """Convolution, batch norm, and the activation if there is one; padded so that stride 1 keeps the size."""
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=_BATCH_NORM_EPSILON, momentum=_BATCH_NORM_MOMENTUM),
    ]
    return nn.Sequential(*layers, *([activation] if activation is not None else []))


class SqueezeExcite(nn.Module):
    """Weigh every channel by a number in [0, 1] that is computed from the means of all channels."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float (N, channels, H, W) to the same shape."""
        means = x.mean(dim=(2, 3), keepdim=True)
        return x * nn.functional.hardsigmoid(self.fc2(nn.functional.relu(self.fc1(means))))


class InvertedResidualV3(nn.Module):
    """Expand, filter each channel, squeeze and excite, project; add the input where the shape allows."""

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
        """Float (N, inputs, H, W) to (N, outputs, ceil(H / stride), ceil(W / stride))."""
        out: torch.Tensor = self.block(x)
        return x + out if self.residual else out


class MobileNetV3(nn.Module):
    """Float (N, 3, H, W), RGB, normalised as the weights want it, to (N, classes) logits.

    Args:
        architecture: `mobilenet_v3_small` or `mobilenet_v3_large`.
        classes: length of the output.
        width: factor on every channel count.
        hidden: width of the first layer of the head, if it does not follow from `width`.
    """

    def __init__(self, architecture: str, *, classes: int = 1000, width: float = 1.0, hidden: int = 0) -> None:
        super().__init__()
        form = trunk(architecture, width)
        self.features = nn.Sequential(
            conv_bn(3, form.stem, nn.Hardswish(), kernel=3, stride=2),
            *(InvertedResidualV3(block) for block in form.blocks),
            conv_bn(form.blocks[-1].outputs, form.last, nn.Hardswish()),
        )
        hidden = hidden or form.hidden
        self.classifier = nn.Sequential(
            nn.Linear(form.last, hidden), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(hidden, classes)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        pooled = self.features(x).mean(dim=(2, 3))
        logits: torch.Tensor = self.classifier(pooled)
        return logits
