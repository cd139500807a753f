"""What a classification gives: plain frozen values, and their JSON form.

One JSON line an image, either of

    {"source": str, "predictions": [{"class_id": int, "label": str, "probability": float}],
     "timings_ms": {"decode": float, "geometry": float, "queue": float, "inference": float, "total": float}}
    {"source": str, "error": str}
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_TOP_K = 5
NOT_FINITE = "the network gave values that are not finite (NaN or infinity)"


class Prediction(Struct, frozen=True):
    """One class with its probability in [0, 1], taken from the softmax over all classes."""

    class_id: int
    label: str
    probability: float


class Timings(Struct, frozen=True, kw_only=True):
    """Milliseconds of each stage; `total` from the file's first byte to the network's answer, waits included."""

    decode: float = 0.0
    geometry: float = 0.0
    queue: float = 0.0
    inference: float = 0.0
    total: float = 0.0


class Classification(Struct, frozen=True, omit_defaults=True):
    """The answer for one image.

    Attributes:
        source: the path as it was given, or a name for what is no file.
        predictions: the most probable classes, best first.
        frame: number of a video's frame, from 0.
        time_s: when that frame is shown, in seconds from the video's beginning.
        age_ms: for live sources, from the moment the frame was taken to its answer.
    """

    source: str
    predictions: tuple[Prediction, ...]
    timings_ms: Timings
    frame: int | None = None
    time_s: float | None = None
    age_ms: float | None = None

    @property
    def top_k(self) -> tuple[Prediction, ...]:
        """The predictions, best first."""
        return self.predictions

    @property
    def best(self) -> Prediction:
        """The most probable class."""
        return self.predictions[0]

    def at_least(self, probability: float) -> Classification:
        """The same without the classes that are less probable; there may be none left."""
        return replace(self, predictions=tuple(p for p in self.predictions if p.probability >= probability))


class Failure(Struct, frozen=True, omit_defaults=True):
    """Why one image has no answer; `frame` and `time_s` as in `Classification`."""

    source: str
    error: str
    frame: int | None = None
    time_s: float | None = None


Result = Classification | Failure


def top_predictions(
    probabilities: NDArray[np.float32], labels: tuple[str, ...] | None, top_k: int
) -> tuple[Prediction, ...]:
    """The `top_k` most probable classes, best first; of equal ones the lower index.

    Args:
        probabilities: float32 (classes,), in [0, 1].
        labels: class names; without any, a class is called by its number.
    """
    import numpy as np

    candidates = np.arange(len(probabilities))
    if top_k < len(probabilities):
        # All that are as probable as the last wanted one, so that ties are broken the same way on every device.
        least = np.partition(probabilities, -top_k)[-top_k]
        candidates = np.flatnonzero(probabilities >= least)
    order = candidates[np.argsort(-probabilities[candidates], kind="stable")][:top_k].tolist()
    return tuple(
        Prediction(i, labels[i] if labels is not None else f"class {i}", probability)
        for i, probability in zip(order, probabilities[order].tolist(), strict=True)
    )
