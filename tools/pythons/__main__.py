"""Set-up, `make demo` and `make test-fast` under each Python of this machine.

    PYTHONPATH=tools python -m pythons           # all of VERSIONS
    PYTHONPATH=tools python -m pythons 3.10 3.14

Tests the last commit in a copy of its own. A version that is not found is skipped with a sentence. Exit code 1: a step
failed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from pythons.find import PROJECT, FoundPython, find_here, find_in_debian
from roots import debian_root

# From the oldest that requires-python allows. A classifier in pyproject.toml needs a run that passed.
VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
LOGS = PROJECT / "build" / "pythons"
STEPS = ("venv", "demo", "test-fast")
# What the caller's make and Python left in the environment.
FOREIGN = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


@dataclass
class PythonResult:
    """Outcome of the steps that ran: seconds by step, the step that failed, and pytest's counts."""

    python: FoundPython
    seconds: dict[str, float] = field(default_factory=dict)
    failed: str | None = None
    counts: dict[str, int] = field(default_factory=dict)

    def row(self) -> list[str]:
        """One row of the table."""
        times = [f"{self.seconds[step]:.0f}" if step in self.seconds else "-" for step in STEPS]
        demo = "-" if "demo" not in self.seconds else "failed" if self.failed == "demo" else "passed"
        ran = "test-fast" in self.seconds
        failures = self.counts.get("failed", 0) + self.counts.get("error", 0)
        numbers = [self.counts.get("passed", 0), failures, self.counts.get("skipped", 0)]
        tests = [str(number) if ran else "-" for number in numbers]
        return [self.python.version, self.python.where, times[0], demo, *tests, times[2]]


def counts_of(output: str) -> dict[str, int]:
    """The numbers in pytest's last line, by their word in the singular: passed, failed, skipped, error."""
    summaries = re.findall(r"^=+ (.* in [\d.]+s.*) =+$", output, re.M)
    found = re.findall(r"(\d+) (passed|failed|skipped|error)", summaries[-1]) if summaries else []
    return {word: int(number) for number, word in found}


def check(python: FoundPython) -> PythonResult:
    """Run all steps in a copy of the last commit and in environments of their own, until one fails."""
    result = PythonResult(python)
    log = LOGS / f"{python.version}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")
    with tempfile.TemporaryDirectory(prefix="pythons-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        for name in ("checkout", "environment"):
            (folder / name).mkdir()
        archive = subprocess.run(["git", "archive", "HEAD"], cwd=PROJECT, check=True, stdout=subprocess.PIPE).stdout
        subprocess.run(["tar", "-x", "-C", folder / "checkout"], input=archive, check=True)
        for step in STEPS:
            print(f"Python {python.version}: make {step}", file=sys.stderr)
            started = time.monotonic()
            with log.open("ab") as stream:
                done = subprocess.run(
                    command(python, step, folder),
                    env={name: value for name, value in os.environ.items() if name not in FOREIGN},
                    stdout=stream, stderr=subprocess.STDOUT, check=False,
                )  # fmt: skip
            result.seconds[step] = time.monotonic() - started
            if done.returncode != 0:
                result.failed = step
                break
    output = log.read_text("utf-8", "replace")
    result.counts = counts_of(output)
    if result.failed:
        print(*output.splitlines()[-60:], f"everything that was printed: {log}", sep="\n", file=sys.stderr)
    return result


def command(python: FoundPython, step: str, folder: Path) -> list[str]:
    """The command of a step; `folder` holds the folders checkout and environment."""
    if python.root is None:
        return make(step, python, folder / "checkout", folder / "environment")
    binds = [f"--bind={folder / name}:/{name}" for name in ("checkout", "environment")]
    inside = make(step, python, Path("/checkout"), Path("/environment"))
    return [sys.executable, debian_root.__file__, "run", str(python.root), *binds, "--", *inside]


def make(step: str, python: FoundPython, checkout: Path, environment: Path) -> list[str]:
    """The call of make, which creates the environments VENV and VENV-demo."""
    return ["make", "-C", str(checkout), step, f"PYTHON={python.program}", f"VENV={environment / 'venv'}"]


def table(results: list[PythonResult]) -> str:
    """The results for people."""
    head = ["Python", "from", "set-up s", "demo", "passed", "failed", "skipped", "test-fast s"]
    rows = [head, *(result.row() for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def main() -> int:
    """Check each version, and print what was found."""
    results: list[PythonResult] = []
    for version in sys.argv[1:] or VERSIONS:
        found = find_here(version) or find_in_debian(version)
        if isinstance(found, str):
            print(found)
        else:
            results.append(check(found))
    if results:
        print(table(results))
    for result in results:
        if result.failed:
            print(f"Python {result.python.version}: make {result.failed} failed: {LOGS / result.python.version}.log")
    return int(any(result.failed for result in results))


if __name__ == "__main__":
    sys.exit(main())
