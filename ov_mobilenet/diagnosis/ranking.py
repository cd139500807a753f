"""Rank candidates by their evidence, and tell how sure the ranking is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ov_mobilenet.diagnosis.candidates import Candidate
from ov_mobilenet.diagnosis.evidence import Evidence, bootstrap_weights, equal_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

Verdict = Literal["sure", "likely", "undecided"]
SURE, LIKELY = 0.95, 0.80
# Two candidates cannot be told apart if what they make of the images differs by less than this: the root of the mean
# squared difference, as a share of the standard deviation. Torchvision's normalisation against scale 1/0.017: 0.02;
# the closest of the others, -1..1 against -0.5..0.5: 0.5.
SAME_INPUT = 0.05


@dataclass(frozen=True)
class RankedCandidate:
    """A candidate with its evidence.

    Attributes:
        score: the higher, the better; mutual information or negative divergence, in nats.
        share: share of the bootstrap resamples of the images in which it is the best, alone or together with the
            candidates that cannot be told apart from it.
        same_as_best: it cannot be told apart from the best candidate.
    """

    candidate: Candidate
    score: float
    share: float
    same_as_best: bool


@dataclass(frozen=True)
class Ranking:
    """Candidates, best first.

    Attributes:
        images_needed: number of images with which the verdict would be `sure`, extrapolated from these; None if it is
            `sure`, or if no number of images would be enough.
        better_than_baked: share of the resamples in which the best candidate is better than the one that is baked;
            None if nothing is baked or the two cannot be told apart.
    """

    candidates: tuple[RankedCandidate, ...]
    verdict: Verdict
    images_needed: int | None
    better_than_baked: float | None


def rank(
    evidence: Mapping[Candidate, Evidence],
    frames: NDArray[np.uint8],
    *,
    baked: Candidate | None = None,
    seed: int = 0,
) -> Ranking:
    """Rank candidates.

    The images are drawn with replacement many times (bootstrap). A candidate is the right one beyond doubt if it is the
    best in nearly all of these samples.

    Args:
        evidence: of each candidate; where two are the same, the first is preferred.
        frames: the images, uint8 (N, H, W, 3) BGR, to find candidates that cannot be told apart.
    """
    order = list(evidence)
    images = len(frames)
    points = np.array([evidence[one].scores(equal_weights(images))[0] for one in order])
    samples = np.stack([evidence[one].scores(bootstrap_weights(images, seed)) for one in order])
    best = int(points.argmax())
    same = np.array([is_same_input(order[best], one, frames) for one in order])
    first = samples.argmax(0)
    wins = np.bincount(first, minlength=len(order)) / samples.shape[1]
    shares = np.where(same, wins[same].sum(), wins)
    by_rank = sorted(range(len(order)), key=lambda i: (not same[i], i if same[i] else 0, -points[i]))
    rows = tuple(RankedCandidate(order[i], float(points[i]), float(shares[i]), bool(same[i])) for i in by_rank)
    share = rows[0].share
    verdict: Verdict = "sure" if share >= SURE else "likely" if share >= LIKELY else "undecided"
    better = None
    if baked is not None and not same[order.index(baked)]:
        better = float((samples[same].max(0) > samples[order.index(baked)]).mean())
    return Ranking(rows, verdict, None if verdict == "sure" else _needed(samples, same, points, images), better)


def is_same_input(one: Candidate, other: Candidate, frames: NDArray[np.uint8]) -> bool:
    """Whether a network gets practically the same values from two candidates; see `SAME_INPUT`."""
    sample = frames[:20, ::4, ::4]
    first, second = one.apply(sample), other.apply(sample)
    return bool(np.sqrt(np.square(first - second).mean()) < SAME_INPUT * first.std())


def _needed(
    samples: NDArray[np.float64], same: NDArray[np.bool_], points: NDArray[np.float64], images: int
) -> int | None:
    """The number of images at which the runner-up would be behind in a share `SURE` of the samples.

    The spread of the difference of two scores falls with the square root of the number of images.
    """
    if same.all():
        return None
    runner_up = int(np.where(same, -np.inf, points).argmax())
    differences = samples[same].max(0) - samples[runner_up]
    mean, spread = float(points[same].max() - points[runner_up]), float(differences.std())
    if mean <= 0 or spread == 0:
        return None
    quantile = 1.645  # of the normal distribution, for 0.95
    needed = images * (quantile * spread / mean) ** 2
    return int(np.ceil(needed / 10) * 10) if images < needed <= 100_000 else None
