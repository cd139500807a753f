"""A simulated device for tuning tests: throughput and latency are given functions, with noise and its own clock."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ov_mobilenet.errors import DeviceError
from ov_mobilenet.tuning.space import PrecisionOption, Sample, SearchSpace, TuningCandidate

OWN = PrecisionOption(Path("FP16/net.xml"), None, "bf16")
F32 = PrecisionOption(Path("FP16/net.xml"), "f32", "f32")
INT8 = PrecisionOption(Path("FP16-INT8/net.xml"), None, "INT8")


def search_space(precisions: tuple[PrecisionOption, ...] = (OWN,)) -> SearchSpace:
    """The search space of a CPU with 4 cores."""
    return SearchSpace(
        default=TuningCandidate(OWN, 1), precisions=precisions, batches=(1, 2, 4, 8, 16, 32), streams=(1, 2, None),
        requests=(1, None, 4), threads=(1, 2, None),
    )  # fmt: skip


@dataclass
class FakeTarget:
    """Stands for a `TuningTarget` and a clock in `search`.

    Attributes:
        fps, p95_ms: of a candidate, without noise.
        noise: standard deviation of the logarithm for a measurement of one second; lower for longer ones.
        drift: fraction by which the machine slows down per hour of its clock.
        compile_s: duration of compilation, added to the first measurement of a candidate.
        is_busy: whether other work takes two thirds of the machine at a time.
        is_broken: whether a candidate cannot run.
    """

    fps: Callable[[TuningCandidate], float]
    p95_ms: Callable[[TuningCandidate], float]
    noise: float = 0.01
    drift: float = 0.0
    compile_s: Callable[[TuningCandidate], float] = lambda candidate: 0.3
    is_busy: Callable[[float], bool] = lambda now: False
    is_broken: Callable[[TuningCandidate], bool] = lambda candidate: False
    seed: int = 0
    now: float = 0.0
    measured: list[tuple[TuningCandidate, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._compiled: set[TuningCandidate] = set()

    def clock(self) -> float:
        return self.now

    def measure(self, candidate: TuningCandidate, seconds: float) -> Sample:
        if candidate not in self._compiled:
            self.now += self.compile_s(candidate)
            self._compiled.add(candidate)
        if self.is_broken(candidate):
            raise DeviceError("the device does not support this", got=candidate)
        self.measured.append((candidate, seconds))
        slower = (1 + self.drift * self.now / 3600) * (3 if self.is_busy(self.now) else 1)
        self.now += seconds + 0.02
        deviation = self.noise / math.sqrt(seconds)
        fps = self.fps(candidate) / slower * math.exp(self._random.gauss(0, deviation))
        p95 = self.p95_ms(candidate) * slower * math.exp(self._random.gauss(0, deviation))
        return Sample(fps, p95, images_per_cpu_s=fps / (candidate.threads or 4))
