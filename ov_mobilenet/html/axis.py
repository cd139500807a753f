"""The axis of a plot: from values to positions, and round numbers for its ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

MAX_TICKS = 7


@dataclass(frozen=True)
class Axis:
    """Maps values to positions.

    Attributes:
        low, high: the range of values.
        start, end: positions of `low` and `high`, in pixels of the plot.
        ticks: values to mark.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        """The position of a value, in pixels."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(max(value, low))
        return round(self.start + (value - low) / (high - low) * (self.end - self.start), 1)


def make_axis(
    values: Iterable[float],
    start: float,
    end: float,
    *,
    logarithmic: bool | None = None,
    from_zero: bool = True,
    margin: float = 0.0,
    max_ticks: int = MAX_TICKS,
) -> Axis:
    """An axis that shows all values.

    Args:
        values: at least one.
        start, end: positions of the ends, in pixels.
        logarithmic: None for logarithmic if the values span more than a factor of five. With a value of 0 the axis is
            linear.
        from_zero: a linear axis starts at 0.
        margin: room beyond the values, as a fraction of the axis.
        max_ticks: the largest number of ticks.
    """
    values = list(values)
    low, high = min(values), max(values)
    if logarithmic is None:
        logarithmic = low > 0 and high / low > 5
    logarithmic = logarithmic and low > 0
    from_zero = from_zero and not logarithmic
    if from_zero:
        low = 0.0
    if low == high:
        low, high = (0.95 * low, 1.05 * high) if low > 0 else (low, low + 1)
    if logarithmic:
        factor = (high / low) ** margin
        low, high = low / factor, high * factor
    else:
        room = margin * (high - low)
        low, high = low if from_zero else low - room, high + room
    return Axis(low, high, start, end, logarithmic, _ticks(low, high, logarithmic, max_ticks))


def _ticks(low: float, high: float, logarithmic: bool, most: int) -> tuple[float, ...]:
    """Round numbers between two values: 1, 2 or 5 times a power of ten, or multiples of one."""
    if logarithmic and high / low > 8:
        factor = high / low
        steps = (1.0,) if factor > 1000 else (1.0, 3.0) if factor > 100 else (1.0, 2.0, 5.0)
        exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = [step * 10.0**exponent for exponent in exponents for step in steps]
    else:
        step = _round_up((high - low) / (most - 1))
        ticks = [number * step for number in range(math.floor(low / step), math.ceil(high / step) + 1)]
    slack = 1e-9 * (high - low)
    inside = [tick for tick in ticks if low - slack <= tick <= high + slack]
    return tuple(inside[:: max(1, -(-len(inside) // most))])


def _round_up(value: float) -> float:
    """The next number of the form 1, 2 or 5 times a power of ten."""
    magnitude = 10.0 ** math.floor(math.log10(value))
    return next(step * magnitude for step in (1, 2, 5, 10) if step * magnitude >= value * (1 - 1e-9))
