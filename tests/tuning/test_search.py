from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from fake_tuning import F32, INT8, OWN, FakeTarget, search_space

from ov_mobilenet.errors import DeviceError
from ov_mobilenet.tuning.accuracy_limit import AccuracyLimit
from ov_mobilenet.tuning.finalists import compare_finalists
from ov_mobilenet.tuning.measurement_log import MeasurementLog, Step, pareto_front
from ov_mobilenet.tuning.search import SearchResult, search
from ov_mobilenet.tuning.space import Goal, PrecisionOption, Sample, SearchSpace, TuningCandidate

SEEDS = range(8)
SPACE = search_space()


def hill(candidate: TuningCandidate) -> float:
    """Throughput with its maximum at batch 8 with 2 streams, 4 requests per stream and all threads."""
    fps = 1000.0 * math.exp(-0.15 * (math.log2(candidate.batch) - 3) ** 2)
    fps *= {1: 0.8, 2: 1.15, None: 1.0}[candidate.streams]
    fps *= {1: 0.8, None: 1.0, 4: 1.08}[candidate.requests]
    fps *= {1: 0.4, 2: 0.8, None: 1.0}[candidate.threads]
    return fps * {"bf16": 1.0, "f32": 0.7, "INT8": 1.6}[candidate.precision.name]


def queued(candidate: TuningCandidate) -> float:
    """Latency that follows from throughput and the number of images in flight."""
    streams = candidate.streams or 4
    return 1.2e3 * candidate.batch * streams * (candidate.requests or 2) / hill(candidate)


def run(
    target: FakeTarget,
    goal: Goal | None = None,
    limit: float = 120,
    *,
    space: SearchSpace = SPACE,
    accuracy: AccuracyLimit | None = None,
    on_step: Callable[[Step], None] = lambda step: None,
) -> SearchResult:
    return search(
        target.measure, space, goal or Goal(), time_limit_s=limit, clock=target.clock, accuracy=accuracy,
        on_step=on_step,
    )  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("noise", [0.0, 0.01, 0.05])
def test_the_maximum_is_found(seed: int, noise: float) -> None:
    found = run(FakeTarget(hill, queued, noise=noise, seed=seed))
    assert found.decision.chosen is not None
    # With noise of 5 % neighbours cannot be distinguished reliably, but the result must be near the maximum.
    assert hill(found.decision.chosen) >= hill(TuningCandidate(OWN, 8, 2, 4)) * (0.999 if noise < 0.05 else 0.9)
    assert found.decision.gain is not None
    truth = hill(found.decision.chosen) / hill(SPACE.default)
    assert found.decision.gain.ratio == pytest.approx(truth, rel=max(0.02, 2 * noise))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_machine_that_slows_down_does_not_favour_early_measurements(seed: int) -> None:
    found = run(FakeTarget(hill, queued, noise=0.01, drift=10.0, seed=seed))
    assert found.decision.chosen == TuningCandidate(OWN, 8, 2, 4)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_maximum_is_found_despite_periods_of_other_work(seed: int) -> None:
    rng = random.Random(seed)
    periods = [(begin, begin + rng.uniform(0.5, 4)) for begin in (rng.uniform(0, 120) for _ in range(6))]
    target = FakeTarget(hill, queued, seed=seed, is_busy=lambda now: any(begin < now < end for begin, end in periods))
    found = run(target)
    assert found.decision.chosen is not None
    assert hill(found.decision.chosen) > 0.95 * hill(TuningCandidate(OWN, 8, 2, 4))


def test_a_candidate_disturbed_in_its_first_measurement_is_measured_again() -> None:
    measurements: dict[TuningCandidate, int] = {}

    def peak(candidate: TuningCandidate) -> float:
        measurements[candidate] = measurements.get(candidate, 0) + 1
        return (2000.0 if measurements[candidate] > 1 else 500.0) if candidate.batch == 16 else 1000.0 + candidate.batch

    found = run(FakeTarget(peak, lambda candidate: 1.0))
    assert found.decision.chosen is not None and found.decision.chosen.batch == 16


def test_alternating_order_cancels_a_steady_slow_down() -> None:
    target = FakeTarget(lambda candidate: 1000.0, queued, noise=0.001, drift=60.0)
    log = MeasurementLog(target.measure, Goal(), 60.0, target.clock, lambda step: None)
    both = [SPACE.default, TuningCandidate(OWN, 8)]
    for candidate in both:
        log.take(candidate, 0.5, "search")
    found = compare_finalists(log, SPACE, both[::-1], 1.0)
    assert found.equivalent and found.chosen == SPACE.default


def test_the_simplest_of_equal_finalists_is_chosen() -> None:
    def flat(candidate: TuningCandidate) -> float:
        return 1000.0 if candidate.threads is None else 500.0

    decisions = [run(FakeTarget(flat, queued, noise=0.03, seed=seed)).decision for seed in SEEDS]
    chosen = [one for one in decisions if one.chosen == SPACE.default]
    # At 95 % confidence, one in twenty of equal candidates seems better by chance.
    assert len(chosen) >= len(SEEDS) - 2
    assert all(one.best == SPACE.default or SPACE.default in one.equivalent for one in chosen)


def test_the_simpler_of_two_equal_candidates_that_beat_the_default_is_chosen() -> None:
    def twin(candidate: TuningCandidate) -> float:
        return 2000.0 if candidate.batch in (8, 16) else 1000.0

    found = [run(FakeTarget(twin, queued, noise=0.02, seed=seed)).decision for seed in SEEDS]
    assert sum(one.chosen == TuningCandidate(OWN, 8) for one in found) >= len(SEEDS) - 2
    assert any(one.equivalent for one in found)


@pytest.mark.parametrize("limit", [3, 10, 30, 120])
@pytest.mark.parametrize("compile_s", [0.01, 0.3, 2.0])
def test_the_time_limit_is_kept(limit: float, compile_s: float) -> None:
    rng = random.Random(7)
    target = FakeTarget(hill, queued, noise=0.2, compile_s=lambda candidate: compile_s * rng.uniform(0.8, 1.2))
    run(target, limit=limit)
    assert target.now <= limit * 1.1


def test_the_default_is_measured_even_if_the_time_limit_is_too_short() -> None:
    target = FakeTarget(hill, queued, compile_s=lambda candidate: 40.0)
    found = run(target, limit=5)
    assert found.decision.chosen == SPACE.default
    assert len(target.measured) == 1


@pytest.mark.parametrize("budget", [10.0, 20.0, 60.0])
@pytest.mark.parametrize("noise", [0.01, 0.05])
def test_a_latency_budget_holds_in_later_runs(budget: float, noise: float) -> None:
    held = runs = 0
    shares = []
    for seed in range(20):
        target = FakeTarget(hill, queued, noise=noise, seed=seed)
        chosen = run(target, Goal(latency_budget_ms=budget)).decision.chosen
        assert chosen is not None
        later = FakeTarget(hill, queued, noise=noise, seed=1000 + seed)
        held += sum(later.measure(chosen, 0.5).p95_ms <= budget for _ in range(10))
        runs += 10
        within = [one for one in every_setting() if queued(one) <= budget * 0.9]
        shares.append(hill(chosen) / max(map(hill, within)))
    assert held / runs >= 0.97
    assert sorted(shares)[len(shares) // 2] > 0.85


def every_setting() -> list[TuningCandidate]:
    one = SPACE
    return [
        TuningCandidate(OWN, batch, streams, requests, threads)
        for batch in one.batches for streams in one.streams for requests in one.requests for threads in one.threads
    ]  # fmt: skip


def test_a_latency_budget_holds_on_a_machine_with_occasional_long_latencies() -> None:
    kept = 0
    for seed in range(20):
        rng = random.Random(seed)

        def sometimes_long(candidate: TuningCandidate, rng: random.Random = rng) -> float:
            return queued(candidate) * rng.choice((1, 1, 2.5))

        target = FakeTarget(hill, sometimes_long, noise=0.02, seed=seed)
        chosen = run(target, Goal(latency_budget_ms=60)).decision.chosen
        assert chosen is not None
        kept += queued(chosen) * 2.5 <= 60
    assert kept >= 19


def test_nothing_is_chosen_if_the_budget_cannot_be_met() -> None:
    found = run(FakeTarget(hill, queued), Goal(latency_budget_ms=0.5))
    assert found.decision.chosen is None
    assert min(sample.p95_ms for sample in found.samples.values()) < 9  # the search went towards short latencies


def test_efficiency_prefers_less_cpu_time() -> None:
    found = run(FakeTarget(hill, queued), Goal("efficiency"))
    assert found.decision.chosen is not None
    # 1 of 4 threads has 0.4 of the throughput, 2 have 0.8.
    assert found.decision.chosen.threads in (1, 2)


def test_latency_objective_finds_the_shortest_latency() -> None:
    found = run(FakeTarget(hill, queued), Goal("latency"))
    assert found.decision.chosen is not None
    assert queued(found.decision.chosen) == min(map(queued, every_setting()))


def test_precisions_that_lose_too_much_accuracy_are_rejected() -> None:
    measured: list[PrecisionOption] = []

    def top1(precision: PrecisionOption) -> float:
        measured.append(precision)
        return {OWN: 0.700, F32: 0.701, INT8: 0.68}[precision]

    wide = search_space((OWN, F32, INT8))
    free = run(FakeTarget(hill, queued), space=wide)
    assert free.decision.chosen is not None and free.decision.chosen.precision == INT8
    held = run(FakeTarget(hill, queued), space=wide, accuracy=AccuracyLimit(top1, F32, 0.01))
    assert held.decision.chosen == TuningCandidate(OWN, 8, 2, 4)
    assert "0.0210" in held.rejected[INT8]
    assert sorted(measured, key=str) == sorted({*measured}, key=str)  # each measured once


def test_candidates_that_cannot_run_are_skipped() -> None:
    target = FakeTarget(hill, queued, is_broken=lambda candidate: candidate.batch == 8)
    found = run(target)
    assert found.decision.chosen is not None and found.decision.chosen.batch in (4, 16)
    assert any(candidate.batch == 8 for candidate in found.failures)


def test_a_default_that_cannot_run_is_an_error() -> None:
    with pytest.raises(DeviceError, match="does not support this"):
        run(FakeTarget(hill, queued, is_broken=lambda candidate: True))


def test_noise_is_measured_first_and_a_busy_machine_is_reported() -> None:
    steps: list[Step] = []
    quiet = run(FakeTarget(hill, queued, noise=0.002), on_step=steps.append)
    assert [step.stage for step in steps[:5]] == ["noise"] * 5
    assert not quiet.is_busy
    assert run(FakeTarget(hill, queued, noise=0.2)).is_busy


def test_poor_candidates_are_measured_only_briefly() -> None:
    target = FakeTarget(hill, queued, noise=0.01)
    run(target)
    times: dict[TuningCandidate, float] = {}
    for candidate, seconds in target.measured:
        times[candidate] = times.get(candidate, 0.0) + seconds
    assert times[TuningCandidate(OWN, 1, 1)] < times[TuningCandidate(OWN, 8, 2)]


def test_pareto_front() -> None:
    a, b, c, d = (replace(SPACE.default, batch=batch) for batch in (1, 2, 4, 8))
    samples = {a: Sample(100, 5), b: Sample(200, 6), c: Sample(150, 7), d: Sample(300, 9)}
    assert pareto_front(samples) == [d, b, a]
