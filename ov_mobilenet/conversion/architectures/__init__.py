"""Our own torch modules, with the key names of torchvision's checkpoints.

A name in a description chooses one of them; no module is ever imported because a description names it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ov_mobilenet.errors import ConversionError

if TYPE_CHECKING:
    import torch


def build(model_name: str, classes: int) -> torch.nn.Module:
    """A module of the named architecture with `classes` outputs.

    Raises:
        ConversionError: no such architecture.
    """
    from ov_mobilenet.conversion.architectures.mobilenet_v2 import MobileNetV2

    known: dict[str, Callable[[int], torch.nn.Module]] = {"mobilenet_v2": lambda count: MobileNetV2(classes=count)}
    if model_name not in known:
        raise ConversionError("unknown architecture", expected=" or ".join(sorted(known)), got=repr(model_name))
    return known[model_name](classes)
