"""Numbers as the HTML reports write them."""

from __future__ import annotations

NONE = "–"


def figure(value: float | None) -> str:
    """A number with at least three digits, and no more decimals than these need: 5,821, 448.7, 3.81, 0.409."""
    if value is None:
        return NONE
    size = abs(value)
    decimals = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 1 or size == 0 else 3 if size >= 0.1 else 4
    return f"{value:,.{decimals}f}"


def tick(value: float) -> str:
    """A number as short as possible, for the axis of a plot: 2,000, 2.5, 0.05."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def percent(share: float | None) -> str:
    """0.0471 as 4.7 %."""
    return NONE if share is None else f"{100 * share:.1f} %"


def count(number: int, noun: str) -> str:
    """A number of things: 1 network, 2 networks."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def width_percent(share: float) -> str:
    """A share in [0, 1] as a CSS width; values outside are clamped."""
    return f"{100 * min(max(share, 0.0), 1.0):.2f}%"
