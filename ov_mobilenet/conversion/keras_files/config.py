"""Check the configuration of a full Keras model before Keras builds the model.

A configuration names classes and modules, which Keras looks up. That has let foreign code run several times, even with
`safe_mode=True`: Lambda layers (CVE-2024-3660, in `.h5` files CVE-2025-9905), functions of any module
(CVE-2025-1550, CVE-2025-8747, CVE-2025-9906), pickles in TorchModuleWrapper (CVE-2025-49655), foreign SavedModels in
TFSMLayer (CVE-2026-1462); StringLookup read any file (CVE-2025-12058). So Keras is not relied on: everything that
is not in the tables below, which hold plain arithmetic on images, is refused and named.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ov_mobilenet.errors import ConversionError

MAX_CHARACTERS = 16 << 20
MAX_DEPTH = 60
MAX_NUMBER = 1 << 20  # for any size or count, so that a small file cannot allocate gigabytes

MODEL_CLASSES = ("Functional", "Model", "Sequential")  # Functional was called Model until TensorFlow 2.4
_LAYERS = {
    "Functional", "Sequential", "InputLayer", "Activation", "Add", "Average", "AveragePooling2D",
    "BatchNormalization", "CenterCrop", "Concatenate", "Conv2D", "Dense", "DepthwiseConv2D", "Dropout", "Flatten",
    "GaussianNoise", "GlobalAveragePooling2D", "GlobalMaxPooling2D", "LeakyReLU", "MaxPooling2D", "Multiply",
    "Normalization", "PReLU", "Permute", "ReLU", "Rescaling", "Reshape", "Resizing", "SeparableConv2D", "Softmax",
    "SpatialDropout2D", "Subtract", "ZeroPadding2D",
    # Active only in training; part of many fine-tuned networks.
    "RandomBrightness", "RandomContrast", "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom",
}  # fmt: skip
_NETWORK_MODULES = {
    "keras", "keras.models", "keras.src.models.functional", "keras.src.models.sequential",
    "keras.src.engine.functional", "keras.src.engine.sequential",
}  # fmt: skip
# Arithmetic between layers, as created by `preprocess_input` and by MobileNetV3's activations.
_OPERATIONS = {"Add", "Divide", "Multiply", "Subtract", "TrueDivide"}
_PARTS = {
    "keras.initializers": {
        "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform", "Ones",
        "Orthogonal", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Zeros",
    },
    "keras.regularizers": {"L1", "L1L2", "L2"},
    "keras.constraints": {"MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"},
    "keras": {"DTypePolicy"},
    "keras.dtype_policies": {"DTypePolicy"},
}  # fmt: skip
_MARKS = {"__keras_tensor__", "__tuple__"}
_ACTIVATIONS = {
    "elu", "gelu", "hard_sigmoid", "hard_silu", "hard_swish", "leaky_relu", "linear", "relu", "relu6", "selu",
    "sigmoid", "silu", "softmax", "softplus", "softsign", "swish", "tanh",
}  # fmt: skip
# Numbers that are not sizes: identities and seeds.
_FREE_NUMBERS = {"shared_object_id", "seed"}
_LARGEST = {"filters": 16_384, "units": 16_384}
FIX = "Export the network from its own code, as a SavedModel (model.export) or as ONNX, and convert that"


def checked_config(text: str, where: Path, *, archive: bool = False) -> dict[str, Any]:
    """Parse and check a configuration.

    Args:
        text: the configuration as JSON.
        archive: whether it is that of a `.keras` file. Keras ignores the outermost `compile_config` (optimizer, loss,
            metrics) of such a file unless it compiles the model, so it is removed.

    Raises:
        ConversionError: not JSON, too large, or it names anything but Keras's own layers, initialisers and the like.
    """
    config = parse_model(text, where)
    kept = {key: value for key, value in config.items() if not (archive and key == "compile_config")}
    if kept["class_name"] == "Model":
        kept = {**kept, "class_name": "Functional"}
    _check(kept, where, "", 0)
    return kept


def parse_model(text: str, where: Path) -> dict[str, Any]:
    """The JSON object of a model, whose layers have not been checked.

    Raises:
        ConversionError: not JSON, too large, or not the configuration of a network.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConversionError("the model's configuration is too long", where=where, got=f"{len(text):,} characters")
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConversionError(
            "the model's configuration is not valid JSON", where=where, got=str(error)[:200]
        ) from error
    if not isinstance(config, dict) or config.get("class_name") not in MODEL_CLASSES:
        got = repr(config.get("class_name")) if isinstance(config, dict) else type(config).__name__
        raise ConversionError(
            "the model is not a plain Keras network", where=where, expected="Functional or Sequential", got=got, fix=FIX
        )
    return config


def _check(value: Any, where: Path, key: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ConversionError("the model's configuration is nested too deeply", where=where)
    if isinstance(value, dict):
        if value.keys() & {"class_name", "module", "registered_name"}:
            _check_object(value, where)
        for name, inner in value.items():
            _check(inner, where, name, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check(inner, where, key, depth + 1)
    elif isinstance(value, str):
        _check_word(key, value, where)
    elif isinstance(value, int | float) and key not in _FREE_NUMBERS and abs(value) > _LARGEST.get(key, MAX_NUMBER):
        raise ConversionError(f"{key} of the model's configuration is too large", where=where, got=value)


def _check_object(value: dict[str, Any], where: Path) -> None:
    """Check an object for which Keras would look up a class."""
    name, module, registered = (value.get(key) for key in ("class_name", "module", "registered_name"))
    if not isinstance(name, str) or not isinstance(module, str | None) or registered not in (None, name):
        raise foreign(where, name if registered in (None, name) else registered, module)
    known = name in _MARKS if module is None else name in _PARTS.get(module, ())
    if module in (None, "keras.layers") and name in _LAYERS:
        known = True
    if module in _NETWORK_MODULES and name in ("Functional", "Sequential"):
        known = True
    if module == "keras.src.ops.numpy" and name in _OPERATIONS:
        known = True
    if module is None and any(name in names for names in _PARTS.values()):
        known = True
    if not known:
        raise foreign(where, name, module)


def foreign(where: Path, name: object, module: object) -> ConversionError:
    """The error for a class or a function that is not in the tables."""
    got = f"{module}.{name}" if module else str(name)
    return ConversionError(
        "the model's configuration refers to code that is not allowed", where=where,
        expected="Keras's own layers for image classification", got=got[:120], fix=FIX,
    )  # fmt: skip


def _check_word(key: str, value: str, where: Path) -> None:
    if key == "activation" and value not in _ACTIVATIONS:
        raise foreign(where, f"activation {value!r}", None)
    if key == "data_format" and value != "channels_last":
        raise ConversionError("unsupported data format", where=where, expected="channels_last", got=value)
    if "float16" in value and key in ("dtype", "name"):
        raise ConversionError(
            "the model is in half precision", where=where, expected="float32", got=value,
            fix="Save it with the dtype policy float32; the weight precision of the IR is a conversion option",
        )  # fmt: skip


def input_shape(config: dict[str, Any]) -> tuple[int, ...] | None:
    """The input shape `(N, H, W, C)`, -1 for dynamic dimensions; None if the configuration has none."""
    layers = _inner_layers(config)
    for layer in layers:
        inner = layer.get("config", {})
        shape = inner.get("batch_shape") or inner.get("batch_input_shape")
        if isinstance(shape, list):
            return tuple(size if isinstance(size, int) else -1 for size in shape)
        if layer.get("class_name") in ("Functional", "Sequential"):
            return input_shape(layer)
    return None


def classes(config: dict[str, Any]) -> int | None:
    """The number of outputs of the last layer with weights; None if it is not in the configuration."""
    for layer in reversed(_inner_layers(config)):
        inner = layer.get("config", {})
        count = inner.get("units") or inner.get("filters")
        if isinstance(count, int):
            return count
        if layer.get("class_name") in ("Functional", "Sequential"):
            return classes(layer)
    return None


def rescales(config: dict[str, Any]) -> bool:
    """Whether the model, or a model nested in it, has a layer that rescales pixels."""
    layers = _inner_layers(config)
    return any(layer.get("class_name") in ("Rescaling", "Normalization") or rescales(layer) for layer in layers)


def layer_names(config: dict[str, Any]) -> Iterator[str]:
    """The names of all layers, including those of nested models."""
    for layer in _inner_layers(config):
        inner = layer.get("config")
        yield str(inner.get("name", "") if isinstance(inner, dict) else "")
        yield from layer_names(layer)


def _inner_layers(config: dict[str, Any]) -> list[dict[str, Any]]:
    inner = config.get("config")
    layers = inner.get("layers") if isinstance(inner, dict) else inner
    return [layer for layer in layers if isinstance(layer, dict)] if isinstance(layers, list) else []
