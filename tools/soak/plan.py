"""The scenarios, and how much the memory of each may grow."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scenario:
    """A scenario of the soak.

    Attributes:
        start: MODULE:FUNCTION, which returns the function that runs a round.
        growth_mb: resident memory may grow by less than this after the warm-up.
        reason: why not less.
        warm_up: number of rounds before anything is compared; they may allocate what stays.
    """

    name: str
    start: str
    growth_mb: float
    reason: str
    warm_up: int = 10


# So much more a run may grow that has fewer rounds than the warm-up takes.
WARM_UP_MB = 15.0

# The limits are above what a run of five minutes on two cores showed: 4 MB, and 1 MB for `devices`. What grows with
# each round by 0.1 MB is found within 15 minutes.
SCENARIOS = (
    Scenario(
        "stream", "soak.scenarios.streams:start", 10.0,
        "glibc keeps what the decoding threads freed, in an arena for each; how much depends on the order of images",
        warm_up=15,
    ),
    Scenario("queue", "soak.scenarios.queues:start", 10.0, "as in `stream`: 16 threads decode", warm_up=15),
    Scenario("live", "soak.scenarios.live_sources:start", 10.0, "FFmpeg starts anew at each reconnection"),
    Scenario("devices", "soak.scenarios.failing_devices:start", 3.0, "small objects: no image is decoded or inferred"),
    Scenario(
        "loading", "soak.scenarios.loading:start", 10.0,
        "a compiled model takes up to 20 MB, freed with the classifier: how well the next one fits there differs",
    ),
    Scenario(
        "serving", "soak.scenarios.serving:start", 10.0,
        "as in `loading`, and the new model is compiled while the old one answers",
    ),
)  # fmt: skip


def scenarios_named(names: list[str]) -> tuple[Scenario, ...]:
    """The scenarios with these names; all if none is given. Raises: ValueError."""
    known = {scenario.name: scenario for scenario in SCENARIOS}
    for name in names:
        if name not in known:
            raise ValueError(f"unknown scenario: expected one of {', '.join(known)}, got {name}")
    return tuple(known[name] for name in names) or SCENARIOS
