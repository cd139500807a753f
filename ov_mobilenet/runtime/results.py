"""What a classification gives: plain frozen values, and their JSON form.

One JSON line a picture, either of

    {"source": str, "predictions": [{"class_id": int, "label": str, "probability": float}],
     "timings_ms": {"decode": float, "geometry": float, "queue": float, "inference": float, "total": float}}
    {"source": str, "error": str}
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ov_mobilenet.runtime.classifier import Prepared

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


class Classification(Struct, frozen=True):
    """The answer for one picture.

    Attributes:
        source: the path as it was given, or a name for what is no file.
        predictions: the most probable classes, best first.
    """

    source: str
    predictions: tuple[Prediction, ...]
    timings_ms: Timings

    @property
    def top_k(self) -> tuple[Prediction, ...]:
        """The predictions, best first."""
        return self.predictions

    @property
    def best(self) -> Prediction:
        """The most probable class."""
        return self.predictions[0]


class Failure(Struct, frozen=True):
    """Why one picture has no answer."""

    source: str
    error: str


Result = Classification | Failure


def source_name(image: object, otherwise: str) -> str:
    """What a result calls its source: a path as it was given, and another name for what is no file."""
    return str(image) if isinstance(image, str | Path) else otherwise


def result_of(
    prepared: Prepared,
    probabilities: NDArray[np.float32],
    labels: tuple[str, ...] | None,
    top_k: int,
    *,
    started: float,
    queue_ms: float,
    inference_ms: float,
) -> Result:
    """The most probable classes of a picture and what it took; a failure if the network gave no numbers.

    Args:
        probabilities: float32 (classes,), in [0, 1].
        labels: class names; without any, a class is called by its number.
        started: when its request began, in seconds of the clock that `prepared.started` is of.
    """
    import numpy as np

    if not np.isfinite(probabilities).all():
        return Failure(prepared.source, NOT_FINITE)
    timings = Timings(
        decode=prepared.decode_ms,
        geometry=prepared.geometry_ms,
        queue=queue_ms,
        inference=inference_ms,
        total=(started - prepared.started) * 1e3 + inference_ms,
    )
    return Classification(prepared.source, top_predictions(probabilities, labels, top_k), timings)


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
