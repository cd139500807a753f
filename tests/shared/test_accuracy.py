"""Accuracy of real networks on real images, against figures measured in the source frameworks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import ov_mobilenet as ovm
from ov_mobilenet.accuracy.compare import compare
from ov_mobilenet.cli.main import main

pytestmark = pytest.mark.shared

IMAGE = 1 / 200
# Top-1 and top-5 of the source network in its own framework, at f32.
FIGURES = {
    "mobilenet-v2-onnx-real": (0.860, 0.970),
    "mobilenet-v2-pytorch-real": (0.860, 0.970),
    "mobilenet-v1-0.25-128-tf2017": (0.460, 0.700),
    "mobilenet-v1-0.25-224-tflite": (0.595, 0.820),
    "mobilenet-v1-0.25-128-quant-tflite": (0.500, 0.715),
}


def source(shared: Path, name: str) -> Path:
    if "pytorch" in name:
        pytest.importorskip("torch")
    return shared / "zoo" / name / "model.yml"


@pytest.mark.parametrize(
    "name",
    # The same weights as in the .pth.
    [pytest.param(name, marks=pytest.mark.full) if name == "mobilenet-v2-onnx-real" else name for name in FIGURES],
)
def test_accuracy_equals_that_of_the_source_network(
    name: str, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yml = source(shared, name)
    dataset = shared / "imagenet200"
    assert main(["accuracy", str(yml), "--dataset", str(dataset / "images"), "--annotations",
                 str(dataset / "val.txt"), "--format", "json", "--offline", "-d", "CPU"]) == 0  # fmt: skip
    report = json.loads(capsys.readouterr().out)
    top1, top5 = FIGURES[name]
    assert report["top1"] == pytest.approx(top1, abs=IMAGE + 1e-9)
    assert report["top5"] == pytest.approx(top5, abs=IMAGE + 1e-9)
    assert (report["images"], report["inference_precision"], report["geometry_from"]) == (200, "f32", "model")


@pytest.mark.full
def test_synset_folders_and_val_txt_give_the_same_accuracy(shared: Path, tmp_path: Path) -> None:
    yml = source(shared, "mobilenet-v1-0.25-224-tflite")
    for image in sorted((shared / "imagenet200" / "images").iterdir()):
        folder = tmp_path / image.name.split("_")[0]
        folder.mkdir(exist_ok=True)
        (folder / image.name).symlink_to(image)
    by_folder = ovm.measure_accuracy(yml, tmp_path, device="CPU")
    by_list = ovm.measure_accuracy(yml, shared / "imagenet200", device="CPU")
    assert (by_folder.images, by_folder.top1, by_folder.per_class) == (200, by_list.top1, by_list.per_class)


def test_irs_agree_with_their_source_networks(shared: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("ai_edge_litert")
    v2, v1 = (str(source(shared, name)) for name in ("mobilenet-v2-onnx-real", "mobilenet-v1-0.25-224-tflite"))
    found = compare([f"{v2}@source", v2, f"{v1}@source", v1], shared / "imagenet200", time_s=0)
    assert [row.runs_in for row in found.models] == ["onnxruntime", "OpenVINO", "LiteRT", "OpenVINO"]
    for row, (top1, _) in zip(found.models, [FIGURES["mobilenet-v2-onnx-real"]] * 2
                              + [FIGURES["mobilenet-v1-0.25-224-tflite"]] * 2, strict=True):  # fmt: skip
        assert row.top1 == pytest.approx(top1, abs=IMAGE + 1e-9)
    ours, other = found.models[1], found.models[2]
    assert (ours.agreement, other.max_difference) == (1.0, None)
    assert ours.max_difference is not None
    assert ours.max_difference < 3e-5


@pytest.mark.parametrize(
    ("mean", "scale", "is_rgb"),
    [("127.5,127.5,127.5", "127.5", True), ("0,0,0", "255", False), ("0,0,0", "1", True), ("0,0,0", "1", False)],
)
def test_a_wrong_normalisation_is_warned_about(
    mean: str, scale: str, is_rgb: bool, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(shared / "zoo" / "mobilenet-v1-0.25-128-tf2017", tmp_path / "v1")
    yml = tmp_path / "v1" / "model.yml"
    text = yml.read_text("utf-8").replace("[127.5,127.5,127.5]", f"[{mean}]").replace("[127.5]", f"[{scale}]")
    yml.write_text(text if is_rgb else text.replace("  - --reverse_input_channels\n", ""), "utf-8")
    dataset = shared / "imagenet200"
    assert main(["accuracy", str(yml), "--dataset", str(dataset), "--format", "json", "--offline"]) == 0
    warnings = [text for text in json.loads(capsys.readouterr().out)["warnings"] if "that is baked" in text]
    assert len(warnings) == (mean == "0,0,0")  # the zoo's description has the right values
    assert all(" tensorflow RGB is better on 20 of the images" in text for text in warnings)
