"""Reasons to doubt the best candidate although the bootstrap prefers it.

The bootstrap tells how much the ranking depends on the draw of the images. It does not tell whether the evidence means
anything for this network and these images: on noise, on one scene or with two classes it prefers a wrong candidate as
clearly as the right one. The limits here were measured with 14 candidates on five ImageNet networks (V1 0.25 as
TensorFlow, TFLite and quantised TFLite, V2, quantised V3 small) and 200 photographs, unless a comment says otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ov_mobilenet.diagnosis.evidence import Answers, Evidence, LayerStatistics

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Real networks: with 2 classes, a wrong candidate was best in three of three and sure in two, because inputs that are
# too large make confident answers; with 5 and 16 the right one was best. Simulated, in trials of 20, 50 and 100
# images: the answers of the five networks restricted to k random classes, on photographs of other classes, were sure
# of a wrong candidate in 7, 9, 3, 4, 4, 1, 2, 0 of 900 trials (k = 2, 3, 5, 8, 10, 12, 15, 20) and in 0 of 450 with k
# = 50. Grouped into k classes, on photographs of these classes: in 1 of 900 with k = 2 and in 1 of 6750 with 3 to 50.
MIN_CLASSES = 10
# As a share of the largest possible mutual information, log(min(images, classes)). The right candidate had 0.50 to 1.0
# with 10 to 100 photographs; the best (wrong) one had 0.02 to 0.15 with 20 views of nearly the same image, up to 0.30
# with crops of one image, 0.03 with noise, up to 0.41 with coloured gradients. With this limit and `MIN_CLASSES`, the
# simulation above was sure of a wrong candidate in 4 of 8100 trials instead of 8.
MIN_INFORMATION = 0.4
SAME_ANSWERS = 1e-3  # nats
# The right candidate had 0.014 to 0.115 in two networks with 20 to 200 images like those of the training; the best one
# had 0.11 to 0.20 with noise, 0.20 to 0.28 with coloured gradients, 0.5 to 2.3 with images ten times too dark.
MAX_DIVERGENCE = 0.15
# In grey levels. 20 photographs: 38 and more; 20 drawings of the sample model: 32 and more; 20 views of nearly the same
# image: 3 to 8; noise: 2.
MIN_VARIETY = 20.0
_BLOCKS = 4  # images are compared in blocks, 4 x 4 of an image, so that noise and small shifts do not count


def doubt_about(evidence: Evidence, score: float, frames: NDArray[np.uint8]) -> str | None:
    """Why the best candidate may be wrong whatever its share is; None if nothing speaks against it.

    Args:
        evidence: of the best candidate.
        score: its score with all images.
        frames: uint8 (N, H, W, 3).
    """
    if isinstance(evidence, Answers):
        images, classes = evidence.probabilities.shape
        if classes < MIN_CLASSES:
            return (
                f"mutual information does not decide for a network with {classes} classes, at least {MIN_CLASSES} are "
                "needed"
            )
    if not np.isfinite(score):
        return "under no candidate does the network give finite numbers for all images"
    if variety(frames) < MIN_VARIETY:
        return "the images are too much alike, images of many scenes are needed"
    if isinstance(evidence, Answers):
        most = np.log(min(images, classes))
        if evidence.multilabel:  # there is no measured limit, but the same answers to all images tell nothing
            return None if score > SAME_ANSWERS else "under no candidate do the answers to the images differ"
        if score < MIN_INFORMATION * most:
            return (
                f"under no candidate does the network tell the images apart (mutual information {score:.2f}, expected "
                f"at least {MIN_INFORMATION * most:.2f}), images like those of the training are needed"
            )
    if isinstance(evidence, LayerStatistics) and -score > MAX_DIVERGENCE:
        return (
            f"under no candidate are the images like those of the training (divergence {-score:.2f}, expected at most "
            f"{MAX_DIVERGENCE:.2f})"
        )
    return None


def variety(frames: NDArray[np.uint8]) -> float:
    """How much images differ: the standard deviation over the images of each block's mean colour, in grey levels.

    Args:
        frames: uint8 (N, H, W, 3); each is divided into 4 x 4 blocks, the mean of all blocks and channels is returned.
    """
    rows = np.array_split(np.arange(frames.shape[1]), _BLOCKS)
    columns = np.array_split(np.arange(frames.shape[2]), _BLOCKS)
    blocks = [frames[:, r[0] : r[-1] + 1, c[0] : c[-1] + 1].mean((1, 2)) for r in rows for c in columns]
    return float(np.stack(blocks).std(1).mean())
