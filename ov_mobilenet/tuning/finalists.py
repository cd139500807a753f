"""The last stage of tuning: the best candidates are measured in turn until they differ or the time is up.

Other settings than the default are chosen only if they are significantly better: if the confidence interval of the
ratio of their score to that of the default lies above 1. Otherwise noise would decide. If the default exceeds the
latency budget, the best candidate within the budget is chosen instead, even if its score is lower.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ov_mobilenet.benchmarking.ratios import CONFIDENCE, Ratio, ratio_of_pairs
from ov_mobilenet.tuning.measurement_log import MeasurementLog
from ov_mobilenet.tuning.space import Goal, Sample, SearchSpace, TuningCandidate
from ov_mobilenet.tuning.variation import prediction_bound

# Fewer pairs give no interval at GAIN_CONFIDENCE; many more find differences too small to matter.
MIN_ROUNDS, MAX_ROUNDS = 8, 20
# Of the interval that must lie above 1. Several candidates are compared with the default after every round, so at 95 %
# one of them would seem better by chance in more than one run in twenty.
GAIN_CONFIDENCE = 0.99
# More rounds under a latency budget, so that rare long latencies occur at least once.
MIN_BUDGET_ROUNDS = 12
MIN_SLICE_S = 0.25
# Candidates that differ by less than this fraction count as equally good.
NEGLIGIBLE = 0.01
# Fraction of the budget kept free on top of the prediction bound: conditions change between runs.
BUDGET_HEADROOM = 0.03


@dataclass(frozen=True)
class Finalist:
    """A candidate of the last stage.

    Attributes:
        p95_bound_ms: upper bound of the 95th percentile of one further run (95 %); infinite with fewer than 3 rounds.
        within_budget: whether that bound is within the latency budget; True without a budget.
        best_ratio: score of the best candidate divided by the score of this one; None for the best itself, for
            candidates beyond the budget, and without a common round.
        gain: score of this one divided by the score of the default, with the interval at `GAIN_CONFIDENCE`; None for
            the default, and without a common round.
    """

    candidate: TuningCandidate
    samples: tuple[Sample, ...]
    p95_bound_ms: float
    within_budget: bool
    best_ratio: Ratio | None
    gain: Ratio | None


@dataclass(frozen=True)
class Decision:
    """The result of the last stage.

    Attributes:
        chosen: the simplest of `best` and those of `equivalent` that may be chosen; None if no candidate is within the
            budget.
        best: the candidate with the highest score of those that may be chosen: the default and what is significantly
            better; all within the budget if the default is not.
        equivalent: candidates within the budget that do not differ significantly from the best.
        default: the candidate without any settings, measured in every round.
        keeps_default: whether the default may be chosen: its precision is accepted, and it is within the budget, or not
            significantly worse in this than the candidates that are.
        gain: score of the chosen candidate divided by the score of the default; None if the default is chosen, or
            without a common round.
    """

    chosen: TuningCandidate | None
    best: TuningCandidate | None
    equivalent: tuple[TuningCandidate, ...]
    finalists: tuple[Finalist, ...]
    default: TuningCandidate
    keeps_default: bool
    gain: Ratio | None

    def common_rounds(self, *candidates: TuningCandidate) -> int:
        """The number of rounds in which all of these were measured."""
        return min(len(one.samples) for one in self.finalists if one.candidate in candidates)


def compare_finalists(
    log: MeasurementLog, space: SearchSpace, finalists: Sequence[TuningCandidate], slice_s: float
) -> Decision:
    """Measure the finalists in turn, and decide.

    A candidate that is significantly worse is dropped, unless it may be needed because better ones exceed the
    latency budget. The default stays to the end: the result is compared with it.

    Args:
        finalists: each measured before; best first.
        slice_s: the longest duration of a measurement, in seconds.
    """
    rounds: dict[TuningCandidate, list[Sample]] = {one: [] for one in dict.fromkeys((*finalists, space.default))}
    running = list(rounds)
    seconds = _slice(log, running, slice_s)
    min_rounds = _min_rounds(log)
    for number in range(MAX_ROUNDS):
        if sum(log.cost_s(candidate, seconds) for candidate in running) > log.remaining_s:
            break
        # The order alternates, so that a steady slow-down of the machine affects all candidates alike.
        for candidate in running if number % 2 == 0 else reversed(running):
            sample = log.take(candidate, seconds, "final")
            if sample is not None:
                rounds[candidate].append(sample)
        if number + 1 < min_rounds:
            continue
        complete = {candidate: rounds[candidate] for candidate in running if len(rounds[candidate]) == number + 1}
        decision = decide(log.goal, space, complete)
        undecided = [one.candidate for one in decision.finalists if _is_undecided(one, decision)]
        if not undecided and decision.chosen is not None:
            break
        kept = {decision.best, decision.chosen, space.default, *undecided, *_reserves(decision, log.goal)}
        running = [candidate for candidate in running if candidate in kept or decision.chosen is None]
    return decide(log.goal, space, rounds)


def decide(goal: Goal, space: SearchSpace, rounds: dict[TuningCandidate, list[Sample]]) -> Decision:
    """Choose a candidate from the samples of all rounds; a candidate that was dropped has fewer of them."""
    bounds = {candidate: _p95_bound(samples) for candidate, samples in rounds.items()}
    limit_ms = math.inf if goal.latency_budget_ms is None else goal.latency_budget_ms * (1 - BUDGET_HEADROOM)
    fitting = {one for one, bound in bounds.items() if goal.latency_budget_ms is None or bound <= limit_ms}
    scores = {candidate: [goal.score(sample) for sample in samples] for candidate, samples in rounds.items()}
    most = max(map(len, scores.values()))
    allowed = [one for one in rounds if one in fitting and one.precision in space.precisions]
    # The best is one of those measured in every round, but for the last, which may have ended early; a dropped
    # candidate is compared in the rounds it had.
    running = [one for one in allowed if len(scores[one]) >= most - 1]
    default = space.default
    gains = {one: _ratio(scores[one], scores[default], GAIN_CONFIDENCE) for one in rounds if one != default}
    eligible = running
    keeps_default = default.precision in space.precisions and _keeps_budget(default, allowed, rounds, limit_ms)
    if keeps_default:
        eligible = [default, *(one for one in running if _is_better(gains.get(one)))]
    best = max(eligible, key=lambda one: statistics.median(scores[one] or [0.0]), default=None)
    ratios: dict[TuningCandidate, Ratio | None] = {}
    if best is not None:
        ratios = {one: _ratio(scores[best], scores[one]) for one in allowed if one != best}
    equivalent: tuple[TuningCandidate, ...] = ()
    if most >= MIN_ROUNDS:
        equivalent = tuple(
            one for one in running if (ratio := ratios.get(one)) is not None and not ratio.differs
        )  # fmt: skip
    chosen = None
    if best is not None:
        chosen = min((best, *(one for one in equivalent if one in eligible)), key=space.complexity)
    gain = None
    if chosen is not None and chosen != default:
        gain = _ratio(scores[chosen], scores[default])
    found = tuple(
        Finalist(one, tuple(samples), bounds[one], one in fitting, ratios.get(one), gains.get(one))
        for one, samples in rounds.items()
    )
    return Decision(chosen, best, equivalent, found, default, keeps_default, gain)


def _keeps_budget(
    default: TuningCandidate,
    allowed: Sequence[TuningCandidate],
    rounds: dict[TuningCandidate, list[Sample]],
    limit_ms: float,
) -> bool:
    """Whether the default is within the budget, or its median p95 is and no candidate is significantly below."""
    if default in allowed:
        return True
    own = [sample.p95_ms for sample in rounds[default]]
    if not allowed or not own or statistics.median(own) > limit_ms:
        return False
    return not any(_is_better(_ratio(own, [sample.p95_ms for sample in rounds[one]])) for one in allowed)


def _is_better(ratio: Ratio | None) -> bool:
    return ratio is not None and ratio.low is not None and ratio.low > 1


def _min_rounds(log: MeasurementLog) -> int:
    return MIN_ROUNDS if log.goal.latency_budget_ms is None else MIN_BUDGET_ROUNDS


def _slice(log: MeasurementLog, running: Sequence[TuningCandidate], longest_s: float) -> float:
    """Seconds per measurement so that the minimum number of rounds fits into the time left."""
    overhead_s = log.cost_s(running[0], 0.0)
    fitting_s = log.remaining_s / ((_min_rounds(log) + 1) * len(running)) - overhead_s
    return max(MIN_SLICE_S, min(longest_s, fitting_s))


def _is_undecided(one: Finalist, decision: Decision) -> bool:
    """Whether further rounds may change the comparison of this candidate with the best, or with the default."""
    if not one.within_budget or one.candidate == decision.chosen == decision.best:
        return False
    compared = [one.best_ratio]
    if decision.keeps_default and one.gain is not None and one.gain.ratio > 1:
        compared.append(one.gain)
    return any(ratio is not None and not ratio.differs and not ratio.is_within(NEGLIGIBLE) for ratio in compared)


def _reserves(decision: Decision, goal: Goal) -> list[TuningCandidate]:
    """Under a budget, candidates with a shorter latency than the chosen one, which may still exceed the budget."""
    bounds = {one.candidate: one.p95_bound_ms for one in decision.finalists}
    if goal.latency_budget_ms is None or decision.chosen is None:
        return []
    return [candidate for candidate, bound in bounds.items() if bound < bounds[decision.chosen]]


def _ratio(scores: Sequence[float], others: Sequence[float], confidence: float = CONFIDENCE) -> Ratio | None:
    """The ratio over the rounds that both have, which are the first ones; None without any."""
    common = min(len(scores), len(others))
    return ratio_of_pairs(scores[:common], others[:common], confidence=confidence) if common else None


def _p95_bound(samples: Sequence[Sample]) -> float:
    return math.exp(prediction_bound([math.log(sample.p95_ms) for sample in samples]))
