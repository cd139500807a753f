"""Rank candidates by their evidence, and tell how sure the ranking is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ov_mobilenet.diagnosis.candidates import Candidate
from ov_mobilenet.diagnosis.doubts import doubt_about
from ov_mobilenet.diagnosis.evidence import Evidence, bootstrap_weights, equal_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

Verdict = Literal["sure", "likely", "undecided"]
# Of 1600 random subsets of 20 to 100 photographs, on five networks, none was sure of a wrong candidate, and one was
# likely; of 500 subsets of 10, none and four. From 50 images on, the right candidate was always the best.
SURE, LIKELY = 0.95, 0.80
# With 0.95 in place of 0.99 and without a verdict, the right normalisation of a simulated network with 10 to 50 classes
# was called wrong, on photographs of other classes, in 170 of 4050 trials; with 0.99 and a verdict in 15, and in 4 if
# `MIN_INFORMATION` is applied too.
BETTER = 0.99
# Two candidates cannot be told apart if what they make of the images differs by less than this: the root of the mean
# squared difference, as a share of the standard deviation. Torchvision's normalisation against scale 1/0.017: 0.02;
# the closest of the others, -1..1 against -0.5..0.5: 0.5.
SAME_INPUT = 0.05
_STEPS = [step * 10**power // 10 for power in (1, 2, 3) for step in (10, 15, 20, 30, 50, 70)] + [10_000]


@dataclass(frozen=True)
class RankedCandidate:
    """A candidate with its evidence.

    Attributes:
        candidate: what was applied to the images.
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
        images_needed: number of images with which the verdict would probably be `sure`, extrapolated from these and
            rounded up; None if it is `sure`, or if no number of images would be enough.
        better_than_baked: share of the resamples in which the best candidate is better than the one that is baked;
            None if nothing is baked or the two cannot be told apart.
        note: why the verdict is `undecided` whatever the shares are; None without such a reason.
    """

    candidates: tuple[RankedCandidate, ...]
    verdict: Verdict
    images_needed: int | None
    better_than_baked: float | None
    note: str | None = None

    @property
    def baked_is_wrong(self) -> bool:
        """Whether the best candidate is better than the baked one beyond doubt.

        That is the case if it is surely the best of all, if it is likely and better than the baked one in a share
        `BETTER` of the resamples, or if it is undecided, but better than the baked one in each resample.
        """
        if self.better_than_baked is None or self.note is not None:
            return False
        least = {"sure": 0.0, "likely": BETTER, "undecided": 1.0}[self.verdict]
        return self.better_than_baked >= least


def rank(
    evidence: Mapping[Candidate, Evidence],
    frames: NDArray[np.uint8],
    *,
    baked: Candidate | None = None,
    seed: int = 0,
) -> Ranking:
    """Rank candidates.

    The images are drawn with replacement many times (bootstrap; Efron, "Bootstrap Methods: Another Look at the
    Jackknife", Annals of Statistics 1979). A candidate is the right one beyond doubt if it is the best in nearly all of
    these samples and nothing speaks against the evidence itself, see `doubt_about`.

    Args:
        evidence: of each candidate; where two are the same, the first is preferred.
        frames: the images, uint8 (N, H, W, 3) BGR, to find candidates that cannot be told apart.
    """
    order = list(evidence)
    images = len(frames)
    points = np.array([_comparable(evidence[one].scores(equal_weights(images)))[0] for one in order])
    weights = bootstrap_weights(images, seed)
    samples = np.stack([_comparable(evidence[one].scores(weights)) for one in order])
    best = int(points.argmax())
    same = np.array([is_same_input(order[best], one, frames) for one in order])
    first = samples.argmax(0)
    wins = np.bincount(first, minlength=len(order)) / samples.shape[1]
    shares = np.where(same, wins[same].sum(), wins)
    by_rank = sorted(range(len(order)), key=lambda i: (not same[i], i if same[i] else 0, -points[i]))
    rows = tuple(RankedCandidate(order[i], float(points[i]), float(shares[i]), bool(same[i])) for i in by_rank)
    share = rows[0].share
    note = doubt_about(evidence[order[best]], float(points[best]), frames)
    verdict: Verdict = "undecided" if note or share < LIKELY else "sure" if share >= SURE else "likely"
    better = None
    if baked is not None and not same[order.index(baked)]:
        better = float((samples[same].max(0) > samples[order.index(baked)]).mean())
    needed = None if verdict == "sure" or note else images_needed(samples, points, same, images)
    return Ranking(rows, verdict, needed, better, note)


def _comparable(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores of a network that gives no numbers are the lowest; numpy would take NaN for the highest."""
    return np.where(np.isnan(scores), -np.inf, scores)


def is_same_input(one: Candidate, other: Candidate, frames: NDArray[np.uint8]) -> bool:
    """Whether a network gets practically the same values from two candidates; see `SAME_INPUT`."""
    sample = frames[:20, ::4, ::4]
    first, second = one.apply(sample), other.apply(sample)
    return bool(np.sqrt(np.square(first - second).mean()) <= SAME_INPUT * first.std())


def images_needed(
    samples: NDArray[np.float64], points: NDArray[np.float64], same: NDArray[np.bool_], images: int
) -> int | None:
    """The number of images with which the best candidate would probably be ahead of each other in a share `SURE`.

    The spread of the difference of two scores falls with the square root of the number of images, so that
    n = images * ((1.645 + 1.282) * spread / difference)^2: the quantiles of the normal distribution for a share of 0.95
    and for nine of ten draws. The result is rough and is rounded up to 20, 30, 50, 70, 100, 150, 200 and so on: on four
    networks, 20 photographs that were not enough predicted (median) 100, 70, 70 and 50, where 70, 50, 30 and 30 were
    enough in nine of ten draws; the prediction was too low in 12 % of the draws, and above 500 or none in 17 %.

    Args:
        samples: scores, (candidates, resamples).
        points: scores with all images, (candidates,).
        same: which candidates cannot be told apart from the best one.
        images: number of images that were scored.

    Returns:
        None if it is above 10 000, or if a candidate is not behind at all.
    """
    best = int(points.argmax())
    rivals = ~same & np.isfinite(points)
    if not rivals.any():
        return None
    behind = points[best] - points[rivals]
    spread = (samples[best] - samples[rivals]).std(1)
    if behind.min() <= 0:
        return None
    needed = max(images + 1.0, float((images * (2.927 * spread / behind) ** 2).max()))
    return next((step for step in _STEPS if step >= needed), None)
