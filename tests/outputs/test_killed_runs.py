"""`classify -o FILE` in processes of its own: killed, interrupted, on a full disk, resumed."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from named_pipes import open_for_writing
from PIL import Image

from ov_mobilenet.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = "mobilenet-v1-0.25-128-signs"
IMAGES = 200
KILLS = (3, pytest.param(10, marks=pytest.mark.full))
FORMATS = ("jsonl", "csv", "parquet")
# A Parquet checkpoint after every image, so that a run can be killed between many of them.
PROGRAM = (
    "import sys; import ov_mobilenet.outputs.parquet_sink as p; p.CHECKPOINT_S = 0.0; p.CHECKPOINT_INTERVAL_FACTOR = 0;"
    "from ov_mobilenet.cli.main import run; run()"
)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    assert main(["convert", SAMPLE, "-o", str(folder), "-d", str(folder), "--precisions", "FP32", "-q"]) == 0
    return folder / "public" / SAMPLE / "FP32" / f"{SAMPLE}.xml"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many hard links to one image, which takes some milliseconds to decode."""
    folder = tmp_path_factory.mktemp("images")
    ramp = np.linspace(0, 255, 1000).astype(np.uint8)
    Image.fromarray(np.stack(np.broadcast_arrays(ramp, ramp[:, None], ramp[::-1]), axis=-1)).save(folder / "000.png")
    for number in range(1, IMAGES):
        os.link(folder / "000.png", folder / f"{number:03}.png")
    return folder


def start(network: Path, images: Path, output: Path, *more: str, **options: Any) -> subprocess.Popen[str]:
    arguments = ["classify", str(network), str(images), "-o", str(output), "-d", "CPU", "-k", "3", *more]
    process: subprocess.Popen[str] = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        **options,
    )
    return process


def count_ranks(path: Path) -> Counter[tuple[str, int]]:
    """How often the file has each rank of each image, by independent readers, without an incomplete last line."""
    if path.suffix == ".parquet":
        pq = pytest.importorskip("pyarrow.parquet")
        rows = pq.ParquetFile(path).read(["source", "rank"]).to_pylist()
        return Counter((Path(row["source"]).name, row["rank"]) for row in rows)
    lines = path.read_text().split("\n")[:-1]
    if path.suffix == ".csv":
        return Counter((Path(row["source"]).name, int(row["rank"])) for row in csv.DictReader(lines))
    rows = [json.loads(line) for line in lines]
    return Counter((Path(r["source"]).name, rank) for r in rows for rank in range(1, len(r["predictions"]) + 1))


def file_state(path: Path) -> tuple[int, int]:
    """Inode and size of the file; they change with every write."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_ino, found.st_size


def wait_for_changes(changes: int, path: Path, process: subprocess.Popen[str]) -> bool:
    """Wait until the file has changed a number of times; False if the process ended before."""
    before = file_state(path)
    while changes > 0:
        try:
            process.wait(timeout=0.001)
            return False
        except subprocess.TimeoutExpired:
            now = file_state(path)
            changes -= now != before
            before = now
    return True


@pytest.mark.slow
@pytest.mark.parametrize("wanted", KILLS)
@pytest.mark.parametrize("output_format", FORMATS)
def test_after_random_kills_resume_yields_each_input_once(
    output_format: str, wanted: int, network: Path, images: Path, tmp_path: Path
) -> None:
    if output_format == "parquet":
        pytest.importorskip("pyarrow")
    rng = random.Random(output_format)
    output = tmp_path / f"r.{output_format}"
    expected = Counter((f"{n:03}.png", rank) for n in range(IMAGES) for rank in (1, 2, 3))
    kills = 0
    previous = 0
    while kills < wanted:
        process = start(network, images, output, "--resume")
        if wait_for_changes(rng.randint(1, 5), output, process):
            process.kill()
            kills += 1
        _, err = process.communicate(timeout=60)
        if process.returncode != -signal.SIGKILL:
            assert process.returncode == 0, err
            assert count_ranks(output) == expected
            output.unlink()  # it finished before the kill: start again
            previous = 0
            continue
        found = count_ranks(output)
        assert not found - expected, "an image has two results"
        assert len(found) >= previous - 3, "a kill has lost results of an earlier run"
        previous = len(found)
    process = start(network, images, output, "--resume")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert count_ranks(output) == expected
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.endswith(".run.json")) == [output.name]


@pytest.mark.parametrize(
    ("output_format", "signum", "code"),
    [*((output_format, signal.SIGINT, 130) for output_format in FORMATS), ("parquet", signal.SIGTERM, 143)],
)
def test_an_interrupted_run_keeps_all_finished_results(
    output_format: str, signum: int, code: int, network: Path, images: Path, tmp_path: Path
) -> None:
    if output_format == "parquet":
        pytest.importorskip("pyarrow")
    # Nothing is written to the named pipe, so the run blocks there until it is interrupted.
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(20):
        os.link(images / f"{number:03}.png", folder / f"{number:03}.png")
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    output = tmp_path / f"r.{output_format}"
    process = start(network, folder, output, str(pipe))
    writer = open_for_writing(pipe, process)
    while output.stat().st_size == 0 or len(count_ranks(output)) < 60:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.01)
    process.send_signal(signum)
    _, err = process.communicate(timeout=60)
    os.close(writer)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert count_ranks(output) == Counter((f"{n:03}.png", rank) for n in range(20) for rank in (1, 2, 3))
    assert list(tmp_path.glob("*.ov-partial")) == []


@pytest.mark.parametrize(
    ("output", "more", "message"),
    [
        ("/dev/full", ("--format", "jsonl"), "/dev/full: the results cannot be written (No space left on device)"),
        ("{tmp}/none/r.jsonl", (), "none/r.jsonl: the results cannot be written (No such file"),
        ("{tmp}/none/r.parquet", (), "none: the folder does not exist"),
        ("{tmp}", ("--format", "csv"), "the results cannot be written (Is a directory"),
    ],
)
def test_an_output_that_cannot_be_written_is_reported_in_one_line(
    output: str, more: tuple[str, ...], message: str, network: Path, images: Path, tmp_path: Path
) -> None:
    process = start(network, images, Path(output.format(tmp=tmp_path)), "-q", *more)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert len(err.splitlines()) == 1
    assert message in err


def test_a_full_stdout_is_reported_in_one_line(network: Path, images: Path) -> None:
    command = [sys.executable, "-m", "ov_mobilenet", "classify", str(network), str(images / "000.png"), "-q"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "stdout: the results cannot be written (No space left on device)" in done.stderr


def test_resume_of_a_complete_file_does_not_load_the_model(network: Path, images: Path, tmp_path: Path,
                                                      capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"x")
    output = tmp_path / "r.jsonl"
    inputs = [str(images / "000.png"), str(bad)]
    assert main(["classify", str(network), *inputs, "-o", str(output)]) == 1
    before = output.read_bytes()
    assert "error" in json.loads(before.splitlines()[1])
    assert main(["classify", "no-such-model", *inputs, "-o", str(output), "--resume"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert f"2 of 2 images already have a result in {output}" in err
    assert output.read_bytes() == before


def test_all_scores_and_a_minimum_probability(network: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def predictions(*more: str) -> list[dict[str, Any]]:
        assert main(["classify", str(network), str(images / "000.png"), "--format", "jsonl", *more]) == 0
        found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["predictions"]
        return found

    every = predictions("--scores", "all")
    assert sorted(p["class_id"] for p in every) == list(range(len(every)))
    assert len(every) > 5
    assert sum(p["probability"] for p in every) == pytest.approx(1, abs=1e-5)
    assert [p["probability"] for p in every] == sorted((p["probability"] for p in every), reverse=True)
    third = every[2]["probability"]
    kept = predictions("--scores", "all", "--min-probability", repr(third))
    assert [p["class_id"] for p in kept] == [p["class_id"] for p in every if p["probability"] >= third]
    assert predictions("--min-probability", "1") == [p for p in every if p["probability"] >= 1]
    assert main(["classify", str(network), "x.png", "--scores", "all", "-k", "5"]) == 2
