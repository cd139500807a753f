"""timm's MobileNet V1, V2 and V3 as one torch module; padding, epsilon and head come from the tables."""

from __future__ import annotations

import torch
from torch import nn

from ov_mobilenet.conversion.library_networks.timm_arguments import apply_arguments
from ov_mobilenet.conversion.library_networks.timm_blocks import TimmLayers, timm_activation, timm_block
from ov_mobilenet.conversion.library_networks.timm_structure import TimmStructure, timm_structure
from ov_mobilenet.conversion.library_networks.timm_tables import TIMM_ARCHITECTURES
from ov_mobilenet.zoo.library_network import LibraryNetwork


def build_timm_network(network: LibraryNetwork, size: tuple[int, int]) -> nn.Module:
    """Build one of `TIMM_ARCHITECTURES`; see `build_library_network`. Raises: ConversionError."""
    structure = apply_arguments(timm_structure(TIMM_ARCHITECTURES[network.architecture]), network)
    return TimmMobileNet(structure, network.classes, size)


class TimmMobileNet(nn.Module):
    """A MobileNet of timm: float RGB images (N, 3, H, W), normalised as in training, to logits (N, classes).

    Args:
        size: height and width of the input in pixels; the network is right for this size only.
    """

    def __init__(self, structure: TimmStructure, classes: int, size: tuple[int, int]) -> None:
        super().__init__()
        layers = TimmLayers(structure.padding, structure.epsilon, size)
        self.conv_stem = layers.convolution(3, structure.stem, 3, 2)
        self.bn1 = layers.batch_norm(structure.stem)
        self.blocks = nn.Sequential(
            *(nn.Sequential(*(timm_block(block, layers) for block in stage)) for stage in structure.stages)
        )
        self.activation = timm_activation(structure.activation)
        self.head = structure.head
        self.pool = layers.global_pool()
        features = structure.stages[-1][-1].outputs
        if structure.head == "before-pooling":
            self.conv_head = layers.convolution(features, structure.features)
            self.bn2 = layers.batch_norm(structure.features)
        elif structure.head == "after-pooling":
            self.conv_head = nn.Conv2d(features, structure.features, 1, bias=structure.head_bias)
        self.classifier = nn.Linear(features if structure.head == "none" else structure.features, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map normalised images (N, 3, H, W) to logits (N, classes)."""
        out = self.blocks(self.activation(self.bn1(self.conv_stem(x))))
        if self.head == "before-pooling":
            out = self.activation(self.bn2(self.conv_head(out)))
        out = self.pool(out)
        if self.head == "after-pooling":
            out = self.activation(self.conv_head(out))
        logits: torch.Tensor = self.classifier(out.flatten(1))
        return logits
