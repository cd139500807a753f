"""Counts and intervals against figures worked out by hand."""

from __future__ import annotations

import pytest

from ov_mobilenet.accuracy.classes import Classes
from ov_mobilenet.accuracy.figures import Tally, wilson

CLASSES = Classes(7, None, ("ant", "bee", "cat", "dog", "eel", "fox", "gnu"))


@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3: what others compute for Wilson's interval.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (10, 10, 0.7225, 1.0),  # n / (n + z^2), from the formula
    ],
)
def test_the_interval_is_wilsons(successes: int, count: int, low: float, high: float) -> None:
    assert wilson(successes, count) == pytest.approx((low, high), abs=5e-5)


def test_counts_of_a_few_answers() -> None:
    tally = Tally()
    for truth, predicted in [
        (0, (0, 1, 2, 3, 4)),
        (0, (1, 0, 2, 3, 4)),
        (0, (2, 1, 0, 3, 4)),
        (0, (1, 2, 3, 4, 0)),
        (3, (5, 6, 4, 2, 1)),
        (3, (3, 6, 4, 2, 1)),
        (6, (6, 5, 4, 3, 2)),
        (5, (4, 3, 2, 1, 0, 5)),  # the sixth does not count
    ]:
        tally.add(truth, predicted)
    assert (tally.images, tally.top1, tally.top5) == (8, 3, 6)
    rows = {entry.label: (entry.class_id, entry.images, entry.top1, entry.top5) for entry in tally.by_class(CLASSES)}
    assert rows == {"ant": (0, 4, 0.25, 1.0), "dog": (3, 2, 0.5, 0.5), "fox": (5, 1, 0.0, 0.0), "gnu": (6, 1, 1.0, 1.0)}
    worst = tally.worst(CLASSES, 2)
    assert [(entry.label, entry.correct, entry.images) for entry in worst] == [("fox", 0, 1), ("ant", 1, 4)]
    assert [(other.label, other.images) for other in worst[1].taken_for] == [("bee", 2), ("cat", 1)]
    assert [entry.label for entry in tally.worst(CLASSES, 10)] == ["fox", "ant", "dog"]  # gnu is all right
