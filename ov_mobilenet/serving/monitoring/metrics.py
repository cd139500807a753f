"""`Metrics`: what a server has done, in Prometheus' text format.

The counters are plain numbers, and become Prometheus' samples when they are read: a request costs a few microseconds,
where the counters and histograms of prometheus_client, with a lock for each, would cost some twenty.
"""

from __future__ import annotations

import platform
from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from ov_mobilenet._version import __version__
from ov_mobilenet.serving.models.served_model import VERSION
from ov_mobilenet.serving.monitoring.model_gauges import ModelGauges, model_gauges

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from ov_mobilenet.serving.models.model_repository import ModelRepository
    from ov_mobilenet.serving.monitoring.observation import RequestRecord

# Seconds: 0.1 ms to 10 s.
LATENCY_BOUNDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
BATCH_BOUNDS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
STAGES = ("decode", "geometry", "queue", "inference")
# More sets of label values than this are counted together: memory is bounded, whatever clients send.
MAX_SERIES = 1000
OTHER = "other"
PREFIX = "ov_mobilenet_"

_REQUEST_LABELS = ("transport", "operation", "model", "version", "code")


class BucketCounts:
    """A histogram: counts of values up to each bound, and of greater ones."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[str, float]]:
        """Prometheus' buckets: the upper bound as text, and the count of values up to it."""
        rows, sum_so_far = [], 0
        for bound, count in zip((*map(repr, self._bounds), "+Inf"), self.counts.copy(), strict=True):
            sum_so_far += count
            rows.append((bound, float(sum_so_far)))
        return rows


class _ModelCounts:
    """Of one model: its images, their latency by stage in seconds, and the batch sizes."""

    def __init__(self) -> None:
        self.images = 0
        self.batches = BucketCounts(BATCH_BOUNDS)
        self.stages = {stage: BucketCounts(LATENCY_BOUNDS) for stage in STAGES}


class Metrics(Collector):
    """Counts the requests of one server; several servers in a process have one each."""

    def __init__(self, repository: ModelRepository) -> None:
        self._repository = repository
        self._requests: dict[tuple[str, ...], int] = {}
        self._durations: dict[tuple[str, ...], BucketCounts] = {}
        self._models = {name: _ModelCounts() for name in repository.names}
        self._gauges: list[ModelGauges] = []
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def observe(self, record: RequestRecord) -> None:
        """Count a request that has ended."""
        counts = self._models.get(record.model)
        model, version = ("", "") if counts is None else (record.model, VERSION if record.version == VERSION else "")
        key: tuple[str, ...] = (record.transport, record.operation, model, version, record.code)
        try:
            self._requests[key] += 1
        except KeyError:
            key = self._first(key)
        self._durations[key[:4]].add(record.duration_s)
        if counts is None:
            return
        stages = counts.stages
        for image in record.inferred:
            counts.images += 1
            counts.batches.add(image.batch)
            timings = image.timings
            # Frames are not decoded, and those of the network's size have no geometry.
            if timings.decode:
                stages["decode"].add(timings.decode * 1e-3)
            if timings.geometry:
                stages["geometry"].add(timings.geometry * 1e-3)
            stages["queue"].add(timings.queue * 1e-3)
            stages["inference"].add(timings.inference * 1e-3)

    def _first(self, key: tuple[str, ...]) -> tuple[str, ...]:
        """Start a series; returns its key."""
        if len(self._requests) >= MAX_SERIES:
            key = (key[0], OTHER, "", "", OTHER)
        self._requests[key] = self._requests.get(key, 0) + 1
        self._durations.setdefault(key[:4], BucketCounts(LATENCY_BOUNDS))
        return key

    def read_gauges(self) -> None:
        """Read the states of the models, for `text`; to be called in the event loop."""
        self._gauges = model_gauges(self._repository)

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics and their media type; may be called in any thread.

        Args:
            accept: of the header Accept; OpenMetrics if it asks for that, otherwise Prometheus' own format.
        """
        encode, media_type = choose_encoder(accept)
        return encode(self._registry), media_type

    def describe(self) -> list[Metric]:
        """Nothing: the registry needs no names in advance."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The samples of now; called by the registry."""
        yield from self._request_families()
        yield from self._image_families()
        yield from self._state_families()
        yield _build_info()

    def _request_families(self) -> Iterator[Metric]:
        total = CounterMetricFamily(f"{PREFIX}requests", "Requests that have ended", labels=_REQUEST_LABELS)
        errors = CounterMetricFamily(f"{PREFIX}request_errors", "Requests that failed", labels=_REQUEST_LABELS)
        for key, count in list(self._requests.items()):
            total.add_metric(key, count)
            if is_error(key[-1]):
                errors.add_metric(key, count)
        duration = HistogramMetricFamily(
            f"{PREFIX}request_duration_seconds", "From the end of the headers to the end of the response",
            labels=_REQUEST_LABELS[:-1],
        )  # fmt: skip
        for key, counts in list(self._durations.items()):
            duration.add_metric(key, counts.cumulative(), counts.total)
        yield from (total, errors, duration)

    def _image_families(self) -> Iterator[Metric]:
        labels = ("model", "version")
        images = CounterMetricFamily(f"{PREFIX}images", "Images that were inferred", labels=labels)
        batches = HistogramMetricFamily(
            f"{PREFIX}batch_size", "For each image, the number of images in its infer request", labels=labels
        )
        latency = HistogramMetricFamily(
            f"{PREFIX}stage_latency_seconds", "For each image, the duration of a stage", labels=(*labels, "stage")
        )
        for model, counts in self._models.items():
            images.add_metric((model, VERSION), counts.images)
            batches.add_metric((model, VERSION), counts.batches.cumulative(), counts.batches.total)
            for stage, one in counts.stages.items():
                latency.add_metric((model, VERSION, stage), one.cumulative(), one.total)
        yield from (images, batches, latency)

    def _state_families(self) -> Iterator[Metric]:
        labels = ("model", "version")
        ready = GaugeMetricFamily(f"{PREFIX}model_ready", "1 if the model answers requests", labels=labels)
        queue = GaugeMetricFamily(f"{PREFIX}queue_length", "Images that are accepted, not answered", labels=labels)
        limit = GaugeMetricFamily(f"{PREFIX}queue_limit", "Maximum of queue_length", labels=labels)
        rebuilds = CounterMetricFamily(
            f"{PREFIX}model_rebuilds", "Times that the model was compiled again after a failure", labels=labels
        )
        for state in self._gauges:
            key = (state.name, VERSION)
            ready.add_metric(key, state.is_ready)
            queue.add_metric(key, state.queue_length)
            limit.add_metric(key, state.queue_limit)
            rebuilds.add_metric(key, state.rebuilds)
        yield from (ready, queue, limit, rebuilds)


def is_error(code: str) -> bool:
    """Whether an HTTP status or the name of a gRPC code is that of an error."""
    return not (code == "OK" or (len(code) == 3 and code[0] in "123"))


def _build_info() -> Metric:
    import openvino as ov

    info = InfoMetricFamily(f"{PREFIX}build", "Versions")
    info.add_metric((), {"version": __version__, "openvino": ov.__version__, "python": platform.python_version()})
    return info
