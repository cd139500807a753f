"""Whether the answers of a network can be right at all: not the same for all images, and better than chance.

A network that is fed wrongly (mean, scale, channel order) or whose labels are permuted still gives probabilities. What
the answers alone show:

Without labels, on at least 20 images that differ by at least 5 grey levels on average:
    constant    the logarithm of a class's probability differs by less than 0.03 for each bit of log2(classes): 0.03
                for two classes, 0.3 for 1000 (standard deviation over the images, averaged over the classes). Real
                networks on 25 crops of one photograph: 0.18 with two classes, 1.1 and 1.7 with 1000. Fed with
                values 255 times too small, on 40 photographs: 0.05, 0.06 and 0.18. The network hardly reacts to its
                input: an error, whatever the images show.
    uniform     every image has the same class, and the probabilities differ by less than 0.02 (median of half the sum
                of the differences from the mean). Right for images of one class, so this is only a warning.

With labels, on at least 20 images:
    chance      with p = 1 / classes, P(X >= top-1 | n, p) >= 0.01: the top-1 is not better than guessing; and
                P(X <= top-1 | n, (1 + p) / 2) < 0.001: a network half-way between guessing and perfect would hardly be
                this bad. X is binomial. The second condition keeps small datasets from being judged.
    one class   at least 95 % of the images are classified as one class, though at most 80 % have the same label.

A network that is right for some images (25 % instead of 97 %) is above chance and not found here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST_IMAGES = 20
LEAST_IMAGE_SPREAD = 5.0
CONSTANT_SPREAD_PER_BIT = 0.03
UNIFORM_DISTANCE = 0.02
CHANCE_LEVEL, WORKING_LEVEL = 0.01, 0.001
ONE_CLASS_ANSWERS, ONE_CLASS_LABELS = 0.95, 0.8
_SMALLEST = 1e-30  # of a float32 probability whose logarithm is taken
LIKELY_CAUSE = (
    "Likely causes: wrong mean and scale values, a normalisation that is applied twice or not at all, or the wrong "
    "channel order"
)


def image_spread(frames: NDArray[np.uint8]) -> float:
    """Return how much images differ: the standard deviation over the images, averaged over the pixels, in grey levels.

    Args:
        frames: (N, ...), the same pixels of each image.
    """
    return float(frames.astype("float32").std(axis=0).mean())


def are_constant(probabilities: NDArray[np.float32], spread: float) -> bool:
    """Whether a network gives the same answer for images that differ; see the module.

    Args:
        probabilities: (N, classes), in [0, 1].
        spread: `image_spread` of the images.
    """
    import numpy as np

    if not _can_be_judged(probabilities, spread):
        return False
    logarithms = np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST))
    limit = CONSTANT_SPREAD_PER_BIT * math.log2(probabilities.shape[1])
    return float(logarithms.std(axis=0).mean()) < limit


def are_uniform(probabilities: NDArray[np.float32], spread: float) -> bool:
    """Whether all images get the same class with nearly the same probabilities; see the module for the arguments."""
    import numpy as np

    if not _can_be_judged(probabilities, spread) or len(set(probabilities.argmax(1).tolist())) > 1:
        return False
    distances = np.abs(probabilities - probabilities.mean(axis=0)).sum(axis=1) / 2
    return float(np.median(distances)) < UNIFORM_DISTANCE


def _can_be_judged(probabilities: NDArray[np.float32], spread: float) -> bool:
    return len(probabilities) >= LEAST_IMAGES and spread >= LEAST_IMAGE_SPREAD


def unlabelled_warnings(probabilities: NDArray[np.float32], spread: float) -> tuple[str, ...]:
    """Return what is suspicious about the answers for images without labels; see the module for the arguments."""
    count = len(probabilities)
    if are_constant(probabilities, spread):
        return (f"the network gives nearly the same answer for all {count} images, which differ. {LIKELY_CAUSE}",)
    if are_uniform(probabilities, spread):
        best = int(probabilities[0].argmax())
        return (
            f"all {count} images are classified as class {best} with nearly the same probabilities, which is right "
            f"only if they all show it. {LIKELY_CAUSE}",
        )
    return ()


def labelled_warnings(truths: Iterable[int], predicted: Iterable[int], classes: int) -> tuple[str, ...]:
    """Return what is suspicious about the top-1 of images with labels.

    Args:
        truths, predicted: class of each image.
        classes: number of classes of the network, without background.
    """
    import numpy as np

    right, found = np.fromiter(truths, np.int64), np.fromiter(predicted, np.int64)
    count = len(right)
    if count < LEAST_IMAGES:
        return ()
    warnings = []
    top1 = int((right == found).sum())
    best, same_answer = _most_frequent(found)
    if same_answer >= ONE_CLASS_ANSWERS and _most_frequent(right)[1] <= ONE_CLASS_LABELS:
        warnings.append(
            f"{same_answer:.0%} of {count} images are classified as class {best}, though their labels differ. "
            f"{LIKELY_CAUSE}"
        )
    elif is_at_chance_level(top1, count, classes):
        warnings.append(
            f"top-1 is at the level of chance: {top1} of {count} images are right with {classes} classes. "
            f"{LIKELY_CAUSE}, or labels in another order than the network's"
        )
    return tuple(warnings)


def _most_frequent(classes: NDArray[np.int64]) -> tuple[int, float]:
    """The most frequent class and its fraction."""
    import numpy as np

    values, counts = np.unique(classes, return_counts=True)
    return int(values[counts.argmax()]), float(counts.max() / len(classes))


def is_at_chance_level(top1: int, images: int, classes: int) -> bool:
    """Whether this many right answers are what guessing gives, and a working network does not; see the module."""
    guess = 1 / classes
    not_better = 1 - binomial_cdf(top1 - 1, images, guess) >= CHANCE_LEVEL
    return not_better and binomial_cdf(top1, images, (1 + guess) / 2) < WORKING_LEVEL


def binomial_cdf(successes: int, trials: int, probability: float) -> float:
    """Return P(X <= successes) of the binomial distribution."""
    if successes < 0:
        return 0.0
    if successes >= trials or probability in (0.0, 1.0):
        return 1.0 if successes >= trials or probability == 0.0 else 0.0
    log_p, log_q = math.log(probability), math.log1p(-probability)
    total = math.lgamma(trials + 1)
    terms = (
        total - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * log_p + (trials - k) * log_q
        for k in range(successes + 1)
    )  # fmt: skip
    return min(1.0, math.fsum(map(math.exp, terms)))
