"""The state of each image and each infer request until its result is taken."""

from __future__ import annotations

import ctypes
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ov_mobilenet.runtime.results import (
    NOT_FINITE,
    AnyResult,
    Classification,
    Features,
    Prediction,
    Timings,
    top_predictions,
    top_predictions_of_rows,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ov_mobilenet.runtime.items import Prepared
    from ov_mobilenet.runtime.loaded_model import BatchModel


@dataclass(slots=True)
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


@dataclass(slots=True, eq=False)
class RequestSlot:
    """One infer request and the images that it runs.

    Attributes:
        request: an `ov.InferRequest`.
        batch: number of images that it takes.
        images: in the order of their place in the batch.
        tensor: the input; a reference keeps its memory alive while the request reads it.
        frames: the memory of `tensor` for a batch: uint8 (batch, height, width, 3).
        started: in seconds of the scheduler's clock.
        waited_for: whether a thread is waiting for this request; only one does at a time.
    """

    request: Any
    batch: int
    images: list[PendingImage] = field(default_factory=list)
    tensor: Any = None
    frames: NDArray[np.uint8] | None = None
    started: float = 0.0
    waited_for: bool = False


def create_slots(model: BatchModel, requests: int) -> list[RequestSlot]:
    """New infer requests of a model."""
    return [RequestSlot(model.model.create_infer_request(), model.batch) for _ in range(requests)]


def has_ended(slot: RequestSlot) -> bool:
    """Whether a cancelled request has ended, as far as it can be asked without another thread that waits for it."""
    try:
        return not slot.waited_for and bool(slot.request.wait_for(0))
    except RuntimeError:  # it was cancelled, or failed
        return True


def leak(request: object) -> None:
    """Never delete this infer request: deleting it waits until it ends, which it never does on a device that hangs."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(request))


class RequestOutput:
    """The output of one request; turned into results once, by the first thread that takes one of them.

    Attributes:
        images: in the order of `rows`.
        rows: float32 (images, classes), in [0, 1]; or the values of vectors of features.
        started: when the request was started, in seconds of the scheduler's clock.
        inference_ms: latency of the request as OpenVINO reports it.
    """

    __slots__ = ("_results", "images", "inference_ms", "rows", "started")

    def __init__(
        self, images: list[PendingImage], rows: NDArray[np.float32], started: float, inference_ms: float
    ) -> None:
        self.images = images
        self.rows = rows
        self.started = started
        self.inference_ms = inference_ms
        self._results: list[AnyResult] | None = None

    def result(self, place: int, labels: tuple[str, ...] | None, top_k: int | None) -> AnyResult:
        """The result of the image at a place of `rows`, as `make_result`; labels and `top_k` are always the same."""
        if self._results is None:  # several threads may do the same here
            self._results = self._make_results(labels, top_k)
        return self._results[place]

    def _make_results(self, labels: tuple[str, ...] | None, top_k: int | None) -> list[AnyResult]:
        import numpy as np

        if top_k is None or not np.isfinite(self.rows).all():
            return [
                make_result(
                    image.prepared, row, labels, top_k,
                    started=self.started, queue_ms=(self.started - image.queued) * 1e3, inference_ms=self.inference_ms,
                )
                for image, row in zip(self.images, self.rows, strict=True)
            ]  # fmt: skip
        predictions = top_predictions_of_rows(self.rows, labels, top_k)
        started, inference_ms = self.started, self.inference_ms
        return [
            _classification(image.prepared, found, started, (started - image.queued) * 1e3, inference_ms)
            for image, found in zip(self.images, predictions, strict=True)
        ]


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
    if top_k is None:
        item = prepared.item
        timings, age = _timings(prepared, started, queue_ms, inference_ms)
        return Features(item.source, tuple(probabilities.tolist()), timings, item.frame, item.time_s, age)
    predictions = top_predictions(probabilities, labels, top_k)
    return _classification(prepared, predictions, started, queue_ms, inference_ms)


def _classification(
    prepared: Prepared, predictions: tuple[Prediction, ...], started: float, queue_ms: float, inference_ms: float
) -> Classification:
    item = prepared.item
    timings, age = _timings(prepared, started, queue_ms, inference_ms)
    return Classification(item.source, predictions, timings, item.frame, item.time_s, age)


def _timings(
    prepared: Prepared, started: float, queue_ms: float, inference_ms: float
) -> tuple[Timings, float | None]:  # fmt: skip
    """The timings and, for a frame of a live source, its age in milliseconds."""
    timings = Timings(
        decode=prepared.decode_ms,
        geometry=prepared.geometry_ms,
        queue=queue_ms,
        inference=inference_ms,
        total=(started - prepared.started) * 1e3 + inference_ms,
    )
    captured = prepared.item.captured
    return timings, None if captured is None else (started - captured) * 1e3 + inference_ms
