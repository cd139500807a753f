"""`tune` on a small network on this CPU, and what may be searched on devices that are not here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import small_networks as small
from fake_device import CPU, GPU, NPU, FakeCore
from PIL import Image

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.errors import UsageError
from ov_mobilenet.tuning.rig import Rig
from ov_mobilenet.tuning.space import Objective, Setting
from ov_mobilenet.zoo.geometry import parse_words


@pytest.fixture(scope="module")
def small_ir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tuned")
    sources = ovm.download(ovm.load_config(small.write_onnx(out / "small")), out / "dl", cache_root=out / "cache")
    form = ovm.Form(geometry=parse_words("resize 32"))
    return ovm.convert(sources, out / "FP16", precisions=("FP32",), form=form)[0].xml


def rig(xml: Path, device: str, objective: Objective = "throughput") -> Rig:
    return Rig(xml, device, objective=objective, mode="inference", images=list(small.frames()), core=FakeCore())


def test_an_npu_is_asked_only_what_it_has(small_ir: Path) -> None:
    space = rig(small_ir, "NPU").space("any")
    assert space.batches == (1,)
    assert space.streams == space.threads == (None,)
    assert [one.name for one in space.precisions] == ["f16"]


def test_a_gpu_has_batches_and_streams_and_no_threads(small_ir: Path) -> None:
    found = rig(small_ir, "GPU")
    space = found.space("any")
    assert space.batches == (1, 2, 4, 8, 16, 32)
    assert space.streams == (1, None)  # of 1 and 2 streams its throughput hint makes 2
    assert space.threads == (None,)
    assert [(one.name, one.inference) for one in space.precisions] == [("f16", None), ("f32", "f32")]


@pytest.mark.parametrize("device", [CPU, GPU, NPU])
def test_every_neighbour_of_the_start_runs_or_is_refused_as_a_value(device: object, small_ir: Path) -> None:
    found = rig(small_ir, device.name)  # type: ignore[attr-defined]
    space = found.space()
    for setting in (space.start, *space.neighbours(space.start)):
        sample = found.measure(setting, 0.0)
        assert sample.throughput_fps > 0
        assert sample.requests == (setting.requests or 2) * (sample.streams or 1) or setting.requests is None


def test_a_setting_becomes_what_the_runtime_takes(small_ir: Path) -> None:
    found = rig(small_ir, "CPU")
    space = found.space()
    start = found.settings(space.start)
    assert (start.device, start.hint, start.streams, start.nireq) == ("CPU", "throughput", None, None)
    made = found.settings(Setting(space.start.precision, 8, streams=1, requests=4, threads=1))
    assert (made.hint, made.streams, made.nireq, made.threads) == (None, 1, 4, 1)


def test_latency_is_that_of_one_request(small_ir: Path) -> None:
    found = rig(small_ir, "CPU", "latency")
    space = found.space()
    assert (space.batches, space.streams, space.requests) == ((1,), (None,), (1,))
    assert (found.settings(space.start).hint, found.settings(space.start).nireq) == ("latency", 1)


def test_int8_is_looked_for_beside(small_ir: Path, tmp_path: Path) -> None:
    for folder in ("FP16", "FP16-INT8"):
        (tmp_path / folder).mkdir()
        for ending in (".xml", ".bin"):
            (tmp_path / folder / f"small{ending}").write_bytes(small_ir.with_suffix(ending).read_bytes())
    both = rig(tmp_path / "FP16" / "small.xml", "CPU").space("any").precisions
    assert [(one.name, one.xml.parent.name) for one in both] == [("f32", "FP16"), ("INT8", "FP16-INT8")]
    assert [one.name for one in rig(tmp_path / "FP16" / "small.xml", "CPU").space("int8").precisions] == ["INT8"]
    with pytest.raises(UsageError, match="no INT8 IR beside"):
        rig(small_ir, "CPU").space("int8")


def test_tune_writes_a_profile_that_classify_takes(
    small_ir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        main(["tune", str(small_ir), "-d", "CPU", "--time-limit", "2", "--precision", "f32", "--format", "json"]) == 0
    )
    done = capsys.readouterr()
    told = json.loads(done.out)
    assert told["profile_path"] == "small.profile.yml" in done.err
    profile = ovm.load_profile(tmp_path / "small.profile.yml")
    assert told["profile"]["model"]["digest"] == profile.model.digest
    assert profile.settings.inference_precision == "f32"
    (chosen,) = [row for row in profile.measurements if row.chosen]
    assert chosen.batch == profile.settings.batch_size
    # The front: no other of all that was measured is better in both.
    rows = told["measurements"]
    for row in rows:
        beaten = any(
            one["throughput_fps"] > row["throughput_fps"] and one["p95_ms"] < row["p95_ms"] for one in rows
        )  # fmt: skip
        assert row["on_front"] != beaten
    assert ovm.load_classifier(small_ir, profile=profile).inference_precision == "f32"


def test_a_budget_that_cannot_be_kept_is_a_check_that_did_not_hold(
    small_ir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["tune", str(small_ir), "-d", "CPU", "--time-limit", "1", "--latency-budget-ms", "1e-6"]) == 3
    done = capsys.readouterr()
    assert "nothing is sure to stay within 1e-06 ms" in done.err
    assert "p95 ms" in done.out
    assert list(tmp_path.iterdir()) == []


def test_end_to_end_and_accuracy_by_a_function(small_ir: Path, tmp_path: Path) -> None:
    for number, frame in enumerate(small.frames()):
        Image.fromarray(frame[:, :, ::-1]).save(tmp_path / f"{number}.png")
    asked: list[tuple[str, str | None]] = []

    def top1(xml: Path, precision: str | None) -> float:
        asked.append((xml.name, precision))
        return 0.9 if precision == "f32" else 0.1

    found = ovm.tune(
        small_ir, device="CPU", precision="any", mode="end-to-end", max_accuracy_drop=0.01, accuracy=top1,
        time_limit_s=4, images=tmp_path,
    )  # fmt: skip
    assert asked[0] == ("small.xml", "f32")
    assert found.profile is not None
    chosen = ovm.load_classifier(small_ir, profile=found.profile)
    assert chosen.inference_precision == "f32"
    assert found.profile.mode == "end-to-end"


@pytest.mark.parametrize(
    "wrong",
    [
        {"objective": "speed"},
        {"precision": "int4"},
        {"mode": "both"},
        {"latency_budget_ms": 0},
        {"time_limit_s": float("nan")},
        {"max_accuracy_drop": 0.1},
        {"max_accuracy_drop": 2, "accuracy": lambda xml, precision: 0.5},
    ],
)
def test_values_out_of_range_are_told_before_anything_runs(wrong: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        ovm.tune(tmp_path / "none.xml", **wrong)  # type: ignore[arg-type]


def test_accuracy_is_measured_on_a_dataset(
    small_ir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The class that each image's folder names is the one computed by hand, but for every fourth image."""
    monkeypatch.chdir(tmp_path)
    for number, frame in enumerate(small.frames(12)):
        answer = int(np.argmax(small.by_hand(frame)))
        folder = tmp_path / "images" / str(answer if number % 4 else (answer + 1) % small.CLASSES)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(frame[:, :, ::-1]).save(folder / f"{number}.png")
    plain = ["tune", str(small_ir), "-d", "CPU", "--time-limit", "4", "--precision", "f32"]
    assert main([*plain, "--max-accuracy-drop", "0.01", "--dataset", "images"]) == 0
    (top1,) = {row.top1 for row in ovm.load_profile(tmp_path / "small.profile.yml").measurements}
    assert top1 == pytest.approx(9 / 12)
    assert main([*plain, "--dataset", "images"]) == 2
    assert "go together" in capsys.readouterr().err
