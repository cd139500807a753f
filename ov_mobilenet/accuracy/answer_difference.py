"""How far the answer of an IR is from the answer of its source network, for one image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# How much less probable than its own top-1 the source network may find the IR's top-1: a near tie.
NEAR_TIE = 0.1


class AnswerDifference(Struct, frozen=True):
    """Differences of two answers to the same image.

    Attributes:
        largest: the largest difference of a probability, or of a feature relative to the largest of its vector (at
            least 1); NaN if one answer holds a NaN.
        typical: the difference of the probability of the source network's top-1. For features: the length of the
            difference of the vectors, relative to the length of the source network's. NaN as above.
        same_top1: whether the top-1 is the same.
        near_top1: whether the top-1 is the same, or the source network finds the IR's top-1 at most `NEAR_TIE` less
            probable than its own.
    """

    largest: float
    typical: float
    same_top1: bool
    near_top1: bool


def answer_difference(
    expected: NDArray[np.float32], actual: NDArray[np.float32], *, are_features: bool
) -> AnswerDifference:
    """Compare the answer of the source network (expected) with the answer of the IR (actual), both (values,)."""
    import numpy as np

    top, found = int(expected.argmax()), int(actual.argmax())
    differences = np.abs(actual - expected)
    # np.max keeps a NaN; Python's max would drop it.
    largest = float(differences.max())
    typical = float(differences[top]) if np.isfinite(largest) else largest
    if are_features:
        largest /= max(1.0, float(np.abs(expected).max()))
        length = float(np.linalg.norm(expected.astype(np.float64)))
        typical = float(np.linalg.norm(differences.astype(np.float64))) / (length or 1.0)
    return AnswerDifference(
        largest=largest,
        typical=typical,
        same_top1=top == found,
        near_top1=bool(expected[top] - expected[found] <= NEAR_TIE),
    )
