"""Take measurements within a time limit, record and rank them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ov_mobilenet.errors import OvMobilenetError
from ov_mobilenet.tuning.space import Goal, Sample, TuningCandidate

Measure = Callable[[TuningCandidate, float], Sample]
Clock = Callable[[], float]
Stage = Literal["noise", "search", "final"]

# The first measurement of a candidate includes compilation and warm-up, whose duration differs between candidates.
START_UP_MARGIN = 1.3
# Fraction of the time limit reserved for the work after the last measurement.
RESERVE = 0.03


@dataclass(frozen=True)
class Step:
    """One measurement, as reported to the progress callback.

    Attributes:
        candidate: the settings that were measured.
        sample: the figures.
        elapsed_s, limit_s: seconds since the search began, and those that it may take.
        stage: noise: repeated measurements of the default; search; final: the comparison of the finalists.
    """

    stage: Stage
    candidate: TuningCandidate
    sample: Sample
    elapsed_s: float
    limit_s: float


class MeasurementLog:
    """Takes measurements while time is left, records them, and estimates how long the next one takes.

    Attributes:
        samples: the samples of each candidate, in the order measured.
        failures: candidates that cannot run, with the error message.
    """

    def __init__(
        self, measure: Measure, goal: Goal, limit_s: float, clock: Clock, on_step: Callable[[Step], None]
    ) -> None:
        self.samples: dict[TuningCandidate, list[Sample]] = {}
        self.failures: dict[TuningCandidate, str] = {}
        self.goal = goal
        self.limit_s = limit_s
        self._measure = measure
        self._clock = clock
        self._on_step = on_step
        self._started = clock()
        self._first_overhead_s = self._repeat_overhead_s = 0.0

    @property
    def elapsed_s(self) -> float:
        """Seconds since this log was created."""
        return self._clock() - self._started

    @property
    def remaining_s(self) -> float:
        """Seconds left for measurements."""
        return self.limit_s * (1 - RESERVE) - self.elapsed_s

    def cost_s(self, candidate: TuningCandidate, seconds: float) -> float:
        """Estimated duration of a measurement of `seconds`, including compilation if it is the first."""
        if candidate in self.samples:
            return seconds + self._repeat_overhead_s
        return seconds + max(self._first_overhead_s * START_UP_MARGIN, self._repeat_overhead_s)

    def take(self, candidate: TuningCandidate, seconds: float, stage: Stage) -> Sample | None:
        """Measure once; None if the time left is too short or the candidate cannot run.

        Raises:
            OvMobilenetError: the very first candidate cannot run.
        """
        if candidate in self.failures or (self.samples and self.cost_s(candidate, seconds) > self.remaining_s):
            return None
        before = self._clock()
        try:
            sample = self._measure(candidate, seconds)
        except OvMobilenetError as error:
            if not self.samples:
                raise
            self.failures[candidate] = str(error)
            return None
        overhead = max(0.0, self._clock() - before - seconds)
        if candidate in self.samples:
            self._repeat_overhead_s = max(self._repeat_overhead_s, overhead)
        else:
            self._first_overhead_s = max(self._first_overhead_s, overhead)
        self.samples.setdefault(candidate, []).append(sample)
        self._on_step(Step(stage, candidate, sample, self.elapsed_s, self.limit_s))
        return sample

    def log_score(self, candidate: TuningCandidate) -> float:
        """The score of the best sample: other work on the machine makes a figure worse, and hardly ever better."""
        return max(map(self.goal.log_score, self.samples[candidate]))

    def p95_ms(self, candidate: TuningCandidate) -> float:
        """The lowest 95th percentile measured, for the same reason."""
        return min(sample.p95_ms for sample in self.samples[candidate])

    def is_within_budget(self, candidate: TuningCandidate, headroom: float) -> bool:
        """Whether the latency stays below the budget reduced by the fraction `headroom`."""
        budget_ms = self.goal.latency_budget_ms
        return budget_ms is None or self.p95_ms(candidate) <= budget_ms * (1 - headroom)

    def ranked(self, headroom: float) -> list[TuningCandidate]:
        """Best first: candidates within the budget by score, then the others by latency."""

        def key(candidate: TuningCandidate) -> tuple[bool, float]:
            within = self.is_within_budget(candidate, headroom)
            return (not within, -self.log_score(candidate) if within else self.p95_ms(candidate))

        return sorted(self.samples, key=key)

    def medians(self) -> dict[TuningCandidate, Sample]:
        """The median sample of each candidate."""
        return {candidate: median_of(samples) for candidate, samples in self.samples.items()}


def median_of(samples: list[Sample]) -> Sample:
    """A sample with the medians of all measured figures."""

    def median(name: str) -> float | None:
        values = [getattr(sample, name) for sample in samples]
        return None if None in values else statistics.median(values)

    figures = {name: median(name) for name in ("throughput_fps", "p95_ms", "images_per_cpu_s", "images_per_j")}
    return replace(samples[-1], **figures)  # type: ignore[arg-type]


def pareto_front(samples: Mapping[TuningCandidate, Sample]) -> list[TuningCandidate]:
    """Candidates that no other one beats in both throughput and latency; highest throughput first."""
    front: list[TuningCandidate] = []
    lowest_ms = math.inf
    for candidate in sorted(samples, key=lambda one: (-samples[one].throughput_fps, samples[one].p95_ms)):
        if samples[candidate].p95_ms < lowest_ms:
            lowest_ms = samples[candidate].p95_ms
            front.append(candidate)
    return front
