"""Read the configuration of a Keras 2 model as values: its layers, and which layer takes which tensors.

Keras 3 refuses many of these configurations, and what it would look up in them has run foreign code. So none of it is
passed to Keras: `legacy_building` makes each layer from the values that are read here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from ov_mobilenet.conversion.keras_files.config import FIX, MAX_NUMBER, MODEL_CLASSES, foreign, parse_model
from ov_mobilenet.conversion.keras_files.legacy_layers import OPERATIONS, check_type, checked_value, layer_arguments
from ov_mobilenet.errors import ConversionError

MODEL, INPUT, OPERATION = "Model", "InputLayer", "Operation"
MAX_LAYERS = 2000
_MAX_DEPTH = 12
_MODULES = ("keras", "tensorflow.keras", "tf_keras")


@dataclass(frozen=True)
class LegacyTensor:
    """The result of the `call`-th call of a layer."""

    layer: str
    call: int


@dataclass(frozen=True)
class LegacyLayer:
    """A layer, an operation, an input, or a model inside a model.

    Attributes:
        name: unique in its model.
        kind: class in Keras 3, `IDENTITY`, `INPUT`, `OPERATION` or `MODEL`.
        arguments: checked arguments; `function` of an operation.
        calls: the operands of each call: tensors, and numbers of operations.
        shape: declared shape of the input without the batch, -1 for dynamic; None if there is none.
        model: the model of kind `MODEL`.
        trainable: whether the layer was trained; it determines the order of the weights in the file.
    """

    name: str
    kind: str
    arguments: dict[str, Any]
    calls: tuple[tuple[LegacyTensor | float, ...], ...] = ()
    shape: tuple[int, ...] | None = None
    model: LegacyModel | None = None
    trainable: bool = True


@dataclass(frozen=True)
class LegacyModel:
    """A model with one input and one output.

    Attributes:
        input: the input layer; None for a Sequential without one, whose first layer takes the input.
    """

    name: str
    layers: tuple[LegacyLayer, ...]
    input: str | None
    output: LegacyTensor

    def leaves(self) -> Iterator[LegacyLayer]:
        """All layers, with those of inner models in place of the models."""
        for layer in self.layers:
            if layer.model is not None:
                yield from layer.model.leaves()
            else:
                yield layer

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape of the input without the batch, -1 for dynamic dimensions; None if no layer declares it."""
        first = next((layer for layer in self.layers if layer.name == self.input), None) or self.layers[0]
        return first.shape or (first.model.shape if first.model is not None else None)

    @property
    def classes(self) -> int | None:
        """Number of outputs of the last layer with weights; None if there is no such layer."""
        counts = [layer.arguments.get("units") or layer.arguments.get("filters") for layer in self.leaves()]
        return next((count for count in reversed(counts) if isinstance(count, int)), None)

    @property
    def rescales(self) -> bool:
        """Whether a layer rescales pixels."""
        return any(layer.kind in ("Rescaling", "Normalization") for layer in self.leaves())


def read_legacy_network(text: str, where: Path) -> LegacyModel:
    """Read the configuration of a model that Keras 1 or 2 saved.

    Raises:
        ConversionError: not JSON, too large, or it names a class or a value that is not known here.
    """
    config = parse_model(text, where)
    _check_origin(config, where)
    try:
        model = _model(config, where, 0)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        raise ConversionError(f"the model's configuration is incomplete ({reason})", where=where) from error
    count = sum(1 for _ in model.leaves())
    if not 1 <= count <= MAX_LAYERS:
        raise ConversionError("unsupported number of layers", where=where, expected=f"1 to {MAX_LAYERS}", got=count)
    return model


def _model(entry: dict[str, Any], where: Path, depth: int) -> LegacyModel:
    if depth > _MAX_DEPTH:
        raise ConversionError("the model's configuration is nested too deeply", where=where)
    config = entry["config"]
    entries = config if isinstance(config, list) else config["layers"]  # a list until Keras 2.2.2
    if len(entries) > MAX_LAYERS:
        raise ConversionError("too many layers", where=where, expected=f"at most {MAX_LAYERS}", got=len(entries))
    name = str(config.get("name", "model")) if isinstance(config, dict) else "sequential"
    layers = tuple(_layer(inner, where, depth) for inner in entries)
    names = [layer.name for layer in layers]
    if len(set(names)) != len(names):
        raise ConversionError("two layers have the same name", where=where, got=max(names, key=names.count)[:80])
    if entry["class_name"] == "Sequential":
        return _chain(name, layers, where)
    inputs, outputs = _tensors(config["input_layers"]), _tensors(config["output_layers"])
    if len(inputs) != 1 or len(outputs) != 1:
        raise ConversionError(
            "the network must have one input and one output", where=where, got=f"{len(inputs)} and {len(outputs)}"
        )
    return LegacyModel(name, layers, inputs[0].layer, outputs[0])


def _chain(name: str, layers: tuple[LegacyLayer, ...], where: Path) -> LegacyModel:
    """A Sequential as a model: each layer takes the result of the one before it."""
    if not layers:
        raise ConversionError("a model without layers", where=where, got=name[:80])
    first = layers[0].name if layers[0].kind == INPUT else None
    linked = [layers[0] if first is not None else replace(layers[0], calls=((),))]
    for before, layer in pairwise(layers):
        linked.append(replace(layer, calls=((LegacyTensor(before.name, 0),),)))
    return LegacyModel(name, tuple(linked), first, LegacyTensor(layers[-1].name, 0))


def _layer(entry: dict[str, Any], where: Path, depth: int) -> LegacyLayer:
    _check_origin(entry, where)
    kind, config = entry["class_name"], entry["config"]
    calls = tuple(_call(node, kind, where) for node in entry.get("inbound_nodes") or ())
    if kind in MODEL_CLASSES:
        model = _model(entry, where, depth + 1)
        shape = _shape(config, where) if isinstance(config, dict) else None
        return LegacyLayer(str(entry.get("name") or model.name), MODEL, {}, calls, shape, model)
    name, trainable = str(entry.get("name") or config["name"]), config.get("trainable") is not False
    if kind == INPUT:
        check_type(config.get("dtype"), where)
        if config.get("sparse") or config.get("ragged"):
            raise ConversionError("unsupported input", where=where, expected="dense", got="sparse or ragged")
        return LegacyLayer(name, INPUT, {}, (), _shape(config, where))
    if kind == "TFOpLambda":
        function = config.get("function")
        if function not in OPERATIONS:
            raise foreign(where, f"tf.{str(function)[:80]}", None)
        return LegacyLayer(name, OPERATION, {"function": OPERATIONS[function]}, calls)
    known, arguments = layer_arguments(kind, config, where)
    return LegacyLayer(name, known, arguments, calls, _shape(config, where), None, trainable)


def _check_origin(entry: dict[str, Any], where: Path) -> None:
    """Check that a class is Keras's own: classes of other modules may have the name of one."""
    kind, module, registered = entry.get("class_name"), entry.get("module"), entry.get("registered_name")
    is_own = module is None or (isinstance(module, str) and module.split(".src")[0].removesuffix(".layers") in _MODULES)
    if not is_own or registered not in (None, kind):
        raise foreign(where, kind if registered in (None, kind) else registered, module)


def _shape(config: dict[str, Any], where: Path) -> tuple[int, ...] | None:
    """The declared shape without the batch."""
    shape = config.get("batch_input_shape") or config.get("batch_shape")
    if not isinstance(shape, list):
        return None
    sizes = tuple(-1 if size is None else int(size) for size in shape[1:])
    if any(size > MAX_NUMBER for size in sizes):
        raise ConversionError("the input is too large", where=where, got=list(sizes))
    return sizes


def _call(node: Any, kind: str, where: Path) -> tuple[LegacyTensor | float, ...]:
    """The operands of one call. A node is one tensor with keyword arguments, or a list of them."""
    if isinstance(node, dict):
        raise ConversionError(
            "the layers are connected as in Keras 3, but the file says that Keras 2 saved it", where=where, fix=FIX
        )
    entries = [node] if isinstance(node[0], str) else list(node)
    operands: list[LegacyTensor | float] = []
    for entry in entries:
        if entry[0] == "_CONSTANT_VALUE":
            operands.append(_number(entry[2], where))
        else:
            operands.append(_tensor(entry))
        keywords = entry[3] if len(entry) > 3 and entry[3] else {}
        if kind == "TFOpLambda":
            operands += _operands(keywords, where)
        elif keywords.get("training") or keywords.get("mask") is not None:
            raise ConversionError(
                "a layer is called in training mode or with a mask", where=where, expected="neither",
                got=str(keywords)[:80],
            )  # fmt: skip
    return tuple(operands)


def _operands(keywords: dict[str, Any], where: Path) -> Iterator[LegacyTensor | float]:
    """The second operand of an operation: a number or a tensor."""
    for key, value in keywords.items():
        if key == "y" and isinstance(value, list):
            yield _tensor(value)
        elif key == "y":
            yield _number(value, where)
        elif key not in ("name", "dtype") or (key == "dtype" and value != "float32"):
            raise ConversionError("unknown argument of an operation", where=where, got=f"{key[:40]}={str(value)[:40]}")


def _number(value: Any, where: Path) -> float:
    number = checked_value("a constant", value, where)
    if isinstance(number, list):
        raise ConversionError("unsupported constant", where=where, expected="a number", got=str(value)[:80])
    return float(number)


def _tensors(value: Any) -> list[LegacyTensor]:
    """The tensors of `input_layers` and `output_layers`: a list of them, or the only one."""
    if value and isinstance(value[0], str):
        return [_tensor(value)]
    return [_tensor(entry) for entry in value]


def _tensor(entry: Any) -> LegacyTensor:
    name, call, index = entry[0], entry[1], entry[2]
    if not isinstance(name, str) or not isinstance(call, int) or index != 0:
        raise ValueError(f"no tensor: {str(entry)[:80]}")
    return LegacyTensor(name, call)
