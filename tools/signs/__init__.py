"""Road signs and traffic lights drawn from a seed: the images of the sample model.

No photographs are used and nothing is downloaded, so the sample model, its calibration images and its test images are
free of third-party rights and can be reproduced from a seed.
"""

from signs.classes import CLASSES, SWAPPED_CLASS
from signs.geometry import (
    CENTRAL_FRACTION,
    INPUT_SIZE,
    central_crop,
    network_image,
    network_images,
    resize,
)
from signs.scenes import HELD_OUT, TRAINING, Style, draw, held_out, numbered_drawing, training

__all__ = [
    "CENTRAL_FRACTION",
    "CLASSES",
    "HELD_OUT",
    "INPUT_SIZE",
    "SWAPPED_CLASS",
    "TRAINING",
    "Style",
    "central_crop",
    "draw",
    "held_out",
    "network_image",
    "network_images",
    "numbered_drawing",
    "resize",
    "training",
]
