from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ov_mobilenet.benchmarking.latency import histogram, nearest_rank, spread, summary


def test_percentiles_calculated_by_hand() -> None:
    # Of 1..1000 the nearest rank of p is 10 p; for 99.9 it is 999 and not 1000, although 0.999 * 1000 > 999 in floats.
    found = summary([float(value) for value in range(1000, 0, -1)])
    assert (found.min, found.p50, found.p90, found.p95, found.p99, found.p99_9, found.max) == (
        1, 500, 900, 950, 990, 999, 1000,
    )  # fmt: skip
    assert found.mean == 500.5


def test_percentiles_of_few_values() -> None:
    one = summary([0.25])
    assert {one.mean, one.min, one.p50, one.p99_9, one.max} == {0.25}
    assert [nearest_rank([1, 2, 3, 4], p) for p in (250, 251, 500, 750, 751)] == [1, 2, 2, 3, 4]


@given(st.lists(st.floats(0.001, 1e4), min_size=1, max_size=300))
def test_percentiles_equal_those_of_numpy(values: list[float]) -> None:
    found = summary(values)
    wanted = [np.percentile(values, p, method="inverted_cdf") for p in (50, 90, 95, 99)]
    assert [found.p50, found.p90, found.p95, found.p99] == wanted


@given(st.lists(st.floats(0.001, 1e4), min_size=1, max_size=300))
def test_a_histogram_contains_all_values(values: list[float]) -> None:
    found = histogram(values)
    assert sum(found.counts) == len(values)
    assert len(found.edges_ms) == len(found.counts) + 1
    assert (found.edges_ms[0], found.edges_ms[-1]) == (min(values), max(values))


def test_a_histogram_bins_values_by_their_size() -> None:
    found = histogram([1.0, 1.0, 1.5, 16.0])
    first, last = found.counts[0], found.counts[-1]
    assert (first, last) == (2, 1)


def test_throughput_per_interval() -> None:
    # 100 a second for 15 s, then 50 a second for 15 s, in requests of 2.
    ends = [0.02 * n for n in range(1, 751)] + [15 + 0.04 * n for n in range(1, 376)]
    found = spread(ends, 0.0, [2] * len(ends))
    assert found.interval_s == 1.0
    assert found.fps == pytest.approx(expected := [100] * 15 + [50] * 15, rel=1e-6)
    assert (found.min, found.median, found.max) == pytest.approx((50, 75, 100))
    assert found.variation == pytest.approx(np.std(expected, ddof=1) / 75)


def test_throughput_of_an_interval_is_not_rounded_to_whole_requests() -> None:
    ends = [0.3 * n for n in range(1, 100)]  # 29.7 s: intervals of 1.024 s hold 3 or 4 requests
    assert spread(ends, 0.0, [1] * 99).fps == pytest.approx([1 / 0.3] * 24, rel=1e-9)


def test_too_few_requests_have_no_spread() -> None:
    assert spread([0.1, 0.2], 0.0, [1, 1]).fps == ()
