"""`classify` on files, a shard and a video, and `serve`, with the answers recorded on x86-64."""

from __future__ import annotations

import csv
import json
import tarfile
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import portable_cases as cases
import pytest
import served_process

from ov_mobilenet.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
VIDEO = ROOT / "demos" / "data" / "sample_drive.mp4"
LIMIT = 3e-5


def classified(
    model: Path, source: str | Path, capsys: pytest.CaptureFixture[str], *options: str
) -> list[dict[str, Any]]:
    fixed = ["-d", "CPU", "--inference-precision", "f32", "--format", "jsonl", "-k", "16"]
    assert main(["classify", str(model), str(source), *fixed, *options]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def row_of(answer: dict[str, Any]) -> list[float]:
    """The probabilities in the order of the classes."""
    return [one["probability"] for one in sorted(answer["predictions"], key=lambda one: int(one["class_id"]))]


def first_drawings(folder: Path, count: int) -> list[Path]:
    files = []
    for name, data in list(cases.files_of(cases.DRAWINGS))[:count]:
        files.append(folder / name)
        files[-1].write_bytes(data)
    return files


def test_files_of_a_folder(sample_ir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = first_drawings(tmp_path, 4)
    rows = classified(sample_ir, tmp_path, capsys)
    assert [row["source"] for row in rows] == [str(file) for file in files]
    assert np.abs(np.array([row_of(row) for row in rows]) - cases.recorded_answers()[:4]).max() < LIMIT


def test_a_shard(sample_ir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tarfile.open(tmp_path / "drawings.tar", "w") as shard:
        for file in first_drawings(tmp_path, 8):
            shard.add(file, file.name)
    rows = classified(sample_ir, tmp_path / "drawings.tar", capsys)
    assert [Path(row["source"]).name for row in rows] == [f"{number:03}.jpg" for number in range(8)]
    assert np.abs(np.array([row_of(row) for row in rows]) - cases.recorded_answers()[:8]).max() < LIMIT


def test_a_video(sample_ir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with VIDEO.with_suffix(".csv").open(newline="") as table:
        labels = {int(row["frame"]): row["label"] for row in csv.DictReader(table)}
    rows = classified(sample_ir, VIDEO, capsys, "--every", "18")
    assert [row["frame"] for row in rows] == list(range(0, len(labels), 18))
    readable = [row for row in rows if labels[row["frame"]]]
    assert len(readable) > 8
    assert [row["predictions"][0]["label"] for row in readable] == [labels[row["frame"]] for row in readable]


@pytest.mark.full
def test_a_server_answers_and_ends(sample_ir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("uvicorn", "starlette", "grpc", "tritonclient.grpc"):
        pytest.importorskip(module)
    monkeypatch.setattr(served_process, "ENDS_WITHIN_S", 300)  # an emulated processor takes its time
    (file,) = first_drawings(tmp_path, 1)
    with served_process.serving({"signs": sample_ir}, tmp_path) as server:
        with urllib.request.urlopen(f"{server.url}/v2/health/ready", timeout=300) as health:
            assert health.status == 200
        request = urllib.request.Request(f"{server.url}/v1/classify?top_k=16", file.read_bytes())
        with urllib.request.urlopen(request, timeout=300) as response:
            answer = json.load(response)
    # `serving` has sent SIGTERM and checked that the exit code is 0.
    assert np.abs(np.array(row_of(answer)) - cases.recorded_answers()[0]).max() < LIMIT
