"""`bulk` killed at each of its steps on the disk: before each file that it opens, renames or removes in its output."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import bulk_runs
import pytest
from bulk_runs import assert_same_rows, bulk_arguments, classify_arguments, manifest, parts, rows_of

from ov_mobilenet.cli.main import main

pytest.importorskip("pyarrow")

# Runs that are forks of one process, so that each costs no start-up: the first of a folder is killed at a step, the
# second is not. Prints the number of folders; ends with the first run that has no such step any more.
PROGRAM = """
import json, os, signal, sys
import cv2, openvino, pyarrow.parquet
import ov_mobilenet.load
from ov_mobilenet.cli.main import main
arguments, output, begin, stride = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.link", "os.truncate"}

def run(folder, killed_at):
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left = killed_at

    def on_event(event, values):
        nonlocal left
        if event in EVENTS and isinstance(values[0], (str, bytes, os.PathLike)):
            if os.fsdecode(values[0]).startswith(folder):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(on_event)
    code = 99
    try:
        code = main([folder if one == "OUTPUT" else one for one in arguments])
    finally:
        os._exit(code)

done = 0
while True:
    folder = f"{output}{done:03}"
    killed_at = begin + done * stride
    code = run(folder, killed_at)
    done += 1
    if code == 0:
        print(done, killed_at)
        break
    assert code == -signal.SIGKILL, code
    code = run(folder, 0)
    assert code == 0, (killed_at, code)
"""


@pytest.mark.parametrize(("begin", "stride"), [(5, 9), pytest.param(1, 1, marks=pytest.mark.full)])
def test_a_run_that_is_killed_at_any_step_is_completed_by_the_next(begin: int, stride: int, tmp_path: Path) -> None:
    inputs = bulk_runs.write_drawings(tmp_path / "images", 3)
    oracle = tmp_path / "x.parquet"
    assert main(classify_arguments(inputs, oracle)) == 0
    arguments = bulk_arguments(inputs, "OUTPUT", "--images-per-part", "1", "-q")
    command = [sys.executable, "-c", PROGRAM, json.dumps(arguments), f"{tmp_path}/out", str(begin), str(stride)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=bulk_runs.ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    folders, steps = map(int, done.stdout.splitlines()[-1].split())
    assert folders >= 3
    assert steps >= 12, "3 parts, the list and the manifests: fewer steps mean that the hook does not see them"
    expected = rows_of([oracle])
    for number in range(folders):
        folder = tmp_path / f"out{number:03}"
        assert_same_rows(rows_of(parts(folder)), expected, f"killed at step {begin + number * stride}")
        assert manifest(folder)["state"] == "complete"
        names = ["_SUCCESS", "_manifest.json", "_shards.jsonl", *(f"part-0000{part}.parquet" for part in range(3))]
        found = sorted(path.name for path in folder.iterdir())
        assert found == names, f"killed at step {begin + number * stride}"
