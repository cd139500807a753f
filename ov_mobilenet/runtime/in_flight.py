"""What an inference queue keeps of each image and of each request while they are under way."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ov_mobilenet.runtime.results import NOT_FINITE, Classification, Result, Timings, top_predictions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ov_mobilenet.runtime.items import Prepared


@dataclass
class Waiting:
    """One image on its way."""

    number: int
    key: Hashable
    prepared: Prepared
    queued: float


@dataclass
class Slot:
    """One infer request, and the images that it is busy with."""

    request: Any
    items: list[Waiting] = field(default_factory=list)
    tensor: Any = None  # keeps the pixels alive while the request reads them
    started: float = 0.0
    waited_for: bool = False


@dataclass(frozen=True)
class Answered:
    """What a request gave for one image; made into a result by whoever takes it."""

    item: Waiting
    row: NDArray[np.float32]
    started: float
    inference_ms: float

    def result(self, labels: tuple[str, ...] | None, top_k: int) -> Result:
        """The most probable classes; a failure if the network gave no numbers."""
        return result_of(
            self.item.prepared,
            self.row,
            labels,
            top_k,
            started=self.started,
            queue_ms=(self.started - self.item.queued) * 1e3,
            inference_ms=self.inference_ms,
        )


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
    """The most probable classes of an image and what it took; a failure if the network gave no numbers.

    Args:
        probabilities: float32 (classes,), in [0, 1].
        labels: class names; without any, a class is called by its number.
        started: when its request began, in seconds of the clock that `prepared.started` is of.
    """
    import numpy as np

    if not np.isfinite(probabilities).all():
        return prepared.item.failure(NOT_FINITE)
    timings = Timings(
        decode=prepared.decode_ms,
        geometry=prepared.geometry_ms,
        queue=queue_ms,
        inference=inference_ms,
        total=(started - prepared.started) * 1e3 + inference_ms,
    )
    item = prepared.item
    age = None if item.captured is None else (started - item.captured) * 1e3 + inference_ms
    predictions = top_predictions(probabilities, labels, top_k)
    return Classification(item.source, predictions, timings, item.frame, item.time_s, age)
