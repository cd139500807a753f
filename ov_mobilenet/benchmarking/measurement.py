"""What a benchmark gives: plain frozen values, and their JSON form.

A report is one JSON object. At its top stand the keys below, and beside them, for programs that look at one measurement
only, the keys of the first one: `throughput_fps`, `latency_ms`, `count`, `device`, `inference_precision`,
`num_streams`, `infer_requests`, `batch`, `mode`.

    {"schema_version": 1, "created": "2026-01-31T12:00:00Z", "command": str,
     "machine": Machine, "measurements": [Measurement], "comparisons": [Comparison], "failures": [Failed]}

Every key of the classes below is always there; what a machine cannot tell is null, what was not asked for is null or
empty. Numbers of time are milliseconds where the name ends in `_ms`, seconds where it ends in `_s`; FPS are images a
second, so a request of batch 8 counts 8. New keys may come within a schema version; none changes its meaning.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from ov_mobilenet.errors import UsageError

SCHEMA_VERSION = 1

Mode = Literal["inference", "end-to-end"]


class Latency(Struct, frozen=True, kw_only=True):
    """Milliseconds over all requests, or over all images; percentiles by nearest rank, see `latency`."""

    mean: float
    min: float
    p50: float
    p90: float
    p95: float
    p99: float
    p99_9: float = field(name="p99.9")
    max: float


class Histogram(Struct, frozen=True):
    """How many latencies lie in each bin.

    Attributes:
        edges_ms: one more than there are bins, rising by the same factor each; the last edge belongs to the last bin.
    """

    edges_ms: tuple[float, ...]
    counts: tuple[int, ...]


class Spread(Struct, frozen=True):
    """Throughput over equal intervals of the measurement.

    Attributes:
        interval_s: how long each is.
        fps: of each, in their order.
        variation: standard deviation by mean; None of fewer than two.
    """

    interval_s: float
    fps: tuple[float, ...]
    min: float | None
    median: float | None
    max: float | None
    variation: float | None


class StartUp(Struct, frozen=True):
    """Milliseconds until the first answer, apart.

    Attributes:
        compile: compile the network, without any cache of compiled models.
        first_inference: the first request, before any warm-up.
        cached_compile: compile it again from a cache of compiled models; None where the device keeps none.
    """

    compile: float
    first_inference: float
    cached_compile: float | None


class Resources(Struct, frozen=True):
    """What the timed part took; of this process alone but for the energy, which is the machine's.

    Attributes:
        cpu_time_s: user and system, all threads.
        cpu_cores: the same by wall time: how many cores were busy on average.
        peak_memory_mb: most resident memory since the process began, 10^6 bytes.
        energy_j: of the CPU packages while it was timed.
        energy_per_image_j: the same by images.
    """

    cpu_time_s: float | None
    cpu_cores: float | None
    peak_memory_mb: float | None
    energy_j: float | None
    energy_per_image_j: float | None


class OpenLoop(Struct, frozen=True):
    """Images that come at a given rate, whether or not the device is ready.

    Attributes:
        rate_fps: at which images came.
        saturated: the device did not keep up: the queue grew, and the latencies say how long it was measured, not how
            long an image takes.
        longest_queue: most images that had come and that no request had taken.
        left: how many of these there were when the time was over; they are not in the latencies.
    """

    rate_fps: float
    saturated: bool
    longest_queue: int
    left: int


class LayerTime(Struct, frozen=True):
    """One layer that ran.

    Attributes:
        type: as in the network: Convolution.
        implementation: the device's name for what it ran: brgconv_avx512_1x1_bf16; None where it gives none.
        precision: that it ran in; None where the device does not say.
        time_ms: a request, median.
        share: of the time of all layers, in [0, 1].
    """

    name: str
    type: str
    implementation: str | None
    precision: str | None
    time_ms: float
    share: float


class LayerType(Struct, frozen=True):
    """All layers of a type that ran in a precision."""

    type: str
    precision: str | None
    count: int
    time_ms: float
    share: float


class Layers(Struct, frozen=True):
    """Where the time of a request goes, by the device's own account; measured apart, for it slows a device down.

    Attributes:
        requests: how many were run.
        total_ms: of all layers.
        top: the longest, longest first.
        by_type: likewise.
    """

    requests: int
    total_ms: float
    top: tuple[LayerTime, ...]
    by_type: tuple[LayerType, ...]


class MeasuredNetwork(Struct, frozen=True):
    """Which network ran.

    Attributes:
        name: the IR's.
        xml: its path.
        digest: SHA-256 over its `.xml` and its `.bin`.
        precision: of its weights: FP32, FP16 or INT8.
        input_shape: as the IR says, -1 for any.
    """

    name: str
    xml: str
    digest: str
    precision: str | None
    input_shape: tuple[int, ...]


class Asked(Struct, frozen=True, kw_only=True):
    """What was asked for, enough to measure it again; None for what was left to the device.

    Attributes:
        properties: names and values.
        input: a folder of images, or "random".
        images: how many different ones were used.
        warmup_s: for how long it ran before it was timed.
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
    images: int
    decode: str


class Measurement(Struct, frozen=True, kw_only=True):
    """One network on one device with one set of settings, measured one way.

    Attributes:
        mode: inference: inputs prepared once, no post-processing; end-to-end: from the file to the classes.
        device: what executed, as OpenVINO names it.
        device_name: of the hardware.
        inference_precision: that really ran.
        infer_requests: how many worked at a time.
        batch: images per request.
        properties: of those asked for, what the compiled model says.
        count: images that were answered within the time.
        requests: likewise.
        failed: images that could not be read.
        duration_s: from the first start to the last answer.
        latency_ms: closed loop: from a request's start to its answer; open loop: from the image's arrival; end to
            end: from the file's first byte to the network's answer, or from its arrival.
        stages_ms: end to end only, an image: decode, geometry, queue, inference, total. Inference is that of the
            request the image was in.
        exec_graph: path of the graph that the device really ran, as an IR; None where it was not asked for.
        asked: what it was measured with.
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
    asked: Asked


class Load(Struct, frozen=True):
    """How busy the machine was before anything was measured.

    Attributes:
        average: processes that ran or waited, over the last minute.
        cpu_busy: fraction of all cores' time over a tenth of a second.
        busy: whether figures are to be doubted for it.
    """

    average: float | None
    cpu_busy: float | None
    busy: bool


class MachineFacts(Struct, frozen=True):
    """Where it was measured.

    Attributes:
        cpu_flags: those that speed MobileNets up, and whether the CPU has them.
        cores: that this process may use.
        governor: of the CPU's frequency; several are joined by a comma.
        versions: ov_mobilenet, openvino, numpy, opencv, python.
    """

    cpu: str
    cpu_flags: dict[str, bool] | None
    cores: int
    system: str
    governor: str | None
    load: Load
    versions: dict[str, str]


class BaselineComparison(Struct, frozen=True):
    """One measurement against an earlier one, or against that of another command.

    Attributes:
        measurement: number of the present one in `measurements`, from 0.
        way: interleaved: both measured anew in turn; recorded: the earlier figures as they are; command: the other
            command run in turn.
        baseline: the file or the command.
        pairs: how many ratios there are, 1 for a recorded one.
        baseline_fps, present_fps: medians.
        ratio: present throughput by the baseline's, estimated as `baseline` tells; below 1 it has become slower.
        low, high: the confidence interval of the ratio; None where it cannot be told.
        confidence: of the interval, in (0, 1).
        max_regression: that is allowed, 0.05 for 5 %.
        regressed: beyond `max_regression` by the rule of `baseline`.
    """

    measurement: int
    way: Literal["interleaved", "recorded", "command"]
    baseline: str
    pairs: int
    baseline_fps: float
    present_fps: float
    ratio: float
    low: float | None
    high: float | None
    confidence: float
    max_regression: float
    regressed: bool


class Failed(Struct, frozen=True):
    """A combination that could not be measured, and why."""

    model: str
    device: str
    mode: Mode | None
    error: str


class Report(Struct, frozen=True, kw_only=True):
    """All that one call measured.

    Attributes:
        created: in UTC, to the second.
        command: the command line, or empty.
    """

    created: str
    command: str
    machine: MachineFacts
    measurements: tuple[Measurement, ...]
    comparisons: tuple[BaselineComparison, ...] = ()
    failures: tuple[Failed, ...] = ()
    schema_version: int = SCHEMA_VERSION


# At the top of a report as well, from its first measurement.
_HEADLINE = (
    "throughput_fps", "latency_ms", "count", "device", "inference_precision", "num_streams", "infer_requests", "batch",
    "mode",
)  # fmt: skip


def as_json(report: Report) -> dict[str, Any]:
    """The report as JSON takes it."""
    document: dict[str, Any] = msgspec.to_builtins(report)
    first = document["measurements"][0] if document["measurements"] else {}
    headline = {key: first[key] for key in _HEADLINE if first}
    return {"schema_version": document.pop("schema_version"), **headline, **document}


def parse_report(data: bytes, where: Path | str) -> Report:
    """A report that was written before, by this schema version; keys that it does not know are left out.

    Raises:
        UsageError: it is no report, or of another schema version.
    """
    try:
        report = msgspec.json.decode(data, type=Report)
    except msgspec.DecodeError as error:
        raise UsageError("no benchmark report", where=where, expected="the JSON of `benchmark`", got=error) from error
    if report.schema_version != SCHEMA_VERSION:
        raise UsageError(
            "a benchmark report of another version", where=where, expected=SCHEMA_VERSION, got=report.schema_version
        )
    return report


def read_report(path: Path) -> Report:
    """As `parse_report`, of a file. Raises: UsageError, also where it cannot be read."""
    try:
        return parse_report(path.read_bytes(), path)
    except OSError as error:
        raise UsageError("a benchmark report cannot be read", where=path, got=error.strerror) from error
