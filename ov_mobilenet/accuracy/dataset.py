"""Images with their classes: a folder a class, or a folder and a file of annotations."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ov_mobilenet.accuracy.annotations import read_annotations
from ov_mobilenet.accuracy.classes import Classes, class_finder, doubt, expected_classes
from ov_mobilenet.errors import DatasetError, UsageError, printable
from ov_mobilenet.images.image_files import IMAGE_SUFFIXES

ANNOTATIONS = "val.txt"  # taken where it lies in the dataset's folder and no other is named
SHOWN = 5


@dataclass(frozen=True)
class Example:
    """An image and its class.

    Attributes:
        image: its name in the results: as the annotations have it, or its path below the dataset's folder.
        index: its class as datasets count, see `classes`.
    """

    image: str
    path: Path
    index: int


@dataclass(frozen=True)
class Dataset:
    """Images with their classes.

    Attributes:
        annotations: the file that names them; None for a folder a class.
        duplicates: how many times an image was named again, with the same class; it counts once.
    """

    folder: Path
    annotations: Path | None
    examples: tuple[Example, ...]
    duplicates: int = 0


def read_dataset(folder: Path, classes: Classes, annotations: Path | None = None) -> Dataset:
    """The images of a folder and their classes; no image is opened.

    Args:
        folder: holds the images that the annotations name, itself or in `images/`; without annotations (and without
            a `val.txt` of its own) a folder a class, named by synset, class number or class name.

    Raises:
        UsageError: there is no such folder.
        DatasetError: a class is unknown or not clear, or an image has two; the message lists up to five.
    """
    if not folder.is_dir():
        raise UsageError("no such folder", where="dataset", expected="a folder with images", got=folder)
    if annotations is None and (folder / ANNOTATIONS).is_file():
        annotations = folder / ANNOTATIONS
    if annotations is None:
        return Dataset(folder, None, _of_folders(folder, classes))
    return _of_annotations(folder, annotations, classes)


def _of_folders(folder: Path, classes: Classes) -> tuple[Example, ...]:
    find = class_finder(classes)
    examples: list[Example] = []
    mistakes: list[str] = []
    for below in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        files = sorted(file for file in below.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file())
        if not files:
            continue
        found = find(below.name)
        if len(found) != 1:
            mistakes.append(doubt(below.name, found, classes))
            continue
        (index,) = found
        examples += [Example(_name(file.relative_to(folder)), file, index) for file in files]
    if mistakes:
        raise _unclear("folders whose class is not clear", folder, mistakes, classes)
    if not examples:
        raise DatasetError(
            "no images in folders of their classes", where=folder,
            expected=f"a folder a class: {expected_classes(classes)}",
            fix=f"Or name a file that says which class each image has: --annotations {ANNOTATIONS}",
        )  # fmt: skip
    return tuple(examples)


def _of_annotations(folder: Path, path: Path, classes: Classes) -> Dataset:
    find = class_finder(classes)
    seen: dict[str, tuple[int, int, str]] = {}  # name: class, line, as it stands there
    mistakes: list[str] = []
    duplicates = 0
    for line, image, label in read_annotations(path):
        found = find(label)
        if len(found) != 1:
            mistakes.append(f"line {line}: {doubt(label, found, classes)}")
            continue
        (index,) = found
        name = _name(Path(image))
        if name not in seen:
            seen[name] = (index, line, image)
        elif seen[name][0] == index:
            duplicates += 1
        else:
            mistakes.append(f"lines {seen[name][1]} and {line}: two classes for {name}")
    if mistakes:
        raise _unclear("classes that are not clear", path, mistakes, classes)
    # Decided once, so that an image that is missing is missing where the others are.
    below = folder / "images"
    _, _, first = next(iter(seen.values()))
    root = below if not (folder / first).exists() and (below / first).exists() else folder
    examples = tuple(Example(name, root / image, index) for name, (index, _, image) in seen.items())
    return Dataset(folder, path, examples, duplicates)


def _name(path: Path) -> str:
    """A path as text that is one line in any file."""
    return printable(os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace"))


def _unclear(what: str, where: Path, mistakes: Iterable[str], classes: Classes) -> DatasetError:
    found = list(mistakes)
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return DatasetError(what, where=where, expected=expected_classes(classes), got="; ".join(found[:SHOWN]) + more)


def subset(dataset: Dataset, limit: int | None, seed: int) -> Dataset:
    """`limit` images drawn at random, in the dataset's order; all if there are no more.

    The same seed gives the same images on every machine, and a larger limit adds to those of a smaller one.
    """
    if limit is None or limit >= len(dataset.examples):
        return dataset

    def rank(example: Example) -> bytes:
        return hashlib.sha256(f"{seed}\0{example.image}".encode()).digest()

    chosen = set(sorted(dataset.examples, key=rank)[:limit])
    return replace(dataset, examples=tuple(example for example in dataset.examples if example in chosen))
