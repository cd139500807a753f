"""The scenarios, and how much the memory of each may grow."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scenario:
    """A scenario of the soak.

    Attributes:
        module: its function `start` returns the function that runs a round.
        growth_mb: resident memory may grow by less than this after the warm-up.
        reason: why not less.
        warm_up: number of rounds before anything is compared; they may allocate what stays.
    """

    name: str
    module: str
    growth_mb: float
    reason: str
    warm_up: int = 10


SCENARIOS = (
    Scenario(
        "stream", "soak.scenarios.streams", 10.0,
        "glibc keeps freed memory of the decoding threads in an arena for each; it differs with the order of images",
    ),
    Scenario(
        "queue", "soak.scenarios.queues", 10.0, "as in `stream`: 16 threads decode, in up to 8 arenas a CPU",
    ),
    Scenario("live", "soak.scenarios.live_sources", 10.0, "FFmpeg decodes in new threads after each reconnection"),
    Scenario("devices", "soak.scenarios.failing_devices", 5.0, "a few objects a round; nothing is decoded or inferred"),
    Scenario(
        "loading", "soak.scenarios.loading", 10.0,
        "a compiled model takes up to 20 MB, freed with the classifier: holes of different sizes remain between them",
    ),
    Scenario("serving", "soak.scenarios.serving", 10.0, "as in `loading`: the new model is compiled beside the old one"),
)  # fmt: skip


def scenarios_named(names: list[str]) -> tuple[Scenario, ...]:
    """The scenarios with these names; all if none is given. Raises: ValueError."""
    known = {scenario.name: scenario for scenario in SCENARIOS}
    for name in names:
        if name not in known:
            raise ValueError(f"unknown scenario: expected one of {', '.join(known)}, got {name}")
    return tuple(known[name] for name in names) or SCENARIOS
