"""The `config.json` of timm: one object, or, before 2023, a flat one; also that of transformers' TimmWrapper.

Its evaluation transform resizes the shorter side to floor(size / crop_pct) with Pillow and crops the centre
(`crop_mode` center), or resizes the whole image (squash). Values are those for training size, or with the test
protocol `test_input_size` and `test_crop_pct`, with which timm's published figures were measured.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from ov_mobilenet.conversion.declared_input import DeclaredInput
from ov_mobilenet.errors import UsageError
from ov_mobilenet.hub.class_names import background_of, described_names, labels_of, numbered_names
from ov_mobilenet.hub.declaration import (
    CHOOSE_GEOMETRY,
    CHOOSE_NORMALISATION,
    EXPORT,
    NOTHING_SETTLED,
    RepositoryDeclaration,
    SettledByUser,
    pixel_normalisation,
)
from ov_mobilenet.hub.documents import JsonDocument
from ov_mobilenet.zoo.geometry import MAX_SIDE, Crop, Geometry, Resize
from ov_mobilenet.zoo.hub_origin import clean_licence
from ov_mobilenet.zoo.hub_reference import SizeProtocol
from ov_mobilenet.zoo.labels import MAX_LABELS
from ov_mobilenet.zoo.library_network import Argument, LibraryNetwork
from ov_mobilenet.zoo.normalisation import Normalisation
from ov_mobilenet.zoo.output_kind import OutputContent

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # timm's defaults
_DEFAULT_SIZE, _DEFAULT_CROP = (3, 224, 224), 0.875
_INTERPOLATIONS: dict[str, Literal["bicubic", "bilinear"]] = {"bicubic": "bicubic", "bilinear": "bilinear"}
# Arguments of timm's constructors that do not change what a network answers, or that are checked by themselves.
_HARMLESS = {
    "num_classes", "in_chans", "pretrained", "drop_rate", "drop_path_rate", "checkpoint_path", "cache_dir",
    "scriptable", "exportable", "no_jit", "device", "dtype", "pretrained_cfg", "pretrained_cfg_overlay",
}  # fmt: skip

_Side = Annotated[int, Meta(ge=1, le=MAX_SIDE)]
_Size = tuple[Annotated[int, Meta(ge=1, le=64)], _Side, _Side]
_Share = Annotated[float, Meta(gt=0.0, le=1.0)]
_Value = Annotated[float, Meta(ge=-1000.0, le=1000.0)]
_Values = Annotated[tuple[_Value, ...], Meta(min_length=1, max_length=3)]
_Classes = Annotated[int, Meta(ge=0, le=MAX_LABELS)]


class _Pretrained(Struct, frozen=True):
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
    num_classes: _Classes | None = None
    label_offset: int | None = None
    label_names: Any = None
    label_descriptions: dict[str, Any] | None = None
    custom_load: bool | str | None = None
    license: str | None = None


class _TimmConfig(Struct, frozen=True):
    architecture: str
    num_classes: _Classes | None = None
    global_pool: str | None = None
    label_names: Any = None
    labels: Any = None
    label_descriptions: dict[str, Any] | None = None
    id2label: Any = None
    model_args: dict[str, Any] | None = None
    features_only: bool | None = None
    model_type: str | None = None
    problem_type: str | None = None
    architectures: list[str] | None = None
    quantization_config: Any = None


def is_timm_config(document: JsonDocument) -> bool:
    """Whether it is timm's, by its keys."""
    data = document.data
    return "architecture" in data and bool({"pretrained_cfg", "num_classes", "input_size"} & data.keys())


def read_timm_config(
    document: JsonDocument, size: SizeProtocol = "train", settled: SettledByUser = NOTHING_SETTLED
) -> RepositoryDeclaration:
    """What the configuration says.

    Raises:
        ConfigError: a value has the wrong type or is out of range.
        ConversionError: the network, or its preprocessing, is not supported; the message names the key.
    """
    config = document.convert(_TimmConfig)
    pretrained, _ = _pretrained(document)
    classes = _classes(document, config, pretrained)
    network = LibraryNetwork(
        library="timm", architecture=_architecture(document, config), classes=classes,
        arguments=_arguments(document, config),
    )  # fmt: skip
    if pretrained.label_offset:
        raise document.unsupported(
            "the classifier has more classes than the network", "label_offset", expected=0, got=pretrained.label_offset
        )
    if pretrained.custom_load:
        raise document.unsupported("the weights are not a state dict of timm", "custom_load", expected="false")
    kind = _output_kind(document, config, settled)
    return RepositoryDeclaration(
        network, kind, declared_timm_input(document, classes, size, settled), stated_licence(document)
    )


def stated_licence(document: JsonDocument) -> str | None:
    """The licence that the configuration states, as one line; None if it states none."""
    return clean_licence(_pretrained(document)[0].license)


def declared_timm_input(
    document: JsonDocument, classes: int, size: SizeProtocol = "train", settled: SettledByUser = NOTHING_SETTLED
) -> DeclaredInput:
    """Input and labels, also of a network whose graph has `classes` classes.

    Raises:
        ConfigError, ConversionError: see `read_timm_config`.
    """
    config = document.convert(_TimmConfig)
    pretrained, prefix = _pretrained(document)

    def key(name: str) -> str:
        return prefix + name

    input_size = _input_size(document, pretrained, size, key)
    geometry = None if settled.geometry else _geometry(document, pretrained, size, input_size, key)
    normalisation = None if settled.normalisation else _normalisation(document, pretrained, key)
    labels = _labels(document, config, pretrained, classes)
    return DeclaredInput(document.name, normalisation, geometry, input_size, labels, background_of(labels))


def _pretrained(document: JsonDocument) -> tuple[_Pretrained, str]:
    """The block of a configuration, or the flat one, and what comes before its keys in messages."""
    is_flat = document.data.get("pretrained_cfg") is None
    return document.convert(_Pretrained, None if is_flat else "pretrained_cfg"), "" if is_flat else "pretrained_cfg."


def _architecture(document: JsonDocument, config: _TimmConfig) -> str:
    name = config.architecture.partition(".")[0]  # transformers' TimmWrapper may add the tag of the weights
    if not re.fullmatch("[A-Za-z0-9_]{1,100}", name):
        raise document.invalid("not the name of an architecture", "architecture", got=repr(config.architecture))
    return name


def _classes(document: JsonDocument, config: _TimmConfig, pretrained: _Pretrained) -> int:
    given = {
        "num_classes": config.num_classes,
        "pretrained_cfg.num_classes": pretrained.num_classes if config.num_classes is None else None,
        "model_args.num_classes": (config.model_args or {}).get("num_classes"),
    }
    found = {key: value for key, value in given.items() if value is not None}
    if not found:
        raise document.invalid("missing key", "num_classes")
    key, classes = list(found.items())[-1]
    if isinstance(classes, bool) or not isinstance(classes, int) or len(set(found.values())) > 1:
        raise document.invalid("the number of classes is not clear", key, got=list(found.values()))
    if classes > MAX_LABELS:
        raise document.invalid("too many classes", key, f"at most {MAX_LABELS}", classes)
    if classes < 2:
        raise document.unsupported(
            "the network has no classifier" if classes == 0 else "a network with one output is not supported", key,
            expected="at least 2 classes", got=classes, fix=EXPORT,
        )  # fmt: skip
    return classes


def _arguments(document: JsonDocument, config: _TimmConfig) -> dict[str, Argument]:
    """The arguments that may change the network, for the architecture to know or to refuse."""
    if config.features_only or (config.architectures or [""])[0] == "TimmWrapperModel":
        key = "features_only" if config.features_only else "architectures"
        raise document.unsupported("the network has no classifier", key, fix=EXPORT)
    if config.quantization_config is not None:
        raise document.unsupported("quantised weights are not supported", "quantization_config")
    found: dict[str, Argument] = {}
    given = dict(config.model_args or {})
    if config.global_pool is not None:
        given.setdefault("global_pool", config.global_pool)
    channels = given.get("in_chans", 3)
    if channels is not None and channels != 3:
        what = "the network does not take colour images"
        raise document.unsupported(what, "model_args.in_chans", expected=3, got=channels)
    for name, value in given.items():
        if value is None or name in _HARMLESS or (name == "global_pool" and value == "avg"):
            continue
        if name in ("features_only", "out_indices"):
            raise document.unsupported("the network has no classifier", f"model_args.{name}", fix=EXPORT)
        is_name = re.fullmatch("[A-Za-z0-9_]{1,60}", name)
        if not is_name or not isinstance(value, bool | int | float | str) or len(str(value)) > 100:
            raise document.unsupported("unknown argument of the network", f"model_args.{name}", got=value)
        found[name] = value
    return found


def _input_size(
    document: JsonDocument, pretrained: _Pretrained, size: SizeProtocol, key: Callable[[str], str]
) -> tuple[int, int]:
    name, found = "input_size", pretrained.input_size or _DEFAULT_SIZE
    if size == "test" and pretrained.test_input_size is not None and not pretrained.fixed_input_size:
        name, found = "test_input_size", pretrained.test_input_size
    if found[0] != 3:
        raise document.unsupported("the network does not take colour images", key(name), expected=3, got=found[0])
    return found[1], found[2]


def _geometry(
    document: JsonDocument,
    pretrained: _Pretrained,
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


def _normalisation(document: JsonDocument, pretrained: _Pretrained, key: Callable[[str], str]) -> Normalisation:
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


def _labels(
    document: JsonDocument, config: _TimmConfig, pretrained: _Pretrained, classes: int
) -> tuple[str, ...] | str | None:
    for key, value in (
        ("label_names", config.label_names),
        ("labels", config.labels),
        ("pretrained_cfg.label_names", pretrained.label_names),
        ("id2label", config.id2label),
    ):
        if value is not None and (names := numbered_names(value, classes, document, key)) is not None:
            shipped = labels_of(names, document, key)
            if isinstance(shipped, str):
                return shipped
            described = described_names(names, config.label_descriptions or pretrained.label_descriptions or {})
            return labels_of(described, document, key)
    return None


def _output_kind(document: JsonDocument, config: _TimmConfig, settled: SettledByUser) -> OutputContent:
    """Logits of exclusive classes, unless the user or TimmWrapper says that the classes are independent."""
    problem = config.problem_type
    if settled.output_kind is not None:
        return settled.output_kind
    if problem == "multi_label_classification":
        if config.model_type == "timm_wrapper":
            return "multilabel-logits"
        raise document.unsupported(
            "a network with several right classes for an image", "problem_type", got=problem,
            fix="If that is so, use convert --source with --output-kind multilabel-logits",
        )  # fmt: skip
    if problem not in (None, "single_label_classification"):
        raise document.unsupported(
            "not a network for classification", "problem_type", expected="single_label_classification", got=problem
        )
    return "logits"
