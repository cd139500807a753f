"""Our own torch modules, with the key names of torchvision's checkpoints.

A name in a description chooses one of them; no module is ever imported because a description names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ov_mobilenet.conversion.architectures.blocks import KNOWN
from ov_mobilenet.conversion.architectures.weights import Identified, fit, identify
from ov_mobilenet.errors import ConversionError

if TYPE_CHECKING:
    import torch

__all__ = ["KNOWN", "Identified", "build", "identify"]


def build(model_name: str, shapes: Mapping[str, tuple[int, ...]]) -> torch.nn.Module:
    """A module of the named architecture, as wide and with as many classes as a checkpoint's shapes say.

    Args:
        shapes: of the checkpoint's tensors; what it lacks is taken as in the published ImageNet network.

    Raises:
        ConversionError: no such architecture, an absurd size, or channels that no width gives.
    """
    if model_name not in KNOWN:
        raise ConversionError("unknown architecture", expected=" or ".join(KNOWN), got=repr(model_name))
    found = fit(model_name, shapes)
    if model_name == "mobilenet_v1":
        from ov_mobilenet.conversion.architectures.mobilenet_v1 import MobileNetV1

        return MobileNetV1(num_classes=found.classes, width_multiplier=found.width)
    if model_name == "mobilenet_v2":
        from ov_mobilenet.conversion.architectures.mobilenet_v2 import MobileNetV2

        return MobileNetV2(classes=found.classes, width=found.width)
    from ov_mobilenet.conversion.architectures.mobilenet_v3 import MobileNetV3

    return MobileNetV3(model_name, classes=found.classes, width=found.width, hidden=found.hidden)
