"""The search: measure the noise, a coarse grid, neighbours of the best candidates, and finally the finalists."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ov_mobilenet.tuning.accuracy_limit import AccuracyFilter, AccuracyLimit
from ov_mobilenet.tuning.finalists import MIN_ROUNDS, MIN_SLICE_S, Decision, compare_finalists
from ov_mobilenet.tuning.measurement_log import Clock, Measure, MeasurementLog, Step
from ov_mobilenet.tuning.space import Goal, PrecisionOption, Sample, SearchSpace, TuningCandidate
from ov_mobilenet.tuning.variation import robust_deviation

# Fractions of the time limit. Until the first, new candidates take precedence over repeated measurements of doubtful
# ones; until the second, the repeated measurements do. The rest is for the finalists.
EXPLORE_UNTIL, REPEAT_UNTIL = 0.45, 0.55
SLICES_PER_LIMIT = 100
MAX_SLICE_S = 1.0
NOISE_SAMPLES = 5
# Noise above this fraction is reported: the machine is busy.
BUSY_NOISE = 0.05
# A score counts as equal to the best if it is lower by less than 3 times the noise, and as promising if by less than 4
# times. These differences of log scores are clamped to these ranges.
EQUAL_RANGE = (0.02, 0.10)
PROMISING_RANGE = (0.10, 0.25)
HEADROOM_RANGE = (0.0, 0.3)
MAX_FINALISTS = 4
# With a latency budget, the finalists are the best candidates at each of these additional fractions of headroom: other
# work on the machine can double latencies.
EXTRA_HEADROOMS = (0.0, 0.2, 0.45, 0.7)


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    Attributes:
        noise: relative standard deviation of throughput between repeated measurements, before the search.
        samples: the median sample of each candidate.
        top1: top-1 accuracy of the precisions measured.
        rejected: precisions that lose too much accuracy, or could not be measured in time, with the reason.
        failures: candidates that cannot run, with the error message.
        rounds: number of rounds of the last stage.
    """

    decision: Decision
    noise: float
    samples: dict[TuningCandidate, Sample]
    top1: dict[PrecisionOption, float]
    rejected: dict[PrecisionOption, str]
    failures: dict[TuningCandidate, str]
    rounds: int
    elapsed_s: float

    @property
    def is_busy(self) -> bool:
        """Whether throughput varied so much that the figures are unreliable."""
        return self.noise > BUSY_NOISE


@dataclass(frozen=True)
class _Thresholds:
    """How close to the best a candidate must be; `equal` and `promising` are differences of log scores.

    Attributes:
        headroom: fraction of the latency budget kept free.
    """

    equal: float
    promising: float
    headroom: float

    @classmethod
    def of_noise(cls, throughput_noise: float, p95_noise: float) -> _Thresholds:
        return cls(
            equal=_clamp(3 * throughput_noise, EQUAL_RANGE),
            promising=_clamp(4 * throughput_noise, PROMISING_RANGE),
            headroom=_clamp(2 * p95_noise, HEADROOM_RANGE),
        )


def search(
    measure: Measure,
    space: SearchSpace,
    goal: Goal,
    *,
    time_limit_s: float,
    clock: Clock,
    accuracy: AccuracyLimit | None = None,
    on_step: Callable[[Step], None] = lambda step: None,
) -> SearchResult:
    """Find the best candidate of a search space.

    Args:
        measure: measures a candidate for the given number of seconds; raises OvMobilenetError if it cannot run.
        time_limit_s: a measurement that is expected to end later is not started; the duration of compilation is
            estimated from earlier measurements.
        clock: returns seconds.
        accuracy: how much accuracy a precision may lose; None for no limit.
        on_step: called after each measurement.

    Raises:
        OvMobilenetError: the default cannot run.
    """
    log = MeasurementLog(measure, goal, time_limit_s, clock, on_step)
    slice_s = min(MAX_SLICE_S, max(MIN_SLICE_S, time_limit_s / SLICES_PER_LIMIT))
    noise, p95_noise = _measure_noise(log, space.default, slice_s)
    accuracy_filter = AccuracyFilter(accuracy, space, log)
    measuring_s = time_limit_s - accuracy_filter.expected_s
    thresholds = _Thresholds.of_noise(noise, p95_noise)
    explorer = _Explorer(log, space, accuracy_filter, thresholds)
    for share, sources in (
        (EXPLORE_UNTIL, (explorer.next_new, explorer.next_repeat)),
        (REPEAT_UNTIL, (explorer.next_repeat, explorer.next_new)),
    ):
        while (candidate := next(filter(None, (source() for source in sources)), None)) is not None:
            if log.elapsed_s - accuracy_filter.spent_s + log.cost_s(candidate, slice_s) > measuring_s * share:
                break
            explorer.visit(candidate)
            _measure_candidate(log, candidate, slice_s, thresholds)
    finalists = _finalists(log, space, accuracy_filter, thresholds)
    accepted = tuple(precision for precision in space.precisions if precision not in accuracy_filter.rejected)
    decision = compare_finalists(log, replace(space, precisions=accepted), finalists, slice_s)
    return SearchResult(
        decision, noise, log.medians(), accuracy_filter.top1, accuracy_filter.rejected, log.failures,
        max(len(one.samples) for one in decision.finalists), log.elapsed_s,
    )  # fmt: skip


def _measure_noise(log: MeasurementLog, default: TuningCandidate, slice_s: float) -> tuple[float, float]:
    """The relative standard deviations of throughput and of the 95th percentile between short measurements."""
    found = [log.take(default, slice_s / 2, "noise") for _ in range(NOISE_SAMPLES)]
    samples = [sample for sample in found if sample is not None]
    return (
        robust_deviation([math.log(sample.throughput_fps) for sample in samples]),
        robust_deviation([math.log(sample.p95_ms) for sample in samples]),
    )


def _clamp(value: float, limits: tuple[float, float]) -> float:
    return min(limits[1], max(limits[0], value))


class _Explorer:
    """Proposes the next candidate to measure."""

    def __init__(
        self, log: MeasurementLog, space: SearchSpace, accuracy_filter: AccuracyFilter, thresholds: _Thresholds
    ) -> None:
        self._log, self._space, self._accuracy_filter, self._thresholds = log, space, accuracy_filter, thresholds
        self._grid = list(space.coarse_grid())
        self._visits = {space.default: 2}

    def visit(self, candidate: TuningCandidate) -> None:
        """Count a visit: a candidate is proposed at most twice."""
        self._visits[candidate] = self._visits.get(candidate, 0) + 1

    def next_new(self) -> TuningCandidate | None:
        """A candidate not yet visited: from the grid, then a neighbour of the best or of other promising candidates."""
        return next((one for one in self._new_candidates() if one not in self._visits), None)

    def next_repeat(self) -> TuningCandidate | None:
        """The best candidate that was visited only once and fell behind: the machine may have been busy at that moment.

        Candidates that had only a short measurement come first.
        """
        close = self._close_to_best(self._thresholds.equal)
        ranked = [one for one in self._log.ranked(self._thresholds.headroom) if self._visits.get(one) == 1]
        ranked.sort(key=lambda candidate: len(self._log.samples[candidate]) > 1)
        return next((one for one in ranked if one not in close), None)

    def _new_candidates(self) -> Iterator[TuningCandidate]:
        yield from self._grid
        # Among equally good candidates, the simplest comes first; otherwise noise would decide where the search goes.
        equal = self._close_to_best(self._thresholds.equal)
        if equal and self._log.is_within_budget(equal[0], self._thresholds.headroom):
            equal.sort(key=self._space.complexity)
        for centre in dict.fromkeys((*equal, *self._close_to_best(self._thresholds.promising))):
            yield from self._space.neighbours(centre)

    def _close_to_best(self, difference: float) -> list[TuningCandidate]:
        return _close_to_best(self._log, self._accuracy_filter, difference, self._thresholds.headroom)


def _measure_candidate(
    log: MeasurementLog, candidate: TuningCandidate, slice_s: float, thresholds: _Thresholds
) -> None:
    """A short measurement, and a longer one if the first is promising."""
    sample = log.take(candidate, slice_s / 3, "search")
    if sample is None:
        return
    best = log.ranked(thresholds.headroom)[0]
    if log.log_score(best) - log.goal.log_score(sample) < thresholds.promising:
        log.take(candidate, slice_s * 2 / 3, "search")


def _finalists(
    log: MeasurementLog, space: SearchSpace, accuracy_filter: AccuracyFilter, thresholds: _Thresholds
) -> list[TuningCandidate]:
    """The best candidates and the simplest close to them; with a latency budget, the best at several headrooms."""
    affordable = int(log.remaining_s / (MIN_ROUNDS * MIN_SLICE_S * 2)) - 1
    most = max(2, min(MAX_FINALISTS, affordable))
    if log.goal.latency_budget_ms is not None:
        queues = [
            _close_to_best(log, accuracy_filter, math.inf, thresholds.headroom + more) for more in EXTRA_HEADROOMS
        ]
    else:
        equal, promising = (
            _close_to_best(log, accuracy_filter, difference, thresholds.headroom)
            for difference in (thresholds.equal, thresholds.promising)
        )
        queues = [promising[:1], sorted(equal, key=space.complexity)[:1],
                  sorted(promising, key=space.complexity)[:2], promising]  # fmt: skip
    found: dict[TuningCandidate, None] = {}
    while len(found) < most and any(queues):
        for queue in queues:
            if queue:
                found[queue.pop(0)] = None
    return list(found)[:most]


def _close_to_best(
    log: MeasurementLog, accuracy_filter: AccuracyFilter, difference: float, headroom: float
) -> list[TuningCandidate]:
    """Candidates of accepted precisions whose log score is less than `difference` below the best; best first.

    If none is within the budget, all of them, the shortest latency first.
    """
    ranked = [candidate for candidate in log.ranked(headroom) if accuracy_filter.accepts(candidate.precision)]
    fitting = [candidate for candidate in ranked if log.is_within_budget(candidate, headroom)]
    if not fitting:
        return ranked
    best = log.log_score(fitting[0])
    return [candidate for candidate in fitting if log.log_score(candidate) > best - difference]
