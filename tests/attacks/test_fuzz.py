"""A few random cases of each attack, and all that failed once; `make fuzz` runs many."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from attacks.fuzz import Attack, all_attacks, case_random, findings
from attacks.loopback_server import WATCHDOG_S

SEED = int(os.environ.get("OV_MOBILENET_FUZZ_SEED") or 0)
CASES = os.environ.get("OV_MOBILENET_FUZZ_CASES")  # a number, "all" for each attack's own; in the suite it is not set


def number_of_cases(attack: Attack) -> int:
    if CASES is None:
        return attack.in_suite
    return attack.count if CASES == "all" else int(CASES)


@pytest.mark.parametrize("attack", all_attacks(), ids=lambda attack: attack.name)
def test_random_attacks(attack: Attack, tmp_path: Path) -> None:
    cases = dict.fromkeys([*findings(attack.name), *((SEED, number) for number in range(number_of_cases(attack)))])
    for seed, number in cases:
        folder = tmp_path / f"{seed}-{number}"
        folder.mkdir()
        signal.alarm(WATCHDOG_S)
        try:
            attack.run(case_random(seed, attack.name, number), folder)
        except Exception as error:
            raise AssertionError(f"{attack.name} {seed} {number}: add this line to findings.txt. {error}") from error
        shutil.rmtree(folder)


def test_the_names_of_attacks_are_unique() -> None:
    names = [attack.name for attack in all_attacks()]
    assert len(set(names)) == len(names)
