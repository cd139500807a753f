"""What can be set, what was measured with it, and where the search may go."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import Literal

from ov_mobilenet.devices.settings import InferencePrecision

Objective = Literal["throughput", "latency", "efficiency"]


@dataclass(frozen=True)
class Precision:
    """Which IR runs, and at what.

    Attributes:
        xml: the IR; its weights may be quantised.
        inference: None for the device's own choice.
        name: for people: bf16, INT8.
    """

    xml: Path
    inference: InferencePrecision | None
    name: str


@dataclass(frozen=True)
class Setting:
    """One set of settings; None leaves a choice to the device, or to the runtime.

    Attributes:
        batch: images per request.
        streams: how many requests the device works on at a time; None for what its hint makes.
        requests: infer requests for each stream; None for the runtime's own number.
        threads: for inference.
    """

    precision: Precision
    batch: int
    streams: int | None = None
    requests: int | None = None
    threads: int | None = None


@dataclass(frozen=True)
class Sample:
    """What one measurement gave.

    Attributes:
        p95_ms: from a request's start, or end to end from the file's first byte, to the answer.
        images_per_cpu_s: images for a second of processor time of this process; None where it is not told.
        images_per_j: images for a joule of the CPU packages; None where it is not told.
        inference_precision, streams, requests: that really ran; requests in all.
    """

    throughput_fps: float
    p95_ms: float
    images_per_cpu_s: float | None = None
    images_per_j: float | None = None
    inference_precision: str | None = None
    streams: int | None = None
    requests: int = 1


@dataclass(frozen=True)
class Goal:
    """What is wanted.

    Attributes:
        budget_ms: the 95th percentile of the latency must stay within it; None for any.
    """

    objective: Objective = "throughput"
    budget_ms: float | None = None

    def log_score(self, sample: Sample) -> float:
        """Better is more; a difference of two is the logarithm of their ratio."""
        if self.objective == "latency":
            return -math.log(sample.p95_ms)
        if self.objective == "efficiency":
            return math.log(sample.images_per_j or sample.images_per_cpu_s or sample.throughput_fps)
        return math.log(sample.throughput_fps)


@dataclass(frozen=True)
class Space:
    """The values of each setting, in rising order; None stands where the device's own value lies.

    Attributes:
        start: what runs when nobody asks for anything: measured first, and what the result is compared with.
    """

    start: Setting
    precisions: tuple[Precision, ...]
    batches: tuple[int, ...]
    streams: tuple[int | None, ...] = (None,)
    requests: tuple[int | None, ...] = (None,)
    threads: tuple[int | None, ...] = (None,)

    def coarse(self) -> Iterator[Setting]:
        """Points far apart: each precision as it starts, then with every other batch, and with the fewest streams."""
        for precision in self.precisions:
            yield replace(self.start, precision=precision)
        batches = self.batches[:: 2 if len(self.batches) > 2 else 1]
        streams = dict.fromkeys((self.start.streams, self.streams[0]))
        for precision, few, batch in product(self.precisions, streams, batches):
            yield replace(self.start, precision=precision, streams=few, batch=batch)

    def neighbours(self, setting: Setting) -> Iterator[Setting]:
        """One step along each axis; precisions are not in an order."""
        axes: tuple[tuple[str, tuple[int | None, ...]], ...] = (
            ("batch", self.batches), ("streams", self.streams), ("requests", self.requests), ("threads", self.threads),
        )  # fmt: skip
        for name, axis in axes:
            place = axis.index(getattr(setting, name))
            for other in (place + 1, place - 1):
                if 0 <= other < len(axis):
                    yield replace(setting, **{name: axis[other]})  # type: ignore[arg-type]

    def complexity(self, setting: Setting) -> tuple[int, ...]:
        """Less is simpler: fewer settings made, then smaller batches, and fewer requests, streams and threads."""
        made = sum(getattr(setting, one.name) != getattr(self.start, one.name) for one in fields(Setting))
        axes = (self.requests.index(setting.requests), self.streams.index(setting.streams))
        return (made, setting.batch, *axes, self.threads.index(setting.threads))


def describe(setting: Setting) -> str:
    """`bf16, batch 8, 2 streams, 4 requests a stream`; what is left to the device is left out."""
    parts = [setting.precision.name, f"batch {setting.batch}"]
    for number, noun in (
        (setting.streams, "stream"), (setting.requests, "request"), (setting.threads, "thread"),
    ):  # fmt: skip
        if number is not None:
            parts.append(f"{number} {noun}{'s' if number != 1 else ''}{' a stream' if noun == 'request' else ''}")
    return ", ".join(parts)
