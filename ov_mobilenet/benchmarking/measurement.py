"""One measurement: plain frozen values that serialise to JSON as they stand; `report` puts them together.

Every key is always present. A value that the machine does not report is null; a value that was not requested is null or
empty. Times are in milliseconds where the name ends in `_ms` and in seconds where it ends in `_s`. FPS are images per
second, so a request of batch size 8 counts 8. A schema version may gain keys, but no key changes its meaning.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from ov_mobilenet.runtime.results import as_json_object

Mode = Literal["inference", "end-to-end"]


class Latency(Struct, frozen=True, kw_only=True):
    """Milliseconds over all requests, or end to end over all images; percentiles by nearest rank, see `latency`."""

    mean: float
    min: float
    p50: float
    p90: float
    p95: float
    p99: float
    p99_9: float = field(name="p99.9")
    max: float


class Histogram(Struct, frozen=True):
    """Number of latencies in each bin.

    Attributes:
        edges_ms: one more than there are bins, each larger than the last by the same factor; the last bin includes its
            upper edge.
    """

    edges_ms: tuple[float, ...]
    counts: tuple[int, ...]


class Spread(Struct, frozen=True):
    """Throughput over equal intervals of the measurement.

    Attributes:
        interval_s: length of an interval.
        fps: throughput of each interval, in order.
        variation: standard deviation divided by the mean; None for fewer than two intervals.
    """

    interval_s: float
    fps: tuple[float, ...]
    min: float | None
    median: float | None
    max: float | None
    variation: float | None


class StartUp(Struct, frozen=True):
    """Start-up times in milliseconds, each measured on its own.

    Attributes:
        compile: compilation of the network, without a model cache.
        first_inference: the first request, before any warm-up.
        cached_compile: compilation from a model cache; None if the device does not cache compiled models.
    """

    compile: float
    first_inference: float
    cached_compile: float | None


class Resources(Struct, frozen=True):
    """Resources used during the timed part: by this process, except for the energy, which is the machine's.

    Attributes:
        cpu_time_s: user and system time of all threads.
        cpu_cores: CPU time divided by wall time: the average number of busy cores.
        peak_memory_mb: peak resident memory since the process started, in 10^6 bytes.
        energy_j: energy of the CPU packages.
        energy_per_image_j: the same per image.
    """

    cpu_time_s: float | None
    cpu_cores: float | None
    peak_memory_mb: float | None
    energy_j: float | None
    energy_per_image_j: float | None


class OpenLoop(Struct, frozen=True):
    """Images that arrive at a fixed rate, whether or not the device is ready.

    Attributes:
        rate_fps: the rate of arrival.
        saturated: the device did not keep up with the rate. The queue grew, so the latencies depend on how long the
            measurement took.
        longest_queue: the largest number of images that had arrived and were not yet part of a request.
        left: images still in the queue when the time was up; they are not in the latencies.
    """

    rate_fps: float
    saturated: bool
    longest_queue: int
    left: int


class LayerTime(Struct, frozen=True):
    """One executed layer.

    Attributes:
        type: as in the network, such as Convolution.
        implementation: the device's name for the kernel, such as brgconv_avx512_1x1_bf16; None if it reports none.
        precision: the precision it ran in; None if the device does not report it.
        time_ms: median time per request.
        share: fraction of the time of all layers, in [0, 1].
    """

    name: str
    type: str
    implementation: str | None
    precision: str | None
    time_ms: float
    share: float


class LayerType(Struct, frozen=True):
    """All layers of one type that ran in one precision."""

    type: str
    precision: str | None
    count: int
    time_ms: float
    share: float


class Layers(Struct, frozen=True):
    """Time per layer, as the device reports it; measured in a separate run, because profiling slows the device down.

    Attributes:
        requests: number of requests in that run.
        total_ms: sum of the median times of all layers.
        top: the slowest layers, slowest first.
        by_type: all layers by type and precision, slowest first.
    """

    requests: int
    total_ms: float
    top: tuple[LayerTime, ...]
    by_type: tuple[LayerType, ...]


class MeasuredNetwork(Struct, frozen=True):
    """The network that was measured.

    Attributes:
        name: stem of the IR's file name.
        xml: path of the IR.
        digest: SHA-256 over its `.xml` and its `.bin`.
        precision: weight precision: FP32, FP16 or FP16-INT8, and INT8 for a quantised IR of another tool; None if it is
            not known.
        input_shape: of the IR; -1 for a dynamic dimension.
    """

    name: str
    xml: str
    digest: str
    precision: str | None
    input_shape: tuple[int, ...]

    @property
    def title(self) -> str:
        """Name and weight precision: IRs of one model share the name."""
        return self.name if self.precision is None else f"{self.name} {self.precision}"


class RequestedSettings(Struct, frozen=True, kw_only=True):
    """The requested settings, enough to repeat the measurement; None for a choice that was left to the device.

    Attributes:
        properties: further OpenVINO properties by name.
        input: a folder of images, or "random".
        images: number of different images that were used; None in a report by 0.1, which had another key for it.
        warmup_s: warm-up before the timed part.
    """

    device: str
    hint: str | None
    inference_precision: str | None
    streams: int | None
    threads: int | None
    nireq: int | None
    pinning: bool | None
    properties: dict[str, str]
    batch: int | None
    time_s: float | None
    iterations: int | None
    warmup_s: float
    max_rate: float | None
    input: str
    images: int | None = None
    decode: str


class Measurement(Struct, frozen=True, kw_only=True):
    """One network on one device with one set of settings, measured in one mode.

    Attributes:
        network: what was measured, and the digest of its IR.
        num_streams: number of streams of the compiled model.
        throughput_fps: images per second.
        histogram: latencies in bins.
        spread: throughput over equal intervals of the measurement.
        open_loop: arrival rate and queue; None unless a rate was given.
        start_up_ms: compilation and first inference; None unless it was requested.
        resources: CPU time, memory and energy.
        layers: time of each layer; None unless it was requested.
        mode: inference: the network alone, on inputs prepared in advance; end-to-end: from the file to the classes.
        device: the execution device, as OpenVINO names it.
        device_name: name of the hardware.
        device_version: version of the device's plugin.
        inference_precision: the precision that the compiled model uses.
        infer_requests: number of infer requests in parallel.
        batch: images per request.
        properties: the requested properties, with the values that the compiled model reports.
        count: images that were completed within the time.
        requests: requests that were completed within the time.
        failed: images that could not be read.
        duration_s: from the first start to the last result.
        latency_ms: closed loop: from the start of a request to its result; open loop: from the arrival of the image;
            end to end: from the first byte of the file, or from the arrival, to the result.
        stages_ms: end to end only, per image: decode, geometry, queue, inference, total. Inference is that of the
            request the image was part of.
        exec_graph: path of the device's execution graph, as an IR; None if it was not requested.
        asked: the requested settings, enough to repeat the measurement.
    """

    network: MeasuredNetwork
    mode: Mode
    device: str
    device_name: str | None
    device_version: str | None
    inference_precision: str | None
    num_streams: int | None
    infer_requests: int
    batch: int
    properties: dict[str, str | None]
    throughput_fps: float
    count: int
    requests: int
    failed: int
    duration_s: float
    latency_ms: Latency
    histogram: Histogram
    spread: Spread
    stages_ms: dict[str, Latency] | None
    open_loop: OpenLoop | None
    start_up_ms: StartUp | None
    resources: Resources
    layers: Layers | None
    exec_graph: str | None
    asked: RequestedSettings

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of a measurement in `benchmark --format json`, as dictionaries, lists, texts and numbers."""
        return as_json_object(self)
