"""A classifier made ready to be timed again and again, on inference alone or on the whole path of an image."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter, sleep
from typing import Any, Protocol

from ov_mobilenet.benchmarking.loops import Limit, TimedRun, closed_loop, keeping_up, open_loop
from ov_mobilenet.benchmarking.measurement import OpenLoop
from ov_mobilenet.errors import DeviceError, ImageError
from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.runtime.items import Item, as_item
from ov_mobilenet.runtime.loaded_model import BatchModel
from ov_mobilenet.runtime.results import Failure
from ov_mobilenet.runtime.stream import default_requests

STAGES = ("decode", "geometry", "queue", "inference", "total")


class Subject(Protocol):
    """What can be timed.

    Attributes:
        model: what is compiled.
        requests: how many infer requests work at a time.
        images: how many different images are fed.
    """

    model: BatchModel
    requests: int
    images: int

    def run(self, limit: Limit, rate: float | None = None) -> TimedRun:
        """Time it once; at a given rate of images per second if there is one. Raises: DeviceError."""


class Inference:
    """The network alone: inputs are prepared once, answers are left where the device put them."""

    def __init__(
        self,
        classifier: Classifier,
        inputs: Sequence[Any],
        *,
        batch: int | None,
        one: bool,
        clock: Callable[[], float] = perf_counter,
        pause: Callable[[float], None] = sleep,
    ) -> None:
        """Prepare the inputs.

        Args:
            inputs: images, as `Classifier.classify` takes them.
            batch: images per request; None for the classifier's own.
            one: as few requests as keep the device busy, for the shortest latency.

        Raises:
            ImageError: none of the images can be read.
            DeviceError: the device cannot run batches of this size.
        """
        self.model = classifier.compiled(batch)
        self.requests = (self.model.nireq or self.model.optimal_nireq) if one else self.model.requests
        wanted = self.requests * self.model.batch
        frames = _frames(classifier, inputs, wanted)
        self.images = min(len(frames), wanted)
        self._clock, self._pause = clock, pause
        supply = itertools.cycle(frames)
        self._ready = [self._request(list(itertools.islice(supply, self.model.batch))) for _ in range(self.requests)]

    def run(self, limit: Limit, rate: float | None = None) -> TimedRun:
        """See `Subject`."""
        if rate is None:
            return closed_loop(self._ready, limit, batch=self.model.batch, clock=self._clock)
        return open_loop(
            self._ready, limit, rate, batch=self.model.batch, clock=self._clock, pause=self._pause
        )  # fmt: skip

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
    """`Classifier.stream`, as `classify` runs it: read, decode, geometry, inference, most probable classes."""

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
        """Make it ready.

        Args:
            inputs: images, as `Classifier.stream` takes them; begun again when they are at an end.
            batch: images per request; None for the classifier's own.
            requests: infer requests; None for the stream's own choice.

        Raises:
            DeviceError: the device cannot run batches of this size.
        """
        self.model = classifier.compiled(batch)
        self.requests = requests or default_requests(classifier, self.model) or self.model.requests
        self.images = len(inputs)
        self._classifier, self._inputs, self._asked = classifier, inputs, requests
        self._clock, self._pause = clock, pause

    def run(self, limit: Limit, rate: float | None = None) -> TimedRun:
        """See `Subject`; a limit of requests is one of images here."""
        ends: list[float] = []
        latencies: list[float] = []
        stages: dict[str, list[float]] = {name: [] for name in STAGES}
        failed = 0
        begun = self._clock()
        arrivals = _Arrivals(self._inputs, limit, rate, begun, self._clock, self._pause)
        results = self._classifier.stream(arrivals, batch_size=self.model.batch, requests=self._asked)
        for result in results:
            if isinstance(result, Failure):
                failed += 1
                continue
            ends.append(self._clock())
            timings = result.timings_ms
            for name, found in stages.items():
                found.append(getattr(timings, name))
            latencies.append(timings.total if result.age_ms is None else result.age_ms)
        if not ends:
            raise ImageError("none of the images could be classified", got=f"{failed} failures")
        told = None if rate is None else arrivals.told(rate)
        return TimedRun(begun, ends, [1] * len(ends), latencies, stages, failed, told)


class _Arrivals:
    """Images for a stream, again and again until the limit, at a rate or as they are asked for."""

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
        self._given = 0
        self._waiting: list[int] = []

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
                self._waiting.append(max(1, int((now - self._begun) * self._rate + 1) - number))
            self._given = number + 1
            item = as_item(image, f"image {number}")
            yield Item(item.image, item.source, captured=due)

    def told(self, rate: float) -> OpenLoop:
        """How the stream kept up; asked when it has ended."""
        come = int(round((self._limit.seconds or 0.0) * rate, 6))
        left = 0 if self._limit.requests is not None else max(0, come - self._given)
        return keeping_up(rate, self._waiting, 1, left)


def _frames(classifier: Classifier, inputs: Sequence[Any], wanted: int) -> list[Any]:
    found: list[Any] = []
    trouble: ImageError | None = None
    for number, image in enumerate(inputs):
        if len(found) == wanted:
            break
        try:
            found.append(classifier.prepare(as_item(image, f"image {number}")).frame)
        except ImageError as error:
            trouble = error
    if not found:
        raise trouble or DeviceError("nothing to feed", expected="at least one image")
    return found
