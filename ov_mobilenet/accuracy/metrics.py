"""Top-1 and top-5 accuracy, overall and per class, confusions, and confidence intervals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from ov_mobilenet.accuracy.classes import ClassMapping
from ov_mobilenet.accuracy.sanity import labelled_warnings

TOP_K = 5
Z_95 = 1.959963984540054  # the normal distribution's 0.975 quantile
Interval = tuple[float, float]


class ClassAccuracy(Struct, frozen=True):
    """Top-1 and top-5 accuracy on the images of one class, as fractions in [0, 1]."""

    class_id: int
    label: str
    images: int
    top1: float
    top5: float


class WrongClass(Struct, frozen=True):
    """A class that was predicted instead of the true one, and for how many images."""

    class_id: int
    label: str
    images: int


class ClassConfusion(Struct, frozen=True):
    """The wrong predictions for the images of one class.

    Attributes:
        correct: number of images with a correct top-1.
        taken_for: the classes that were predicted instead, most frequent first.
    """

    class_id: int
    label: str
    images: int
    correct: int
    taken_for: tuple[WrongClass, ...]


class AccuracyCounter:
    """Counts predictions; class numbers are those of the network.

    Attributes:
        images: number of images counted.
        top1: number of images whose class was predicted first.
        top5: number of images whose class was among the first five predictions.
    """

    def __init__(self) -> None:
        self.images = 0
        self.top1 = 0
        self.top5 = 0
        self._by_class: dict[int, list[int]] = {}
        self._confusions: dict[int, Counter[int]] = {}

    def add(self, truth: int, predicted: Sequence[int]) -> None:
        """Count one image.

        Args:
            truth: its class.
            predicted: the most probable classes, best first, at least one; only the first five are used.
        """
        in_top1, in_top5 = truth == predicted[0], truth in predicted[:TOP_K]
        self.images += 1
        self.top1 += in_top1
        self.top5 += in_top5
        counts = self._by_class.setdefault(truth, [0, 0, 0])
        for place, count in enumerate((1, in_top1, in_top5)):
            counts[place] += count
        if not in_top1:
            self._confusions.setdefault(truth, Counter())[predicted[0]] += 1

    def warnings(self, classes: ClassMapping) -> tuple[str, ...]:
        """Return what is suspicious about the predictions, see `sanity.labelled_warnings`."""
        truths, predicted = [], []
        for truth, (images, top1, _) in self._by_class.items():
            wrong = self._confusions.get(truth, Counter())
            truths += [truth] * images
            predicted += [truth] * top1 + list(wrong.elements())
        return labelled_warnings(truths, predicted, classes.dataset_count)

    def per_class(self, classes: ClassMapping) -> tuple[ClassAccuracy, ...]:
        """Return the accuracy of each class that has images, sorted by class number."""
        return tuple(
            ClassAccuracy(class_id, classes.label(class_id), images, top1 / images, top5 / images)
            for class_id, (images, top1, top5) in sorted(self._by_class.items())
        )

    def confusions(self, classes: ClassMapping) -> tuple[ClassConfusion, ...]:
        """Return the classes with wrong top-1 predictions: lowest top-1 first, then by number of wrong predictions."""

        def rank(class_id: int) -> tuple[float, int, int]:
            images, correct, _ = self._by_class[class_id]
            return correct / images, correct - images, class_id

        found = []
        for class_id in sorted(self._confusions, key=rank):
            images, correct, _ = self._by_class[class_id]
            wrong = sorted((-count, other) for other, count in self._confusions[class_id].items())
            taken_for = tuple(WrongClass(other, classes.label(other), -count) for count, other in wrong)
            found.append(ClassConfusion(class_id, classes.label(class_id), images, correct, taken_for))
        return tuple(found)


def wilson_interval(successes: int, count: int) -> Interval:
    """Return the 95 % score interval of a fraction (E. B. Wilson, JASA 22, 1927, p. 209), within [0, 1].

    Unlike the usual +-1.96 standard deviations it is also correct for fractions near 0 and 1.
    """
    fraction, z2 = successes / count, Z_95**2
    centre = (fraction + z2 / (2 * count)) / (1 + z2 / count)
    half = Z_95 / (1 + z2 / count) * math.sqrt(fraction * (1 - fraction) / count + z2 / (4 * count**2))
    return max(0.0, centre - half), min(1.0, centre + half)
