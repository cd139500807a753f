"""The search: how much the machine varies, points far apart, then around the best, then the finals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ov_mobilenet.tuning.finals import FEWEST_ROUNDS, SHORTEST_S, Verdict, run_finals
from ov_mobilenet.tuning.ledger import Clock, Ledger, Measure, Step
from ov_mobilenet.tuning.noise import spread
from ov_mobilenet.tuning.space import Goal, Precision, Sample, Setting, Space

# Of the time limit: until when settings are tried, and until when once more; the rest is for the finals.
SEARCH_SHARE, AGAIN_SHARE = 0.45, 0.55
SLICES_IN_LIMIT = 100
LONGEST_S = 1.0
NOISE_SAMPLES = 5
# More than this, and whoever reads the figures should know.
BUSY_NOISE = 0.05
# A first short look goes on only where it is not worse than the best by more than four times the noise, within these.
HOPELESS = (0.10, 0.25)
MOST_FINALISTS = 4
# Under a budget a finalist each for so much more of it kept free: spells of work for others double latencies.
FURTHER_BELOW = (0.0, 0.2, 0.45, 0.7)
# Worse than the best by less than three times the noise, within these, may be as good.
EQUAL = (0.02, 0.10)

Accuracy = Callable[[Precision], float]


@dataclass(frozen=True)
class AccuracyLimit:
    """Precisions may cost so much.

    Attributes:
        measure: top-1 of a precision, as a fraction.
        reference: what the others are compared with.
        max_drop: fraction of top-1 that may be lost.
    """

    measure: Accuracy
    reference: Precision
    max_drop: float


@dataclass(frozen=True)
class SearchResult:
    """All that the search found.

    Attributes:
        noise: by how much throughput varied from one measurement to the next at the start, as a fraction.
        samples: the median for each setting.
        top1: of the precisions for which it was measured.
        refused: precisions that lose too much, or whose accuracy there was no time for, and why.
        failures: settings that cannot be run, and why.
        rounds: that the finals had.
    """

    verdict: Verdict
    noise: float
    samples: dict[Setting, Sample]
    top1: dict[Precision, float]
    refused: dict[Precision, str]
    failures: dict[Setting, str]
    rounds: int
    elapsed_s: float

    @property
    def busy(self) -> bool:
        """Whether the machine varied so much that figures are to be doubted."""
        return self.noise > BUSY_NOISE


def search(
    measure: Measure,
    space: Space,
    goal: Goal,
    *,
    time_limit_s: float,
    clock: Clock,
    accuracy: AccuracyLimit | None = None,
    on_step: Callable[[Step], None] = lambda step: None,
) -> SearchResult:
    """Find the best setting of a space.

    Args:
        measure: what a setting gives, measured for so many seconds. Raises OvMobilenetError where it cannot be run.
        time_limit_s: nothing is begun that would end later, as far as can be known; compiling is learnt as it goes.
        clock: seconds.
        accuracy: what a precision may cost; None for anything.
        on_step: told of every measurement, between them.

    Raises:
        OvMobilenetError: the start itself cannot be run.
    """
    ledger = Ledger(measure, goal, time_limit_s, clock, on_step)
    slice_s = min(LONGEST_S, max(SHORTEST_S, time_limit_s / SLICES_IN_LIMIT))
    noise, noise_p95 = _noise(ledger, space.start, slice_s)
    judge = _Judge(accuracy, space, ledger)
    measuring_s = time_limit_s - judge.expected_s
    near = _Near(_between(3 * noise, EQUAL), _between(4 * noise, HOPELESS), _between(2 * noise_p95, (0.0, 0.3)))
    route = _Route(ledger, space, judge, near)
    for share, places in ((SEARCH_SHARE, (route.new, route.again)), (AGAIN_SHARE, (route.again, route.new))):
        while (setting := next(filter(None, (place() for place in places)), None)) is not None:
            if ledger.elapsed_s - judge.spent_s + ledger.cost_s(setting, slice_s) > measuring_s * share:
                break
            route.gone(setting)
            _look(ledger, setting, slice_s, near)
    finalists = _finalists(ledger, space, judge, near)
    allowed = tuple(precision for precision in space.precisions if precision not in judge.refused)
    verdict = run_finals(ledger, replace(space, precisions=allowed), finalists, slice_s)
    return SearchResult(
        verdict, noise, ledger.medians(), judge.top1, judge.refused, ledger.failures,
        max(len(one.samples) for one in verdict.finalists), ledger.elapsed_s,
    )  # fmt: skip


@dataclass(frozen=True)
class _Near:
    """How near to the best counts, by the logarithm of the score, and which fraction of the budget is kept free."""

    equal: float
    hopeless: float
    margin: float


def _noise(ledger: Ledger, start: Setting, slice_s: float) -> tuple[float, float]:
    """How throughput, and the 95th percentile, vary from one short measurement to the next, as fractions."""
    found = [ledger.take(start, slice_s / 2, "noise") for _ in range(NOISE_SAMPLES)]
    samples = [sample for sample in found if sample is not None]
    return (
        spread([math.log(sample.throughput_fps) for sample in samples]),
        spread([math.log(sample.p95_ms) for sample in samples]),
    )


def _between(value: float, limits: tuple[float, float]) -> float:
    return min(limits[1], max(limits[0], value))


class _Route:
    """Where to look next."""

    def __init__(self, ledger: Ledger, space: Space, judge: _Judge, near: _Near) -> None:
        self._ledger, self._space, self._judge, self._near = ledger, space, judge, near
        self._far_apart = list(space.coarse())
        self._looks = {space.start: 2}

    def gone(self, setting: Setting) -> None:
        """It is looked at."""
        self._looks[setting] = self._looks.get(setting, 0) + 1

    def new(self) -> Setting | None:
        """One of the points far apart, then around the best, and those near to it."""
        return next((one for one in self._candidates() if one not in self._looks), None)

    def again(self) -> Setting | None:
        """The best of those that seemed far from it, after a short look or else a long one: the machine may have been
        busy just then."""
        near = self._best(self._near.equal)
        ranked = [one for one in self._ledger.ranked(self._near.margin) if self._looks.get(one) == 1]
        ranked.sort(key=lambda setting: len(self._ledger.samples[setting]) > 1)
        return next((one for one in ranked if one not in near), None)

    def _candidates(self) -> Iterator[Setting]:
        yield from self._far_apart
        # Of what seems equal the simplest first: else noise leads the way.
        equal = self._best(self._near.equal)
        if equal and self._ledger.fits(equal[0], self._near.margin):
            equal.sort(key=self._space.complexity)
        for head in dict.fromkeys((*equal, *self._best(self._near.hopeless))):
            yield from self._space.neighbours(head)

    def _best(self, by: float) -> list[Setting]:
        return _near(self._ledger, self._judge, by, self._near.margin)


def _look(ledger: Ledger, setting: Setting, slice_s: float, near: _Near) -> None:
    """A short look, and a longer one where that is not hopeless."""
    sample = ledger.take(setting, slice_s / 3, "search")
    if sample is None:
        return
    best = ledger.ranked(near.margin)[0]
    if ledger.log_score(best) - ledger.goal.log_score(sample) < near.hopeless:
        ledger.take(setting, slice_s * 2 / 3, "search")


def _finalists(ledger: Ledger, space: Space, judge: _Judge, near: _Near) -> list[Setting]:
    """The best and the simplest near it; under a budget also the best of those that stay further below it."""
    most = max(2, min(MOST_FINALISTS, int(ledger.left_s / (FEWEST_ROUNDS * SHORTEST_S * 2)) - 1))
    orders = [_near(ledger, judge, by, near.margin) for by in (near.equal, near.hopeless)]
    orders = [orders[1][:1], sorted(orders[0], key=space.complexity)[:1], sorted(orders[1], key=space.complexity)[:2],
              orders[1]]  # fmt: skip
    if ledger.goal.budget_ms is not None:
        orders = [_near(ledger, judge, math.inf, near.margin + more) for more in FURTHER_BELOW]
    found: dict[Setting, None] = {}
    while len(found) < most and any(orders):
        for order in orders:
            if order:
                found[order.pop(0)] = None
    return list(found)[:most]


def _near(ledger: Ledger, judge: _Judge, by: float, margin: float) -> list[Setting]:
    """Of the precisions that may be used, those that are worse than the best by less than so much; best first.

    All of them, the nearest to the budget first, where none keeps it.
    """
    ranked = [setting for setting in ledger.ranked(margin) if judge.takes(setting.precision)]
    fitting = [setting for setting in ranked if ledger.fits(setting, margin)]
    if not fitting:
        return ranked
    best = ledger.log_score(fitting[0])
    return [setting for setting in fitting if ledger.log_score(setting) > best - by]


class _Judge:
    """Says which precisions are accurate enough; measures each once, and only those that could win."""

    def __init__(self, limit: AccuracyLimit | None, space: Space, ledger: Ledger) -> None:
        self._allowed = space.precisions
        self.top1: dict[Precision, float] = {}
        self.refused: dict[Precision, str] = {}
        self._limit = limit
        self._ledger = ledger
        self._cost_s = self.spent_s = 0.0
        if limit is not None:
            self._measure(limit.reference)

    @property
    def expected_s(self) -> float:
        """What judging all precisions takes, with what it took."""
        return self.spent_s + self._cost_s * len(set(self._allowed) - set(self.top1))

    def takes(self, precision: Precision) -> bool:
        """Whether it may be used."""
        if precision not in self._allowed:
            return False
        if self._limit is None:
            return True
        if precision in self.refused:
            return False
        if precision not in self.top1:
            if self._cost_s > self._ledger.left_s:
                self.refused[precision] = "no time to measure its accuracy"
                return False
            self._measure(precision)
        lost = self.top1[self._limit.reference] - self.top1[precision]
        if lost > self._limit.max_drop:
            self.refused[precision] = f"loses {lost:.4f} of top-1, more than {self._limit.max_drop:g}"
        return precision not in self.refused

    def _measure(self, precision: Precision) -> None:
        assert self._limit is not None
        before = self._ledger.elapsed_s
        self.top1[precision] = self._limit.measure(precision)
        taken = self._ledger.elapsed_s - before
        self.spent_s += taken
        self._cost_s = max(self._cost_s, taken)
