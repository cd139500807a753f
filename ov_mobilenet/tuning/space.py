"""The search space of `tune`: candidates, samples of their performance, and the goal that ranks them."""

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
class PrecisionOption:
    """An IR, with its weight precision, and the inference precision to run it at.

    Attributes:
        inference: None for the device's default.
        name: the precision in messages and reports, such as bf16 or INT8.
    """

    xml: Path
    inference: InferencePrecision | None
    name: str


@dataclass(frozen=True)
class TuningCandidate:
    """One combination of settings; None leaves a setting to the device or the runtime.

    Attributes:
        batch: images per request.
        streams: number of streams; None for the number that the performance hint chooses.
        requests: infer requests per stream; None for the runtime's default.
        threads: CPU threads for inference.
    """

    precision: PrecisionOption
    batch: int
    streams: int | None = None
    requests: int | None = None
    threads: int | None = None


@dataclass(frozen=True)
class Sample:
    """The result of one measurement.

    Attributes:
        p95_ms: 95th percentile of the latency of a request; end to end, of an image, from opening its file to the
            result.
        images_per_cpu_s: images per second of this process's CPU time; None if unknown.
        images_per_j: images per joule of the CPU packages; None if unknown.
        inference_precision, streams, requests: the values in effect; requests in total.
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
    """The objective of a search, and the latency budget.

    Attributes:
        latency_budget_ms: upper limit of the 95th percentile of the latency; None for no limit.
    """

    objective: Objective = "throughput"
    latency_budget_ms: float | None = None

    def score(self, sample: Sample) -> float:
        """A positive number, higher is better; the ratio of two scores says how many times as good one is."""
        if self.objective == "latency":
            return 1 / sample.p95_ms
        if self.objective == "efficiency":
            return sample.images_per_j or sample.images_per_cpu_s or sample.throughput_fps
        return sample.throughput_fps

    def log_score(self, sample: Sample) -> float:
        """The natural logarithm of the score."""
        return math.log(self.score(sample))


@dataclass(frozen=True)
class SearchSpace:
    """The values of each setting in ascending order; None stands at the place of the device's default.

    Attributes:
        default: the candidate without any settings; measured first, and the reference of the reported gain.
    """

    default: TuningCandidate
    precisions: tuple[PrecisionOption, ...]
    batches: tuple[int, ...]
    streams: tuple[int | None, ...] = (None,)
    requests: tuple[int | None, ...] = (None,)
    threads: tuple[int | None, ...] = (None,)

    def coarse_grid(self) -> Iterator[TuningCandidate]:
        """Candidates far apart: each precision, then every second batch size with default and fewest streams."""
        for precision in self.precisions:
            yield replace(self.default, precision=precision)
        batches = self.batches[:: 2 if len(self.batches) > 2 else 1]
        streams = dict.fromkeys((self.default.streams, self.streams[0]))
        for precision, count, batch in product(self.precisions, streams, batches):
            yield replace(self.default, precision=precision, streams=count, batch=batch)

    def neighbours(self, candidate: TuningCandidate) -> Iterator[TuningCandidate]:
        """Candidates one step away along one axis; precisions have no order, hence no neighbours."""
        axes: tuple[tuple[str, tuple[int | None, ...]], ...] = (
            ("batch", self.batches), ("streams", self.streams), ("requests", self.requests), ("threads", self.threads),
        )  # fmt: skip
        for name, axis in axes:
            index = axis.index(getattr(candidate, name))
            for other in (index + 1, index - 1):
                if 0 <= other < len(axis):
                    yield replace(candidate, **{name: axis[other]})  # type: ignore[arg-type]

    def complexity(self, candidate: TuningCandidate) -> tuple[int, ...]:
        """A sort key, simplest first: fewest changed settings, smallest batch, fewest requests, streams, threads."""
        changed = sum(
            getattr(candidate, one.name) != getattr(self.default, one.name) for one in fields(TuningCandidate)
        )
        axes = (self.requests.index(candidate.requests), self.streams.index(candidate.streams))
        return (changed, candidate.batch, *axes, self.threads.index(candidate.threads))


def describe(candidate: TuningCandidate) -> str:
    """`bf16, batch 8, 2 streams, 4 requests per stream`, without the settings left to the device."""
    parts = [candidate.precision.name, f"batch {candidate.batch}"]
    for number, noun in (
        (candidate.streams, "stream"), (candidate.requests, "request"), (candidate.threads, "thread"),
    ):  # fmt: skip
        if number is not None:
            parts.append(f"{number} {noun}{'s' if number != 1 else ''}{' per stream' if noun == 'request' else ''}")
    return ", ".join(parts)
