"""Benches run from end to end on few images, and write their figures with the conditions they were measured under."""

from __future__ import annotations

import importlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
RUNS = {
    "host_bound.py": ["--images", "64", "--rounds", "1"],
    "live_latency.py": ["--seconds", "0.3", "--device-ms", "5"],
}
# A figure that each of them must write.
FIGURES = {"host_bound.py": "wall_us", "live_latency.py": "p99_ms"}


@pytest.mark.skipif(sys.platform == "win32", reason="CPU time of a command by os.wait4")
@pytest.mark.parametrize("program", RUNS)
def test_a_bench_writes_its_figures_and_conditions(program: str, tmp_path: Path) -> None:
    written = tmp_path / "figures.json"
    command = [sys.executable, str(ROOT / "tools" / "bench" / program), *RUNS[program], "--json", str(written)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(written.read_text())
    assert report["bench"] == program
    assert {"date", "cpu", "cores", "load_before", "load_after", "versions", "commit", "seed", "options"} <= set(report)
    assert str(tmp_path) not in written.read_text()  # no folder of the machine
    found = [row[FIGURES[program]] for row in report["figures"]]
    assert found
    assert all(math.isfinite(value) for value in found)


def test_the_bench_of_the_stages_names_functions_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not run here: it subtracts the start-up, and with few images the rest can be negative."""
    monkeypatch.syspath_prepend(ROOT / "tools" / "bench")
    stages = importlib.import_module("stages")
    for _, module, path in stages.FUNCTIONS:
        owner: Any = importlib.import_module(f"ov_mobilenet.{module}")
        for name in path.split("."):
            assert hasattr(owner, name), f"{module}.{path}"
            owner = getattr(owner, name)
