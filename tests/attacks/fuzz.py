"""Random attacks with fixed seeds: a few cases of each kind in the test suite, many with `make fuzz`.

Each module in `generators/` has a constant `ATTACKS`. A case depends only on the seed, the name of its attack and its
number, so a case that failed is repeated with `make fuzz SEED=…` and is kept in `findings.txt`.
"""

from __future__ import annotations

import importlib
import random
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

GENERATORS = Path(__file__).resolve().parent / "generators"
FINDINGS = Path(__file__).resolve().parent / "findings.txt"
PART = 200  # cases that one test runs: the tests of an attack are shared by the workers of pytest-xdist

Case = tuple[int, int]  # seed and number


class Hung(BaseException):
    """A test or a case took too long. Not an `Exception`, so that the code under test does not catch it."""


@dataclass(frozen=True)
class Attack:
    """One kind of attack.

    Attributes:
        name: unique; part of the random seed of each case.
        count: number of cases that `make fuzz` runs: at least as many as it took to find the error at first.
        run: runs one case in an empty folder; fails if what must hold in `README.md` does not.
        in_suite: number of cases in `make test`.
        apart: whether the cases run in a process of their own, because what they attack may crash or hang it.
    """

    name: str
    count: int
    run: Callable[[random.Random, Path], None]
    in_suite: int = 2
    apart: bool = False


def all_attacks() -> list[Attack]:
    """The attacks of all generators, by name."""
    modules = [importlib.import_module(f"attacks.generators.{path.stem}") for path in GENERATORS.glob("*.py")]
    attacks = [attack for module in modules for attack in module.ATTACKS]
    return sorted(attacks, key=lambda attack: attack.name)


def case_random(seed: int, name: str, number: int) -> random.Random:
    """The source of randomness of one case."""
    return random.Random(f"{seed} {name} {number}")


def findings(name: str) -> list[Case]:
    """Seed and number of the cases of an attack that failed once; they are run every time."""
    lines = [line.rsplit(maxsplit=2) for line in FINDINGS.read_text("utf-8").splitlines() if not line.startswith("#")]
    return [(int(seed), int(number)) for attack, seed, number in filter(None, lines) if attack == name]


def parts(attack: Attack, seed: int, count: int) -> list[list[Case]]:
    """The cases of an attack, each once: those that failed once, and `count` with this seed; shared out among tests."""
    cases = list(dict.fromkeys([*findings(attack.name), *((seed, number) for number in range(count))]))
    return [cases[start : start + PART] for start in range(0, len(cases), PART)]


def failures_here(attack: Attack, cases: Iterable[Case], folder: Path, limit_s: int) -> Iterator[tuple[Case, str]]:
    """Run cases in this process, each in a new folder; yields those that failed, and why."""
    for seed, number in cases:
        own = folder / f"{seed}-{number}"
        own.mkdir()
        signal.alarm(limit_s)
        try:
            attack.run(case_random(seed, attack.name, number), own)
        except (Exception, Hung) as error:  # noqa: BLE001 (all of them are reported)
            yield (seed, number), f"{type(error).__name__}: {error}"
        shutil.rmtree(own)
