"""The result of a verification: its figures, whether they hold, and both in words."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from msgspec import Struct

from ov_mobilenet.accuracy.sanity import LIKELY_CAUSE
from ov_mobilenet.errors import VerificationError
from ov_mobilenet.runtime.results import as_json_object


class Verification(Struct, frozen=True, kw_only=True):
    """Result of `verify`.

    A float network is judged by the largest difference and the top-1 agreement: both frameworks compute nearly the
    same numbers. A quantised network is judged by `mean_difference` and `near_agreement`: frameworks round at different
    places, so single answers differ much in a right IR too; see `verification_limits` for what was measured. On noise
    it is judged by `mean_difference` alone, and `warnings` says so.

    Attributes:
        precision: weight precision of the IR.
        images: number of images compared.
        skipped: number of images that could not be read.
        max_difference: the largest difference of a probability, or of a feature relative to the largest of its vector
            (at least 1); NaN if either network gave a NaN.
        top1_agreement: fraction of images with the same top-1, in [0, 1].
        tolerance: the largest allowed `max_difference`.
        least_agreement: the smallest allowed `top1_agreement`.
        quantised: whether weights or activations of the source network are quantised.
        mean_difference: the difference of the probability of the source network's top-1, averaged over the images; for
            features, the length of the difference of the vectors, relative to the source network's; may be NaN.
        near_agreement: fraction of images with the same top-1, or for which the source network finds the IR's top-1 at
            most 0.1 less probable than its own, in [0, 1].
        mean_tolerance: the largest allowed `mean_difference`; None if it is not judged.
        least_near_agreement: the smallest allowed `near_agreement`; None if it is not judged.
        not_covered: properties that both networks take from the same code, so that errors in them are not detected;
            None if there are none.
        constant_answers: whether the answers are nearly the same for all images, although these differ: both networks
            are fed wrongly. Never for noise.
        warnings: what else is suspicious about the answers, as sentences.
    """

    precision: str
    images: int
    skipped: int
    max_difference: float
    top1_agreement: float
    tolerance: float
    least_agreement: float
    quantised: bool = False
    mean_difference: float = 0.0
    near_agreement: float = 1.0
    mean_tolerance: float | None = None
    least_near_agreement: float | None = None
    not_covered: str | None = None
    constant_answers: bool = False
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON object `verification` of `convert --verify --format json`."""
        return as_json_object(self)

    @property
    def holds(self) -> bool:
        """Whether the figures are within tolerance, and the answers are not the same for all images."""
        return self.is_within_tolerance and not self.constant_answers

    @property
    def is_within_tolerance(self) -> bool:
        """Whether the figures that are judged are within tolerance."""
        return (
            self.max_difference <= self.tolerance
            and self.top1_agreement >= self.least_agreement
            and (self.mean_tolerance is None or self.mean_difference <= self.mean_tolerance)
            and (self.least_near_agreement is None or self.near_agreement >= self.least_near_agreement)
        )


def judged_figures(result: Verification) -> str:
    """Return the figures of a verification with their limits, in words."""
    agreement = f"top-1 agreement {result.top1_agreement:.1%}"
    if result.mean_tolerance is None:
        return (
            f"largest difference {result.max_difference:.2g} (tolerance {result.tolerance:g}), "
            f"{agreement} (minimum {result.least_agreement:.0%})"
        )
    text = f"mean difference {result.mean_difference:.2g} (tolerance {result.mean_tolerance:.2g}: quantised network)"
    text += f", largest {result.max_difference:.2g}, {agreement}"
    if result.least_near_agreement is None:
        return text
    return f"{text}, {result.near_agreement:.1%} with near ties (minimum {result.least_near_agreement:.0%})"


def check(result: Verification, xml: Path) -> None:
    """Check a verification. Raises: VerificationError, if it does not hold."""
    if not result.is_within_tolerance:
        raise VerificationError(
            "the IR differs from its source network", where=xml,
            expected=_limits_in_words(result), got=f"{_figures_in_words(result)} of {result.images} images",
        )  # fmt: skip
    if result.constant_answers:
        raise VerificationError(
            "the network gives nearly the same answer for all images, although they differ", where=xml,
            expected="answers that depend on the image", got=f"the same on {result.images} images",
            fix=f"{LIKELY_CAUSE}: convert again with another --preset, or --mean-values and --scale-values",
        )  # fmt: skip


def _limits_in_words(result: Verification) -> str:
    if result.mean_tolerance is None:
        return (
            f"values within {result.tolerance:g} and the same top-1 on at least {result.least_agreement:.0%} of the "
            "images"
        )
    mean = f"a mean difference of the top-1's probability of at most {result.mean_tolerance:.2g}"
    if result.least_near_agreement is None:
        return mean
    return (
        f"{mean}, and the same or nearly as probable top-1 on at least {result.least_near_agreement:.0%} of the images"
    )


def _figures_in_words(result: Verification) -> str:
    largest = f"a largest difference of {_number(result.max_difference)}"
    if result.mean_tolerance is None:
        return f"{largest} and the same top-1 on {result.top1_agreement:.1%}"
    mean = f"a mean difference of {_number(result.mean_difference)} ({largest})"
    if result.least_near_agreement is None:
        return f"{mean} and the same top-1 on {result.top1_agreement:.1%}"
    return f"{mean} and the same or nearly as probable top-1 on {result.near_agreement:.1%}"


def _number(difference: float) -> str:
    return "NaN" if math.isnan(difference) else f"{difference:.3g}"
