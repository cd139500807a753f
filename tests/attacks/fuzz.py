"""Random attacks with fixed seeds: a few cases of each kind in the test suite, many with `make fuzz`.

Each module in `generators/` has a constant `ATTACKS`. A case depends only on the seed, the name of its attack and its
number, so a case that failed is repeated with `make fuzz SEED=…` and is kept in `findings.txt`.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

GENERATORS = Path(__file__).resolve().parent / "generators"
FINDINGS = Path(__file__).resolve().parent / "findings.txt"


@dataclass(frozen=True)
class Attack:
    """One kind of attack.

    Attributes:
        name: unique; part of the random seed of each case.
        count: number of cases that `make fuzz` runs: at least as many as it took to find the error at first.
        run: runs one case in an empty folder; fails if what must hold in `README.md` does not.
        in_suite: number of cases in `make test`.
    """

    name: str
    count: int
    run: Callable[[random.Random, Path], None]
    in_suite: int = 2


def all_attacks() -> list[Attack]:
    """The attacks of all generators, by name."""
    modules = [importlib.import_module(f"attacks.generators.{path.stem}") for path in GENERATORS.glob("*.py")]
    attacks = [attack for module in modules for attack in module.ATTACKS]
    return sorted(attacks, key=lambda attack: attack.name)


def case_random(seed: int, name: str, number: int) -> random.Random:
    """The source of randomness of one case."""
    return random.Random(f"{seed} {name} {number}")


def findings(name: str) -> list[tuple[int, int]]:
    """Seed and number of the cases of an attack that failed once; they are run every time."""
    lines = [line.split() for line in FINDINGS.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    return [(int(seed), int(number)) for attack, seed, number in lines if attack == name]
