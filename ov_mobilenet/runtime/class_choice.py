"""Which classes of an image are written: how many, and from which probability on."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from ov_mobilenet.runtime.results import DEFAULT_TOP_K, Classification, Result
from ov_mobilenet.zoo.output_kind import MULTILABEL_THRESHOLD, OutputKind

ALL = sys.maxsize


@dataclass(frozen=True)
class ClassChoice:
    """The classes that are written for each image.

    Attributes:
        top_k: greatest number of classes, `ALL` for no limit.
        min_probability: classes below it are left out; None for no limit.
    """

    top_k: int = DEFAULT_TOP_K
    min_probability: float | None = None

    def settings(self) -> dict[str, str]:
        """The choice as text by name, to be recorded with the results."""
        least = self.min_probability
        return {
            "top-k": "all" if self.top_k == ALL else str(self.top_k),
            "minimum probability": "none" if least is None else repr(least),
        }

    def trimmed(self, result: Result) -> Result:
        """The result without the classes below the minimum probability."""
        if self.min_probability is None or not isinstance(result, Classification):
            return result
        return result.at_least(self.min_probability)


def choose_classes(kind: OutputKind, top_k: int | None, min_probability: float | None) -> ClassChoice:
    """The classes to write; for a multi-label network, all at or above a threshold are the default.

    Args:
        top_k, min_probability: None if not given.
    """
    if kind != "multilabel":
        return ClassChoice(top_k or DEFAULT_TOP_K, min_probability)
    return ClassChoice(top_k or ALL, MULTILABEL_THRESHOLD if min_probability is None else min_probability)
