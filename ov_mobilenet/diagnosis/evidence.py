"""The two kinds of evidence for a normalisation: batch-norm statistics and mutual information.

A score is comparable only with other scores of the same kind, network and images; the higher, the better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

EvidenceKind = Literal["batch_norm", "mutual_information"]
RESAMPLES = 1000
_LEAST = 1e-12  # below this a probability or a variance counts as zero


def entropy(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """The entropy of distributions along the last axis, in nats: -sum p log p, with 0 log 0 = 0."""
    p = np.asarray(probabilities, np.float64)
    result: NDArray[np.float64] = -(p * np.log(np.maximum(p, _LEAST))).sum(-1)
    return result


def binary_entropy(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """The entropy of independent labels, summed over the last axis, in nats: -sum p log p + (1 - p) log(1 - p)."""
    p = np.asarray(probabilities, np.float64)
    return entropy(p) + entropy(1 - p)


def gaussian_divergence(
    mean: NDArray[np.floating],
    variance: NDArray[np.floating],
    other_mean: NDArray[np.floating],
    other_variance: NDArray[np.floating],
) -> NDArray[np.float64]:
    """KL(N(mean, variance) || N(other_mean, other_variance)), element by element, in nats.

    (log(b / a) + (a + (m - n)^2) / b - 1) / 2 with variances a, b and means m, n.
    """
    a = np.maximum(np.asarray(variance, np.float64), _LEAST)
    b = np.maximum(np.asarray(other_variance, np.float64), _LEAST)
    shift = np.asarray(mean, np.float64) - np.asarray(other_mean, np.float64)
    result: NDArray[np.float64] = (np.log(b / a) + (a + shift**2) / b - 1) / 2
    return result


@dataclass(frozen=True)
class Moments:
    """What flows into a layer of batch norm, per image and channel.

    Attributes:
        mean, mean_square: (images, channels), over height and width.
    """

    mean: NDArray[np.float64]
    mean_square: NDArray[np.float64]


@dataclass(frozen=True)
class StoredStatistics:
    """What a layer of batch norm recorded in training: (channels,) each; the variance without epsilon."""

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]

    @property
    def is_recorded(self) -> bool:
        """False for the initial values, mean 0 and variance 1: of a layer that was folded into its convolution."""
        return not (np.abs(self.mean).max() < 1e-6 and np.abs(self.variance - 1).max() < 1e-3)


class Evidence(Protocol):
    """What was observed of the network under one candidate."""

    def scores(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The score for each weighting of the images.

        Args:
            weights: (weightings, images), each row sums to 1.
        """
        ...


@dataclass(frozen=True)
class Answers:
    """Evidence by mutual information.

    Attributes:
        probabilities: the network's answers, (images, classes).
        multilabel: whether each class is a label of its own, instead of one class per image; the mutual information is
            then the sum over the labels.
    """

    probabilities: NDArray[np.float64]
    multilabel: bool = False

    def scores(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mutual information between image and predicted class, in nats: H(mean of p) - mean of H(p).

        It is high if each prediction is confident and the predictions of different images differ. Its maximum is the
        logarithm of the smaller of the number of images and the number of classes. Source: Bridle, Heading and MacKay,
        "Unsupervised Classifiers, Mutual Information and 'Phantom Targets'", NIPS 1991.
        """
        uncertainty = binary_entropy if self.multilabel else entropy
        result: NDArray[np.float64] = uncertainty(weights @ self.probabilities) - weights @ uncertainty(
            self.probabilities
        )
        return result


@dataclass(frozen=True)
class LayerStatistics:
    """Evidence by batch norm: what flows into a layer, and what the layer recorded."""

    moments: Moments
    stored: StoredStatistics

    def scores(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The negative divergence of what flows in from what was recorded, mean over the channels, in nats."""
        mean = weights @ self.moments.mean
        variance = weights @ self.moments.mean_square - mean**2
        result: NDArray[np.float64] = -gaussian_divergence(mean, variance, self.stored.mean, self.stored.variance).mean(
            1
        )
        return result


def equal_weights(images: int) -> NDArray[np.float64]:
    """One weighting: all images alike."""
    return np.full((1, images), 1 / images)


def bootstrap_weights(images: int, seed: int = 0, resamples: int = RESAMPLES) -> NDArray[np.float64]:
    """Weightings of images that are drawn with replacement, (resamples, images)."""
    return np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), resamples) / images
