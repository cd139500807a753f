"""`LiveStatus`: what the live page shows: the last minute, and the models with what is baked into them."""

from __future__ import annotations

import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from ov_mobilenet._version import __version__
from ov_mobilenet.serving.monitoring.model_descriptions import ModelDescription, describe_model
from ov_mobilenet.serving.monitoring.model_gauges import model_gauges, served_model

if TYPE_CHECKING:
    from ov_mobilenet.serving.models.model_repository import ModelRepository
    from ov_mobilenet.serving.models.served_model import ServedModel
    from ov_mobilenet.serving.monitoring.observation import RequestRecord

SECONDS = 60
MAX_LATENCIES = 1000  # of one second, the last ones
INFERENCE = frozenset({"infer", "classify", "ModelInfer"})


class LastMinute(Struct, frozen=True):
    """One value for each of the last 60 full seconds, oldest first.

    Attributes:
        images: images that were inferred.
        errors: requests for inference that failed.
        queue: the greatest number of images that were accepted and not answered, of one model.
        p50_ms, p95_ms: duration of the requests for inference; None in a second without any.
    """

    images: tuple[int, ...]
    errors: tuple[int, ...]
    queue: tuple[int, ...]
    p50_ms: tuple[float | None, ...]
    p95_ms: tuple[float | None, ...]


class ModelActivity(Struct, frozen=True):
    """A model now, and what it did since the server started.

    Attributes:
        state: `ready`, or why the model is not.
    """

    name: str
    ready: bool
    state: str
    queue: int
    max_queue: int
    requests: int
    errors: int
    images: int


class StatusDocument(Struct, frozen=True):
    """`GET /v1/status`.

    Attributes:
        descriptions: changes when a model is loaded again: then `GET /v1/models` has news.
    """

    schema_version: int
    version: str
    uptime_s: float
    descriptions: int
    last_minute: LastMinute
    models: tuple[ModelActivity, ...]


class _Second:
    """What happened in one second."""

    __slots__ = ("errors", "images", "latencies_ms", "number", "queue")

    def __init__(self, number: int) -> None:
        self.number = number
        self.images = self.errors = self.queue = 0
        self.latencies_ms: deque[float] = deque(maxlen=MAX_LATENCIES)

    def percentile(self, fraction: float) -> float | None:
        ordered = sorted(self.latencies_ms)
        return round(ordered[int(fraction * (len(ordered) - 1) + 0.5)], 3) if ordered else None


class _Totals:
    """What a model did since the server started."""

    __slots__ = ("errors", "images", "requests")

    def __init__(self) -> None:
        self.requests = self.errors = self.images = 0


def _is_same(served: ServedModel | None, before: weakref.ref[ServedModel] | None) -> bool:
    return before is None if served is None else before is not None and before() is served


class LiveStatus:
    """Counts the requests of one server for its live page, in bounded memory; for use in one thread."""

    def __init__(self, repository: ModelRepository, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._repository = repository
        self._clock = clock
        self._started = clock()
        self._totals = {name: _Totals() for name in repository.names}
        self._now = _Second(int(self._started))
        self._past: deque[tuple[int, int, int, int, float | None, float | None]] = deque(maxlen=SECONDS)
        # Weak: a model that was replaced ends when no request holds it any more.
        self._served: list[weakref.ref[ServedModel] | None] = []
        self._descriptions: list[ModelDescription] = []
        self._version = 0

    def observe(self, record: RequestRecord) -> None:
        """Count a request that has ended."""
        if record.operation not in INFERENCE:
            return
        images = len(record.inferred)
        now = self._current()
        now.images += images
        now.latencies_ms.append(record.duration_s * 1e3)
        totals = self._totals.get(record.model)
        if totals is not None:
            totals.requests += 1
            totals.images += images
        if record.error is not None:
            now.errors += 1
            if totals is not None:
                totals.errors += 1
        elif totals is not None and (served := served_model(self._repository, record.model)) is not None:
            self.sample_queue(served.queue.pending)

    def sample_queue(self, length: int) -> None:
        """Remember the length of a queue, if it is the greatest of this second."""
        now = self._current()
        now.queue = max(now.queue, length)

    def document(self) -> StatusDocument:
        """The status of now."""
        self._refresh()
        states = model_gauges(self._repository)
        self.sample_queue(max((state.queue_length for state in states), default=0))
        return StatusDocument(
            1, __version__, round(self._clock() - self._started, 1), self._version, self._last_minute(),
            tuple(
                ModelActivity(
                    state.name, state.is_ready, state.reason or "ready", state.queue_length, state.queue_limit,
                    totals.requests, totals.errors, totals.images,
                )
                for state in states
                for totals in [self._totals[state.name]]
            ),
        )  # fmt: skip

    def descriptions(self) -> list[ModelDescription]:
        """The models in their order, with what is baked into them."""
        self._refresh()
        return self._descriptions

    def _refresh(self) -> None:
        served = [served_model(self._repository, name) for name in self._repository.names]
        if len(served) != len(self._served) or not all(map(_is_same, served, self._served)):
            self._served = [None if one is None else weakref.ref(one) for one in served]
            names = self._repository.names
            self._descriptions = [describe_model(*pair) for pair in zip(names, served, strict=True)]
            self._version += 1

    def _current(self) -> _Second:
        second = int(self._clock())
        if second != self._now.number:
            ended = self._now
            self._past.append(
                (ended.number, ended.images, ended.errors, ended.queue, ended.percentile(0.5), ended.percentile(0.95))
            )
            self._now = _Second(second)
        return self._now

    def _last_minute(self) -> LastMinute:
        current = self._current().number
        past = {second[0]: second[1:] for second in self._past}
        rows = [past.get(number, (0, 0, 0, None, None)) for number in range(current - SECONDS, current)]
        images, errors, queue, p50, p95 = zip(*rows, strict=True)
        return LastMinute(images, errors, queue, p50, p95)
