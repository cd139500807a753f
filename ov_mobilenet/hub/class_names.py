"""The class names that a configuration gives, as a labels file can hold them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ov_mobilenet.errors import ConfigError
from ov_mobilenet.hub.documents import JsonDocument
from ov_mobilenet.zoo.labels import BACKGROUND_SETS, imagenet_classes, imagenet_synsets, parse_labels

_SYNSET = re.compile("n[0-9]{8}")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")
_BACKGROUND = "background"
_MAX_READS = 4


def numbered_names(value: object, classes: int, document: JsonDocument, key: str) -> tuple[str, ...] | None:
    """One name per class out of a list of names, or an object from class indices to names.

    A class without a name in an object is called `class N`. None if there are no names, or only the placeholders
    `LABEL_0`, `LABEL_1`, … that transformers writes for classes without names.

    Raises:
        ConfigError: the names do not match the number of classes, or a name is not a text or a number.
    """
    if value is None or value == [] or value == {}:
        return None
    if isinstance(value, Mapping):
        names = [f"class {index}" for index in range(classes)]
        for text, name in value.items():
            index = int(text) if re.fullmatch("[0-9]{1,9}", str(text)) else -1
            if not 0 <= index < classes:
                raise document.invalid("not the index of a class", key, f"0 to {classes - 1}", repr(text))
            names[index] = _text(name, document, f"{key}.{text}")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) != classes:
            raise document.invalid("the number of names differs from that of the classes", key, classes, len(value))
        names = [_text(name, document, f"{key}[{index}]") for index, name in enumerate(value)]
    else:
        raise document.invalid("wrong type or value", key, "a list or an object", type(value).__name__)
    if all(name == f"LABEL_{index}" for index, name in enumerate(names)):
        return None
    return tuple(names)


def _text(name: object, document: JsonDocument, key: str) -> str:
    if isinstance(name, bool) or not isinstance(name, str | int | float):
        raise document.invalid("not a class name", key, "a text", type(name).__name__)
    return str(name)


def described_names(names: tuple[str, ...], descriptions: Mapping[str, object]) -> tuple[str, ...]:
    """Names that are WordNet IDs, with the first of the descriptions that belong to them; other names as they are."""
    if not all(_SYNSET.fullmatch(name) for name in names):
        return names
    found = [descriptions.get(name) for name in names]
    return tuple(
        text.split(",")[0] if isinstance(text, str) and text.strip() else name
        for name, text in zip(names, found, strict=True)
    )


def labels_of(names: tuple[str, ...], document: JsonDocument, key: str) -> tuple[str, ...] | str:
    """The name of the shipped set with these names, or the names as they are read back from a labels file.

    White space of any kind becomes one space, other control characters are removed, and an empty name becomes
    `class N`. Names may repeat: those of ImageNet do.

    Raises:
        ConfigError: a labels file cannot hold the names.
    """
    if (shipped := _shipped_set(names)) is not None:
        return shipped
    return _as_read(tuple(_line(name) or f"class {index}" for index, name in enumerate(names)), document, key)


def background_of(labels: tuple[str, ...] | str | None) -> int | None:
    """The class of ImageNet networks that stands for none of the others: the first of 1001, if it says so."""
    is_named = isinstance(labels, tuple) and len(labels) == 1001 and labels[0].casefold() == _BACKGROUND
    return 0 if is_named else None


def _shipped_set(names: tuple[str, ...]) -> str | None:
    """The set of ImageNet whose names, or first names of several, these are; None if they are others."""
    if names == imagenet_synsets():
        return "imagenet_1000_classes"
    first = [_line(name.split(",")[0]).casefold() for name in names]
    for shipped, background in BACKGROUND_SETS.items():
        if first == [name.casefold() for name in imagenet_classes(background=background)]:
            return shipped
    return None


def _line(name: str) -> str:
    return " ".join(_UNPRINTABLE.sub("", " ".join(name.split())).split())


def _as_read(names: tuple[str, ...], document: JsonDocument, key: str) -> tuple[str, ...]:
    """The names as a labels file gives them, without WordNet IDs and numbers. Raises: ConfigError."""
    for _ in range(_MAX_READS):
        try:
            read = parse_labels("".join(f"{name}\n" for name in names).encode(), str(document.path))
        except ConfigError as error:
            raise document.invalid(error.what, key, error.expected, error.got) from error
        if read == names:
            return names
        names = read
    raise document.invalid("the names cannot be written to a labels file", key)
