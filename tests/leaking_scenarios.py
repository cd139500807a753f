"""Scenarios of the soak that leak on purpose, and a scheduler that loses, doubles or swaps results."""

from __future__ import annotations

import os
import random
import sys
import tempfile
import threading
from collections.abc import Callable, Hashable
from pathlib import Path

from soak.rounds import Counts, Round, Workplace

from ov_mobilenet.runtime.results import AnyResult
from ov_mobilenet.runtime.scheduler import Scheduler

MB_PER_ROUND = 2
EVERY = 40  # results between two faults


def start_clean(place: Workplace) -> Round:
    return lambda rng: Counts(1, 1, 0)


def start_leaking_memory(place: Workplace) -> Round:
    kept: list[bytes] = []

    def run(rng: random.Random) -> Counts:
        kept.append(rng.randbytes(MB_PER_ROUND * 2**20))
        return Counts(1, 1, 0)

    return run


def start_leaking_handles(place: Workplace) -> Round:
    kept: list[object] = []

    def run(rng: random.Random) -> Counts:
        kept.append((place.folder / "kept open").open("wb"))
        return Counts(1, 1, 0)

    return run


def start_leaking_files(place: Workplace) -> Round:
    def run(rng: random.Random) -> Counts:
        Path(tempfile.mkdtemp(), "forgotten").touch()
        return Counts(1, 1, 0)

    return run


def start_leaking_threads(place: Workplace) -> Round:
    sys.modules["__main__"].REST_S = 0.1  # type: ignore[attr-defined]  # the process of the scenario

    def run(rng: random.Random) -> Counts:
        threading.Thread(target=threading.Event().wait, name="never ends", daemon=True).start()
        return Counts(1, 1, 0)

    return run


def start_raising(place: Workplace) -> Round:
    def run(rng: random.Random) -> Counts:
        raise OSError("no such share")

    return run


def start_dying(place: Workplace) -> Round:
    def run(rng: random.Random) -> Counts:
        sys.stderr.write("a crash in native code\n")
        sys.stderr.flush()
        os._exit(9)

    return run


Taken = tuple[Hashable, AnyResult]
_take_ready = Scheduler.take_ready


def _take(scheduler: Scheduler) -> Taken:
    ((key, result),) = _take_ready(scheduler, 1)
    return key, result


def losing() -> Callable[[Scheduler, int], list[Taken]]:
    """`Scheduler.take_ready` that throws away one result in 40."""
    taken = 0

    def take(scheduler: Scheduler, limit: int) -> list[Taken]:
        nonlocal taken
        taken += 1
        if taken % EVERY == 0:
            _take(scheduler)
        return [_take(scheduler)]

    return take


def doubling() -> Callable[[Scheduler, int], list[Taken]]:
    """`Scheduler.take_ready` that returns one result in 40 twice."""
    last: dict[Scheduler, Taken] = {}
    taken = 0

    def take(scheduler: Scheduler, limit: int) -> list[Taken]:
        nonlocal taken
        taken += 1
        if taken % EVERY == 0 and scheduler in last:
            return [last[scheduler]]
        last[scheduler] = _take(scheduler)
        return [last[scheduler]]

    return take


def swapping() -> Callable[[Scheduler, int], list[Taken]]:
    """`Scheduler.take_ready` that returns one result in 40 with the key of the next one."""
    taken = 0
    held: dict[Scheduler, AnyResult] = {}

    def take(scheduler: Scheduler, limit: int) -> list[Taken]:
        nonlocal taken
        taken += 1
        key, result = _take(scheduler)
        if scheduler in held:
            return [(key, held.pop(scheduler))]
        if taken % EVERY == 0:
            held[scheduler] = result
        return [(key, result)]

    return take
