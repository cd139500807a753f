"""How far the answers of an IR may be from those of its source network.

A float network is computed in floats by both: every probability is nearly the same, for any image.

A quantised network is not. Each framework rounds at other places and adds up in another order; a value next to a
rounding limit becomes the next integer, and later layers enlarge the difference. The largest difference over the
images therefore has no limit that a right conversion keeps and a wrong one exceeds. Measured on 100 to 200 ImageNet
images (MobileNet V1 0.25, V2 and V3 small in twelve quantisations, two networks of other classes):

                                             largest        mean of the top-1's  same top-1     same or near tie
    right IR                                 0.003 to 0.33  0.001 to 0.048       0.69 to 1.00   0.93 to 1.00
    LiteRT's fast and reference kernels      0.17           0.037                0.77           0.98
    onnxruntime with and without fusing      0.21 to 0.29   -                    0.98 to 1.00   -
    channels swapped                         0.32 to 0.99   0.114 to 0.27        0.34 to 0.88   0.46 to 0.89
    ImageNet's mean and scale for others     0.31 to 0.99   0.094 to 0.25        0.25 to 0.82   0.59 to 0.84
    0..1 for -1..1 or ImageNet's             0.41 to 0.94   0.131 to 0.22        0.06 to 0.88   0.23 to 0.90
    input offset by 128                      0.48 to 1.00   0.128 to 0.50        0.09 to 0.93   0.26 to 0.93
    softmax twice                            0.26 to 1.00   0.197 to 0.85        as right       as right

So a quantised network is judged by the mean difference of the probability of the source network's top-1, and by the
share of images with the same top-1, where a near tie counts as the same. Both vary with the choice of the images, so
the limits are wider for few images.

On generated noise a quantised network is judged by the mean difference alone: 0.001 to 0.053 for a right IR and 0.13
to 0.76 with a second softmax. Its top-1 is not judged: the answers to noise are nearly uniform, and 0.31 of the top-1
of a right IR are the same. Swapped channels (0.03 to 0.47) and another mean and scale (0.04 to 0.23) may not be seen.

Two errors are not found: an input that is off by 8 of 255 levels or less, which is as large as the rounding; and a
slightly wrong mean or scale of a network whose probabilities are all next to 1.
"""

from __future__ import annotations

import math

from msgspec import Struct

from ov_mobilenet.zoo.output_kind import OutputKind

# Promised in docs/explanation/numbers.md, by weight precision of a converted model: the largest difference of any
# probability, and the smallest fraction of images with the same top-1.
TOLERANCE = {"FP32": (3e-5, 1.0), "FP16": (4e-2, 0.98)}
# For features, the mean length of the difference, relative to the vector: 0.05 to 0.19 for a right IR of V2 in three
# quantisations; 0.42 to 0.44 with swapped channels; 0.38 to 0.41 with another mean and scale.
_MEAN_DIFFERENCE, _MEAN_DISTANCE, _NEAR_AGREEMENT = 0.06, 0.26, 0.93
# Allowed for the choice of the images, divided by the square root of their number: about two standard errors.
_MEAN_ALLOWANCE, _AGREEMENT_ALLOWANCE = 0.15, 0.6

NOISE_WARNING = (
    "the network is quantised, and its answers to noise show only gross errors, such as a second softmax; to check "
    "channel order, mean and scale, verify on images (--verify-images)"
)


class VerificationLimits(Struct, frozen=True, kw_only=True):
    """The limits of a verification; the fields are those of `Verification`."""

    tolerance: float
    least_agreement: float
    mean_tolerance: float | None = None
    least_near_agreement: float | None = None


def verification_limits(
    precision: str, kind: OutputKind, images: int, *, quantised: bool, on_noise: bool
) -> VerificationLimits:
    """Return the limits for a network.

    Args:
        precision: weight precision of the IR, FP32 or FP16.
        images: number of images compared, at least 1.
    """
    tolerance, agreement = TOLERANCE[precision]
    if not quantised:
        # Several classes may be equally probable, and features have none.
        return VerificationLimits(tolerance=tolerance, least_agreement=agreement if kind == "classes" else 0.0)
    root = math.sqrt(images)
    mean = _MEAN_DISTANCE if kind == "features" else _MEAN_DIFFERENCE
    is_top1_judged = kind == "classes" and not on_noise
    return VerificationLimits(
        tolerance=1.0,  # only NaN and features of another magnitude exceed it
        least_agreement=0.0,
        mean_tolerance=mean + _MEAN_ALLOWANCE / root,
        least_near_agreement=max(0.0, _NEAR_AGREEMENT - _AGREEMENT_ALLOWANCE / root) if is_top1_judged else None,
    )
