"""Find the weights of each layer in a file of Keras 2: by name, or in Keras 2's order where names are not unique.

The file has one group per outermost layer. The group of an inner model holds the weights of all its layers, named
`LAYER/KIND:0`, where names of outer models or scopes may stand before LAYER.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.conversion.keras_files.hdf5 import Variable
from ov_mobilenet.errors import ConversionError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Not changed by training: Keras 2 saves them after all others of the same group.
_STATISTICS = ("moving_mean", "moving_variance", "mean", "variance", "count")


@dataclass(frozen=True)
class WantedWeights:
    """The weights that a layer needs.

    Attributes:
        path: names of the outer models, then that of the layer.
        kinds: names such as `kernel`, as Keras 2 has them; empty for layers whose weights do not matter.
        shapes: one shape per kind.
        trainable: whether the layer was trained.
    """

    path: tuple[str, ...]
    kinds: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    trainable: bool = True


def find_weights(
    wanted: Sequence[WantedWeights], groups: Mapping[str, tuple[Variable, ...]], where: Path
) -> list[list[NDArray[np.generic]]]:
    """The values for each layer, in the order of its kinds.

    Args:
        wanted: all layers of the network, in the order of its configuration.
        groups: per outermost layer its tensors, with whole names, in the order of the file.

    Raises:
        ConversionError: weights are missing, left over, ambiguous, or have another shape.
    """
    found: dict[int, list[NDArray[np.generic]]] = {}
    for name in {layer.path[0]: None for layer in wanted}:
        members = [index for index, layer in enumerate(wanted) if layer.path[0] == name]
        layers, stored = [wanted[index] for index in members], groups.get(name, ())
        values = _by_name(layers, stored) or _in_order(layers, stored)
        if values is None:
            raise ConversionError(
                f"the weights of {name[:80]} do not match the network", where=where,
                expected=_listed([f"{layer.path[-1]}/{kind}" for layer in layers for kind in layer.kinds]),
                got=_listed([str(variable.name) for variable in stored]),
            )  # fmt: skip
        found |= dict(zip(members, values, strict=True))
    if unknown := sorted(name for name, stored in groups.items() if stored and name not in {w.path[0] for w in wanted}):
        raise ConversionError("there are weights of layers that the network does not have", where=where, got=unknown[0])
    for index, layer in enumerate(wanted):
        for kind, shape, value in zip(layer.kinds, layer.shapes, found[index], strict=True):
            if value.shape != shape:
                raise ConversionError(
                    f"{layer.path[-1]}/{kind} does not match the network", where=where, expected=list(shape),
                    got=list(value.shape),
                )  # fmt: skip
    return [found[index] for index in range(len(wanted))]


def _by_name(layers: Sequence[WantedWeights], stored: Sequence[Variable]) -> list[list[NDArray[np.generic]]] | None:
    """The values per layer; None if a name does not tell one layer, or anything is missing or left over."""
    per_layer: list[dict[str, NDArray[np.generic]]] = [{} for _ in layers]
    for variable in stored:
        scope, kind = _scope_and_kind(variable)
        index = 0 if len(layers) == 1 else _owner(layers, scope)
        if index is None or kind in per_layer[index]:
            return None
        per_layer[index][kind] = variable.values
    for layer, values in zip(layers, per_layer, strict=True):
        if layer.kinds and set(values) != set(layer.kinds):
            return None
    return [[values[kind] for kind in layer.kinds] for layer, values in zip(layers, per_layer, strict=True)]


def _owner(layers: Sequence[WantedWeights], scope: str) -> int | None:
    """The layer whose name, with as many outer names as possible, is the end of a scope; None if two are equal."""
    scores = [_score(layer.path, scope) for layer in layers]
    best = max(scores)
    return scores.index(best) if best > 0 and scores.count(best) == 1 else None


def _score(path: tuple[str, ...], scope: str) -> int:
    for start in range(len(path)):
        name = "/".join(path[start:])
        if scope == name or scope.endswith(f"/{name}"):
            return len(name)
    return 0


def _in_order(layers: Sequence[WantedWeights], stored: Sequence[Variable]) -> list[list[NDArray[np.generic]]] | None:
    """The values per layer if the order of the file is Keras 2's; None if a kind or a shape differs.

    Keras 2 saves what was trained, layer by layer, and then everything else.
    """
    trained: list[tuple[int, int]] = []
    fixed: list[tuple[int, int]] = []
    for index, layer in enumerate(layers):
        for place, kind in enumerate(layer.kinds):
            is_trained = layer.trainable and kind not in _STATISTICS
            (trained if is_trained else fixed).append((index, place))
    places = trained + fixed
    if len(places) != len(stored):
        return None
    slots: dict[tuple[int, int], NDArray[np.generic]] = {}
    for (index, place), variable in zip(places, stored, strict=True):
        layer = layers[index]
        if _scope_and_kind(variable)[1] != layer.kinds[place] or variable.values.shape != layer.shapes[place]:
            return None
        slots[index, place] = variable.values
    return [[slots[index, place] for place in range(len(layer.kinds))] for index, layer in enumerate(layers)]


def _scope_and_kind(variable: Variable) -> tuple[str, str]:
    scope, _, kind = re.sub(r":\d+$", "", variable.name or "").rpartition("/")
    return scope, kind


def _listed(names: list[str]) -> str:
    shown = ", ".join(name[:80] for name in names[:3])
    return f"{shown}, … ({len(names)} tensors)" if len(names) > 3 else shown or "none"
