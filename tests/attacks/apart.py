"""Cases of a random attack in a process of their own, so that one that crashes, hangs or fills the memory is named.

`python -m attacks.apart GENERATOR ATTACK SECONDS`, with the cases as JSON on stdin, prints a line of JSON after each.
SIGALRM, with its default action, ends a case that hangs, also in a library that does not return.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from attacks.fuzz import Attack, Case, failures_here

TESTS = Path(__file__).resolve().parents[1]
LIMIT_S = 60
START_S = 60  # for the imports of a process, on a busy machine
ADDRESS_SPACE = 8 << 30  # protects the machine
MOST_MEMORY = 5 << 29  # resident bytes: an image of 179 million pixels is decoded into 2.2 GB


def failures_apart(
    attack: Attack, cases: list[Case], folder: Path, limit_s: int = LIMIT_S
) -> Iterator[tuple[Case, str]]:
    """Run cases in other processes; yields those that failed, and why. A new process goes on after one that ended."""
    temporary = folder / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-X", "faulthandler", "-m", "attacks.apart"]
    command += [attack.run.__module__, attack.name, str(limit_s)]
    paths = f"{TESTS}{os.pathsep}{TESTS.parent}"
    environment = os.environ | {"PYTHONPATH": paths, "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}
    left = list(cases)
    while left:
        done = subprocess.run(
            command, input=json.dumps(left), cwd=folder, env=environment, capture_output=True, text=True,
            timeout=START_S + limit_s * len(left), check=False,
        )  # fmt: skip
        ended: list[str] = [json.loads(line) for line in done.stdout.splitlines()]
        yield from ((case, error) for case, error in zip(left, ended, strict=False) if error)
        if len(ended) == len(left) and done.returncode == 0:
            break
        name = signal.Signals(-done.returncode).name if done.returncode < 0 else f"exit code {done.returncode}"
        what = f"not finished after {limit_s} s" if done.returncode == -signal.SIGALRM else f"the process ended: {name}"
        current = min(len(ended), len(left) - 1)
        yield left[current], f"{what}: {done.stderr[-2000:]}"
        left = left[current + 1 :]
    assert not list(temporary.iterdir()), "temporary files are left"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def main(generator: str, name: str, limit_s: str) -> None:
    """Run the cases on stdin."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    (attack,) = (each for each in importlib.import_module(generator).ATTACKS if each.name == name)
    for seed, number in json.load(sys.stdin):
        before = _peak()
        failed = list(failures_here(attack, [(seed, number)], Path.cwd(), int(limit_s)))
        error = failed[0][1] if failed else ""
        if not error and _peak() > MOST_MEMORY > before:
            error = f"{_peak() >> 20} MB of memory"
        print(json.dumps(error), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
