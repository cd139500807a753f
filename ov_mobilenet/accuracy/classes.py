"""How the classes of a dataset map to the classes of a network.

A dataset numbers its classes from 0 without a background class, as ImageNet's `val.txt` does. A network with 1001
classes has background as class 0, so its class numbers are higher by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ov_mobilenet.errors import UsageError
from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.zoo.labels import imagenet_synsets

IMAGENET_CLASSES = 1000
# Class 0 of an unlabelled network with 1001 classes is taken to be background, as in TensorFlow's ImageNet networks.
IMAGENET_CLASSES_WITH_BACKGROUND = 1001


@dataclass(frozen=True)
class ClassMapping:
    """The classes of a network, and their numbers in a dataset.

    Attributes:
        count: number of classes of the network, including background.
        background: number of the background class, or None.
        labels: `count` class names, or None.
    """

    count: int
    background: int | None
    labels: tuple[str, ...] | None

    @property
    def dataset_count(self) -> int:
        """Number of classes of a dataset for this network."""
        return self.count - (self.background is not None)

    def to_network(self, index: int) -> int:
        """Convert a class number of a dataset to the network's."""
        return index + (self.background is not None and index >= self.background)

    def to_dataset(self, class_id: int) -> int | None:
        """Convert a class number of the network to a dataset's; None for background."""
        if class_id == self.background:
            return None
        return class_id - (self.background is not None and class_id > self.background)

    def label(self, class_id: int) -> str:
        """Return the name of a class of the network."""
        return self.labels[class_id] if self.labels is not None else f"class {class_id}"


def class_mapping(classifier: Classifier) -> ClassMapping:
    """Return the class mapping of a loaded model.

    Raises:
        UsageError: its classes are not exclusive, or it has none, so there is no top-1.
    """
    if classifier.output_kind != "classes":
        raise UsageError(
            "accuracy is defined for exclusive classes only", expected="a network with one right class per image",
            got="a multi-label network" if classifier.output_kind == "multilabel" else "a network without a classifier",
        )  # fmt: skip
    record, labels = classifier.record, classifier.labels
    background = record.background_class if record is not None else None
    if (
        background is None
        and classifier.classes == IMAGENET_CLASSES_WITH_BACKGROUND
        and (labels is None or labels[0] == "background")
    ):
        background = 0
    return ClassMapping(classifier.classes, background, labels)


FindClasses = Callable[[str], frozenset[int]]


def class_finder(classes: ClassMapping) -> FindClasses:
    """Return a function that maps a text to the numbers of all dataset classes that match it.

    A text matches by class number, by ImageNet synset (networks with 1000 classes) or by class name, in which
    underscores may stand for spaces. No kind of match takes precedence: an ambiguous text returns several classes.
    """
    by_name: dict[str, set[int]] = {}
    for class_id, name in enumerate(classes.labels or ()):
        index = classes.to_dataset(class_id)
        if index is not None:
            by_name.setdefault(_normalise_name(name), set()).add(index)
    synsets = imagenet_synsets() if classes.dataset_count == IMAGENET_CLASSES else ()
    by_synset = {synset: index for index, synset in enumerate(synsets)}

    def find(text: str) -> frozenset[int]:
        text = text.strip()
        found = set(by_name.get(_normalise_name(text), ()))
        if text.isascii() and text.isdigit() and len(text) <= 9 and int(text) < classes.dataset_count:
            found.add(int(text))
        if text in by_synset:
            found.add(by_synset[text])
        return frozenset(found)

    return find


def _normalise_name(name: str) -> str:
    return " ".join(name.replace("_", " ").split())


def explain_mismatch(text: str, found: frozenset[int], classes: ClassMapping) -> str:
    """Explain why a text does not identify exactly one class.

    Args:
        found: the classes that match the text: none or several.
    """
    if found:
        candidates = ", ".join(f"{i} ({classes.label(classes.to_network(i))})" for i in sorted(found)[:3])
        return f"{text!r} is ambiguous: {candidates}"
    return f"{text!r} is not a class"


def describe_expected(classes: ClassMapping) -> str:
    """Describe the ways to write a class, for error messages."""
    ways = [f"a number from 0 to {classes.dataset_count - 1}"]
    if classes.dataset_count == IMAGENET_CLASSES:
        ways.append("an ImageNet synset")
    if classes.labels is not None:
        ways.append("a class name")
    return ", ".join(ways)
