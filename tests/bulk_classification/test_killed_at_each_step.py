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

# Runs that are forks of one process, so that each costs no start-up. In each folder, run `first` if it is given; run
# `killed`, which is killed one step later than in the folder before; run `last`, and `refused` if that ends with 1.
# Prints the number of folders and of steps; ends with the first folder whose run has no such step any more.
PROGRAM = """
import json, os, shutil, signal, sys
import cv2, openvino, pyarrow.parquet
import ov_mobilenet.load
from ov_mobilenet.cli.main import main
commands, output, begin, stride = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.link", "os.truncate"}

def run(name, killed_at=0):
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
        code = main([folder if one == "OUTPUT" else one for one in commands[name]])
    finally:
        os._exit(code)

done, code = 0, -signal.SIGKILL
while code == -signal.SIGKILL:
    folder = f"{output}{done:03}"
    killed_at = begin + done * stride
    if "first" in commands and not done:  # once: its folder is copied, so that each killed run begins with it
        folder = f"{output}first"
        assert run("first") == 0
        folder = f"{output}{done:03}"
    if "first" in commands:
        shutil.copytree(f"{output}first", folder)
    code = run("killed", killed_at)
    done += 1
    if code == 0:
        break
    last = run("last")
    if last == 1 and "refused" in commands:
        last = run("refused")
    assert last == 0, (killed_at, last)
assert code == 0, code
print(done, killed_at)
"""


def run_and_kill(commands: dict[str, list[str]], tmp_path: Path, begin: int, stride: int) -> dict[int, Path]:
    """Run the program above; returns the folders by the step in which a run was killed."""
    command = [sys.executable, "-c", PROGRAM, json.dumps(commands), f"{tmp_path}/out", str(begin), str(stride)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=bulk_runs.ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    folders, steps = map(int, done.stdout.splitlines()[-1].split())
    assert folders >= 3
    assert steps >= 12, "3 parts, the list and the manifests: fewer steps mean that the hook does not see them"
    return {begin + number * stride: tmp_path / f"out{number:03}" for number in range(folders)}


def check_complete(folder: Path, expected: bulk_runs.Rows, what: str) -> None:
    """The rows, the manifest, and no other files."""
    assert_same_rows(rows_of(parts(folder)), expected, what)
    assert manifest(folder)["state"] == "complete"
    names = ["_SUCCESS", "_manifest.json", "_shards.jsonl", *(f"part-0000{part}.parquet" for part in range(3))]
    assert sorted(path.name for path in folder.iterdir()) == names, what


@pytest.mark.parametrize(("begin", "stride"), [(7, 12), pytest.param(1, 1, marks=pytest.mark.full)])
def test_a_run_that_is_killed_at_any_step_is_completed_by_the_next(begin: int, stride: int, tmp_path: Path) -> None:
    inputs = bulk_runs.write_drawings(tmp_path / "images", 3)
    oracle = tmp_path / "x.parquet"
    assert main(classify_arguments(inputs, oracle)) == 0
    arguments = bulk_arguments(inputs, "OUTPUT", "--images-per-part", "1", "-q")
    folders = run_and_kill({"killed": arguments, "last": arguments}, tmp_path, begin, stride)
    for step, folder in folders.items():
        check_complete(folder, rows_of([oracle]), f"killed at step {step}")


@pytest.mark.full
def test_a_run_that_is_killed_while_it_overwrites_leaves_nothing_of_the_old_one(tmp_path: Path) -> None:
    inputs = bulk_runs.write_drawings(tmp_path / "images", 3)
    oracle = tmp_path / "x.parquet"
    assert main(classify_arguments(inputs, oracle)) == 0
    arguments = bulk_arguments(inputs, "OUTPUT", "--images-per-part", "1", "-q")
    overwriting = [*arguments, "--overwrite"]
    commands = {"first": [*arguments, "-k", "2"], "killed": overwriting, "last": arguments, "refused": overwriting}
    for step, folder in run_and_kill(commands, tmp_path, 1, 2).items():
        check_complete(folder, rows_of([oracle]), f"killed at step {step}")
