"""Counts and intervals against figures computed by hand."""

from __future__ import annotations

import pytest

from ov_mobilenet.accuracy.classes import ClassMapping
from ov_mobilenet.accuracy.metrics import AccuracyCounter, wilson_interval

CLASSES = ClassMapping(7, None, ("ant", "bee", "cat", "dog", "eel", "fox", "gnu"))


@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3: Wilson's interval.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (10, 10, 0.7225, 1.0),  # n / (n + z^2), from the formula
    ],
)
def test_interval_matches_published_wilson_intervals(successes: int, count: int, low: float, high: float) -> None:
    assert wilson_interval(successes, count) == pytest.approx((low, high), abs=5e-5)


def test_top1_top5_and_confusions_of_eight_predictions() -> None:
    counter = AccuracyCounter()
    for truth, predicted in [
        (0, (0, 1, 2, 3, 4)),
        (0, (1, 0, 2, 3, 4)),
        (0, (2, 1, 0, 3, 4)),
        (0, (1, 2, 3, 4, 0)),
        (3, (5, 6, 4, 2, 1)),
        (3, (3, 6, 4, 2, 1)),
        (6, (6, 5, 4, 3, 2)),
        (5, (4, 3, 2, 1, 0, 5)),  # the sixth prediction is ignored
    ]:
        counter.add(truth, predicted)
    assert (counter.images, counter.top1, counter.top5) == (8, 3, 6)
    rows = {entry.label: (entry.class_id, entry.images, entry.top1, entry.top5) for entry in counter.per_class(CLASSES)}
    assert rows == {"ant": (0, 4, 0.25, 1.0), "dog": (3, 2, 0.5, 0.5), "fox": (5, 1, 0.0, 0.0), "gnu": (6, 1, 1.0, 1.0)}
    confusions = counter.confusions(CLASSES)
    assert [(entry.label, entry.correct, entry.images) for entry in confusions[:2]] == [("fox", 0, 1), ("ant", 1, 4)]
    assert [(other.label, other.images) for other in confusions[1].taken_for] == [("bee", 2), ("cat", 1)]
    assert [entry.label for entry in confusions] == ["fox", "ant", "dog"]  # all images of gnu are correct
