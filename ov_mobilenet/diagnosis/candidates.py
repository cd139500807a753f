"""The normalisations that a network may have been trained with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from ov_mobilenet.zoo.normalisation import Normalisation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ChannelOrder = Literal["RGB", "BGR"]
CHANNEL_ORDERS: tuple[ChannelOrder, ...] = ("RGB", "BGR")

_IMAGENET_MEAN, _IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_CAFFE_MEAN = (123.68, 116.779, 103.939)

# Mean and scale in the order R, G, B, of pixels 0..255. Of two that cannot be told apart, the first is named. Not
# listed because they are practically one of these: mean and scale 128 or scale 128 (MXNet, FaceNet), scale 256, the
# Open Model Zoo's 58.624. Not listed because they are near torchvision's, but not the same (scale 15 to 20 % larger):
# CLIP's and CIFAR's. With one of them in the list, 100 photographs were sure for V2 in 40 % (CLIP) or 15 % (CIFAR) of
# 20 draws instead of all. The mistake is small: V2 has a top-1 of 0.860 with its own, 0.850 with CLIP's and 0.855
# with CIFAR's.
NAMED: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "torchvision": (_IMAGENET_MEAN, _IMAGENET_STD),  # also timm, transformers, Gluon
    "tensorflow": ((127.5,), (127.5,)),  # -1..1
    "0..1": ((), (255.0,)),
    "0..255": ((), ()),
    "half": ((127.5,), (255.0,)),  # -0.5..0.5
    "caffe": (_CAFFE_MEAN, ()),
    "caffe-0.017": (_CAFFE_MEAN, (1 / 0.017,)),  # MobileNet-Caffe
}


class Candidate(Struct, frozen=True, kw_only=True):
    """A normalisation and a channel order.

    Attributes:
        name: a name of `NAMED`, or `given` or `baked` for another normalisation.
        channel_order: the order that the network takes.
        mean, scale: of pixels 0..255, per channel in the network's order; empty, one number or three.
    """

    name: str
    channel_order: ChannelOrder
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()

    @property
    def normalisation(self) -> Normalisation:
        """The normalisation that has to be baked for BGR pixels."""
        return Normalisation(
            mean=self.mean, scale=self.scale, reverse_input_channels=self.channel_order == "RGB"
        )  # fmt: skip

    def apply(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the network gets of BGR frames: float32 of the same shape, channels last, in the network's order.

        Args:
            frames: uint8 (N, H, W, 3) BGR.
        """
        import numpy as np

        values = (frames[..., ::-1] if self.channel_order == "RGB" else frames).astype(np.float32)
        if self.mean:
            values -= np.array(self.mean, np.float32)
        if self.scale:
            values /= np.array(self.scale, np.float32)
        return values


# What an IR takes in which no normalisation is known to be baked.
RAW_PIXELS = Candidate(name="0..255", channel_order="BGR")


def named_candidates() -> tuple[Candidate, ...]:
    """All normalisations of `NAMED` in both channel orders."""
    return tuple(
        Candidate(name=name, channel_order=order, mean=_in_order(mean, order), scale=_in_order(scale, order))
        for name, (mean, scale) in NAMED.items()
        for order in CHANNEL_ORDERS
    )


def candidate_of(normalisation: Normalisation, name: str) -> Candidate:
    """A normalisation as a candidate; it gets its name in `NAMED` if it is one of them."""
    order: ChannelOrder = "RGB" if normalisation.reverse_input_channels else "BGR"
    for candidate in named_candidates():
        if candidate.channel_order == order and _same(candidate.normalisation, normalisation):
            return candidate
    return Candidate(name=name, channel_order=order, mean=normalisation.mean, scale=normalisation.scale)


def both_orders(normalisation: Normalisation, name: str) -> tuple[Candidate, Candidate]:
    """A normalisation as candidates for both channel orders; the mean and scale of each colour stay the same."""
    other = normalisation.for_order(reverse_input_channels=not normalisation.reverse_input_channels)
    return candidate_of(normalisation, name), candidate_of(other, name)


def candidates_with(*others: Candidate | None) -> tuple[Candidate, ...]:
    """All named candidates, and others; one with a name and order of `NAMED`, but other digits, replaces that one."""
    found = {(one.name, one.channel_order): one for one in named_candidates()}
    found |= {(other.name, other.channel_order): other for other in others if other is not None}
    return tuple(found.values())


def _in_order(values: tuple[float, ...], order: ChannelOrder) -> tuple[float, ...]:
    return values if order == "RGB" else values[::-1]


def _same(one: Normalisation, other: Normalisation) -> bool:
    """Whether two normalisations give the same values, up to the rounding of documented constants (1 %)."""

    def three(values: tuple[float, ...], neutral: float) -> tuple[float, ...]:
        return (values or (neutral,)) * (3 if len(values) < 2 else 1)

    pairs = [
        *zip(three(one.mean, 0.0), three(other.mean, 0.0), strict=True),
        *zip(three(one.scale, 1.0), three(other.scale, 1.0), strict=True),
    ]
    return all(abs(a - b) <= 0.01 * max(1.0, abs(a)) for a, b in pairs)
