"""From answers to figures: top-1 and top-5 with their intervals, by class, and what is taken for what."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from ov_mobilenet.accuracy.classes import Classes

TOP = 5
Z_95 = 1.959963984540054  # the normal distribution's 0.975 quantile
Interval = tuple[float, float]


class ClassFigures(Struct, frozen=True):
    """One class: how many images, and which fraction of them came first and among the first five."""

    class_id: int
    label: str
    images: int
    top1: float
    top5: float


class TakenFor(Struct, frozen=True):
    """A class that another was taken for, and on how many images."""

    class_id: int
    label: str
    images: int


class Confusion(Struct, frozen=True):
    """One class, and what its images were taken for, most often first."""

    class_id: int
    label: str
    images: int
    correct: int
    taken_for: tuple[TakenFor, ...]


class Tally:
    """Counts answers, in the network's classes."""

    def __init__(self) -> None:
        self.images = 0
        self.top1 = 0
        self.top5 = 0
        self._by_class: dict[int, list[int]] = {}
        self._answers: Counter[tuple[int, int]] = Counter()

    def add(self, truth: int, predicted: Sequence[int]) -> None:
        """Count one image.

        Args:
            truth: its class.
            predicted: the most probable classes, best first, at least one; no more than five count.
        """
        first, among = truth == predicted[0], truth in predicted[:TOP]
        self.images += 1
        self.top1 += first
        self.top5 += among
        counts = self._by_class.setdefault(truth, [0, 0, 0])
        for place, count in enumerate((1, first, among)):
            counts[place] += count
        self._answers[truth, predicted[0]] += 1

    def by_class(self, classes: Classes) -> tuple[ClassFigures, ...]:
        """The classes that have images, by number."""
        return tuple(
            ClassFigures(class_id, classes.label(class_id), images, top1 / images, top5 / images)
            for class_id, (images, top1, top5) in sorted(self._by_class.items())
        )

    def worst(self, classes: Classes, count: int) -> tuple[Confusion, ...]:
        """The classes with the lowest top-1, of equal ones those with more wrong answers; none that is all right."""
        found = [(n - right, n, right, class_id) for class_id, (n, right, _) in self._by_class.items() if right < n]
        found.sort(key=lambda entry: (entry[2] / entry[1], -entry[0], entry[3]))
        return tuple(
            Confusion(class_id, classes.label(class_id), n, right, self._taken_for(class_id, classes))
            for _, n, right, class_id in found[:count]
        )

    def _taken_for(self, truth: int, classes: Classes) -> tuple[TakenFor, ...]:
        others = [(-n, given) for (true, given), n in self._answers.items() if true == truth and given != truth]
        return tuple(TakenFor(given, classes.label(given), -n) for n, given in sorted(others))


def wilson(successes: int, count: int) -> Interval:
    """The 95 % score interval of a fraction (E. B. Wilson, JASA 22, 1927, p. 209), in [0, 1].

    Unlike the usual +-1.96 standard deviations it stays within [0, 1] and is right for fractions near 0 and 1.
    """
    fraction, z2 = successes / count, Z_95**2
    centre = (fraction + z2 / (2 * count)) / (1 + z2 / count)
    half = Z_95 / (1 + z2 / count) * math.sqrt(fraction * (1 - fraction) / count + z2 / (4 * count**2))
    return max(0.0, centre - half), min(1.0, centre + half)
