"""`worker_watch`: runs of pytest with two workers, of which one is done long before the other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.full  # its runs of pytest wait on purpose

TESTS = Path(__file__).resolve().parent
CONFTEST = """
import worker_watch

worker_watch.HANGS_AFTER_S = 2.0

def pytest_configure(config):
    worker_watch.watch(config)
"""
LONG = """
import time
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_long(number):
    time.sleep({seconds})
"""


def run(folder: Path, count: int, seconds: float) -> subprocess.CompletedProcess[str]:
    files = {"conftest.py": CONFTEST, "test_short.py": "def test_short(): pass", "pytest.ini": "[pytest]"}
    for name, text in (files | {"test_long.py": LONG.format(count=count, seconds=seconds)}).items():
        (folder / name).write_text(text, "utf-8")
    options = ["-p", "xdist", "-n", "2", "--dist", "loadfile", "--max-worker-restart", "0", "-p", "no:cacheprovider"]
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=folder,
        env={**own, "PYTHONPATH": str(TESTS), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize(("count", "seconds", "hangs"), [(7, 0.4, False), (1, 60, True)])
def test_a_worker_that_is_done_is_not_one_that_hangs(count: int, seconds: float, hangs: bool, tmp_path: Path) -> None:
    done = run(tmp_path, count, seconds)
    assert ("Timeout (0:00:02" in done.stderr) == hangs, done.stderr
    assert (done.returncode == 0) != hangs, done.stdout
    assert ("test_long.py" in done.stderr) == hangs
