"""Interpret `model_optimizer_args` and `conversion_to_onnx_args` as one frozen conversion plan.

The arguments are those of the Open Model Zoo's `mo` and `pytorch_to_onnx.py`. They are interpreted, never run:
no module is imported and no program is started because a description names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from msgspec import Struct

from ov_mobilenet.errors import ConfigError, UsageError
from ov_mobilenet.zoo.argument_list import ArgumentList
from ov_mobilenet.zoo.layer_settings import LayerSettings
from ov_mobilenet.zoo.library_network import LibraryNetwork, is_library_name, parse_library_name
from ov_mobilenet.zoo.model import InputInfo, ModelConfig
from ov_mobilenet.zoo.normalisation import Normalisation

Root = Literal["dl_dir", "conv_dir", "config_dir"]
_ROOTS: dict[str, Root] = {"dl_dir": "dl_dir", "conv_dir": "conv_dir", "config_dir": "config_dir"}


class SourceNetwork(Struct, frozen=True, kw_only=True):
    """The location of the source network.

    Attributes:
        root: `dl_dir` (the download folder), `conv_dir` (the output of one of the Open Model Zoo's conversion
            scripts) or `config_dir` (the folder of the description).
        path: relative to `root`, with `/`.
        folder: whether it is a SavedModel folder rather than a file.
    """

    root: Root
    path: str
    folder: bool = False


class ConversionPlan(Struct, frozen=True, kw_only=True):
    """The arguments of one description, interpreted for the converter.

    Attributes:
        source: the network file; for PyTorch the weights.
        input: name, shape and layout; empty fields are taken from the network.
        target_layout: the layout of the converted input; None to keep the layout of the source network.
        output: name of the output tensor; None for the network's only output.
        normalisation: the normalisation to bake into the graph.
        model_name: architecture of a PyTorch state dict.
        weights_key: the entry of a PyTorch checkpoint that holds the weights; None to search for it.
        head: the activation between the linear layers of a replaced classifier; None for any other classifier.
        settings: of the layers of a PyTorch network.
        library_network: the network, if `model_name` is that of a library, such as `timm/mobilenetv2_100`.
        compress_to_fp16: whether weights are stored as FP16; None if the arguments do not say so.
    """

    source: SourceNetwork
    input: InputInfo
    target_layout: str | None = None
    output: str | None = None
    normalisation: Normalisation = Normalisation()
    model_name: str | None = None
    weights_key: str | None = None
    head: str | None = None
    settings: LayerSettings = LayerSettings()
    library_network: LibraryNetwork | None = None
    compress_to_fp16: bool | None = None


_MO_VALUES = {
    "mean_values", "scale_values", "scale", "output", "input", "input_shape", "layout",
    "input_model", "saved_model_dir", "data_type",
}  # fmt: skip
_MO_FLAGS = {"reverse_input_channels", "compress_to_fp16"}
_ONNX_VALUES = {
    "model-name", "weights", "import-module", "input-shape", "output-file", "input-names", "output-names",
}  # fmt: skip


def plan_conversion(config: ModelConfig) -> ConversionPlan:
    """Interpret the arguments of a description.

    Raises:
        ConfigError: an argument is unknown or invalid, or a required one is missing. The message gives the argument
            and its line.
    """
    mo = ArgumentList(config.model_optimizer_args, config.path, values=_MO_VALUES, flags=_MO_FLAGS)
    onnx = ArgumentList(config.conversion_to_onnx_args, config.path, values=_ONNX_VALUES)
    info = _input(config, mo, onnx)
    layout, target = _layouts(mo, info.shape)
    if layout:
        info = InputInfo(info.name, info.shape, layout)
    return ConversionPlan(
        source=_source(config, onnx if config.framework == "pytorch" else mo),
        input=info,
        target_layout=target or None,
        output=mo.get("output") or onnx.get("output-names"),
        normalisation=_normalisation(mo, info.name),
        model_name=onnx.get("model-name"),
        weights_key=config.details.weights_key,
        head=config.details.head,
        settings=config.details.settings,
        library_network=_library_network(config, onnx),
        compress_to_fp16=_compress(mo),
    )


def _library_network(config: ModelConfig, arguments: ArgumentList) -> LibraryNetwork | None:
    name, details = arguments.get("model-name"), config.details
    if name is None or not is_library_name(name):
        return None
    try:
        library, architecture = parse_library_name(name)
    except UsageError as error:
        raise arguments.error("model-name", "unknown library:", error.expected) from error
    if details.classes is None:
        raise ConfigError(
            "a network of a library needs its number of classes", where=config.path, expected="ov_mobilenet.classes"
        )
    return LibraryNetwork(
        library=library, architecture=architecture, classes=details.classes, arguments=details.architecture_arguments
    )


def _compress(arguments: ArgumentList) -> bool | None:
    data_type = arguments.get("data_type")
    if data_type is None:
        return arguments.flag("compress_to_fp16")
    if data_type not in ("FP16", "FP32", "half", "float"):
        raise arguments.error("data_type", "invalid value", "FP16 or FP32")
    return data_type in ("FP16", "half")


_VARIABLE = re.compile(r"\$(?:(dl_dir|conv_dir|config_dir)\b|\{(dl_dir|conv_dir|config_dir)\})/(.+)")


def _source(config: ModelConfig, arguments: ArgumentList) -> SourceNetwork:
    names = ["weights"] if config.framework == "pytorch" else ["input_model", "saved_model_dir"]
    given = [name for name in names if name in arguments]
    if len(given) != 1:
        raise ConfigError(
            "the arguments must name the source network once",
            where=config.path,
            expected=f"exactly one of {' and '.join('--' + name for name in names)}",
            got=f"{len(given)} of them",
        )
    match = _VARIABLE.fullmatch(arguments.get(given[0]) or "")
    path = match[3] if match else ""
    if match is None or path.startswith("/") or ".." in path.split("/") or re.search(r"[\\:$\x00-\x1f]", path):
        raise arguments.error(given[0], "invalid path", "$dl_dir/PATH, $conv_dir/PATH or $config_dir/PATH")
    root = _ROOTS[match[1] or match[2]]
    return SourceNetwork(root=root, path=path.rstrip("/"), folder=given[0] == "saved_model_dir")


def _input(config: ModelConfig, mo: ArgumentList, onnx: ArgumentList) -> InputInfo:
    if len(config.input_info) > 1:
        names = ", ".join(info.name for info in config.input_info)
        raise ConfigError("only networks with one input can be converted", where=config.path, got=names)
    info = config.input_info[0] if config.input_info else InputInfo("")
    match = re.fullmatch(r"([^\[\],]*?)(?:\[([^\]]*)\])?", mo.get("input") or "")
    if match is None:
        raise mo.error("input", "invalid value", "one input: NAME or NAME[SHAPE]")
    name = match[1] or info.name or onnx.get("input-names") or ""
    shape = info.shape
    for arguments, argument, text in (
        (mo, "input", match[2]),
        (mo, "input_shape", mo.get("input_shape")),
        (onnx, "input-shape", onnx.get("input-shape")),
    ):
        if text is not None:
            shape = _shape(arguments, argument, text)
            if info.layout and len(shape) != len(info.layout):
                expected = f"{len(info.layout)} dimensions, {info.layout}"
                raise arguments.error(argument, "the shape does not match the layout of input_info:", expected)
            break
    return InputInfo(name.removesuffix(":0"), shape, info.layout.upper())


def _shape(arguments: ArgumentList, name: str, text: str) -> tuple[int, ...]:
    parts = re.split(r"[\s,]+", text.strip("[]() "))
    if not all(re.fullmatch(r"[1-9]\d{0,6}|-1|\?", part) for part in parts):
        raise arguments.error(name, "invalid shape", "positive numbers (-1 or ? for a dynamic dimension)")
    return tuple(-1 if part == "?" else int(part) for part in parts)


def _normalisation(arguments: ArgumentList, input_name: str) -> Normalisation:
    if "scale" in arguments and "scale_values" in arguments:
        raise arguments.error("scale", "scale given twice:", "--scale or --scale_values")
    scale_name = "scale" if "scale" in arguments else "scale_values"
    mean = _values(arguments, "mean_values", input_name)
    scale = _scalar(arguments, "scale") or _values(arguments, "scale_values", input_name)
    # One part at a time, so that the error names the argument it comes from.
    with _refused_value(arguments, "mean_values"):
        Normalisation(mean=mean)
    with _refused_value(arguments, scale_name):
        Normalisation(scale=scale)
    reverse = arguments.flag("reverse_input_channels") or False
    return Normalisation(mean=mean, scale=scale, reverse_input_channels=reverse)


@contextmanager
def _refused_value(arguments: ArgumentList, name: str) -> Iterator[None]:
    """Turn the error of a value that `Normalisation` refuses into one that names the argument."""
    try:
        yield
    except UsageError as error:
        raise arguments.error(name, "invalid value", error.expected) from error


def _values(arguments: ArgumentList, name: str, input_name: str) -> tuple[float, ...]:
    """The numbers for one input out of `[1,2,3]`, `input[1,2,3]` or `input(1,2,3)`; empty if not given."""
    text = arguments.get(name)
    if text is None:
        return ()
    found = _per_input(text)
    if found is None:
        raise arguments.error(name, "invalid value", "[a,b,c] or INPUT[a,b,c]")
    if input_name in found:
        return _numbers(arguments, name, found[input_name])
    if "" in found:
        return _numbers(arguments, name, found[""])
    if input_name or len(found) != 1:
        raise arguments.error(name, "no value for the input:", f"values for {input_name!r}")
    return _numbers(arguments, name, next(iter(found.values())))


def _per_input(text: str) -> dict[str, str] | None:
    """The lists of numbers in `input[1,2],other(3,4)`, by input; None if the text is not of this form.

    Each character is read once: a regular expression took seconds for thousands of spaces.
    """
    found: dict[str, str] = {}
    *lists, rest = re.split(r"[\])]", text)
    for index, part in enumerate(lists):
        name, opening, numbers = part.replace("(", "[").partition("[")
        name = name.strip()
        if index and name.startswith(","):
            name = name[1:].strip()
        if not opening or re.search(r"[,\s]", name):
            return None
        found[name.removesuffix(":0")] = numbers
    return found if (rest.strip() in ("", ",") and found) or not text else None


def _scalar(arguments: ArgumentList, name: str) -> tuple[float, ...]:
    text = arguments.get(name)
    if text is None:
        return ()
    numbers = _numbers(arguments, name, text)
    if len(numbers) != 1:
        raise arguments.error(name, "invalid value", "one number")
    return numbers


def _numbers(arguments: ArgumentList, name: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise arguments.error(name, "invalid value", "numbers") from None


_LAYOUT = re.compile(r"(?P<input>[^()]+\()?(?P<layout>[A-Z]{4})(?:->(?P<target>[A-Z]{4}))?(?(input)\))", re.IGNORECASE)


def _layouts(arguments: ArgumentList, shape: tuple[int, ...]) -> tuple[str, str]:
    """The layouts of the source network and of the converted input, from `nhwc` or `input(nhwc->nchw)`."""
    text = arguments.get("layout")
    if text is None:
        return "", ""
    match = _LAYOUT.fullmatch(text)
    layouts = (match["layout"].upper(), (match["target"] or "").upper()) if match else ("", "")
    if match is None or any(layout and set(layout) != set("NCHW") for layout in layouts):
        raise arguments.error("layout", "invalid value", "nhwc, INPUT(nhwc) or INPUT(nhwc->nchw)")
    if shape and len(shape) != len(layouts[0]):
        raise arguments.error("layout", "the layout does not match the shape:", f"{len(shape)} letters")
    return layouts
