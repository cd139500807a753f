"""Build the network of a Keras 2 file with the layers of the installed Keras, and load its weights."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ov_mobilenet.conversion.keras_files.legacy_layers import IDENTITY
from ov_mobilenet.conversion.keras_files.legacy_network import (
    INPUT,
    OPERATION,
    LegacyLayer,
    LegacyModel,
    LegacyTensor,
)
from ov_mobilenet.conversion.keras_files.legacy_weights import WantedWeights, find_weights
from ov_mobilenet.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ov_mobilenet.conversion.keras_files.hdf5 import Variable

_MAX_CALLS = 4000
_DEPTHWISE = {"kernel": "depthwise_kernel"}  # the name of Keras 2 for a tensor of DepthwiseConv2D


def build_legacy(model: LegacyModel, groups: Mapping[str, tuple[Variable, ...]], where: Path) -> Any:
    """Build the network as a `keras.Model`, with inner models dissolved into it.

    Args:
        groups: the tensors of each outermost layer; see `find_weights`.

    Raises:
        ConversionError: no layer declares the shape of the input, a tensor is missing, or the weights do not match.
        Whatever Keras raises for arguments that contradict each other.
    """
    import keras

    if model.shape is None:
        raise ConversionError("the network does not declare the shape of its input", where=where)
    shape = [size if size > 0 else None for size in model.shape]
    building = _Building(where)
    first = next((layer.name for layer in model.leaves() if layer.kind == INPUT), "input")
    pixels = keras.Input(shape, name=building.free_name(first), dtype="float32")
    network = keras.Model(pixels, building.result(model, pixels, ()))
    _load(building, groups, where)
    return network


@dataclass
class _Building:
    """The layers that have been made so far, by path: a layer that is called twice is one layer."""

    where: Path
    layers: dict[tuple[str, ...], tuple[LegacyLayer, Any]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    calls: int = 0

    def result(self, model: LegacyModel, pixels: Any, path: tuple[str, ...]) -> Any:
        """The output of a model for its input. Raises: ConversionError."""
        tensors: dict[LegacyTensor, Any] = {}
        if model.input is not None:
            tensors[LegacyTensor(model.input, 0)] = pixels
        waiting = [
            (layer, LegacyTensor(layer.name, number), operands)
            for layer in model.layers
            if layer.kind != INPUT
            for number, operands in enumerate(layer.calls)
        ]
        while waiting and model.output not in tensors:
            left = []
            for layer, target, operands in waiting:
                if not all(operand in tensors for operand in operands if isinstance(operand, LegacyTensor)):
                    left.append((layer, target, operands))
                    continue
                values = [tensors[o] if isinstance(o, LegacyTensor) else o for o in operands]
                tensors[target] = self._call(layer, values or [pixels], (*path, layer.name))
            if len(left) == len(waiting):
                raise ConversionError("the layers are not connected", where=self.where, got=left[0][0].name[:80])
            waiting = left
        if model.output not in tensors:
            raise ConversionError("the output is not connected", where=self.where, got=model.output.layer[:80])
        return tensors[model.output]

    def _call(self, layer: LegacyLayer, values: list[Any], path: tuple[str, ...]) -> Any:
        self.calls += 1
        if self.calls > _MAX_CALLS:
            raise ConversionError("too many calls of layers", where=self.where, expected=f"at most {_MAX_CALLS}")
        if layer.model is not None:
            return self.result(layer.model, values[0], path)
        if layer.kind == OPERATION:
            return _operation(layer.arguments["function"], values, self.where)
        if layer.kind == IDENTITY:
            self.layers.setdefault(path, (layer, None))
            return values[0]
        if path not in self.layers:
            self.layers[path] = layer, _made(layer, self.free_name(layer.name))
        made = self.layers[path][1]
        return made(values if layer.kind in _MERGING else values[0])

    def free_name(self, name: str) -> str:
        """A name that no layer has yet, and that TensorFlow allows."""
        plain = re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:100]
        plain = plain if re.match(r"[A-Za-z0-9]", plain) else f"layer{plain}"
        free, number = plain, 0
        while free in self.names:
            number += 1
            free = f"{plain}_{number}"
        self.names.add(free)
        return free


_MERGING = ("Add", "Average", "Concatenate", "Multiply", "Subtract")


def _made(layer: LegacyLayer, name: str) -> Any:
    import keras

    arguments = dict(layer.arguments)
    if arguments.get("activation") == "hard_sigmoid":
        arguments["activation"] = _hard_sigmoid
    return getattr(keras.layers, layer.kind)(name=name, dtype="float32", **arguments)


def _hard_sigmoid(x: Any) -> Any:
    """Keras 2's: Keras 3 gave the name to relu6(x + 3) / 6."""
    from keras import ops

    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def _operation(function: str, values: list[Any], where: Path) -> Any:
    """Arithmetic on two tensors, or on a tensor and a number. Raises: ConversionError."""
    from keras import ops

    unary = function in ("relu", "relu6", "cast")
    if len(values) != (1 if unary else 2) or all(isinstance(value, float) for value in values):
        raise ConversionError(f"unsupported operands of {function}", where=where, got=len(values))
    return values[0] if function == "cast" else getattr(ops, function)(*values)


def _load(building: _Building, groups: Mapping[str, tuple[Variable, ...]], where: Path) -> None:
    """Set all weights. Raises: ConversionError."""
    wanted = []
    for path, (layer, made) in building.layers.items():
        weights = [] if made is None else made.weights
        renamed = _DEPTHWISE if layer.kind == "DepthwiseConv2D" else {}
        kinds = tuple(renamed.get(weight.name, weight.name) for weight in weights)
        wanted.append(WantedWeights(path, kinds, tuple(tuple(w.shape) for w in weights), layer.trainable))
    for (_, made), values in zip(building.layers.values(), find_weights(wanted, groups, where), strict=True):
        if values:
            made.set_weights(values)
            if hasattr(made, "finalize_state"):
                made.finalize_state()
