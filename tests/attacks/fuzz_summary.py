"""What `make fuzz` prints at its end: cases, failures and CPU time of each attack, with the seed and the versions."""

from __future__ import annotations

import os
import platform
from collections import defaultdict
from importlib.metadata import PackageNotFoundError, version

import pytest

LIBRARIES = (
    "openvino", "numpy", "opencv-python", "pillow", "simplejpeg", "cykooz.resizer", "pyarrow", "pyyaml", "msgspec",
)  # fmt: skip


def versions() -> str:
    """Versions of Python and of the libraries that read what others wrote."""
    found = [f"Python {platform.python_version()}"]
    for name in LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    return ", ".join(found)


def write_summary(reporter: pytest.TerminalReporter) -> None:
    """A row for each attack; nothing in the test suite."""
    if "OV_MOBILENET_FUZZ_CASES" not in os.environ:
        return
    totals: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0])
    for outcome in ("passed", "failed"):
        for report in reporter.stats.get(outcome, []):
            for name, value in getattr(report, "user_properties", ()):
                if name == "fuzzed" and report.when == "call":
                    attack, *figures = value
                    totals[attack] = [sum(pair) for pair in zip(totals[attack], figures, strict=True)]
    reporter.section(f"random attacks, seed {os.environ.get('OV_MOBILENET_FUZZ_SEED') or 0}")
    reporter.write_line(versions())
    width = max(map(len, totals), default=0)
    rows = [("attack", "cases", "found", "CPU s")]
    rows += [
        (name, f"{cases:.0f}", f"{found:.0f}", f"{cpu_s:.0f}") for name, (cases, found, cpu_s) in sorted(totals.items())
    ]
    total = [sum(column) for column in zip(*totals.values(), strict=True)] or [0, 0, 0]
    rows.append(("all", f"{total[0]:.0f}", f"{total[1]:.0f}", f"{total[2]:.0f}"))
    for name, *figures in rows:
        reporter.write_line(f"{name:{width}}" + "".join(f"{each:>8}" for each in figures))
