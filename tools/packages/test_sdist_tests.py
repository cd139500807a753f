"""The tests of `make test-fast`, run from an unpacked sdist in the environment of `make test`."""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest
from packages.conftest import Built
from packages.release_files import ROOT


def test_the_fast_tests_pass_from_the_sdist(built: Built, tmp_path: Path) -> None:
    python = os.environ.get("PACKAGES_TEST_PYTHON")
    if not python:
        pytest.skip(
            "needs PACKAGES_TEST_PYTHON, a Python with the packages of the extra `test`; see make test-packages"
        )
    with tarfile.open(built.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    makefile = (ROOT / "Makefile").read_text("utf-8")
    marked = re.search(r"^test-fast:.*\n\t.*?-m \"([^\"]+)\"", makefile, re.M)
    assert marked is not None
    pytest_command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "auto", "--maxprocesses", "4"]
    done = subprocess.run(
        [*pytest_command, "--dist", "loadfile", "-m", marked[1]],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert int(re.findall(r"(\d+) passed", done.stdout)[-1]) > 1000
