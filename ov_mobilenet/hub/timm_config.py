"""The `config.json` of timm: one object, or, before 2023, a flat one; also that of transformers' TimmWrapper.

The network, its classes and their names; `timm_input` reads what it says of the input.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from ov_mobilenet.conversion.declared_input import DeclaredInput
from ov_mobilenet.hub.class_names import background_of, described_names, labels_of, numbered_names
from ov_mobilenet.hub.declaration import (
    EXPORT,
    NOTHING_SETTLED,
    RepositoryDeclaration,
    SettledByUser,
)
from ov_mobilenet.hub.documents import JsonDocument
from ov_mobilenet.hub.timm_input import Classes, TimmPretrained, read_pretrained, read_timm_input
from ov_mobilenet.zoo.hub_origin import clean_licence
from ov_mobilenet.zoo.hub_reference import SizeProtocol
from ov_mobilenet.zoo.labels import MAX_LABELS
from ov_mobilenet.zoo.library_network import Argument, LibraryNetwork
from ov_mobilenet.zoo.output_kind import OutputContent

# Arguments of timm's constructors that do not change what a network answers, or that are checked by themselves.
_HARMLESS = {
    "num_classes", "in_chans", "pretrained", "drop_rate", "drop_path_rate", "checkpoint_path", "cache_dir",
    "scriptable", "exportable", "no_jit", "device", "dtype", "pretrained_cfg", "pretrained_cfg_overlay",
}  # fmt: skip


class _TimmConfig(Struct, frozen=True):
    architecture: str
    num_classes: Classes | None = None
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
    pretrained, _ = read_pretrained(document)
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
    return clean_licence(read_pretrained(document)[0].license)


def declared_timm_input(
    document: JsonDocument, classes: int, size: SizeProtocol = "train", settled: SettledByUser = NOTHING_SETTLED
) -> DeclaredInput:
    """Input and labels, also of a network whose graph has `classes` classes.

    Raises:
        ConfigError, ConversionError: see `read_timm_config`.
    """
    config = document.convert(_TimmConfig)
    pretrained, _ = read_pretrained(document)
    normalisation, geometry, input_size = read_timm_input(document, size, settled)
    labels = _labels(document, config, pretrained, classes)
    return DeclaredInput(document.name, normalisation, geometry, input_size, labels, background_of(labels))


def _architecture(document: JsonDocument, config: _TimmConfig) -> str:
    name = config.architecture.partition(".")[0]  # transformers' TimmWrapper may add the tag of the weights
    if not re.fullmatch("[A-Za-z0-9_]{1,100}", name):
        raise document.invalid("not the name of an architecture", "architecture", got=repr(config.architecture))
    return name


def _classes(document: JsonDocument, config: _TimmConfig, pretrained: TimmPretrained) -> int:
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


def _labels(
    document: JsonDocument, config: _TimmConfig, pretrained: TimmPretrained, classes: int
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
