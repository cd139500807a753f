"""What a round of a scenario is given, what it returns, and how it reports what is wrong."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ov_mobilenet import Classification, Failure
from ov_mobilenet.runtime.results import Result

# Between OpenVINO and onnxruntime, both at f32: what the project promises for an FP32 IR.
TOLERANCE = 3e-5


@dataclass(frozen=True)
class Counts:
    """What one round did.

    Attributes:
        images: images that were submitted or read.
        classified: results with classes.
        failed: results that are failures.
    """

    images: int = 0
    classified: int = 0
    failed: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.images + other.images, self.classified + other.classified, self.failed + other.failed)


Round = Callable[[random.Random], Counts]


@dataclass(frozen=True)
class Workplace:
    """Where a scenario runs.

    Attributes:
        material: folder of `material.write_material`; only read.
        folder: for files of the scenario's own, which are not temporary.
    """

    material: Path
    folder: Path


class Mismatch(Exception):
    """Something that a user would notice is not as it must be."""

    def __init__(self, what: str, *, expected: object, got: object) -> None:
        super().__init__(what)
        self.what, self.expected, self.got = what, str(expected)[:2000], str(got)[:2000]


def expect_equal(what: str, *, expected: object, got: object) -> None:
    """Raises: Mismatch, if the values differ."""
    if expected != got:
        raise Mismatch(what, expected=expected, got=got)


def is_answer(result: Classification, answer: NDArray[np.float32]) -> bool:
    """Whether the classes of a result are the best ones of these known probabilities, float32 (classes,)."""
    ranked = np.sort(answer)[::-1]
    return all(
        abs(found.probability - answer[found.class_id]) <= TOLERANCE and found.probability >= at_least - 2 * TOLERANCE
        for found, at_least in zip(result.predictions, ranked.tolist(), strict=False)
    )


def check_result(result: Result, answer: NDArray[np.float32] | None, source: str) -> None:
    """Compare a result with the known probabilities of its image; None for an image that cannot be read.

    Raises:
        Mismatch: it is another one.
    """
    expect_equal("the source of a result", expected=source, got=result.source)
    if answer is None:
        if not isinstance(result, Failure):
            raise Mismatch(f"the result of {source}, which cannot be read", expected="a failure", got=result)
    elif not isinstance(result, Classification):
        raise Mismatch(f"the result of {source}", expected=_best(answer), got=result.error)
    elif not is_answer(result, answer):
        raise Mismatch(f"the result of {source}", expected=_best(answer), got=result.predictions)


def count_results(images: int, results: list[Result]) -> Counts:
    """The counts of a round with these results."""
    failed = sum(isinstance(result, Failure) for result in results)
    return Counts(images, len(results) - failed, failed)


def _best(answer: NDArray[np.float32]) -> str:
    best = int(answer.argmax())
    return f"class {best} with probability {answer[best]:.6f}"
