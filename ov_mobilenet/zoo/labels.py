"""Class names: the shipped ImageNet sets, or the user's text file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from ov_mobilenet.errors import ConfigError
from ov_mobilenet.zoo.model import ModelConfig
from ov_mobilenet.zoo.text_files import read_limited

# ILSVRC2012: synset and first name of each class, index 0..999 in the order of every published 1000-class network.
_IMAGENET = Path(__file__).with_name("imagenet_classes.tsv")
BACKGROUND_SETS = {"imagenet_1000_classes": False, "imagenet_1001_classes": True}
MAX_LABELS_BYTES = 4 << 20
MAX_LABELS = 100_000
# C0, DEL, C1, and the line and paragraph separators. Names are printed and written to rt_info and CSV files.
_NUMBERED = re.compile(r"[ \t]*([0-9]{1,6})(?:[ \t]*:[ \t]*|[ \t]+)([^ \t:].*)")
_CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029]")


def imagenet_classes(*, background: bool) -> tuple[str, ...]:
    """The 1000 ImageNet class names, or 1001 with `background` as class 0."""
    names = [line.split("\t")[1] for line in _IMAGENET.read_text("utf-8").splitlines()]
    return tuple(["background", *names] if background else names)


def imagenet_synsets() -> tuple[str, ...]:
    """The 1000 WordNet IDs, such as `n01440764`, in class order."""
    return tuple(line.split("\t")[0] for line in _IMAGENET.read_text("utf-8").splitlines())


def read_labels(path: Path) -> tuple[str, ...]:
    """Read class names from a UTF-8 text file, one per line; empty lines at the end are ignored.

    If every line begins with a WordNet ID (`n01440764 tench, Tinca tinca`), the ID is removed and the first of several
    names is used, as in the Open Model Zoo's demos. If every line begins with its own number, from 0 (`0 Cat` or
    `0:Cat`), the numbers are removed.

    Raises:
        ConfigError: the file is missing, not a regular file, too large, empty or not UTF-8 text, or it holds a control
            character, an empty line between names, or too many names.
    """
    return parse_labels(read_limited(path, MAX_LABELS_BYTES, name="labels file"), str(path))


def parse_labels(content: bytes, path: str) -> tuple[str, ...]:
    """Class names from the content of a labels file, see `read_labels`; `path` is part of messages.

    Raises:
        ConfigError: see `read_labels`.
    """
    try:
        # Not splitlines, which also splits at control characters: line numbers would differ from those of an editor.
        lines = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n").rstrip(" \t\n").split("\n")
    except UnicodeDecodeError as error:
        raise ConfigError("labels file is not UTF-8 text", where=path, got=f"byte {error.start}") from error
    if lines == [""]:
        raise ConfigError("labels file is empty", where=path, expected="one name per line")
    if len(lines) > MAX_LABELS:
        raise ConfigError("too many labels", where=path, expected=f"at most {MAX_LABELS}", got=len(lines))
    for number, line in enumerate(lines, 1):
        if found := _CONTROL.search(line.strip(" \t")):
            raise ConfigError("control character in a label", where=f"{path}:{number}", got=ascii(found[0]))
    if all(_has_synset(line) for line in lines):
        lines = [line.split(" ", 1)[1].split(",")[0] for line in lines]
    else:
        lines = _without_numbers(lines)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise ConfigError("empty line between labels", where=f"{path}:{number}", expected="one name per line")
    return tuple(line.strip() for line in lines)


def labels_text(names: Sequence[str]) -> str:
    """The text of a labels file from which `read_labels` reads these names."""
    changes = all(_has_synset(name) for name in names) or _without_numbers(list(names)) != list(names)
    return "".join(f"{number} {name}\n" if changes else f"{name}\n" for number, name in enumerate(names))


def _without_numbers(lines: list[str]) -> list[str]:
    """The lines without their own number, if every line has it in front: names may begin with any other number."""
    matches = [_NUMBERED.fullmatch(line) for line in lines]
    if all(match is not None and match[1] == str(number) for number, match in enumerate(matches)):
        return [match[2] for match in matches if match is not None]
    return lines


def _has_synset(line: str) -> bool:
    head, _, name = line.partition(" ")
    return len(head) == 9 and head[0] == "n" and head[1:].isdigit() and bool(name)


def config_labels(config: ModelConfig) -> tuple[str, ...] | None:
    """The class names of a description; None if it has none.

    They come from the first of: `ov_mobilenet.labels`, `model_info.labels` (underscores stand for spaces), the dataset
    name of the `accuracy-check.yml` if it is one of the shipped sets.

    Raises:
        ConfigError: the labels file is invalid, or the number of names differs from `ov_mobilenet.classes`.
    """
    labels = _declared(config)
    expected = config.details.classes
    if labels is not None and expected is not None and len(labels) != expected:
        raise ConfigError(
            "the number of labels does not match the number of classes",
            where=config.path,
            expected=expected,
            got=len(labels),
        )
    return labels


def _declared(config: ModelConfig) -> tuple[str, ...] | None:
    name = config.details.labels
    if name is None and config.model_info is not None and config.model_info.labels:
        return tuple(label.replace("_", " ") for label in config.model_info.labels)
    if name is None:
        name = config.dataset.name if config.dataset is not None else None
        return imagenet_classes(background=BACKGROUND_SETS[name]) if name in BACKGROUND_SETS else None
    if name in BACKGROUND_SETS:
        return imagenet_classes(background=BACKGROUND_SETS[name])
    return read_labels(config.folder / name)


def background_class(config: ModelConfig) -> int | None:
    """Index of the background class: as described, or 0 for the 1001-class ImageNet dataset; None without one."""
    if config.details.background_class is not None:
        return config.details.background_class
    names = {config.details.labels, config.dataset.name if config.dataset is not None else None}
    return 0 if "imagenet_1001_classes" in names else None


def labels_digest(names: Sequence[str]) -> str:
    """`sha256:` and the SHA-256 of the UTF-8 names joined by line feeds."""
    return "sha256:" + hashlib.sha256("\n".join(names).encode()).hexdigest()
