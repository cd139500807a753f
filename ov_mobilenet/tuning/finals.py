"""Finalists are measured in turn, again and again, until they are told apart or the time is over."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ov_mobilenet.tuning.ledger import Ledger
from ov_mobilenet.tuning.noise import Ratio, further_value_below, ratio_of
from ov_mobilenet.tuning.space import Sample, Setting, Space

# Fewer pairs give no interval; many more than these tell differences that nobody cares for.
FEWEST_ROUNDS, MOST_ROUNDS = 7, 20
# Rare long latencies want to be met before a budget is called kept.
BUDGET_ROUNDS = 12
SHORTEST_S = 0.25
# As good as equal.
SAME = 0.01
# Whatever the spread of some rounds, another run meets another machine.
BUDGET_MARGIN = 0.03


@dataclass(frozen=True)
class Finalist:
    """How one of them did.

    Attributes:
        p95_bound_ms: what the p95 of one more run stays below, at the confidence of `noise`; infinite of few rounds.
        within_budget: whether that is within the budget; True where there is none.
        best_by: the best one's score by this one's; None of the best itself, and of those beyond the budget.
    """

    setting: Setting
    samples: tuple[Sample, ...]
    p95_bound_ms: float
    within_budget: bool
    best_by: Ratio | None


@dataclass(frozen=True)
class Verdict:
    """What came of the finals.

    Attributes:
        chosen: None where none keeps the budget.
        best: with the highest score of those within the budget.
        equals: that cannot be told from the best; the chosen one is the simplest of these and the best.
        gain: the chosen one's score by that of the start; None where it did not run often enough.
    """

    chosen: Setting | None
    best: Setting | None
    equals: tuple[Setting, ...]
    finalists: tuple[Finalist, ...]
    gain: Ratio | None


def run_finals(ledger: Ledger, space: Space, finalists: Sequence[Setting], slice_s: float) -> Verdict:
    """Measure finalists in turn, and choose.

    One that is worse beyond doubt drops out, as soon as there is an interval; not where it may be needed because the
    better ones leave the budget. The start stays to the end: the result is compared with it.

    Args:
        finalists: each measured before; best first.
        slice_s: the longest a measurement takes, in seconds.
    """
    rounds: dict[Setting, list[Sample]] = {setting: [] for setting in dict.fromkeys((*finalists, space.start))}
    running = list(rounds)
    seconds = _slice(ledger, running, slice_s)
    for number in range(MOST_ROUNDS):
        if sum(ledger.cost_s(setting, seconds) for setting in running) > ledger.left_s:
            break
        # There and back: what grows steadily weighs on none more than on others.
        for setting in running if number % 2 == 0 else reversed(running):
            sample = ledger.take(setting, seconds, "final")
            if sample is not None:
                rounds[setting].append(sample)
        if number + 1 < (FEWEST_ROUNDS if ledger.goal.budget_ms is None else BUDGET_ROUNDS):
            continue
        whole = {setting: rounds[setting] for setting in running if len(rounds[setting]) == number + 1}
        verdict = decide(ledger, space, whole)
        doubtful = [one for one in verdict.finalists if _is_open(one, verdict)]
        if not doubtful and verdict.chosen is not None:
            break
        kept = {verdict.best, verdict.chosen, space.start, *(one.setting for one in doubtful), *_spare(verdict, ledger)}
        running = [setting for setting in running if setting in kept or verdict.chosen is None]
    return decide(ledger, space, rounds)


def decide(ledger: Ledger, space: Space, rounds: dict[Setting, list[Sample]]) -> Verdict:
    """The verdict on what was measured. The first rounds of all belong together; who dropped out has fewer."""
    goal = ledger.goal
    bounds = {setting: _p95_bound(samples) for setting, samples in rounds.items()}
    budget = math.inf if goal.budget_ms is None else goal.budget_ms * (1 - BUDGET_MARGIN)
    fits = {setting for setting, bound in bounds.items() if goal.budget_ms is None or bound <= budget}
    logs = {setting: [goal.log_score(sample) for sample in samples] for setting, samples in rounds.items()}
    # Who dropped out is not compared with rounds that it did not run in.
    most = max(map(len, logs.values()))
    candidates = [setting for setting in rounds if setting in fits and setting.precision in space.precisions]
    running = [setting for setting in candidates if len(logs[setting]) == most]
    best = max(running, key=lambda setting: statistics.median(logs[setting] or [0.0]), default=None)
    by = {
        setting: _paired(logs[best], logs[setting])
        for setting in candidates
        if best is not None and setting != best
    }  # fmt: skip
    equals = tuple(one for one in running if one in by and not by[one].told_apart and most >= FEWEST_ROUNDS)
    chosen = None if best is None else min((best, *equals), key=space.complexity)
    gain = None
    if chosen is not None and chosen != space.start and rounds.get(space.start):
        gain = _paired(logs[chosen], logs[space.start])
    found = tuple(
        Finalist(setting, tuple(samples), bounds[setting], setting in fits, by.get(setting))
        for setting, samples in rounds.items()
    )
    return Verdict(chosen, best, equals, found, gain)


def _slice(ledger: Ledger, running: Sequence[Setting], longest_s: float) -> float:
    """Seconds a measurement, so that the fewest rounds fit."""
    again = ledger.cost_s(running[0], 0.0)
    fewest = FEWEST_ROUNDS if ledger.goal.budget_ms is None else BUDGET_ROUNDS
    return max(SHORTEST_S, min(longest_s, ledger.left_s / ((fewest + 1) * len(running)) - again))


def _is_open(one: Finalist, verdict: Verdict) -> bool:
    """Whether more rounds may say more of it."""
    if one.best_by is None or one.setting == verdict.chosen == verdict.best:
        return False
    return not one.best_by.told_apart and not one.best_by.within(SAME)


def _spare(verdict: Verdict, ledger: Ledger) -> list[Setting]:
    """Under a budget those with shorter latencies than the chosen one, which may yet leave it."""
    bounds = {one.setting: one.p95_bound_ms for one in verdict.finalists}
    if ledger.goal.budget_ms is None or verdict.chosen is None:
        return []
    return [setting for setting, bound in bounds.items() if bound < bounds[verdict.chosen]]


def _paired(ones: Sequence[float], others: Sequence[float]) -> Ratio:
    both = min(len(ones), len(others))
    return ratio_of(ones[:both], others[:both]) if both else Ratio(math.nan, 0.0, math.inf, 0)


def _p95_bound(samples: Sequence[Sample]) -> float:
    return math.exp(further_value_below([math.log(sample.p95_ms) for sample in samples]))
