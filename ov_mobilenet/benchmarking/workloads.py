"""A classifier that runs a workload, timed, any number of times: inference alone, or the whole path of an image."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter, sleep
from typing import Any, Protocol

from ov_mobilenet.benchmarking.loops import Limit, TimedRun, closed_loop, evaluate_queue, open_loop
from ov_mobilenet.benchmarking.measurement import OpenLoop
from ov_mobilenet.errors import DeviceError, ImageError
from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.runtime.items import Item, as_item
from ov_mobilenet.runtime.loaded_model import BatchModel
from ov_mobilenet.runtime.results import Failure
from ov_mobilenet.runtime.stream import default_requests

STAGES = ("decode", "geometry", "queue", "inference", "total")


class Runner(Protocol):
    """Runs a workload and times it.

    Attributes:
        model: the compiled model.
        requests: number of infer requests in parallel.
        images: number of different images that are used.
    """

    model: BatchModel
    requests: int
    images: int

    def run(self, limit: Limit, rate: float | None = None) -> TimedRun:
        """Run once.

        Args:
            rate: images per second that arrive; None for as fast as possible.

        Raises:
            DeviceError: the device failed.
        """


class Inference:
    """The network alone: inputs are prepared once, and results stay in the device's memory."""

    def __init__(
        self,
        classifier: Classifier,
        inputs: Sequence[Any],
        *,
        batch: int | None,
        fewest_requests: bool = False,
        clock: Callable[[], float] = perf_counter,
        pause: Callable[[float], None] = sleep,
    ) -> None:
        """Prepare the inputs.

        Args:
            inputs: images, as `Classifier.classify` takes them.
            batch: images per request; None for the classifier's own.
            fewest_requests: use only as many requests as the device reports as optimal, for the lowest latency.

        Raises:
            ImageError: none of the images can be read.
            DeviceError: the device cannot run this batch size.
        """
        self.model = classifier.compiled(batch)
        self.requests = (self.model.nireq or self.model.optimal_nireq) if fewest_requests else self.model.requests
        slots = self.requests * self.model.batch
        frames = _prepare_frames(classifier, inputs, slots)
        self.images = min(len(frames), slots)
        self._clock, self._pause = clock, pause
        supply = itertools.cycle(frames)
        self._ready = [self._request(list(itertools.islice(supply, self.model.batch))) for _ in range(self.requests)]

    def run(self, limit: Limit, rate: float | None = None) -> TimedRun:
        """See `Runner`."""
        batch = self.model.batch
        if rate is None:
            return closed_loop(self._ready, limit, batch=batch, clock=self._clock)
        return open_loop(self._ready, limit, rate, batch=batch, clock=self._clock, pause=self._pause)

    def _request(self, frames: list[Any]) -> Any:
        import numpy as np
        import openvino as ov

        request = self.model.model.create_infer_request()
        pixels = np.stack(frames)
        if self.model.model.inputs[0].get_partial_shape().is_static:
            request.get_input_tensor().data[:] = pixels  # the device's own memory
        else:
            request.set_input_tensor(ov.Tensor(pixels))
        return request


class EndToEnd:
    """`Classifier.stream`, as `classify` runs it: read, decode, geometry, inference, top-k."""

    def __init__(
        self,
        classifier: Classifier,
        inputs: Sequence[Any],
        *,
        batch: int | None,
        requests: int | None,
        clock: Callable[[], float] = perf_counter,
        pause: Callable[[float], None] = sleep,
    ) -> None:
        """Compile for the batch size.

        Args:
            inputs: images, as `Classifier.stream` takes them; they are repeated until the limit is reached.
            batch: images per request; None for the classifier's own.
            requests: infer requests; None for the stream's own choice.

        Raises:
            DeviceError: the device cannot run this batch size.
        """
        self.model = classifier.compiled(batch)
        self.requests = requests or default_requests(classifier, self.model) or self.model.requests
        self.images = len(inputs)
        self._classifier, self._inputs, self._nireq = classifier, inputs, requests
        self._clock, self._pause = clock, pause

    def run(self, limit: Limit, rate: float | None = None) -> TimedRun:
        """See `Runner`; here `limit.requests` counts images."""
        ends: list[float] = []
        latencies: list[float] = []
        stages: dict[str, list[float]] = {name: [] for name in STAGES}
        failed = 0
        begun = self._clock()
        feed = _ImageFeed(self._inputs, limit, rate, begun, self._clock, self._pause)
        results = self._classifier.stream(feed, batch_size=self.model.batch, requests=self._nireq)
        for result in results:
            if isinstance(result, Failure):
                failed += 1
                continue
            ends.append(self._clock())
            timings = result.timings_ms
            for name, values in stages.items():
                values.append(getattr(timings, name))
            latencies.append(timings.total if result.age_ms is None else result.age_ms)
        if not ends:
            raise ImageError("none of the images could be classified", got=f"{failed} failures")
        queue = None if rate is None else feed.evaluate_queue(rate)
        return TimedRun(begun, ends, [1] * len(ends), latencies, stages, failed, queue)


class _ImageFeed:
    """Feeds images to a stream, repeated until the limit is reached: at a rate, or whenever the stream takes one."""

    def __init__(
        self,
        inputs: Sequence[Any],
        limit: Limit,
        rate: float | None,
        begun: float,
        clock: Callable[[], float],
        pause: Callable[[float], None],
    ) -> None:
        self._inputs, self._limit, self._rate, self._begun = inputs, limit, rate, begun
        self._clock, self._pause = clock, pause
        self._taken = 0
        self._queue_lengths: list[int] = []

    def __iter__(self) -> Iterator[Item]:
        seconds = self._limit.seconds if self._limit.seconds is not None else float("inf")
        for number, image in enumerate(itertools.cycle(self._inputs)):
            if self._limit.requests is not None and number >= self._limit.requests:
                return
            due = None if self._rate is None else self._begun + number / self._rate
            if due is not None and due - self._begun >= seconds:
                return
            if due is not None and due > self._clock():
                self._pause(due - self._clock())
            now = self._clock()
            if now - self._begun >= seconds:
                return
            if self._rate is not None:
                self._queue_lengths.append(max(1, int((now - self._begun) * self._rate + 1) - number))
            self._taken = number + 1
            item = as_item(image, f"image {number}")
            yield Item(item.image, item.source, captured=due)

    def evaluate_queue(self, rate: float) -> OpenLoop:
        """How the stream kept up with the rate; call it after the stream has ended."""
        arrived = int(round((self._limit.seconds or 0.0) * rate, 6))
        left = 0 if self._limit.requests is not None else max(0, arrived - self._taken)
        return evaluate_queue(rate, self._queue_lengths, 1, left)


def _prepare_frames(classifier: Classifier, inputs: Sequence[Any], count: int) -> list[Any]:
    """At most `count` decoded frames; images that cannot be read are skipped."""
    frames: list[Any] = []
    last_error: ImageError | None = None
    for number, image in enumerate(inputs):
        if len(frames) == count:
            break
        try:
            frames.append(classifier.prepare(as_item(image, f"image {number}")).frame)
        except ImageError as error:
            last_error = error
    if not frames:
        raise last_error or DeviceError("no input images", expected="at least one image")
    return frames
