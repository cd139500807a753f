"""Classifiers that replace the published one: linear layers on the features of a MobileNet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import torch

Shape = tuple[int, ...]


class ReplacedHead(Struct, frozen=True, kw_only=True):
    """A classifier of linear layers.

    Attributes:
        hidden: outputs of each linear layer but the last.
        activation: the activation between two of them, one of `HEAD_ACTIVATIONS`. A state dict does not tell it.
    """

    hidden: tuple[int, ...] = ()
    activation: str = "none"


def linear_layers(shapes: Mapping[str, Shape], features: int, *, in_order: bool) -> tuple[str, ...] | None:
    """The linear layers that lead from the features to the classes, by module name; None for any other layers.

    Args:
        shapes: shapes of the classifier's tensors by key.
        features: number of features of the network.
        in_order: whether the keys are in the order of the module; otherwise the numbers in them give the order.
    """
    modules = list(dict.fromkeys(key.rpartition(".")[0] for key in shapes))
    if not in_order:
        modules.sort(key=lambda name: [int(number) for number in re.findall(r"\d+", name)])
    wanted = {f"{module}.{leaf}" for module in modules for leaf in ("weight", "bias")}
    inputs = features
    for module in modules:
        weight = shapes.get(f"{module}.weight", ())
        if len(weight) != 2 or weight[1] != inputs or shapes.get(f"{module}.bias") != weight[:1]:
            return None
        inputs = weight[0]
    return tuple(modules) if modules and wanted == set(shapes) else None


def build_head(head: ReplacedHead, features: int, classes: int) -> torch.nn.Sequential:
    """The classifier as a module: linear layers at the even places, the activation between them."""
    from torch import nn

    activation = {
        "none": nn.Identity,
        "relu": nn.ReLU,
        "relu6": nn.ReLU6,
        "hardswish": nn.Hardswish,
        "silu": nn.SiLU,
        "gelu": nn.GELU,
        "tanh": nn.Tanh,
    }[head.activation]
    sizes = (features, *head.hidden, classes)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers[:-1])
