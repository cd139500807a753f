"""When another candidate counts as better than what is baked."""

from __future__ import annotations

import numpy as np
import pytest

from ov_mobilenet.diagnosis.candidates import named_candidates
from ov_mobilenet.diagnosis.check import CHECKED_IMAGES, better_than, draw, sign_test
from ov_mobilenet.diagnosis.check import try_candidate as tried


@pytest.mark.parametrize(
    ("only", "only_other", "expected"),
    [(3, 0, 1 / 8), (4, 1, 6 / 32), (0, 0, 1.0), (0, 2, 1.0), (10, 0, 1 / 1024)],  # by hand
)
def test_the_sign_test(only: int, only_other: int, expected: float) -> None:
    right = np.array([True] * only + [False] * only_other + [True, False])
    other = np.array([False] * only + [True] * only_other + [True, False])
    assert sign_test(right, other) == expected


def test_labels_decide_where_the_answers_are_equally_confident() -> None:
    baked, better, *_ = named_candidates()
    truths, classes = np.arange(20) % 10, np.eye(10, dtype=np.float32)
    now, swapped = tried(baked, classes[(truths + 1) % 10], truths), tried(better, classes[truths], truths)
    assert better_than(now, [swapped], has_labels=True) is swapped
    assert better_than(swapped, [now], has_labels=True) is None
    now, swapped = tried(baked, classes[(truths + 1) % 10]), tried(better, classes[truths])
    assert better_than(now, [swapped], has_labels=False) is None


def test_the_draw_is_random_and_repeatable() -> None:
    drawn = draw(1000)
    assert drawn == sorted(set(drawn)) == draw(1000)
    assert len(drawn) == CHECKED_IMAGES and drawn != list(range(CHECKED_IMAGES))
    assert draw(5) == [0, 1, 2, 3, 4]
