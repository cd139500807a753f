"""Find the MobileNet of `keras.applications` that weights belong to, by layer names and tensor shapes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ov_mobilenet.conversion.keras_files.hdf5 import WHOLE_MODEL, Variable
from ov_mobilenet.errors import ConversionError

KerasNetworkName = Literal["MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large"]
MAX_CLASSES = 1 << 20

# Output channels of each block at width 1.0, from the papers.
_V1 = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
_V2 = (16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320)
_V3_SMALL = (16, 24, 24, 40, 40, 40, 48, 48, 96, 96, 96)
_V3_LARGE = (16, 24, 24, 40, 40, 40, 80, 80, 80, 80, 112, 112, 160, 160, 160)
# The published widths first: widths that give the same channels give the same network.
_WIDTHS = (1.0, 0.75, 0.5, 0.25, 0.35, 1.3, 1.4, *(step / 20 for step in range(1, 41)))


@dataclass(frozen=True)
class KerasArchitecture:
    """A network of `keras.applications`.

    Attributes:
        name: name of the function that builds the network.
        width: width multiplier, Keras's `alpha`.
        minimalistic: whether it is the MobileNetV3 without squeeze-and-excite, hard swish and 5x5 filters.
        classes: number of classes.
    """

    name: KerasNetworkName
    width: float
    minimalistic: bool
    classes: int


def canonical(layer: str) -> str:
    """The same name for a layer in all versions of Keras: `Conv/BatchNorm` of 2020 is `conv_bn` today."""
    name = layer.lower().replace("/", "_").replace("batchnorm", "bn")
    return {"logits": "head", "predictions": "head", "conv_preds": "head"}.get(name, name)


def canonical_layers(layers: Mapping[str, tuple[Variable, ...]], where: Path) -> dict[str, tuple[Variable, ...]]:
    """The layers by canonical name. Raises: ConversionError if two layers have the same name."""
    named: dict[str, tuple[Variable, ...]] = {}
    for name, variables in layers.items():
        if canonical(name) in named:
            raise ConversionError("two layers have the same name", where=where, got=name)
        named[canonical(name)] = variables
    return named


def identify(layers: Mapping[str, tuple[Variable, ...]], where: Path) -> KerasArchitecture:
    """Find the network that weights belong to. Loading checks that every tensor matches.

    Args:
        layers: the layers by canonical name.

    Raises:
        ConversionError: the network is unknown, has no classifier, or its channels match no width.
    """
    name = _architecture(set(layers))
    if name is None:
        raise ConversionError(
            "the weights belong to no MobileNet of Keras", where=where,
            expected="those of MobileNet, MobileNetV2, MobileNetV3Small or MobileNetV3Large of keras.applications",
            got=f"layers {', '.join(list(layers)[:4])}, … ({len(layers)})" if layers else "no layers", fix=WHOLE_MODEL,
        )  # fmt: skip
    if "head" not in layers:
        raise ConversionError(
            "the weights have no classifier (include_top=False)", where=where,
            expected="a last layer with one output per class", fix=WHOLE_MODEL,
        )  # fmt: skip
    found = tuple(_channels(layers, layer, where) for layer in _block_ends(name))
    width = next((width for width in _candidates(name, found) if _expected(name, width) == found), None)
    if width is None:
        raise ConversionError(
            "the channels of the weights match no width of the network", where=where,
            expected=f"{list(_expected(name, 1.0))} at width 1.0", got=list(found), fix=WHOLE_MODEL,
        )  # fmt: skip
    count = _channels(layers, "head", where)
    if not 1 <= count <= MAX_CLASSES:
        raise ConversionError("invalid number of classes", where=where, expected=f"1 to {MAX_CLASSES}", got=count)
    minimalistic = name.startswith("MobileNetV3") and not any("squeeze_excite" in layer for layer in layers)
    return KerasArchitecture(name, width, minimalistic, count)


def _architecture(names: set[str]) -> KerasNetworkName | None:
    if {"conv1", "conv_dw_13", "conv_pw_13"} <= names:
        return "MobileNet"
    if {"conv1", "block_16_project"} <= names:
        return "MobileNetV2"
    blocks = [int(match[1]) for name in names if (match := re.fullmatch(r"expanded_conv_(\d{1,3})_project", name))]
    last = max(blocks, default=0)
    return "MobileNetV3Small" if last == 10 else "MobileNetV3Large" if last == 14 else None


def _block_ends(name: KerasNetworkName) -> Iterator[str]:
    if name == "MobileNet":
        yield from (f"conv_pw_{block}" for block in range(1, len(_V1) + 1))
        return
    yield "expanded_conv_project"
    prefix = "block" if name == "MobileNetV2" else "expanded_conv"
    yield from (f"{prefix}_{block}_project" for block in range(1, len(_base(name))))


def _base(name: KerasNetworkName) -> tuple[int, ...]:
    bases = {"MobileNet": _V1, "MobileNetV2": _V2, "MobileNetV3Small": _V3_SMALL, "MobileNetV3Large": _V3_LARGE}
    return bases[name]


def _channels(layers: Mapping[str, tuple[Variable, ...]], layer: str, where: Path) -> int:
    variables = layers.get(layer, ())
    shape = variables[0].values.shape if variables else ()
    if len(shape) not in (2, 4):
        raise ConversionError(
            f"{layer} is not a convolution or dense layer", where=where, got=f"shape {list(shape)}", fix=WHOLE_MODEL
        )
    return int(shape[-1])


def _candidates(name: KerasNetworkName, found: tuple[int, ...]) -> Iterator[float]:
    yield from _WIDTHS
    if name == "MobileNet":  # channels are truncated to integers, so any width is possible
        yield found[-1] / _V1[-1]


def _expected(name: KerasNetworkName, width: float) -> tuple[int, ...]:
    if name == "MobileNet":
        return tuple(int(channels * width) for channels in _V1)
    if name == "MobileNetV2":
        return tuple(_round_to_eight(int(channels * width)) for channels in _V2)
    return tuple(_round_to_eight(channels * width) for channels in _base(name))


def _round_to_eight(channels: float) -> int:
    """Round to the nearest multiple of eight, at least 8 and at most 10 % down."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
