"""Notes for the user on a tuning result, one sentence per fact."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ov_mobilenet.benchmarking.ratios import CONFIDENCE, Ratio
from ov_mobilenet.tuning.finalists import MIN_ROUNDS, Decision
from ov_mobilenet.tuning.search import SearchResult
from ov_mobilenet.tuning.space import Goal, describe


def notes_on(result: SearchResult, goal: Goal, *, given: Path) -> Iterator[str]:
    """Sentences about the result.

    Args:
        given: the IR that the user gave; an INT8 IR beside it may have been chosen.
    """
    decision = result.decision
    if result.is_busy:
        yield f"the machine is busy: throughput varied by {result.noise:.0%} between repeated measurements"
    for precision, reason in result.rejected.items():
        yield f"{precision.name} rejected: {reason}"
    if result.failures:
        first, reason = next(iter(result.failures.items()))
        more = f", and {len(result.failures) - 1} more" if len(result.failures) > 1 else ""
        yield f"could not run: {describe(first)}{more} ({reason})"
    if decision.chosen is None or decision.best is None:
        yield _why_nothing(result, goal)
        return
    for one in decision.finalists:
        if one.candidate in decision.equivalent and one.best_ratio is not None:
            rounds = decision.common_rounds(decision.best, one.candidate)
            yield (
                f"no significant difference: {describe(decision.best)} compared with {describe(one.candidate)}: "
                f"{_text(one.best_ratio, rounds)}"
            )
    if decision.chosen == decision.default:
        yield from _on_default(result, goal)
    elif decision.equivalent:
        yield f"chosen as the simplest of these: {describe(decision.chosen)}"
    if _exceeds_budget(decision) and not decision.keeps_default:
        yield (
            f"the default settings do not stay reliably within {goal.latency_budget_ms:g} ms; chosen is the best "
            "candidate that does"
        )
    if decision.gain is not None:
        rounds = decision.common_rounds(decision.chosen, decision.default)
        yield f"compared with the default settings, {goal.objective}: {_text(decision.gain, rounds)}"
    if decision.chosen.precision.xml != given:
        yield f"the profile is for {decision.chosen.precision.xml}"


def _on_default(result: SearchResult, goal: Goal) -> Iterator[str]:
    if result.rounds == 0:
        yield "no time left to compare the best candidates; increase the time limit"
    elif result.rounds < MIN_ROUNDS:
        yield "too few measurements to show that other settings are better than the default; increase the time limit"
    else:
        yield "no other settings are significantly better than the default: the default is chosen"
    if _exceeds_budget(result.decision):
        yield (
            f"the p95 of the default varies and may exceed {goal.latency_budget_ms:g} ms; no other candidate has a "
            "significantly shorter one"
        )


def _exceeds_budget(decision: Decision) -> bool:
    return not all(one.within_budget for one in decision.finalists if one.candidate == decision.default)


def _why_nothing(result: SearchResult, goal: Goal) -> str:
    accurate = {one: sample for one, sample in result.samples.items() if one.precision not in result.rejected}
    if goal.latency_budget_ms is None or not accurate:
        return "no candidate measured within the time limit is accurate enough"
    fastest = min(accurate, key=lambda candidate: accurate[candidate].p95_ms)
    shortest = f"the shortest p95 was {accurate[fastest].p95_ms:.2f} ms, with {describe(fastest)}"
    return f"no candidate stays reliably within {goal.latency_budget_ms:g} ms; {shortest}"


def _text(ratio: Ratio, pairs: int) -> str:
    if ratio.low is None:
        return f"{ratio.ratio:.2f}x, too few measurements for a confidence interval"
    return f"{ratio.ratio:.2f}x ({ratio.low:.2f} to {ratio.high:.2f} at {CONFIDENCE:.0%}, {pairs} pairs)"
