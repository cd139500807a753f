"""A small network with images of its size, and its answers as numpy computes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import ov_mobilenet as ovm

CLASSES = 8


@dataclass(frozen=True)
class Known:
    """A small network, images of its own size, and its answers as numpy computes them.

    Attributes:
        answers: float64 (images, 8).
    """

    yml: Path
    xml: Path
    files: list[Path]
    frames: np.ndarray
    answers: np.ndarray

    def ranked(self, place: int) -> list[int]:
        """Of each image the class in that place, 0 for the most probable."""
        return [int(c) for c in np.argsort(-self.answers, axis=1)[:, place]]


def converted(yml: Path, out: Path) -> Path:
    config = ovm.load_config(yml)
    sources = ovm.download(config, out / "sources", cache_root=out / "cache", offline=True)
    (model,) = ovm.convert(sources, out, precisions=("FP32",))
    return model.xml


def val_txt(path: Path, rows: list[tuple[str, int]]) -> Path:
    path.write_text("".join(f"{name} {index}\n" for name, index in rows), "utf-8")
    return path
