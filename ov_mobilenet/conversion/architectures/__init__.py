"""Our own torch modules, with the key names of torchvision's checkpoints.

A name in a description chooses one of them; no module is ever imported because a description names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ov_mobilenet.conversion.architectures.blocks import KNOWN
from ov_mobilenet.conversion.architectures.weights import Identified, fit, identify, look_alikes

if TYPE_CHECKING:
    import torch

__all__ = ["KNOWN", "Identified", "build", "fit", "identify", "look_alikes"]


def build(network: Identified) -> torch.nn.Module:
    """A module of the architecture, width and number of classes, with untrained weights."""
    if network.architecture == "mobilenet_v1":
        from ov_mobilenet.conversion.architectures.mobilenet_v1 import MobileNetV1

        return MobileNetV1(num_classes=network.classes, width_multiplier=network.width)
    if network.architecture == "mobilenet_v2":
        from ov_mobilenet.conversion.architectures.mobilenet_v2 import MobileNetV2

        return MobileNetV2(classes=network.classes, width=network.width)
    from ov_mobilenet.conversion.architectures.mobilenet_v3 import MobileNetV3

    return MobileNetV3(network.architecture, classes=network.classes, width=network.width, hidden=network.hidden)
