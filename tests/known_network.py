"""A small network, images of its input size, and its probabilities computed with numpy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import ov_mobilenet as ovm

CLASSES = 8


@dataclass(frozen=True)
class Known:
    """A small converted network with images and expected probabilities.

    Attributes:
        yml: the description.
        xml: the FP32 IR.
        frames: uint8 (images, 32, 32, 3) BGR, the content of `files`.
        answers: probabilities, float64 (images, 8).
    """

    yml: Path
    xml: Path
    files: list[Path]
    frames: np.ndarray
    answers: np.ndarray

    def ranked(self, place: int) -> list[int]:
        """Return the class at rank `place` of each image; 0 is the most probable."""
        return [int(c) for c in np.argsort(-self.answers, axis=1)[:, place]]

    def partly_wrong_classes(self) -> list[int]:
        """Classes that are ranked first for 5, third for 4 and sixth for 3 images: top-1 is 5/12, top-5 is 9/12."""
        first, third, sixth = self.ranked(0), self.ranked(2), self.ranked(5)
        return first[:5] + third[5:9] + sixth[9:]


def converted(yml: Path, out: Path) -> Path:
    """Convert a description to FP32. Returns the IR."""
    config = ovm.load_config(yml)
    sources = ovm.download(config, out / "sources", cache_root=out / "cache", offline=True)
    (model,) = ovm.convert(sources, out, precisions=("FP32",))
    return model.xml


def val_txt(path: Path, rows: list[tuple[str, int]]) -> Path:
    """Write an annotation file; a row is an image name and its class."""
    path.write_text("".join(f"{name} {index}\n" for name, index in rows), "utf-8")
    return path
