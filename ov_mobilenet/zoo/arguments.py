"""What `model_optimizer_args` and `conversion_to_onnx_args` ask for, as one frozen plan.

The arguments are those of the Open Model Zoo's `mo` and `pytorch_to_onnx.py`. They are interpreted, never run:
nothing is imported and no program is started because a description says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal

from msgspec import Struct

from ov_mobilenet.errors import ConfigError
from ov_mobilenet.zoo.model import InputInfo, ModelConfig
from ov_mobilenet.zoo.normalisation import LEAST_SCALE, LIMIT, Normalisation


class SourceNetwork(Struct, frozen=True, kw_only=True):
    """Where the network lies.

    Attributes:
        root: `dl_dir` (fetched), `conv_dir` (made by a conversion step of the Open Model Zoo's own) or
            `config_dir` (the folder of the description).
        path: relative to it, with `/`.
        folder: a SavedModel folder rather than a file.
    """

    root: Literal["dl_dir", "conv_dir", "config_dir"]
    path: str
    folder: bool = False


class ConversionPlan(Struct, frozen=True, kw_only=True):
    """Everything the converter needs to know.

    Attributes:
        source: the network; for PyTorch the weights.
        input: name, shape and layout; any of them may be empty, then the network decides.
        target_layout: the layout of the converted input, if it is to differ.
        output: the tensor to end at; None for the network's only output.
        model_name: architecture of a PyTorch state dict.
        weights_key: the entry of a PyTorch checkpoint that holds the weights; None to find out.
        compress_to_fp16: as asked for by the arguments; None if they do not say.
    """

    source: SourceNetwork
    input: InputInfo
    target_layout: str | None = None
    output: str | None = None
    normalisation: Normalisation = Normalisation()
    model_name: str | None = None
    weights_key: str | None = None
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
        ConfigError: an argument is unknown, has a bad value, or a necessary one is missing; names it.
    """
    arguments = dict(_split(config, config.model_optimizer_args, _MO_VALUES, _MO_FLAGS))
    onnx = dict(_split(config, config.conversion_to_onnx_args, _ONNX_VALUES, set()))
    info = _input(config, arguments, onnx)
    layout, target = _layouts(config, arguments, info.shape)
    if layout:
        info = InputInfo(info.name, info.shape, layout)
    return ConversionPlan(
        source=_source(config, onnx if config.framework == "pytorch" else arguments),
        input=info,
        target_layout=target or None,
        output=arguments.get("output") or onnx.get("output-names"),
        normalisation=Normalisation(
            mean=_values(config, "mean_values", arguments, info.name),
            scale=_scale(config, arguments, info.name),
            reverse_input_channels=_flag(config, arguments, "reverse_input_channels") or False,
        ),
        model_name=onnx.get("model-name"),
        weights_key=config.details.weights_key,
        compress_to_fp16=_compress(config, arguments),
    )


def _split(
    config: ModelConfig, arguments: tuple[str, ...], values: set[str], flags: set[str]
) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for argument in arguments:
        match = re.fullmatch(r"--([A-Za-z][A-Za-z0-9_-]*)(?:=(.*))?", argument.strip(), re.DOTALL)
        name = match[1] if match else ""
        if match is None or name not in values | flags:
            raise _bad(config, argument, "unknown argument", "one of --" + ", --".join(sorted(values | flags)))
        if name in values and not match[2]:
            raise _bad(config, argument, "argument without a value", f"--{name}=VALUE")
        if name in seen:
            raise _bad(config, argument, "argument given twice", "each at most once")
        seen.add(name)
        yield name, (match[2] or "").strip()


def _bad(config: ModelConfig, argument: str, what: str, expected: str) -> ConfigError:
    return ConfigError(f"{what} {argument!r}", where=config.path, expected=expected)


def _flag(config: ModelConfig, arguments: Mapping[str, str], name: str) -> bool | None:
    value = arguments.get(name)
    if value is None:
        return None
    if value.lower() not in ("", "true", "false"):
        raise _bad(config, f"--{name}={value}", "bad value", "True or False")
    return value.lower() != "false"


def _compress(config: ModelConfig, arguments: Mapping[str, str]) -> bool | None:
    data_type = arguments.get("data_type")
    if data_type is None:
        return _flag(config, arguments, "compress_to_fp16")
    if data_type not in ("FP16", "FP32", "half", "float"):
        raise _bad(config, f"--data_type={data_type}", "bad value", "FP16 or FP32")
    return data_type in ("FP16", "half")


ROOTS: tuple[Literal["dl_dir", "conv_dir", "config_dir"], ...] = ("dl_dir", "conv_dir", "config_dir")
_VARIABLE = re.compile(r"\$(?:(dl_dir|conv_dir|config_dir)\b|\{(dl_dir|conv_dir|config_dir)\})/(.+)")


def _source(config: ModelConfig, arguments: Mapping[str, str]) -> SourceNetwork:
    names = ["weights"] if config.framework == "pytorch" else ["input_model", "saved_model_dir"]
    given = [name for name in names if name in arguments]
    if len(given) != 1:
        raise ConfigError(
            "which file is the network?",
            where=config.path,
            expected=f"exactly one of {' and '.join('--' + name for name in names)}",
            got=f"{len(given)} of them",
        )
    value = arguments[given[0]]
    match = _VARIABLE.fullmatch(value)
    path = match[3] if match else ""
    if match is None or path.startswith("/") or ".." in path.split("/") or re.search(r"[\\:$\x00-\x1f]", path):
        raise _bad(config, f"--{given[0]}={value}", "bad path", "$dl_dir/PATH, $conv_dir/PATH or $config_dir/PATH")
    roots: dict[str, Literal["dl_dir", "conv_dir", "config_dir"]] = {name: name for name in ROOTS}
    return SourceNetwork(root=roots[match[1] or match[2]], path=path.rstrip("/"), folder=given[0] == "saved_model_dir")


def _input(config: ModelConfig, mo: Mapping[str, str], onnx: Mapping[str, str]) -> InputInfo:
    if len(config.input_info) > 1:
        names = ", ".join(info.name for info in config.input_info)
        raise ConfigError("this toolkit converts networks with one input", where=config.path, got=names)
    info = config.input_info[0] if config.input_info else InputInfo("")
    match = re.fullmatch(r"([^\[\],]*?)(?:\[([^\]]*)\])?", mo.get("input", ""))
    if match is None:
        raise _bad(config, f"--input={mo['input']}", "bad value", "one input: NAME or NAME[SHAPE]")
    name = match[1] or info.name or onnx.get("input-names", "")
    shape = info.shape
    for argument, text in (
        ("--input", match[2]),
        ("--input_shape", mo.get("input_shape")),
        ("--input-shape", onnx.get("input-shape")),
    ):
        if text is not None:
            shape = _shape(config, f"{argument}={text}", text)
            break
    if info.layout and shape and len(shape) != len(info.layout):
        raise ConfigError("layout does not match the shape", where=config.path, expected=info.layout, got=list(shape))
    return InputInfo(name.removesuffix(":0"), shape, info.layout.upper())


def _shape(config: ModelConfig, argument: str, text: str) -> tuple[int, ...]:
    parts = re.split(r"[\s,]+", text.strip("[]() "))
    if not all(re.fullmatch(r"[1-9]\d{0,6}|-1|\?", part) for part in parts):
        raise _bad(config, argument, "bad shape", "positive numbers (-1 or ? for a dynamic one)")
    return tuple(-1 if part == "?" else int(part) for part in parts)


_PER_INPUT = re.compile(r"\s*([^\[\](),\s]*)\s*[\[(]([^\])]*)[\])]\s*,?")


def _values(config: ModelConfig, name: str, arguments: Mapping[str, str], input_name: str) -> tuple[float, ...]:
    """Numbers out of `[1,2,3]`, `input[1,2,3]` or `input(1,2,3)`; those of the wanted input."""
    text = arguments.get(name)
    if text is None:
        return ()
    argument = f"--{name}={text}"
    found: dict[str, str] = {}
    rest = text
    while rest:
        match = _PER_INPUT.match(rest)
        if match is None:
            raise _bad(config, argument, "bad value", "[a,b,c] or INPUT[a,b,c]")
        found[match[1].removesuffix(":0")] = match[2]
        rest = rest[match.end() :]
    wanted = input_name if input_name in found else "" if "" in found else None
    if wanted is None and not (not input_name and len(found) == 1):
        raise _bad(config, argument, "no value for the input", f"values for {input_name!r}")
    numbers = _numbers(config, argument, found[wanted] if wanted is not None else next(iter(found.values())))
    if len(numbers) not in (1, 3):
        raise _bad(config, argument, "bad value", "one number or three")
    return numbers


def _numbers(config: ModelConfig, argument: str, text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise _bad(config, argument, "bad value", "numbers") from None
    if any(abs(number) >= LIMIT or number != number for number in numbers):
        raise _bad(config, argument, "bad value", "finite numbers below a million")
    return numbers


def _scale(config: ModelConfig, arguments: Mapping[str, str], input_name: str) -> tuple[float, ...]:
    if "scale" in arguments and "scale_values" in arguments:
        raise _bad(config, f"--scale={arguments['scale']}", "two scales", "--scale or --scale_values")
    scale = _values(config, "scale_values", arguments, input_name)
    if "scale" in arguments:
        scale = _numbers(config, f"--scale={arguments['scale']}", arguments["scale"])
        if len(scale) != 1:
            raise _bad(config, f"--scale={arguments['scale']}", "bad value", "one number")
    if any(abs(value) < LEAST_SCALE for value in scale):
        raise _bad(
            config, f"--scale_values={list(scale)}", "bad value", f"a scale other than 0, of at least {LEAST_SCALE:g}"
        )
    return scale


_LAYOUT = re.compile(r"(?P<input>[^()]+\()?(?P<layout>[A-Z]{4})(?:->(?P<target>[A-Z]{4}))?(?(input)\))", re.IGNORECASE)


def _layouts(config: ModelConfig, arguments: Mapping[str, str], shape: tuple[int, ...]) -> tuple[str, str]:
    """The layout of the source network and of the converted input out of `nhwc` or `input(nhwc->nchw)`."""
    text = arguments.get("layout")
    if text is None:
        return "", ""
    match = _LAYOUT.fullmatch(text)
    layouts = (match["layout"].upper(), (match["target"] or "").upper()) if match else ("", "")
    if match is None or any(layout and set(layout) != set("NCHW") for layout in layouts):
        raise _bad(config, f"--layout={text}", "bad value", "nhwc, INPUT(nhwc) or INPUT(nhwc->nchw)")
    if shape and len(shape) != len(layouts[0]):
        raise _bad(config, f"--layout={text}", "layout does not match the shape", f"{len(shape)} letters")
    return layouts
