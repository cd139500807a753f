"""The `config.json` of transformers for MobileNet V1 and V2; `preprocessor_config.json` beside it has the input."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from ov_mobilenet.conversion.declared_input import DeclaredInput
from ov_mobilenet.conversion.library_networks.transformers_arguments import (
    TRANSFORMERS_ARCHITECTURES,
    TRANSFORMERS_ARGUMENTS,
)
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.hub.class_names import background_of, labels_of, numbered_names
from ov_mobilenet.hub.declaration import (
    CHOOSE_NORMALISATION,
    EXPORT,
    NOTHING_SETTLED,
    RepositoryDeclaration,
    SettledByUser,
    read_unless_settled,
)
from ov_mobilenet.hub.documents import JsonDocument
from ov_mobilenet.hub.preprocessor import FILE, read_preprocessor
from ov_mobilenet.zoo.labels import MAX_LABELS
from ov_mobilenet.zoo.library_network import Argument, LibraryNetwork
from ov_mobilenet.zoo.output_kind import OutputContent

_DEFAULT_CLASSES = 2  # transformers writes neither num_labels nor id2label for its default
_OUTPUTS: dict[str | None, OutputContent] = {
    None: "logits",
    "single_label_classification": "logits",
    "multi_label_classification": "multilabel-logits",
}


class _TransformersConfig(Struct, frozen=True):
    model_type: str
    architectures: list[str] | None = None
    num_channels: int | None = None
    num_labels: Annotated[int, Meta(ge=0, le=MAX_LABELS)] | None = None
    id2label: Any = None
    problem_type: str | None = None
    quantization_config: Any = None


def is_transformers_config(document: JsonDocument) -> bool:
    """Whether it is that of a MobileNet of transformers."""
    return document.data.get("model_type") in TRANSFORMERS_ARCHITECTURES


def read_transformers_config(
    document: JsonDocument, preprocessor: JsonDocument | None, settled: SettledByUser = NOTHING_SETTLED
) -> RepositoryDeclaration:
    """What both files say.

    Args:
        preprocessor: None if there is none.

    Raises:
        ConfigError: a value has the wrong type or is out of range.
        ConversionError: the network, or its preprocessing, is not supported; the message names the key.
    """
    config = document.convert(_TransformersConfig)
    _check_head(document, config)
    if preprocessor is None and not settled.normalisation:
        raise ConversionError(
            f"no {FILE}, which decides the normalisation, the crop and the resize", where=document.path.parent,
            expected=f"{FILE} beside {document.name}", fix=f"{CHOOSE_NORMALISATION}; --geometry the crop and resize",
        )  # fmt: skip
    declared = declared_input(document, preprocessor, settled)
    network = LibraryNetwork(
        library="transformers", architecture=config.model_type, classes=_class_count(document, config),
        arguments=_arguments(document, TRANSFORMERS_ARGUMENTS[config.model_type]),
    )  # fmt: skip
    return RepositoryDeclaration(network, _output_kind(document, config, settled), declared)


def declared_input(
    document: JsonDocument | None, preprocessor: JsonDocument | None, settled: SettledByUser
) -> DeclaredInput:
    """Input and labels of a network of transformers, of any architecture.

    Raises:
        ConfigError, ConversionError: see `read_transformers_config`.
    """
    normalisation = geometry = size = None
    if preprocessor is not None:
        found = read_unless_settled(
            lambda: read_preprocessor(preprocessor, settled), settled.normalisation and settled.geometry
        )
        normalisation, geometry, size = found or (None, None, None)
    labels = None
    named = document.convert(_Labelled).id2label if document is not None else None
    if document is not None and named is not None:
        names = numbered_names(named, len(named), document, "id2label")
        labels = None if names is None else labels_of(names, document, "id2label")
    by = " and ".join(file.name for file in (document, preprocessor) if file is not None)
    return DeclaredInput(by, normalisation, geometry, size, labels, background_of(labels))


class _Labelled(Struct, frozen=True):
    id2label: dict[str, Any] | None = None


def _class_count(document: JsonDocument, config: _TransformersConfig) -> int:
    named = len(config.id2label) if isinstance(config.id2label, dict) else None
    if named is not None and config.num_labels is not None and named != config.num_labels:
        raise document.invalid("the number of names differs from num_labels", "id2label", config.num_labels, named)
    classes = named if named is not None else config.num_labels if config.num_labels is not None else _DEFAULT_CLASSES
    if not 2 <= classes <= MAX_LABELS:
        expected = f"2 to {MAX_LABELS} classes"
        raise document.unsupported("not a network for classification", "id2label", expected=expected, got=classes)
    return classes


def _check_head(document: JsonDocument, config: _TransformersConfig) -> None:
    """Refuse networks that do not classify images. Raises: ConversionError."""
    for name in config.architectures or ():
        if not name.endswith("ForImageClassification"):
            raise document.unsupported(
                "the network has no classifier of images", "architectures",
                expected="a name that ends with ForImageClassification", got=name,
                fix=EXPORT,
            )  # fmt: skip
    if config.num_channels not in (None, 3):
        raise document.unsupported(
            "the network does not take colour images", "num_channels", expected=3, got=config.num_channels
        )
    if config.quantization_config is not None:
        raise document.unsupported("quantised weights are not supported", "quantization_config")


def _output_kind(document: JsonDocument, config: _TransformersConfig, settled: SettledByUser) -> OutputContent:
    if settled.output_kind is not None:
        return settled.output_kind
    if config.problem_type not in _OUTPUTS:
        raise document.unsupported(
            "not a network for classification", "problem_type", expected="single_label_classification or "
            "multi_label_classification", got=config.problem_type,
        )  # fmt: skip
    return _OUTPUTS[config.problem_type]


def _arguments(document: JsonDocument, keys: tuple[str, ...]) -> dict[str, Argument]:
    found: dict[str, Argument] = {}
    for key in keys:
        value = document.data.get(key)
        if value is None:
            continue
        if not isinstance(value, bool | int | float | str) or len(str(value)) > 100:
            raise document.invalid("wrong type or value", key, "a number, true, false or a name", value)
        found[key] = value
    return found
