"""The classes of a dataset and those of a network: the same, but for the network's background class.

A dataset counts its classes from 0 without a background class, as ImageNet's `val.txt` does. A network of 1001 classes
has background as class 0, so that its class is one higher.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.zoo.labels import imagenet_synsets

IMAGENET = 1000
# Where an IR does not say, 1001 classes without names are taken for those of TensorFlow's ImageNet networks.
WITH_BACKGROUND = 1001


@dataclass(frozen=True)
class Classes:
    """What a network tells apart.

    Attributes:
        count: classes, background included.
        background: the background class, or None.
        labels: `count` names, or None.
    """

    count: int
    background: int | None
    labels: tuple[str, ...] | None

    @property
    def of_dataset(self) -> int:
        """How many classes a dataset for this network has."""
        return self.count - (self.background is not None)

    def to_network(self, index: int) -> int:
        """The network's class for a dataset's."""
        return index + (self.background is not None and index >= self.background)

    def to_dataset(self, class_id: int) -> int | None:
        """The dataset's class for a network's; None for background."""
        if class_id == self.background:
            return None
        return class_id - (self.background is not None and class_id > self.background)

    def label(self, class_id: int) -> str:
        """The name of a network's class."""
        return self.labels[class_id] if self.labels is not None else f"class {class_id}"


def classes_of(classifier: Classifier) -> Classes:
    """The classes of a loaded model."""
    record, labels = classifier.record, classifier.labels
    background = record.background_class if record is not None else None
    if background is None and classifier.classes == WITH_BACKGROUND and (labels is None or labels[0] == "background"):
        background = 0
    return Classes(classifier.classes, background, labels)


Find = Callable[[str], frozenset[int]]


def class_finder(classes: Classes) -> Find:
    """A function from a text to the dataset's classes that it may mean.

    A text is a class number, a synset of ImageNet (for networks of 1000 classes) or a class name, underscores for
    spaces allowed. Nothing is preferred: what may mean several classes gives them all.
    """
    by_name: dict[str, set[int]] = {}
    for class_id, name in enumerate(classes.labels or ()):
        index = classes.to_dataset(class_id)
        if index is not None:
            by_name.setdefault(_plain(name), set()).add(index)
    synsets = imagenet_synsets() if classes.of_dataset == IMAGENET else ()
    by_synset = {synset: index for index, synset in enumerate(synsets)}

    def find(text: str) -> frozenset[int]:
        text = text.strip()
        found = set(by_name.get(_plain(text), ()))
        if text.isascii() and text.isdigit() and len(text) <= 9 and int(text) < classes.of_dataset:
            found.add(int(text))
        if text in by_synset:
            found.add(by_synset[text])
        return frozenset(found)

    return find


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").split())


def doubt(text: str, found: frozenset[int], classes: Classes) -> str:
    """Why a text does not mean one class, in words."""
    if found:
        some = ", ".join(f"{i} ({classes.label(classes.to_network(i))})" for i in sorted(found)[:3])
        return f"{text!r} may be {some}"
    return f"{text!r} is none"


def expected_classes(classes: Classes) -> str:
    """How a class may be written, in words."""
    words = [f"a number from 0 to {classes.of_dataset - 1}"]
    if classes.of_dataset == IMAGENET:
        words.append("an ImageNet synset")
    if classes.labels is not None:
        words.append("a class name")
    return ", ".join(words)
