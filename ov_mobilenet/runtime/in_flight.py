"""The state of each image and each infer request until its result is taken."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ov_mobilenet.runtime.results import NOT_FINITE, AnyResult, Classification, Features, Timings, top_predictions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ov_mobilenet.runtime.items import Prepared


@dataclass
class PendingImage:
    """An image that is ready for inference, or in a running request.

    Attributes:
        number: position in the order of admission, from 0.
        key: returned with the result.
        queued: when it became ready, in seconds of the scheduler's clock.
    """

    number: int
    key: Hashable
    prepared: Prepared
    queued: float


@dataclass
class RequestSlot:
    """One infer request and the images that it runs.

    Attributes:
        request: an `ov.InferRequest`.
        batch: number of images that it takes.
        images: in the order of their place in the batch.
        tensor: the input; a reference keeps its memory alive while the request reads it.
        started: in seconds of the scheduler's clock.
        waited_for: whether a thread is waiting for this request; only one does at a time.
    """

    request: Any
    batch: int
    images: list[PendingImage] = field(default_factory=list)
    tensor: Any = None
    started: float = 0.0
    waited_for: bool = False


@dataclass(frozen=True)
class InferenceOutput:
    """The output for one image; turned into a result by the thread that takes it.

    Attributes:
        probabilities: float32 (classes,), in [0, 1]; or the values of a vector of features.
        started: when the request was started, in seconds of the scheduler's clock.
        inference_ms: latency of the request as OpenVINO reports it.
        batch: number of images that the request ran.
    """

    image: PendingImage
    probabilities: NDArray[np.float32]
    started: float
    inference_ms: float
    batch: int

    def result(self, labels: tuple[str, ...] | None, top_k: int | None) -> AnyResult:
        """As `make_result`."""
        return make_result(
            self.image.prepared,
            self.probabilities,
            labels,
            top_k,
            started=self.started,
            queue_ms=(self.started - self.image.queued) * 1e3,
            inference_ms=self.inference_ms,
        )


def make_result(
    prepared: Prepared,
    probabilities: NDArray[np.float32],
    labels: tuple[str, ...] | None,
    top_k: int | None,
    *,
    started: float,
    queue_ms: float,
    inference_ms: float,
) -> AnyResult:
    """The `top_k` most probable classes of an image with its timings; a failure if a value is not finite.

    Args:
        probabilities: float32 (classes,), in [0, 1].
        labels: class names; None for "class N".
        top_k: None for features: all values, in the order of the output.
        started: when the request was started, in seconds of the same clock as `prepared.started`.
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
    if top_k is None:
        return Features(item.source, tuple(probabilities.tolist()), timings, item.frame, item.time_s, age)
    predictions = top_predictions(probabilities, labels, top_k)
    return Classification(item.source, predictions, timings, item.frame, item.time_s, age)
