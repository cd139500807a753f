"""MobileNet V4 as timm defines it: convolutional, anti-aliased and hybrid variants."""

from __future__ import annotations

import torch
from torch import nn

from ov_mobilenet.conversion.library_networks.timm_arguments import check_timm_arguments
from ov_mobilenet.conversion.library_networks.v4_blocks import v4_block
from ov_mobilenet.conversion.library_networks.v4_layers import v4_activation, v4_batch_norm, v4_convolution
from ov_mobilenet.conversion.library_networks.v4_structure import V4Structure, v4_structure
from ov_mobilenet.zoo.library_network import LibraryNetwork


def build_v4_network(network: LibraryNetwork, size: tuple[int, int]) -> nn.Module:
    """Build one of `V4_ARCHITECTURES`; see `build_library_network`. Raises: ConversionError."""
    check_timm_arguments(network)
    return MobileNetV4(v4_structure(network.architecture), network.classes, size)


class MobileNetV4(nn.Module):
    """MobileNet V4: float RGB images (N, 3, H, W), normalised as in training, to logits (N, classes).

    Args:
        size: height and width of the input in pixels; a hybrid network takes only this size.
    """

    def __init__(self, structure: V4Structure, classes: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.conv_stem = v4_convolution(3, structure.stem, 3, 2)
        self.bn1 = v4_batch_norm(structure.stem)
        size, stages = _halved(size), []
        for blocks in structure.stages:
            stage = nn.Sequential()
            for block in blocks:
                stage.append(v4_block(block, structure, size))
                size = _halved(size) if block.stride == 2 else size
            stages.append(stage)
        self.blocks = nn.Sequential(*stages)
        self.conv_head = v4_convolution(structure.stages[-1][-1].outputs, structure.head, 1)
        self.norm_head = v4_batch_norm(structure.head)
        self.activation = v4_activation(structure.activation)
        self.classifier = nn.Linear(structure.head, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map normalised images (N, 3, H, W) to logits (N, classes)."""
        features = self.blocks(self.activation(self.bn1(self.conv_stem(x))))
        pooled = features.mean(dim=(2, 3), keepdim=True)
        hidden = self.activation(self.norm_head(self.conv_head(pooled)))
        logits: torch.Tensor = self.classifier(hidden.flatten(1))
        return logits


def _halved(size: tuple[int, int]) -> tuple[int, int]:
    """The size after a convolution with symmetric padding at stride 2."""
    return (size[0] + 1) // 2, (size[1] + 1) // 2
