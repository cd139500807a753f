"""Our own torch modules, with the key names of torchvision's checkpoints.

A name in a description chooses one of them; no module is ever imported because a description names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ov_mobilenet.errors import ConversionError

if TYPE_CHECKING:
    import torch

KNOWN = ("mobilenet_v1", "mobilenet_v2")
STEM_KEY, HEAD_KEY = "features.0.0.weight", "classifier.1.weight"
MAX_STEM = 256  # eight times the published width; memory grows with the square


def build(model_name: str, shapes: Mapping[str, tuple[int, ...]]) -> torch.nn.Module:
    """A module of the named architecture, as wide and with as many classes as a checkpoint's shapes say.

    Args:
        shapes: of the checkpoint's tensors; what it lacks is taken as in the published ImageNet network.

    Raises:
        ConversionError: no such architecture, or an absurd width.
    """
    head = shapes.get(HEAD_KEY, ())
    if model_name == "mobilenet_v2":
        from ov_mobilenet.conversion.architectures.mobilenet_v2 import MobileNetV2

        return MobileNetV2(classes=head[0] if head else 1000)
    if model_name == "mobilenet_v1":
        from ov_mobilenet.conversion.architectures.mobilenet_v1 import MobileNetV1

        stem = shapes.get(STEM_KEY, ())
        if stem and stem[0] > MAX_STEM:
            raise ConversionError(f"{STEM_KEY} does not fit", expected=f"at most {MAX_STEM} channels", got=stem[0])
        return MobileNetV1(num_classes=head[0] if head else 1001, width_multiplier=stem[0] / 32 if stem else 1.0)
    raise ConversionError("unknown architecture", expected=" or ".join(KNOWN), got=repr(model_name))
