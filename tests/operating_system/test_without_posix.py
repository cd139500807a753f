"""The package in a process that has nothing that Windows lacks; see `as_windows.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="takes from Linux what Windows lacks")
def test_all_modules_are_imported_and_images_classified_without_what_windows_lacks(tmp_path: Path) -> None:
    image = ROOT / "model_configs" / "mobilenet-v1-0.25-128-signs" / "samples" / "stop_red_01.jpg"
    output = tmp_path / "results.jsonl"
    done = subprocess.run(
        [
            sys.executable, Path(__file__).with_name("as_windows.py"),
            "demo", "--cache-dir", tmp_path / "cache", "+",
            "classify", "mobilenet-v1-0.25-128-signs", image, "--cache-dir", tmp_path / "cache", "-o", output,
        ],
        capture_output=True, text=True, timeout=600, check=False, cwd=tmp_path, env=_environment(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stderr.split(" modules imported")[0].split()[-1]) > 400
    assert "largest difference" in done.stdout
    (line,) = output.read_text("utf-8").splitlines()
    assert json.loads(line)["predictions"][0]["label"] == "stop red"


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder), "OMP_NUM_THREADS": "1"}
