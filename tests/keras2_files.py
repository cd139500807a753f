"""Write networks of the installed Keras as Keras 2 wrote them; the differences are those of its documented formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

# `tf.*` names that Keras 2.4 recorded for arithmetic between layers.
_OPERATIONS = {"Add": "__operators__.add", "Subtract": "math.subtract", "Multiply": "math.multiply"}
_OPERATIONS |= {"TrueDivide": "math.truediv", "Divide": "math.truediv"}
OLD_INITIALISER = {"class_name": "VarianceScaling", "config": {"scale": 1, "seed": None, "dtype": "float32"}}


def keras2_config(network: Any, *, model_class: str = "Functional", sequential_inputs: bool = True) -> dict[str, Any]:
    """The configuration of a Functional or a Sequential, with inner models.

    Args:
        model_class: `Model` for Keras before 2.4.
        sequential_inputs: whether a Sequential has an InputLayer; before Keras 2.4 it had none.
    """
    options = {"model_class": model_class, "sequential_inputs": sequential_inputs}
    if type(network).__name__ == "Sequential":
        shape = list(network.inputs[0].shape)
        layers = [_layer(layer, options) for layer in network.layers]
        for layer in layers:
            layer.pop("inbound_nodes", None)
        if sequential_inputs:
            layers.insert(0, _input(f"{network.name}_input", shape))
        else:
            layers[0]["config"]["batch_input_shape"] = shape
        return {"class_name": "Sequential", "config": {"name": network.name, "layers": layers}}
    entries = {entry["name"]: entry for entry in network.get_config()["layers"]}
    layers = []
    for operation in network.operations:
        entry = entries[operation.name]
        nodes = [_node(node, entry["class_name"]) for node in entry["inbound_nodes"]]
        layers.append({**_layer(operation, options), "name": operation.name, "inbound_nodes": nodes})
    ends = {key: [[*network.get_config()[key][:1], 0, 0]] for key in ("input_layers", "output_layers")}
    return {"class_name": model_class, "config": {"name": network.name, "layers": layers, **ends}}


def _input(name: str, shape: list[int | None]) -> dict[str, Any]:
    config = {"batch_input_shape": shape, "dtype": "float32", "sparse": False, "ragged": False, "name": name}
    return {"class_name": "InputLayer", "config": config}


def _layer(layer: Any, options: dict[str, Any]) -> dict[str, Any]:
    kind = type(layer).__name__
    if kind in ("Functional", "Sequential"):
        return keras2_config(layer, **options)
    if kind == "InputLayer":
        return _input(layer.name, list(layer.batch_shape))
    if kind in _OPERATIONS and not hasattr(layer, "trainable"):
        config = {"name": layer.name, "dtype": "float32", "function": _OPERATIONS[kind]}
        return {"class_name": "TFOpLambda", "config": config}
    config = {key: value for key, value in layer.get_config().items() if key != "quantization_config"}
    config["dtype"] = "float32"
    for key in config:
        if key.endswith("_initializer"):
            config[key] = OLD_INITIALISER
    if kind == "DepthwiseConv2D":
        config["groups"] = 1
    if kind == "BatchNormalization":
        config["axis"] = [3]
        config.pop("synchronized")
    if kind == "LeakyReLU":
        config["alpha"] = config.pop("negative_slope")
    return {"class_name": kind, "config": json.loads(json.dumps(config, default=lambda value: None))}


def _node(node: dict[str, Any], kind: str) -> list[Any]:
    """`[[name, 0, 0, {}], …]`, or one tensor with the second operand of an operation."""
    values = node["args"][0] if isinstance(node["args"][0], list) else list(node["args"])
    tensors = [[*value["config"]["keras_history"][:1], 0, 0] for value in values if isinstance(value, dict)]
    if kind in _OPERATIONS and len(node["args"]) == 2:
        return [*tensors[0], {"y": values[1] if len(tensors) == 1 else tensors[1], "name": None}]
    return [[*tensor, {}] for tensor in tensors]


def write_keras2(
    network: Any,
    path: Path,
    *,
    version: str = "2.4.0",
    config: dict[str, Any] | None = None,
    scope: str = "",
) -> Path:
    """Write a full model.

    Args:
        config: the configuration; None for that of the network.
        scope: ends the name of each layer in the names of weights, as when TensorFlow 1 had that name already.
    """
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = version, "tensorflow"
        file.attrs["model_config"] = json.dumps(config or keras2_config(network))
        group = file.create_group("model_weights")
        layers = [layer for layer in network.layers if type(layer).__name__ != "InputLayer"]
        group.attrs["layer_names"] = np.asarray([layer.name.encode() for layer in layers])
        for layer in layers:
            inner = group.create_group(layer.name)
            names = []
            for owner, weight in _weights(layer):
                prefix = "depthwise_" if (type(owner).__name__, weight.name) == ("DepthwiseConv2D", "kernel") else ""
                names.append(f"{owner.name}{scope}/{prefix}{weight.name}:0".encode())
                inner.create_dataset(names[-1].decode(), data=weight.numpy())
            inner.attrs["weight_names"] = np.asarray(names, "S") if names else np.zeros(0, "S1")
    return path


def _weights(layer: Any) -> list[tuple[Any, Any]]:
    """The weights of a layer with their owners: first those that were trained, then the others, as in Keras 2."""
    leaves = _leaves(layer)
    trained = [(leaf, weight) for leaf in leaves for weight in leaf.trainable_weights]
    return trained + [(leaf, weight) for leaf in leaves for weight in leaf.non_trainable_weights]


def _leaves(layer: Any) -> list[Any]:
    return [leaf for inner in layer.layers for leaf in _leaves(inner)] if hasattr(layer, "layers") else [layer]


def teachable_machine(classes: int = 3, *, seed: int = 5) -> Any:
    """A network with the structure of Teachable Machine's exports, at random weights."""
    import keras

    keras.utils.set_random_seed(seed)
    backbone = keras.applications.MobileNetV2(input_shape=(224, 224, 3), alpha=0.35, include_top=False, weights=None)
    backbone.name = "model1"
    features = keras.Sequential([keras.Input((224, 224, 3)), backbone, keras.layers.GlobalAveragePooling2D()])
    head = keras.Sequential([
        keras.Input((1280,)),
        keras.layers.Dense(100, activation="relu"),
        keras.layers.Dense(classes, activation="softmax", use_bias=False),
    ])  # fmt: skip
    features.name, head.name = "sequential_1", "sequential_3"
    return keras.Sequential([keras.Input((224, 224, 3)), features, head], name="sequential_4")
