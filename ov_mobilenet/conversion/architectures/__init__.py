"""MobileNets as torch modules, with the state-dict keys of torchvision's checkpoints.

The architecture name in a description selects one of them; no module that a description names is ever imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ov_mobilenet.conversion.architectures.blocks import ARCHITECTURES, backbone
from ov_mobilenet.conversion.architectures.layer_settings import apply_settings, check_input_size, complete_settings
from ov_mobilenet.conversion.architectures.weights import (
    MobileNetSpec,
    identify,
    networks_with_shapes,
    replaced_head,
    spec_of,
)

if TYPE_CHECKING:
    import torch

__all__ = [
    "ARCHITECTURES",
    "MobileNetSpec",
    "build",
    "check_input_size",
    "complete_settings",
    "identify",
    "networks_with_shapes",
    "replaced_head",
    "spec_of",
]


def build(network: MobileNetSpec) -> torch.nn.Module:
    """Build the torch module with untrained weights."""
    module = _published(network)
    if network.head is not None:
        from ov_mobilenet.conversion.architectures.replaced_head import build_head

        features = backbone(network.architecture, network.width).features
        module.classifier = build_head(network.head, features, network.classes)
    if network.settings:
        apply_settings(module.features, network.settings)
    return module


def _published(network: MobileNetSpec) -> torch.nn.Module:
    if network.architecture == "mobilenet_v1":
        from ov_mobilenet.conversion.architectures.mobilenet_v1 import MobileNetV1

        return MobileNetV1(num_classes=network.classes, width_multiplier=network.width)
    if network.architecture == "mobilenet_v2":
        from ov_mobilenet.conversion.architectures.mobilenet_v2 import MobileNetV2

        return MobileNetV2(classes=network.classes, width=network.width)
    from ov_mobilenet.conversion.architectures.mobilenet_v3 import MobileNetV3

    return MobileNetV3(network.architecture, classes=network.classes, width=network.width, hidden=network.hidden)
