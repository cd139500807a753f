"""The layers of Keras 1 and 2 that are known here, with the arguments that matter when a network runs.

Layers are made from these tables and from checked values, never by Keras's own deserialisation. Initialisers,
regularisers, constraints and everything else that acts only in training are dropped without being looked at.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ov_mobilenet.conversion.keras_files.config import MAX_NUMBER, foreign
from ov_mobilenet.errors import ConversionError

IDENTITY = "Identity"
MAX_CHANNELS = 16_384
_MAX_ITEMS = 4096

_PLACE = ("strides", "padding")
_CONVOLUTION = ("kernel_size", *_PLACE, "dilation_rate", "activation", "use_bias")
# Arguments have the same names in Keras 3, except those in _RENAMED.
_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "Activation": ("activation",),
    "Add": (),
    "Average": (),
    "AveragePooling2D": ("pool_size", *_PLACE),
    "BatchNormalization": ("axis", "epsilon", "center", "scale"),
    "CenterCrop": ("height", "width"),
    "Concatenate": ("axis",),
    "Conv2D": ("filters", "groups", *_CONVOLUTION),
    "Dense": ("units", "activation", "use_bias"),
    "DepthwiseConv2D": ("depth_multiplier", *_CONVOLUTION),
    "Flatten": (),
    "GlobalAveragePooling2D": ("keepdims",),
    "GlobalMaxPooling2D": ("keepdims",),
    "LeakyReLU": ("alpha", "negative_slope"),
    "MaxPooling2D": ("pool_size", *_PLACE),
    "Multiply": (),
    "Normalization": ("axis", "mean", "variance"),
    "PReLU": ("shared_axes",),
    "Permute": ("dims",),
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "Rescaling": ("scale", "offset"),
    "Reshape": ("target_shape",),
    "Resizing": ("height", "width", "interpolation", "crop_to_aspect_ratio"),
    "SeparableConv2D": ("filters", "depth_multiplier", *_CONVOLUTION),
    "Softmax": ("axis",),
    "Subtract": (),
    "ZeroPadding2D": ("padding",),
}  # fmt: skip
_OLD_NAMES = {
    "AvgPool2D": "AveragePooling2D", "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization", "Convolution2D": "Conv2D",
    "GlobalAvgPool2D": "GlobalAveragePooling2D", "GlobalMaxPool2D": "GlobalMaxPooling2D", "MaxPool2D": "MaxPooling2D",
    "SeparableConvolution2D": "SeparableConv2D", "SyncBatchNormalization": "BatchNormalization",
}  # fmt: skip
# Active only in training; whatever their arguments are, they leave the values of a running network as they are.
_TRAINING_ONLY = {
    "ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "RandomBrightness",
    "RandomContrast", "RandomFlip", "RandomHeight", "RandomRotation", "RandomTranslation", "RandomWidth", "RandomZoom",
    "SpatialDropout2D",
}  # fmt: skip
_RENAMED = {"alpha": "negative_slope"}
_WORDS = {
    "padding": {"same", "valid"},
    "interpolation": {"bilinear", "nearest", "bicubic", "lanczos3", "lanczos5", "area", "gaussian", "mitchellcubic"},
    "activation": {
        "elu", "exponential", "gelu", "hard_sigmoid", "linear", "relu", "relu6", "selu", "sigmoid", "silu", "softmax",
        "softplus", "softsign", "swish", "tanh",
    },
}  # fmt: skip
# Arguments that change nothing in a running network, whatever their value.
_IGNORED = {
    "autocast", "batch_input_shape", "build_config", "data_format", "dtype", "dynamic", "fused", "input_dtype",
    "momentum", "name", "noise_shape", "rank", "renorm_clipping", "renorm_momentum", "seed", "synchronized",
    "trainable", "virtual_batch_size",
}  # fmt: skip
_IGNORED_ENDINGS = ("_initializer", "_regularizer", "_constraint")
_HALF = {"float16", "bfloat16"}  # with a mixed policy the weights are float32
# Arithmetic between layers: what Keras 2.4 and later records of Python's operators and of `tf.math`.
OPERATIONS = {
    "__operators__.add": "add", "math.add": "add", "math.subtract": "subtract", "math.multiply": "multiply",
    "math.truediv": "divide", "math.divide": "divide", "nn.relu": "relu", "nn.relu6": "relu6", "cast": "cast",
}  # fmt: skip


def layer_arguments(class_name: object, config: dict[str, Any], where: Path) -> tuple[str, dict[str, Any]]:
    """The class of Keras 3 that stands for a layer, or `IDENTITY`, and its checked arguments.

    Raises:
        ConversionError: the class or an argument is not in the tables, or a value is not plain or is too large.
    """
    if not isinstance(class_name, str):
        raise foreign(where, class_name, None)
    kind = _OLD_NAMES.get(class_name, class_name)
    check_type(config.get("dtype"), where)
    if kind in _TRAINING_ONLY:
        return IDENTITY, {}
    if kind not in _ARGUMENTS:
        raise foreign(where, class_name, None)
    if config.get("data_format") not in (None, "channels_last"):
        got = str(config["data_format"])[:40]
        raise ConversionError("unsupported data format", where=where, expected="channels_last", got=got)
    arguments: dict[str, Any] = {}
    for key, value in config.items():
        if key in _ARGUMENTS[kind]:
            if value is not None:
                arguments[_RENAMED.get(key, key)] = checked_value(key, value, where)
        elif key not in _IGNORED and not key.endswith(_IGNORED_ENDINGS) and not _has_no_effect(key, value):
            raise ConversionError(
                f"unknown argument {key[:80]!r} of layer {class_name}", where=where,
                expected=", ".join(_ARGUMENTS[kind]) or "no argument", got=repr(value)[:80],
            )  # fmt: skip
    axis = arguments.get("axis")
    if kind == "BatchNormalization" and isinstance(axis, list) and len(axis) == 1:
        arguments["axis"] = axis[0]
    return kind, arguments


def check_type(dtype: Any, where: Path) -> None:
    """Check the type of a layer: a name, or a policy. Raises: ConversionError for half precision."""
    if isinstance(dtype, dict):
        inner = dtype.get("config")
        dtype = inner.get("name") if isinstance(inner, dict) else None
    if dtype in _HALF:
        raise ConversionError(
            "the model is in half precision", where=where, expected="float32", got=dtype,
            fix="Save it with the dtype policy float32; the weight precision of the IR is a conversion option",
        )  # fmt: skip
    if not isinstance(dtype, str | None):
        raise foreign(where, f"dtype {str(dtype)[:80]!r}", None)


def checked_value(key: str, value: Any, where: Path) -> Any:
    """A number, a known word, or a list of them. Raises: ConversionError."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        if value not in _WORDS.get(key, ()):
            raise foreign(where, f"{key} {value[:80]!r}", None)
        return value
    if isinstance(value, int | float):
        limit = MAX_CHANNELS if key in ("filters", "units") else MAX_NUMBER
        if not abs(value) <= limit:  # true for NaN too
            raise ConversionError(f"{key} of the model's configuration is too large", where=where, got=value)
        return value
    if isinstance(value, list) and len(value) <= _MAX_ITEMS:
        return [checked_value(key, item, where) for item in value]
    raise foreign(where, f"{key} {str(value)[:80]!r}", None)


def _has_no_effect(key: str, value: Any) -> bool:
    """Whether an argument that is not in the tables has its default value: `groups` of DepthwiseConv2D is 1."""
    return value is None or value is False or (key in ("groups", "dilation_rate") and value in (1, [1, 1]))
