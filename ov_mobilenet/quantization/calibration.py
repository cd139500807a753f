"""Warnings about calibration images that calibrate poorly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RECOMMENDED_IMAGES = 50


def calibration_warnings(sources: Sequence[str], answers: NDArray[np.float32]) -> list[str]:
    """Return warnings about images that calibrate poorly.

    Args:
        sources: the source of each image.
        answers: the float model's probabilities, (N, classes).
    """
    warnings = []
    if len(sources) < RECOMMENDED_IMAGES:
        warnings.append(
            f"only {len(sources)} calibration images: with fewer than {RECOMMENDED_IMAGES}, the activation ranges are "
            "unreliable"
        )
    folders = {Path(source).parent for source in sources}
    if len(set(answers.argmax(1).tolist())) == 1:
        warnings.append(
            "the model predicts one class for all calibration images: activation ranges of other classes are not "
            "covered"
        )
    elif len(folders) == 1 and next(iter(folders)).name != "" and _has_siblings(next(iter(folders))):
        warnings.append(
            f"all calibration images are in one of several folders ({next(iter(folders)).name}): if it holds a single "
            "class, activation ranges of other classes are not covered"
        )
    return warnings


def _has_siblings(folder: Path) -> bool:
    """Whether there are other folders with images beside this one, as with one folder per class."""
    from ov_mobilenet.images.decode import IMAGE_SUFFIXES

    try:
        siblings = [other for other in folder.parent.iterdir() if other.is_dir() and other != folder]
        return any(file.suffix.lower() in IMAGE_SUFFIXES for other in siblings for file in other.iterdir())
    except OSError:
        return False
