"""The command `bulk`: its output, exit codes and messages, and a process that is interrupted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from named_pipes import open_for_writing

from ov_mobilenet.bulk_classification import input_files, run_here
from ov_mobilenet.bulk_classification.bulk_progress import BulkProgress
from ov_mobilenet.bulk_classification.shard_items import ShardReadError
from ov_mobilenet.cli.bulk_output import BulkReporter
from ov_mobilenet.cli.main import main
from ov_mobilenet.cli.progress import Progress

pq = pytest.importorskip("pyarrow.parquet")

ROOT = Path(__file__).resolve().parents[2]
MODEL = "mobilenet-v1-0.25-128-signs"
SAMPLES = ROOT / "model_configs" / MODEL / "samples"
# "At least these keys": programs read them.
COUNTS = {
    "schema_version": int, "output": str, "state": str, "model": str, "model_digest": str, "parts": int,
    "total_parts": int, "images": int, "total_images": int, "errors": int,
}  # fmt: skip


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    assert main(["convert", MODEL, "-o", str(folder), "-d", str(folder), "--precisions", "FP32", "-q"]) == 0
    return str(folder / "public" / MODEL / "FP32" / f"{MODEL}.xml")


def test_one_run_and_its_summary(network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    command = ["bulk", network, str(SAMPLES), "-o", out, "--images-per-part", "5"]

    def answer(*more: str) -> dict[str, Any]:
        assert main([*command, "--format", "json", *more]) == 0
        printed, err = capsys.readouterr()
        assert err == ""
        document: dict[str, Any] = json.loads(printed)
        assert {name: type(document[name]) for name in COUNTS} == COUNTS
        assert (document["schema_version"], document["output"], document["model"]) == (1, out, network)
        return document

    plan = answer("--dry-run")
    assert (plan["state"], plan["parts"], plan["total_parts"], plan["images"]) == ("incomplete", 0, 3, 0)
    assert plan["runs_on"] == {"engine": "here", "device": "AUTO"}
    assert plan["settings"]["top-k"] == "5"
    assert not (tmp_path / "out").exists()
    plan = answer("--dry-run", "--ray", "10.0.0.1:6379", "--workers", "3", "--cpus-per-worker", "2", "-d", "CPU")
    assert plan["runs_on"] == {
        "engine": "ray", "device": "CPU", "address": "10.0.0.1:6379", "workers": 3, "cpus_per_worker": 2,
    }  # fmt: skip

    done = answer()
    assert (done["state"], done["parts"], done["images"], done["images_now"]) == ("complete", 3, 12, 12)
    assert done["seconds"] > 0
    assert done["images_per_second"] > 0
    assert done["failed_shards"] == []
    assert [(one["device"], one["parts"]) for one in done["ran_on"]] == [("CPU", 3)]
    assert sorted(path.name for path in Path(out).glob("[!.]*")) == [
        "_SUCCESS", "_manifest.json", "_shards.jsonl", *(f"part-0000{n}.parquet" for n in range(3)),
    ]  # fmt: skip

    again = answer()
    assert (again["images"], again["images_now"], again["images_per_second"]) == (12, 0, None)
    assert main(command) == 0
    table = capsys.readouterr().out
    assert "3 of 3 are done" in table
    assert "nothing to do" in table
    assert main([*command, "-k", "3"]) == 1
    assert "other settings" in capsys.readouterr().err
    assert main([*command, "-k", "3", "--overwrite"]) == 0


def test_failed_images_are_printed_up_to_a_limit_and_the_exit_code_stays_1(
    network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(SAMPLES, tmp_path / "images")
    for number in range(25):
        (tmp_path / "images" / f"bad\x1b{number:02}.jpg").touch()
    command = ["bulk", network, str(tmp_path / "images"), "-o", str(tmp_path / "out")]
    assert main([*command, "--max-errors", "24"]) == 1
    err = capsys.readouterr().err
    assert "0 of 1 parts are done\n" in err
    assert "too many images failed" in err
    assert main([*command, "--max-errors", "25", "--format", "json"]) == 1
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["state"], document["images"], document["errors"]) == ("complete", 37, 25)
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 20
    assert errors[0].endswith("bad\\x1b00.jpg: the file is empty")
    assert err.splitlines()[-1] == "further errors are only in the column `error` of the parts"
    assert main(command) == 1  # nothing to do, but the output has errors
    assert capsys.readouterr().err == ""


def test_a_shard_that_cannot_be_read_is_named(
    network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_the_connection(shard: Any, settings: Any) -> Any:
        raise ShardReadError("connection lost")
        yield

    monkeypatch.setattr(run_here, "read_items", lose_the_connection)
    monkeypatch.setattr(run_here, "FIRST_PAUSE_S", 0.0)
    tar = "s3://bucket/a.tar"
    monkeypatch.setattr(input_files, "kind_of", lambda url: ("file", 10_000))
    command = ["bulk", network, f"{tar}?region=eu-central-1", "-o", str(tmp_path / "out"), "-q"]
    assert main([*command, "--format", "json"]) == 1
    out, err = capsys.readouterr()
    (failed,) = json.loads(out)["failed_shards"]
    assert (failed["index"], failed["part"], failed["source"]) == (0, "part-00000.parquet", tar)
    assert failed["reason"] == "connection lost"
    assert f"error: part-00000.parquet is not written: {tar}: connection lost" in err
    assert "1 of 1 parts are missing; the same command tries them again" in err
    assert main(command) == 1
    table = capsys.readouterr().out
    assert "0, the total is not known before all tars are read" in table
    assert "no part was written" in table


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workers", "2"], "--workers needs --ray"),
        (["--cpus-per-worker", "2"], "--cpus-per-worker needs --ray"),
        (["--images-per-part", "0"], "--images-per-part"),
        (["--geometry", "resize 7"], "geometry"),
        (["--profile", "p.yml", "--streams", "2"], "given twice"),
    ],
)
def test_wrong_usage(
    arguments: list[str], message: str, network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bulk", network, str(SAMPLES), "-o", str(tmp_path / "out"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_progress_tells_the_time_left_by_images_or_by_parts() -> None:
    class Recorded(Progress):
        first_s = interval_s = 0.0
        now = 0.0
        lines: tuple[tuple[float, float | None, str], ...] = ()

        def draw(self, task: Any, done: float, total: float | None, text: str) -> None:
            self.lines = (*self.lines, (done, total, text))

    progress = Recorded(lambda: progress.now)
    reporter = BulkReporter(progress)
    reporter.on_progress(BulkProgress(2, 10, 200, 1000, 0, 3))
    progress.now = 4.0
    reporter.on_progress(BulkProgress(3, 10, 400, 1000, 200, 4, 1))
    assert progress.lines == (
        (200, 1000, "2 of 10 parts, 200 of 1000 images, 0.0/s, 3 errors"),
        (400, 1000, "3 of 10 parts, 400 of 1000 images, 50.0/s, 12 s left, 4 errors, 1 failed part"),
    )
    reporter = BulkReporter(progress)
    reporter.on_progress(BulkProgress(2, 10, 200, None, 0, 0))
    progress.now = 14.0
    reporter.on_progress(BulkProgress(4, 10, 380, None, 180, 1))
    assert progress.lines[3] == (4, 10, "4 of 10 parts, 380 images, 18.0/s, 30 s left, 1 error")


@pytest.mark.parametrize(  # bulk_classification/test_whole_runs.py has both signals too
    ("signum", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.full)]
)
def test_a_run_that_is_interrupted_is_resumed_by_the_same_command(
    signum: int, code: int, network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The program waits at a named pipe behind the images until the signal comes.
    pipe, out = tmp_path / "pipe.jpg", tmp_path / "out"
    os.mkfifo(pipe)
    command = ["bulk", network, str(SAMPLES), str(pipe), "-o", str(out), "--images-per-part", "2", "-d", "CPU"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ov_mobilenet", *command],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    writer = open_for_writing(pipe, process)
    deadline = time.monotonic() + 120
    while not (out / "part-00003.parquet").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signum)
    printed, err = process.communicate(timeout=60)
    os.close(writer)
    assert (process.returncode, printed) == (code, "")
    assert "Traceback" not in err
    parts = sorted(path.name for path in out.glob("part-*"))
    assert 4 <= len(parts) <= 6
    manifest = json.loads((out / "_manifest.json").read_text())
    recorded = [part["name"] for part in manifest["parts"]]
    # The signal may come after a part has its name and before it is recorded; the next run finds it by its footer.
    assert recorded in (parts, parts[:-1])
    assert f"{len(recorded)} of 7 parts are done; the same command does the others" in err
    assert manifest["state"] == "incomplete"
    assert not [path.name for path in out.iterdir() if "partial" in path.name]

    pipe.unlink()
    shutil.copy(SAMPLES / "stop_red_01.jpg", pipe)
    assert main([*command, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["state"], document["images_now"]) == ("complete", 13 - 2 * len(parts))
    rows = [row for path in out.glob("part-*") for row in pq.read_table(path, columns=["source", "rank"]).to_pylist()]
    assert Counter((Path(row["source"]).name, row["rank"]) for row in rows) == Counter(
        (name, rank) for name in [*(path.name for path in SAMPLES.iterdir()), "pipe.jpg"] for rank in range(1, 6)
    )


def test_help_imports_neither_ray_nor_pyarrow_nor_openvino() -> None:
    script = (
        "import sys\nfrom ov_mobilenet.cli.main import main\nassert main(['bulk', '--help']) == 0\n"
        "print(sorted({'ray', 'pyarrow', 'openvino', 'cv2', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
