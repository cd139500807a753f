"""A quick check of an IR on a few images: is another normalisation significantly better than the one that is baked?

For commands that have images anyway. There is a warning if another candidate is better by one of two measures.

The mutual information (MI) between image and predicted class, if all of this holds:
    share     it is higher than with what is baked in a share `SIGNIFICANT` of the bootstrap resamples.
    variety   exp(MI), the number of classes that the candidate tells apart, is at least `LEAST_VARIETY`. On images of
              one class the right candidate gives one class: its MI is near 0, and any other is better.
    labels    if they are known, it has at least as many right answers as what is baked.
The labels, if they are known:
    sign test with n images that are right under one of the two only, b of them under the candidate,
              P(X >= b | n, 1/2) <= `SIGN_TEST`; X is binomial. With 13 candidates this is 0.013 or less for all.

The warning names the candidate with the highest MI, among those that are not worse than another by the sign test at
`WORSE`.

Measured with 20 images at a time, on five networks with real weights (200 photographs of ImageNet) and on the sample
model (400 drawings of its 16 classes), by MI without labels. Right normalisation, 600 draws each: the largest share is
0.942. With drawings of only 1 to 12 classes, 300 draws each: 785 shares of at least 0.98, all with a variety below 8.
Wrong normalisations: 70 % (sample model) to 100 % of the draws have a share of at least 0.98; fewest (29 %) for
-0.5..0.5 instead of -1..1 in the smallest network. `diagnose` with 100 images decides these.

An INT8 IR is checked too. Its first FakeQuantize may clip what is outside the range of its calibration. That makes
other candidates worse, never better: it can hide a wrong normalisation, but not cause a warning.
"""

from __future__ import annotations

import logging
import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ov_mobilenet.diagnosis.candidates import NAMED, RAW_PIXELS, Candidate, candidates_with
from ov_mobilenet.diagnosis.conversion_command import conversion_options
from ov_mobilenet.diagnosis.evidence import RESAMPLES, Answers, bootstrap_weights, equal_weights
from ov_mobilenet.diagnosis.ir_network import network_of_ir
from ov_mobilenet.diagnosis.ranking import is_same_input
from ov_mobilenet.diagnosis.summary import candidate_name
from ov_mobilenet.errors import OvMobilenetError
from ov_mobilenet.ir.files import OpenedIr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ov_mobilenet.zoo.geometry import Geometry

CHECKED_IMAGES = 20
SIGNIFICANT = 0.98
LEAST_VARIETY = 8.0
SIGN_TEST, WORSE = 0.001, 0.05

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Trial:
    """The answers under a candidate.

    Attributes:
        score: mutual information, in nats.
        resampled: the score for each bootstrap resample of the images.
        right: whether the answer to each image is right; all False without labels.
    """

    candidate: Candidate
    score: float
    resampled: NDArray[np.float64]
    right: NDArray[np.bool_]

    @property
    def top1(self) -> int:
        """Number of right answers."""
        return int(self.right.sum())

    def share_above(self, other: Trial) -> float:
        """The share of the resamples in which this candidate has the higher score."""
        return float((self.resampled > other.resampled).mean())

    def is_better(self, other: Trial) -> bool:
        """Whether it is significantly better; see the module."""
        is_varied = math.exp(self.score) >= LEAST_VARIETY and self.top1 >= other.top1
        return (is_varied and self.share_above(other) >= SIGNIFICANT) or sign_test(self.right, other.right) <= SIGN_TEST


def draw(count: int) -> list[int]:
    """The indices of `CHECKED_IMAGES` of `count` images, drawn at random with a fixed seed; of all if there are fewer.

    The first images of a dataset may all show the same class.
    """
    return sorted(np.random.default_rng(0).permutation(count)[:CHECKED_IMAGES].tolist())


def can_be_checked(ir: OpenedIr, *, has_labels: bool) -> bool:
    """Whether an IR can be checked, as far as is known without running it."""
    record = ir.record
    if record is not None and (record.output_kind != "classes" or record.geometry_baked or record.planes is not None):
        return False
    shape = ir.network.outputs[0].get_partial_shape()
    classes = shape[1] if shape.rank.is_static and len(shape) > 1 else None
    # exp(MI) is at most the number of classes.
    return has_labels or (classes is not None and classes.is_static and classes.get_length() > LEAST_VARIETY)


def normalisation_warnings(
    ir: OpenedIr,
    frames: NDArray[np.uint8],
    *,
    model: str | Path,
    images: str | Path,
    truths: NDArray[np.int64] | None = None,
    geometry: Geometry | None = None,
) -> tuple[str, ...]:
    """Return a warning if another normalisation is significantly better than the one that is baked; see the module.

    The network runs on the CPU, whichever device it is used on, because the question is not about the device. There is
    no warning for an IR that cannot be checked, and for another number of frames than `CHECKED_IMAGES`.

    Args:
        ir: not changed.
        frames: uint8 (N, height, width, 3) BGR of the network's input size.
        model, images: arguments of `diagnose` for the warning.
        truths: the classes of the frames as the network numbers them, if they are known.
        geometry: with which the frames were made, if the IR does not record it.
    """
    if len(frames) != CHECKED_IMAGES or not can_be_checked(ir, has_labels=truths is not None):
        return ()
    try:
        network = network_of_ir(OpenedIr(ir.xml, ir.network.clone(), ir.record), geometry)
        if network.output_kind != "classes" or network.other_readings:
            return ()
        baked, *others = _distinct(candidates_with(network.baked), network.baked or RAW_PIXELS, frames)
        now, *trials = (try_candidate(one, network.answers(one.apply(frames)), truths) for one in (baked, *others))
    except (OvMobilenetError, RuntimeError, ValueError) as error:
        log.debug("%s: the normalisation cannot be checked: %s", ir.xml, error)
        return ()
    better = better_than(now, trials, has_labels=truths is not None)
    if better is None:
        return ()
    what = f"the normalisation that is baked ({_name(baked)})" if network.baked else "raw BGR input (nothing is baked)"
    command = f"ov-mobilenet diagnose {shlex.quote(str(model))} --images {shlex.quote(str(images))}"
    counts = f"{better.top1} instead of {now.top1} are right, and " if truths is not None else ""
    rivals = " and ".join(_name(one.candidate) for one in trials if _is_rival(one, better))
    correction = ""
    if not rivals:
        correction = f". To correct it, convert the source network again with {conversion_options(better.candidate)}"
    return (
        f"{what} is probably not what the network was trained with. {_name(better.candidate)} is better on "
        f"{len(frames)} of the images: {counts}the mutual information between image and class is {better.score:.2f} "
        f"instead of {now.score:.2f} (higher in {better.share_above(now):.1%} of {RESAMPLES} bootstrap resamples)"
        f"{f'. {rivals} cannot be ruled out' if rivals else ''}. For evidence from more images: {command}{correction}",
    )


def _distinct(candidates: Sequence[Candidate], baked: Candidate, frames: NDArray[np.uint8]) -> list[Candidate]:
    """The baked candidate, and the first of those that give the network the same input."""
    chosen = [baked]
    for candidate in candidates:
        if not any(is_same_input(candidate, one, frames) for one in chosen):
            chosen.append(candidate)
    return chosen


def try_candidate(
    candidate: Candidate, probabilities: NDArray[np.float32], truths: NDArray[np.int64] | None = None
) -> Trial:
    """What the answers under a candidate show.

    Args:
        probabilities: (images, classes).
        truths: see `normalisation_warnings`.
    """
    answers = Answers(probabilities.astype(np.float64))
    right = np.zeros(len(probabilities), np.bool_) if truths is None else probabilities.argmax(1) == truths
    (score,) = answers.scores(equal_weights(len(probabilities)))
    return Trial(candidate, float(score), answers.scores(bootstrap_weights(len(probabilities))), right)


def sign_test(right: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """The probability of at least this many more right answers than another candidate's, if both are equally good.

    The one-sided sign test, that is McNemar's exact test.
    """
    only, only_other = int((right & ~other).sum()), int((other & ~right).sum())
    count = only + only_other
    at_least: int = sum(math.comb(count, k) for k in range(only, count + 1))
    return at_least / 2.0**count


def better_than(now: Trial, others: Sequence[Trial], *, has_labels: bool) -> Trial | None:
    """The best of the other candidates, if it is significantly better than what is baked; see the module."""
    candidates = [one for one in others if one.is_better(now)] if has_labels else others
    not_worse = [one for one in candidates if not any(sign_test(it.right, one.right) <= WORSE for it in candidates)]
    best = max(not_worse, key=lambda one: one.score, default=None)
    return best if best is not None and best.is_better(now) else None


def _is_rival(one: Trial, best: Trial) -> bool:
    """Whether a candidate is about as good as the best one."""
    is_worse = sign_test(best.right, one.right) <= WORSE
    return one is not best and not is_worse and one.share_above(best) >= 1 - SIGNIFICANT


def _name(candidate: Candidate) -> str:
    if candidate.name in NAMED:
        return candidate_name(candidate)
    mean, scale = (",".join(f"{value:g}" for value in values) for values in (candidate.mean, candidate.scale))
    return f"mean {mean or 0}, scale {scale or 1}, {candidate.channel_order}"
