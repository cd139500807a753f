"""`tune` on a small network on this CPU, and the search spaces of simulated devices."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import small_networks as small
from fake_device import CPU, GPU, NPU, FakeCore, FakeDevice
from PIL import Image

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.errors import UsageError
from ov_mobilenet.tuning.space import Objective, TuningCandidate
from ov_mobilenet.tuning.target import TuningTarget
from ov_mobilenet.zoo.geometry import parse_geometry


@pytest.fixture(scope="module")
def small_ir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tuned")
    sources = ovm.download(ovm.load_config(small.write_onnx(out / "small")), out / "dl", cache_root=out / "cache")
    form = ovm.Form(geometry=parse_geometry("resize 32"))
    return ovm.convert(sources, out / "FP16", precisions=("FP32",), form=form)[0].xml


def tuning_target(xml: Path, device: str, objective: Objective = "throughput") -> TuningTarget:
    return TuningTarget(
        xml, device, objective=objective, mode="inference", inputs=list(small.frames()), core=FakeCore()
    )


def test_the_npu_has_batch_1_and_no_streams_or_threads(small_ir: Path) -> None:
    space = tuning_target(small_ir, "NPU").search_space("any")
    assert space.batches == (1,)
    assert space.streams == space.threads == (None,)
    assert [one.name for one in space.precisions] == ["f16"]


def test_the_gpu_has_batches_and_streams_and_no_threads(small_ir: Path) -> None:
    found = tuning_target(small_ir, "GPU")
    space = found.search_space("any")
    assert space.batches == (1, 2, 4, 8, 16, 32)
    assert space.streams == (1, None)  # 1 or 2 streams; the throughput hint chooses 2
    assert space.threads == (None,)
    assert [(one.name, one.inference) for one in space.precisions] == [("f16", None), ("f32", "f32")]


@pytest.mark.parametrize("device", [CPU, GPU, NPU], ids=lambda device: device.name)
def test_every_neighbour_of_the_default_runs(device: FakeDevice, small_ir: Path) -> None:
    found = tuning_target(small_ir, device.name)
    space = found.search_space()
    for candidate in (space.default, *space.neighbours(space.default)):
        sample = found.measure(candidate, 0.0)
        assert sample.throughput_fps > 0
        assert sample.requests == (candidate.requests or 2) * (sample.streams or 1) or candidate.requests is None


def test_a_candidate_becomes_device_settings(small_ir: Path) -> None:
    found = tuning_target(small_ir, "CPU")
    space = found.search_space()
    start = found.settings(space.default)
    assert (start.device, start.hint, start.streams, start.nireq) == ("CPU", "throughput", None, None)
    made = found.settings(TuningCandidate(space.default.precision, 8, streams=1, requests=4, threads=1))
    assert (made.hint, made.streams, made.nireq, made.threads) == (None, 1, 4, 1)


def test_the_latency_objective_uses_one_infer_request(small_ir: Path) -> None:
    found = tuning_target(small_ir, "CPU", "latency")
    space = found.search_space()
    assert (space.batches, space.streams, space.requests) == ((1,), (None,), (1,))
    assert (found.settings(space.default).hint, found.settings(space.default).nireq) == ("latency", 1)


def test_the_int8_ir_is_found_in_the_folder_next_to_the_given_one(small_ir: Path, tmp_path: Path) -> None:
    for folder in ("FP16", "FP16-INT8"):
        (tmp_path / folder).mkdir()
        for ending in (".xml", ".bin"):
            (tmp_path / folder / f"small{ending}").write_bytes(small_ir.with_suffix(ending).read_bytes())
    both = tuning_target(tmp_path / "FP16" / "small.xml", "CPU").search_space("any").precisions
    assert [(one.name, one.xml.parent.name) for one in both] == [("f32", "FP16"), ("INT8", "FP16-INT8")]
    assert [
        one.name for one in tuning_target(tmp_path / "FP16" / "small.xml", "CPU").search_space("int8").precisions
    ] == ["INT8"]
    with pytest.raises(UsageError, match="INT8 IR not found"):
        tuning_target(small_ir, "CPU").search_space("int8")


def test_tune_writes_a_profile_that_load_classifier_accepts(
    small_ir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        main(["tune", str(small_ir), "-d", "CPU", "--time-limit", "2", "--precision", "f32", "--format", "json"]) == 0
    )
    done = capsys.readouterr()
    document = json.loads(done.out)
    assert document["schema_version"] == 1
    assert document["profile_path"] == "small.profile.yml"
    assert "small.profile.yml" in done.err
    profile = ovm.load_profile(tmp_path / "small.profile.yml")
    assert document["profile"]["model"]["digest"] == profile.model.digest
    assert profile.settings.inference_precision == "f32"
    (chosen,) = [row for row in profile.measurements if row.chosen]
    assert chosen.batch == profile.settings.batch_size
    # The Pareto front: no other row is better in both.
    rows = document["measurements"]
    for row in rows:
        beaten = any(
            one["throughput_fps"] > row["throughput_fps"] and one["p95_ms"] < row["p95_ms"] for one in rows
        )  # fmt: skip
        assert row["on_front"] != beaten
    assert ovm.load_classifier(small_ir, profile=profile).inference_precision == "f32"


def test_a_budget_that_cannot_be_met_exits_with_3_and_writes_no_profile(
    small_ir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["tune", str(small_ir), "-d", "CPU", "--time-limit", "1", "--latency-budget-ms", "1e-6"]) == 3
    done = capsys.readouterr()
    assert "no candidate stays reliably within 1e-06 ms" in done.err
    assert "p95 ms" in done.out
    assert list(tmp_path.iterdir()) == []


def test_end_to_end_with_an_accuracy_limit(small_ir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, frame in enumerate(small.frames()):
        Image.fromarray(frame[:, :, ::-1]).save(tmp_path / f"{number}.png")
    measured: list[tuple[str, str | None]] = []

    def measure_accuracy(model: Path, dataset: Path, **options: Any) -> SimpleNamespace:
        measured.append((model.name, options["inference_precision"]))
        assert (dataset, options["annotations"], options["limit"]) == (tmp_path, "val.txt", 5)
        return SimpleNamespace(top1=0.9 if options["inference_precision"] == "f32" else 0.1)

    monkeypatch.setattr("ov_mobilenet.accuracy.measure.measure_accuracy", measure_accuracy)
    found = ovm.tune(
        small_ir, device="CPU", precision="any", mode="end-to-end", max_drop=0.01, dataset=tmp_path,
        annotations="val.txt", limit=5, time_limit_s=8, input=tmp_path,
    )  # fmt: skip
    assert measured[0] == ("small.xml", "f32")
    assert found.profile is not None
    chosen = ovm.load_classifier(small_ir, profile=found.profile)
    assert chosen.inference_precision == "f32"
    assert found.profile.mode == "end-to-end"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"objective": "speed"}, "unknown objective"),
        ({"precision": "int4"}, "unknown precision"),
        ({"mode": "both"}, "unknown mode"),
        ({"latency_budget_ms": 0}, "invalid latency budget"),
        ({"time_limit_s": float("nan")}, "invalid time.limit"),
        ({"max_drop": 0.1}, "both max_drop and dataset"),
        ({"dataset": "images"}, "both max_drop and dataset"),
        ({"max_drop": 2, "dataset": "images"}, "invalid accuracy drop"),
        ({"max_drop": 0.1, "max_accuracy_drop": 0.1, "dataset": "images"}, "max_drop is given twice"),
        ({"annotations": "val.txt"}, "annotations without a dataset"),
        ({"streams": 2}, "unknown option: .*got streams"),
    ],
)
def test_wrong_arguments_are_reported_before_anything_runs(wrong: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        ovm.tune(tmp_path / "none.xml", **wrong)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Folders named by the class computed by hand, except for every fourth image."""
    for number, frame in enumerate(small.frames(12)):
        answer = int(np.argmax(small.by_hand(frame)))
        folder = tmp_path / "images" / str(answer if number % 4 else (answer + 1) % small.CLASSES)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(frame[:, :, ::-1]).save(folder / f"{number}.png")
    return tmp_path / "images"


@pytest.mark.parametrize("option", ["max_drop", "max_accuracy_drop"])
def test_tune_measures_accuracy_on_a_dataset(option: str, small_ir: Path, dataset: Path) -> None:
    limit: dict[str, Any] = {option: 0.01}
    found = ovm.tune(small_ir, device="CPU", time_limit_s=2, precision="f32", dataset=dataset, **limit)
    assert [row.top1 for row in found.measurements] == pytest.approx([9 / 12] * len(found.measurements))


def test_the_command_measures_accuracy_on_a_dataset(
    small_ir: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    plain = ["tune", str(small_ir), "-d", "CPU", "--time-limit", "2", "--precision", "f32"]
    for option in ("--max-drop", "--max-accuracy-drop"):
        assert main([*plain, option, "0.01", "--dataset", "images"]) == 0
        (top1,) = {row.top1 for row in ovm.load_profile(tmp_path / "small.profile.yml").measurements}
        assert top1 == pytest.approx(9 / 12)
    assert "small.profile.yml (replaced)" in capsys.readouterr().err
    assert main([*plain, "--dataset", "images"]) == 2
    assert "--max-drop and --dataset must be given together" in capsys.readouterr().err
    assert main([*plain, "--annotations", str(tmp_path / "small.profile.yml")]) == 2
    assert "--annotations requires --dataset" in capsys.readouterr().err


def test_formats_of_the_command(
    small_ir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    plain = ["tune", str(small_ir), "-d", "CPU", "--time-limit", "1", "--precision", "f32", "--format"]
    assert main([*plain, "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["precision"] for row in rows] == ["f32"] * len(rows)
    assert [row["chosen"] for row in rows].count("True") == 1
    assert float(rows[0]["throughput_fps"]) == max(float(row["throughput_fps"]) for row in rows)
    assert main([*plain, "markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("|  | precision | batch |") and lines[1].startswith("| --- | --- | ---: |")
    assert sum(line.startswith("| \\*") for line in lines) == 1
    assert lines[-1] == "\\* chosen, + on the Pareto front of throughput and p95"


def test_help_shows_the_current_name_of_an_option_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", "--help"]) == 0
    out = capsys.readouterr().out
    assert "--max-drop" in out and "--max-accuracy-drop" not in out
