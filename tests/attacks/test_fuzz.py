"""A few random cases of each attack, and all that failed once; `make fuzz` runs many."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
from attacks.apart import failures_apart
from attacks.crashing_attack import ATTACKS
from attacks.fuzz import Attack, Case, all_attacks, failures_here, findings, parts
from attacks.loopback_server import WATCHDOG_S

SEED = int(os.environ.get("OV_MOBILENET_FUZZ_SEED") or 0)
CASES = os.environ.get("OV_MOBILENET_FUZZ_CASES")  # a number, "all" for each attack's own; in the suite it is not set
MOST_FAILURES = 5  # of one test: then it ends


def number_of_cases(attack: Attack) -> int:
    if CASES is None:
        return attack.in_suite
    return attack.count if CASES == "all" else int(CASES)


def attacks_in_parts() -> list[tuple[str, Attack, list[Case]]]:
    """Name of the test, attack, cases."""
    found = []
    for attack in all_attacks():
        shares = parts(attack, SEED, number_of_cases(attack))
        for number, cases in enumerate(shares, 1):
            name = attack.name if len(shares) == 1 else f"{attack.name} {number} of {len(shares)}"
            found.append((name, attack, cases))
    return found


def cpu_s() -> float:
    """CPU time of this process and of those that it has waited for, in seconds."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


@pytest.mark.parametrize(
    ("attack", "cases"), [pytest.param(attack, cases, id=name) for name, attack, cases in attacks_in_parts()]
)
def test_random_attacks(
    attack: Attack, cases: list[Case], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    began_s = cpu_s()
    if attack.apart:
        signal.alarm(0)  # each case has a limit of its own there
        failures = failures_apart(attack, cases, tmp_path)
    else:
        failures = failures_here(attack, cases, tmp_path, WATCHDOG_S)
    failed = list(islice(failures, MOST_FAILURES))
    record_property("fuzzed", (attack.name, len(cases), len(failed), cpu_s() - began_s))
    problems = "\n".join(f"{attack.name} {seed} {number}\n    {why}" for (seed, number), why in failed)
    assert not failed, f"add these lines to findings.txt:\n{problems}"


def test_the_names_of_attacks_are_unique() -> None:
    names = [attack.name for attack in all_attacks()]
    assert len(set(names)) == len(names)


def test_findings_are_of_attacks_that_exist() -> None:
    known = {attack.name for attack in all_attacks()}
    assert sum(len(findings(name)) for name in known) == sum(
        1 for line in (Path(__file__).parent / "findings.txt").read_text("utf-8").splitlines() if line[:1] not in "#"
    )


def test_a_case_that_crashes_hangs_or_fails_is_named(tmp_path: Path) -> None:
    cases = [(0, number) for number in range(6)]
    failed = dict(failures_apart(ATTACKS[0], cases, tmp_path, limit_s=2))
    assert [number for _, number in failed] == [1, 2, 4]
    assert "SIGSEGV" in failed[0, 1]
    assert "not finished after" in failed[0, 2]
    assert "AssertionError: four" in failed[0, 4]
