"""The input in a `config.json` of timm: size, crop, resize and normalisation.

The evaluation transform resizes the shorter side to floor(size / crop_pct) with Pillow and crops the centre
(`crop_mode` center), or resizes the whole image (squash). Values are those for training size, or with the test
protocol `test_input_size` and `test_crop_pct`, with which timm's published figures were measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from ov_mobilenet.errors import UsageError
from ov_mobilenet.hub.declaration import (
    CHOOSE_GEOMETRY,
    CHOOSE_NORMALISATION,
    SettledByUser,
    pixel_normalisation,
    read_unless_settled,
)
from ov_mobilenet.hub.documents import JsonDocument
from ov_mobilenet.zoo.geometry import MAX_SIDE, Crop, Geometry, Resize
from ov_mobilenet.zoo.hub_reference import SizeProtocol
from ov_mobilenet.zoo.labels import MAX_LABELS
from ov_mobilenet.zoo.normalisation import Normalisation

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # timm's defaults
_DEFAULT_SIZE, _DEFAULT_CROP = (3, 224, 224), 0.875
_INTERPOLATIONS: dict[str, Literal["bicubic", "bilinear"]] = {"bicubic": "bicubic", "bilinear": "bilinear"}

_Side = Annotated[int, Meta(ge=1, le=MAX_SIDE)]
_Size = tuple[Annotated[int, Meta(ge=1, le=64)], _Side, _Side]
_Share = Annotated[float, Meta(gt=0.0, le=1.0)]
_Value = Annotated[float, Meta(ge=-1000.0, le=1000.0)]
_Values = Annotated[tuple[_Value, ...], Meta(min_length=1, max_length=3)]
Classes = Annotated[int, Meta(ge=0, le=MAX_LABELS)]


class TimmPretrained(Struct, frozen=True):
    """`pretrained_cfg`, or a flat configuration."""

    input_size: _Size | None = None
    test_input_size: _Size | None = None
    fixed_input_size: bool | None = None
    interpolation: str | None = None
    crop_pct: _Share | None = None
    test_crop_pct: _Share | None = None
    crop_mode: str | None = None
    mean: _Values | None = None
    std: _Values | None = None
    num_classes: Classes | None = None
    label_offset: int | None = None
    label_names: Any = None
    label_descriptions: dict[str, Any] | None = None
    custom_load: bool | str | None = None
    license: str | None = None


def read_pretrained(document: JsonDocument) -> tuple[TimmPretrained, str]:
    """The block of a configuration, or the flat one, and what comes before its keys in messages."""
    is_flat = document.data.get("pretrained_cfg") is None
    return document.convert(TimmPretrained, None if is_flat else "pretrained_cfg"), "" if is_flat else "pretrained_cfg."


def read_timm_input(
    document: JsonDocument, size: SizeProtocol, settled: SettledByUser
) -> tuple[Normalisation | None, Geometry | None, tuple[int, int]]:
    """Normalisation, geometry, and height and width of the input; None for what the user settles.

    Raises:
        ConfigError: a value has the wrong type or is out of range.
        ConversionError: the preprocessing is not supported; the message names the key.
    """
    pretrained, prefix = read_pretrained(document)

    def key(name: str) -> str:
        return prefix + name

    input_size = _input_size(document, pretrained, size, key)
    geometry = read_unless_settled(lambda: _geometry(document, pretrained, size, input_size, key), settled.geometry)
    normalisation = read_unless_settled(lambda: _normalisation(document, pretrained, key), settled.normalisation)
    return normalisation, geometry, input_size


def _input_size(
    document: JsonDocument, pretrained: TimmPretrained, size: SizeProtocol, key: Callable[[str], str]
) -> tuple[int, int]:
    name, found = "input_size", pretrained.input_size or _DEFAULT_SIZE
    if size == "test" and pretrained.test_input_size is not None and not pretrained.fixed_input_size:
        name, found = "test_input_size", pretrained.test_input_size
    if found[0] != 3:
        raise document.unsupported("the network does not take colour images", key(name), expected=3, got=found[0])
    return found[1], found[2]


def _geometry(
    document: JsonDocument,
    pretrained: TimmPretrained,
    size: SizeProtocol,
    input_size: tuple[int, int],
    key: Callable[[str], str],
) -> Geometry:
    mode, interpolation = pretrained.crop_mode or "center", pretrained.interpolation or "bicubic"
    name, share = "crop_pct", pretrained.crop_pct or _DEFAULT_CROP
    if size == "test" and pretrained.test_crop_pct is not None:
        name, share = "test_crop_pct", pretrained.test_crop_pct
    if mode not in ("center", "squash"):
        expected = "center or squash"
        raise document.unsupported(
            "crop mode is not supported", key("crop_mode"), expected=expected, got=mode, fix=CHOOSE_GEOMETRY
        )
    if interpolation not in _INTERPOLATIONS:
        raise document.unsupported(
            "interpolation is not supported", key("interpolation"), expected="bicubic or bilinear", got=interpolation,
            fix=CHOOSE_GEOMETRY,
        )  # fmt: skip
    height, width = input_size
    if mode == "center" and height != width:
        raise document.unsupported(
            "timm's crop for an input that is not square is not supported", key("input_size"), expected="a square",
            got=f"{height}x{width}", fix=CHOOSE_GEOMETRY,
        )  # fmt: skip
    if max(input_size) / share > MAX_SIDE:
        least = max(input_size) / MAX_SIDE
        raise document.invalid("too small for the input size", key(name), f"at least {least:g}", share)
    resize = Resize(
        height=math.floor(height / share), width=math.floor(width / share), keep_aspect=mode == "center",
        library="pillow", interpolation=_INTERPOLATIONS[interpolation],
    )  # fmt: skip
    crop = Crop(height=height, width=width, library="pillow")
    is_whole = mode == "squash" and (resize.height, resize.width) == input_size
    return Geometry(steps=(resize,) if is_whole else (resize, crop), reader="pillow")


def _normalisation(document: JsonDocument, pretrained: TimmPretrained, key: Callable[[str], str]) -> Normalisation:
    mean, std = pretrained.mean or _IMAGENET_MEAN, pretrained.std or _IMAGENET_STD
    for name, values in (("mean", mean), ("std", std)):
        if len(values) == 2:
            raise document.invalid("wrong type or value", key(name), "three numbers", list(values))
    try:
        return pixel_normalisation(mean, std, 1 / 255)
    except UsageError as error:
        raise document.unsupported(
            error.what, key("mean" if "mean" in error.what else "std"), expected=error.expected, got=error.got,
            fix=CHOOSE_NORMALISATION,
        ) from error  # fmt: skip
