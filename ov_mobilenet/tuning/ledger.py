"""All that was measured, within the time there is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ov_mobilenet.errors import OvMobilenetError
from ov_mobilenet.tuning.space import Goal, Sample, Setting

Measure = Callable[[Setting, float], Sample]
Clock = Callable[[], float]
Stage = Literal["noise", "search", "final"]

# The first of a kind is compiled and warmed up, which differs from setting to setting.
START_UP_MARGIN = 1.3
# Never so much of the limit is planned: what follows the last measurement takes time too.
KEPT = 0.03


@dataclass(frozen=True)
class Step:
    """One measurement, for whoever shows how it goes."""

    stage: Stage
    setting: Setting
    sample: Sample
    elapsed_s: float
    limit_s: float


class Ledger:
    """Measures while there is time, remembers, and learns what it takes to begin.

    Attributes:
        samples: of each setting, in the order they were taken.
        failures: settings that cannot be run, and why.
    """

    def __init__(
        self, measure: Measure, goal: Goal, limit_s: float, clock: Clock, on_step: Callable[[Step], None]
    ) -> None:
        self.samples: dict[Setting, list[Sample]] = {}
        self.failures: dict[Setting, str] = {}
        self.goal = goal
        self.limit_s = limit_s
        self._measure = measure
        self._clock = clock
        self._on_step = on_step
        self._begun = clock()
        self._first_s = self._again_s = 0.0

    @property
    def elapsed_s(self) -> float:
        """Since it was made."""
        return self._clock() - self._begun

    @property
    def left_s(self) -> float:
        """What measurements may still take."""
        return self.limit_s * (1 - KEPT) - self.elapsed_s

    def cost_s(self, setting: Setting, seconds: float) -> float:
        """What a measurement will take, as far as can be known."""
        known = setting in self.samples
        return seconds + (self._again_s if known else max(self._first_s * START_UP_MARGIN, self._again_s))

    def take(self, setting: Setting, seconds: float, stage: Stage) -> Sample | None:
        """Measure once; None where there is no time for it, or where it cannot be run.

        Raises:
            OvMobilenetError: the first of all settings cannot be run.
        """
        if setting in self.failures or (self.samples and self.cost_s(setting, seconds) > self.left_s):
            return None
        before = self._clock()
        try:
            sample = self._measure(setting, seconds)
        except OvMobilenetError as error:
            if not self.samples:
                raise
            self.failures[setting] = str(error)
            return None
        extra = max(0.0, self._clock() - before - seconds)
        if setting in self.samples:
            self._again_s = max(self._again_s, extra)
        else:
            self._first_s = max(self._first_s, extra)
        self.samples.setdefault(setting, []).append(sample)
        self._on_step(Step(stage, setting, sample, self.elapsed_s, self.limit_s))
        return sample

    def log_score(self, setting: Setting) -> float:
        """Of its best sample: whatever else the machine does makes a figure worse, and hardly ever better."""
        return max(map(self.goal.log_score, self.samples[setting]))

    def p95_ms(self, setting: Setting) -> float:
        """Likewise."""
        return min(sample.p95_ms for sample in self.samples[setting])

    def fits(self, setting: Setting, margin: float) -> bool:
        """Whether it keeps the budget, of which a fraction `margin` is kept free."""
        return self.goal.budget_ms is None or self.p95_ms(setting) <= self.goal.budget_ms * (1 - margin)

    def ranked(self, margin: float) -> list[Setting]:
        """Best first: those within the budget by their score, then the others by how near to it they are."""

        def key(setting: Setting) -> tuple[bool, float]:
            fits = self.fits(setting, margin)
            return (not fits, -self.log_score(setting) if fits else self.p95_ms(setting))

        return sorted(self.samples, key=key)

    def medians(self) -> dict[Setting, Sample]:
        """One sample for each setting."""
        return {setting: median_of(samples) for setting, samples in self.samples.items()}


def median_of(samples: list[Sample]) -> Sample:
    """The medians of what varies."""

    def of(name: str) -> float | None:
        values = [getattr(sample, name) for sample in samples]
        return None if None in values else statistics.median(values)

    numbers = {name: of(name) for name in ("throughput_fps", "p95_ms", "images_per_cpu_s", "images_per_j")}
    return replace(samples[-1], **numbers)  # type: ignore[arg-type]


def pareto_front(samples: Mapping[Setting, Sample]) -> list[Setting]:
    """Those that no other beats in throughput and latency at a time; highest throughput first."""
    found: list[Setting] = []
    lowest = math.inf
    for setting in sorted(samples, key=lambda one: (-samples[one].throughput_fps, samples[one].p95_ms)):
        if samples[setting].p95_ms < lowest:
            lowest = samples[setting].p95_ms
            found.append(setting)
    return found
