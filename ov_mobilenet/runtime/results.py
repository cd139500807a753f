"""The results of classification: frozen values, and their JSON form.

One JSON line per image, either of

    {"source": str, "predictions": [{"class_id": int, "label": str, "probability": float}],
     "timings_ms": {"decode": float, "geometry": float, "queue": float, "inference": float, "total": float}}
    {"source": str, "error": str}

From a network without a classifier, `"features": [float]` is in the place of `"predictions"`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct, json
from msgspec.structs import replace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_TOP_K = 5
NOT_FINITE = "the network returned values that are not finite (NaN or infinity)"


def as_json_object(value: Struct) -> dict[str, Any]:
    """A value as the dictionaries, lists, texts and numbers of its JSON form."""
    document: dict[str, Any] = json.decode(json.encode(value))
    return document


class Prediction(Struct, frozen=True):
    """One class with its probability in [0, 1], from the softmax over all classes.

    Attributes:
        class_id: number of the class in the network's output.
        label: name of the class; `class N` if names are not known.
        probability: in [0, 1].
    """

    class_id: int
    label: str
    probability: float


class Timings(Struct, frozen=True, kw_only=True):
    """Milliseconds per stage; `total` is from opening the file to the end of inference, waiting included.

    Attributes:
        decode: reading and decoding the file.
        geometry: crop and resize.
        queue: waiting for an infer request.
        inference: the request that the image was part of.
        total: all of it.
    """

    decode: float = 0.0
    geometry: float = 0.0
    queue: float = 0.0
    inference: float = 0.0
    total: float = 0.0


class Classification(Struct, frozen=True, omit_defaults=True):
    """The classes of one image.

    Attributes:
        timings_ms: milliseconds per stage.
        source: the path as given, or a name for an image that is not a file.
        predictions: the most probable classes, best first.
        frame: number of a video frame, from 0.
        time_s: position of the frame in the video, in seconds.
        age_ms: for live sources, milliseconds from the arrival of the frame to the end of inference.
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

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of `classify --format jsonl`, as dictionaries, lists, texts and numbers."""
        return as_json_object(self)

    def at_least(self, probability: float) -> Classification:
        """A copy without the classes below this probability; it may have no predictions."""
        return replace(self, predictions=tuple(p for p in self.predictions if p.probability >= probability))


class Features(Struct, frozen=True, omit_defaults=True):
    """The vector that a network without a classifier gives for one image.

    Attributes:
        source, timings_ms, frame, time_s, age_ms: as in `Classification`.
        features: the values, in the order of the network's output.
    """

    source: str
    features: tuple[float, ...]
    timings_ms: Timings
    frame: int | None = None
    time_s: float | None = None
    age_ms: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of `classify --format jsonl`, as dictionaries, lists, texts and numbers."""
        return as_json_object(self)


class Failure(Struct, frozen=True, omit_defaults=True):
    """The reason why one image has no classes.

    Attributes:
        source, frame, time_s: as in `Classification`.
        error: the reason, as one line.
    """

    source: str
    error: str
    frame: int | None = None
    time_s: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of `classify --format jsonl`, as dictionaries, texts and numbers."""
        return as_json_object(self)


class NotRun(Failure, frozen=True):
    """The failure of an image that may be fine: the device failed, or the run was cancelled before it."""


Result = Classification | Failure
FeaturesResult = Features | Failure
AnyResult = Classification | Features | Failure


def top_predictions(
    probabilities: NDArray[np.float32], labels: tuple[str, ...] | None, top_k: int
) -> tuple[Prediction, ...]:
    """The `top_k` most probable classes, best first; ties go to the lower class ID.

    Args:
        probabilities: float32 (classes,), in [0, 1].
        labels: class names; None for "class N".
    """
    import numpy as np

    if top_k >= len(probabilities):
        order = np.argsort(-probabilities, kind="stable")
        return _predictions(order.tolist(), probabilities[order].tolist(), labels)
    # All classes as probable as the k-th, so that ties are resolved in the same way on every device.
    least = np.partition(probabilities, -top_k)[-top_k]
    candidates = np.flatnonzero(probabilities >= least)
    ranked = sorted(zip((-probabilities[candidates]).tolist(), candidates.tolist(), strict=True))[:top_k]
    return _predictions([i for _, i in ranked], [-value for value, _ in ranked], labels)


def top_predictions_of_rows(
    rows: NDArray[np.float32], labels: tuple[str, ...] | None, top_k: int
) -> list[tuple[Prediction, ...]]:
    """`top_predictions` of each row; several rows take little longer than one.

    Args:
        rows: float32 (rows, classes), in [0, 1].
    """
    import numpy as np

    count, classes = rows.shape
    if count > 1 and top_k < classes:
        least = np.partition(rows, classes - top_k, axis=1)[:, classes - top_k, None]
        found = np.flatnonzero(rows >= least)
        if len(found) == count * top_k:  # otherwise several classes of a row are as probable as its k-th
            flat = found.reshape(count, top_k)
            order = np.argsort(-rows.ravel()[flat], axis=1, kind="stable")
            flat = flat[np.arange(count)[:, None], order]
            ids, values = (flat % classes).tolist(), rows.ravel()[flat].tolist()
            return [_predictions(*row, labels) for row in zip(ids, values, strict=True)]
    return [top_predictions(row, labels, top_k) for row in rows]


def _predictions(ids: list[int], values: list[float], labels: tuple[str, ...] | None) -> tuple[Prediction, ...]:
    if labels is None:
        return tuple(Prediction(i, f"class {i}", value) for i, value in zip(ids, values, strict=True))
    return tuple(Prediction(i, labels[i], value) for i, value in zip(ids, values, strict=True))
