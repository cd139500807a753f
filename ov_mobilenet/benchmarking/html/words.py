"""Figures, settings and names of measurements as the report writes them."""

from __future__ import annotations

from collections.abc import Sequence

from ov_mobilenet.benchmarking.measurement import Measurement

NONE = "–"


def figure(value: float | None) -> str:
    """At least three digits, and no more after the point than they need: 5,821, 448.7, 3.81, 0.409."""
    if value is None:
        return NONE
    size = abs(value)
    places = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 1 or size == 0 else 3 if size >= 0.1 else 4
    return f"{value:,.{places}f}"


def percent(share: float | None) -> str:
    """0.0471 as 4.7 %."""
    return NONE if share is None else f"{100 * share:.1f} %"


def count(number: int, what: str) -> str:
    """1 network, 2 networks."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def settings(one: Measurement) -> dict[str, str]:
    """All that may tell one measurement from another, in the order in which it is read."""
    asked = one.asked
    return {
        "network": one.network.name,
        "weights": one.network.precision or NONE,
        "mode": one.mode,
        "rate": NONE if one.open_loop is None else f"{figure(one.open_loop.rate_fps)} FPS",
        "device": one.device,
        "hint": asked.hint or NONE,
        "precision": one.inference_precision or NONE,
        "streams": NONE if one.num_streams is None else str(one.num_streams),
        "threads": NONE if asked.threads is None else str(asked.threads),
        "pinning": NONE if asked.pinning is None else "yes" if asked.pinning else "no",
        "requests": str(one.infer_requests),
        "batch": str(one.batch),
        "properties": " ".join(f"{name}={value}" for name, value in asked.properties.items()) or NONE,
        "input": asked.input,
        "decoding": asked.decode,
    }


# Bare figures and yes or no, which a label says the name of.
_SAID_WITH_NAME = ("rate", "streams", "threads", "pinning", "requests", "batch", "properties")


class Words:
    """What the measurements of a report have in common, and what tells each from the others.

    Attributes:
        common: settings that all share.
        differing: names of the others.
        labels: of each measurement: its network, then the settings in which it differs.
        keys: of each measurement: its number, from 1, as it stands in tables and plots.
    """

    def __init__(self, measurements: Sequence[Measurement]) -> None:
        self.settings = [settings(one) for one in measurements]
        first = self.settings[0] if self.settings else {}
        self.common = {name: value for name, value in first.items() if all(one[name] == value for one in self.settings)}
        self.differing = [name for name in first if name not in self.common]
        self.labels = [self._label(one) for one in self.settings]
        self.keys = [str(number) for number in range(1, len(measurements) + 1)]

    def _label(self, one: dict[str, str]) -> str:
        told = [name for name in self.differing if name not in ("network", "input") and one[name] != NONE]
        return " · ".join(
            [one["network"], *(f"{name} {one[name]}" if name in _SAID_WITH_NAME else one[name] for name in told)]
        )
