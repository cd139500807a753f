"""What a process holds, read from outside, and whether it holds more than after its warm-up (Linux)."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from soak.plan import WARM_UP_MB, Scenario

# Memory is compared as the median of this number of rounds: one round may end with more than another.
WINDOW = 5


@dataclass(frozen=True)
class Holdings:
    """What a process holds while it rests.

    Attributes:
        memory_mb: resident memory.
        threads: number of threads, also native ones.
        handles: what each open file descriptor is.
        files: names in its folder for temporary files.
    """

    memory_mb: float
    threads: int
    handles: tuple[str, ...]
    files: tuple[str, ...]


@dataclass(frozen=True)
class Violation:
    """What is wrong in a round of a scenario."""

    what: str
    expected: str
    got: str


def holdings_of(pid: int, temporary: Path) -> Holdings:
    """What this process holds now."""
    process = Path("/proc") / str(pid)
    pages = int((process / "statm").read_text().split()[1])
    return Holdings(
        pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        len(list((process / "task").iterdir())),
        tuple(sorted(_target(link) for link in (process / "fd").iterdir())),
        tuple(sorted(str(path.relative_to(temporary)) for path in temporary.rglob("*"))),
    )


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # closed in the meantime
        return "closed"


class Watch:
    """Compares what a process holds after each round with what it held after its warm-up.

    Attributes:
        rounds: what it held after each round.
    """

    def __init__(self, scenario: Scenario, warm_up: int) -> None:
        self.rounds: list[Holdings] = []
        self._scenario, self._warm_up = scenario, warm_up

    def is_at_rest(self, now: Holdings) -> bool:
        """Whether it holds no more threads and handles than it may."""
        known = self.rounds[: self._warm_up + 1]
        if not known:
            return True
        return now.threads <= _most_threads(known) and len(now.handles) <= _most_handles(known)

    def add(self, now: Holdings) -> Violation | None:
        """Add what it holds after one more round, and judge it."""
        known = self.rounds[: self._warm_up + 1]
        if len(self.rounds) > self._warm_up and not self.is_at_rest(now):
            if len(now.handles) <= _most_handles(known):
                return Violation("threads after a round", f"at most {_most_threads(known)}", str(now.threads))
            new = ", ".join((Counter(now.handles) - Counter(known[0].handles)).elements())
            return Violation(
                "open handles after a round", f"at most {_most_handles(known)}",
                f"{len(now.handles)}; since the first round: {new}",
            )  # fmt: skip
        self.rounds.append(now)
        if now.files:
            return Violation("temporary files after a round", "none", ", ".join(now.files))
        if len(self.rounds) - self._warm_up >= 2 * WINDOW:
            return self.memory_violation()
        return None

    def memory_violation(self) -> Violation | None:
        """Whether memory has grown too much."""
        growth, limit = self.growth_mb, self.growth_limit_mb
        if growth is None or growth < limit:
            return None
        before, after = self.memory_mb
        return Violation(
            "growth of resident memory", f"below {limit:g} MB", f"{growth:+.1f} MB: from {before:.1f} to {after:.1f} MB"
        )

    @property
    def growth_limit_mb(self) -> float:
        """What memory may grow by; more if the warm-up was cut short."""
        is_short = self._warm_up < self._scenario.warm_up
        return self._scenario.growth_mb + (WARM_UP_MB if is_short else 0.0)

    @property
    def memory_mb(self) -> tuple[float, float]:
        """Resident memory after the warm-up and now."""
        judged = [held.memory_mb for held in self.rounds[self._warm_up :]] or [0.0]
        size = max(1, min(WINDOW, len(judged) // 2))
        return median(judged[:size]), median(judged[-size:])

    @property
    def growth_mb(self) -> float | None:
        """How much memory has grown after the warm-up; None before there are two rounds to compare."""
        before, after = self.memory_mb
        return None if len(self.rounds) < self._warm_up + 2 else after - before


def _most_threads(rounds: Sequence[Holdings]) -> int:
    return max(held.threads for held in rounds)


def _most_handles(rounds: Sequence[Holdings]) -> int:
    return max(len(held.handles) for held in rounds)
