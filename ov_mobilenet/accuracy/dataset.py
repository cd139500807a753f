"""Labelled images: one folder per class, or a folder with an annotation file."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

from ov_mobilenet.accuracy.annotations import read_annotations
from ov_mobilenet.accuracy.classes import ClassMapping, class_finder, describe_expected, explain_mismatch
from ov_mobilenet.errors import DatasetError, ImageError, UsageError, printable
from ov_mobilenet.images.image_folders import find_images

DEFAULT_ANNOTATIONS = "val.txt"  # in the dataset's folder
SHOWN_MISTAKES = 5

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelledImage:
    """An image and its class.

    Attributes:
        name: the image's name in results: as in the annotations, or its path relative to the dataset's folder.
        index: class number in the dataset, see `classes`.
        problem: why it cannot be read, if that is known already.
    """

    name: str
    path: Path
    index: int
    problem: str | None = None

    @property
    def source(self) -> Path | ImageError:
        """The file, or the error that replaces it."""
        return self.path if self.problem is None else ImageError(self.problem)


@dataclass(frozen=True)
class Dataset:
    """Labelled images.

    Attributes:
        annotations: the annotation file; None for one folder per class.
        duplicates: number of annotations that repeat an image with the same class; each image is used once.
    """

    folder: Path
    annotations: Path | None
    images: tuple[LabelledImage, ...]
    duplicates: int = 0


class SubsetOptions(TypedDict, total=False):
    """The fields of `Subset` as keyword arguments."""

    limit: int | None
    sample: int | None
    seed: int


@dataclass(frozen=True)
class Subset:
    """Which images of a dataset to use; all by default.

    Attributes:
        limit: use the first `limit` images, at least 1.
        sample: use `sample` images drawn at random, at least 1; excludes `limit`.
        seed: seed of the random draw.

    Raises:
        UsageError: a number is out of range, or both `limit` and `sample` are given.
    """

    limit: int | None = None
    sample: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in (("limit", self.limit), ("sample", self.sample)):
            if value is not None and value < 1:
                raise UsageError(f"invalid {name}", expected="at least 1", got=value)
        if self.limit is not None and self.sample is not None:
            raise UsageError(
                "limit and sample exclude each other",
                expected="limit (the first N images) or sample (N random images)",
                got=f"limit {self.limit} and sample {self.sample}",
            )

    @property
    def used_seed(self) -> int | None:
        """The seed if images are drawn at random, else None."""
        return None if self.sample is None else self.seed

    def of(self, dataset: Dataset) -> Dataset:
        """Return the dataset reduced to this subset, in the dataset's order.

        The same seed draws the same images on every machine, and a larger sample contains every smaller one.
        """
        count = self.limit if self.sample is None else self.sample
        if count is None or count >= len(dataset.images):
            return dataset
        if self.sample is None:
            return replace(dataset, images=dataset.images[:count])

        def rank(image: LabelledImage) -> bytes:
            return hashlib.sha256(f"{self.seed}\0{image.name}".encode()).digest()

        drawn = set(sorted(dataset.images, key=rank)[:count])
        return replace(dataset, images=tuple(image for image in dataset.images if image in drawn))


def read_dataset(folder: Path, classes: ClassMapping, annotations: Path | None = None) -> Dataset:
    """List the images of a dataset and their classes; no image file is opened.

    Args:
        folder: with annotations, the folder of the images, or the parent of their `images/` folder; without
            annotations (and without a `val.txt` in it), one folder per class, named by synset, class number or class
            name.

    Raises:
        UsageError: the folder does not exist.
        DatasetError: a class is unknown or ambiguous, or an image has two classes; the message lists up to five.
    """
    if not folder.is_dir():
        raise UsageError("no such folder", where="dataset", expected="a folder with images", got=folder)
    if annotations is None and (folder / DEFAULT_ANNOTATIONS).is_file():
        annotations = folder / DEFAULT_ANNOTATIONS
    if annotations is None:
        return Dataset(folder, None, _read_class_folders(folder, classes))
    return _read_annotated(folder, annotations, classes)


def _read_class_folders(folder: Path, classes: ClassMapping) -> tuple[LabelledImage, ...]:
    find = class_finder(classes)
    images: list[LabelledImage] = []
    mistakes: list[str] = []
    for below in sorted(path for path in folder.iterdir() if not path.name.startswith(".")):
        if not below.is_dir():
            if below.is_symlink() and not below.exists():
                _log.warning("%s: the link is broken, and ignored", printable(str(below)))
            continue
        files = find_images(below)
        if not files:
            continue
        found = find(below.name)
        if len(found) != 1:
            mistakes.append(explain_mismatch(below.name, found, classes))
            continue
        (index,) = found
        for file in files:
            path = Path(file.path)
            images.append(LabelledImage(_one_line_name(path.relative_to(folder)), path, index, file.problem))
    if mistakes:
        raise _class_error("folder names do not identify a class", folder, mistakes, classes)
    if not images:
        raise DatasetError(
            "no images in class folders", where=folder,
            expected=f"one folder per class, named by {describe_expected(classes)}",
            fix=f"Or put an annotation file there: {DEFAULT_ANNOTATIONS}; some commands also take --annotations",
        )  # fmt: skip
    return tuple(images)


def _read_annotated(folder: Path, path: Path, classes: ClassMapping) -> Dataset:
    find = class_finder(classes)
    seen: dict[str, tuple[int, int, str]] = {}  # name -> class, line, path as written in the file
    mistakes: list[str] = []
    duplicates = 0
    for line, image, label in read_annotations(path):
        found = find(label)
        if len(found) != 1:
            mistakes.append(f"line {line}: {explain_mismatch(label, found, classes)}")
            continue
        (index,) = found
        name = _one_line_name(Path(image))
        if name not in seen:
            seen[name] = (index, line, image)
        elif seen[name][0] == index:
            duplicates += 1
        else:
            mistakes.append(f"lines {seen[name][1]} and {line}: two classes for {name}")
    if mistakes:
        raise _class_error("annotations do not identify one class per image", path, mistakes, classes)
    # Decided once for all images, so that a missing image is reported in the folder where the others are.
    below = folder / "images"
    _, _, first = next(iter(seen.values()))
    root = below if not (folder / first).exists() and (below / first).exists() else folder
    images = tuple(LabelledImage(name, root / image, index) for name, (index, _, image) in seen.items())
    return Dataset(folder, path, images, duplicates)


def _one_line_name(path: Path) -> str:
    """Return a path as printable text without line breaks, for reports and predictions files."""
    return printable(os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace"))


def _class_error(what: str, where: Path, mistakes: Sequence[str], classes: ClassMapping) -> DatasetError:
    more = f" and {len(mistakes) - SHOWN_MISTAKES} more" if len(mistakes) > SHOWN_MISTAKES else ""
    shown = "; ".join(mistakes[:SHOWN_MISTAKES]) + more
    return DatasetError(what, where=where, expected=describe_expected(classes), got=shown)
