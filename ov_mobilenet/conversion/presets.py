"""Presets: the normalisation and the geometry with which the networks of one library were trained and published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ov_mobilenet.zoo.geometry import Crop, Geometry, Resize
from ov_mobilenet.zoo.normalisation import Normalisation

# The side of the crop as a fraction of the side that the image is resized to, or is cropped from.
CROP_FRACTION = 0.875


@dataclass(frozen=True)
class Preset:
    """What the networks of one library have in common; all of them take RGB.

    Attributes:
        normalisation: normalisation of the pixels 0..255.
        resizes_first: whether the image is resized before it is cropped.
        keeps_aspect: whether this resize keeps the aspect ratio, with Pillow; otherwise OpenCV resizes.
    """

    normalisation: Normalisation
    resizes_first: bool
    keeps_aspect: bool = False

    def geometry(self, height: int, width: int) -> Geometry:
        """The geometry for an input of `height` x `width` pixels."""
        if not self.resizes_first:
            return Geometry(steps=(Crop(fraction=CROP_FRACTION), Resize(height=height, width=width)))
        resized = Resize(
            height=round(height / CROP_FRACTION),
            width=round(width / CROP_FRACTION),
            keep_aspect=self.keeps_aspect,
            library="pillow" if self.keeps_aspect else "opencv",
        )
        crop = Crop(height=height, width=width, library=resized.library)
        return Geometry(steps=(resized, crop), reader=resized.library)


PRESETS: Mapping[str, Preset] = {
    "torchvision": Preset(
        Normalisation(mean=(123.675, 116.28, 103.53), scale=(58.395, 57.12, 57.375), reverse_input_channels=True),
        resizes_first=True,
        keeps_aspect=True,
    ),
    "tensorflow": Preset(
        Normalisation(mean=(127.5,), scale=(127.5,), reverse_input_channels=True), resizes_first=False
    ),
    # These networks rescale inside.
    "keras-v3": Preset(Normalisation(reverse_input_channels=True), resizes_first=True),
}
