from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from ov_mobilenet.html.axis import make_axis


@given(
    st.lists(st.floats(0, 1e9).filter(lambda value: value == 0 or value > 1e-6), min_size=1, max_size=9),
    st.sampled_from([True, False, None]),
    st.booleans(),
)
def test_an_axis_contains_its_values_and_at_least_one_tick(
    values: list[float], logarithmic: bool | None, from_zero: bool
) -> None:
    axis = make_axis(values, 300, 20, logarithmic=logarithmic, from_zero=from_zero, margin=0.05)
    assert all(20 <= axis.at(value) <= 300 for value in values)
    assert 1 <= len(axis.ticks) <= 7
    assert all(20 <= axis.at(tick) <= 300 and math.isfinite(tick) for tick in axis.ticks)
    positions = [axis.at(value) for value in sorted(values)]
    assert positions == sorted(positions, reverse=True)
