"""Our IRs, unchanged, in Model API: the same classes, labels and scores as our classifier's.

Model API brings the headless OpenCV over ours, so it lives in an environment of its own, which `make test-full` makes.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_networks as small
from PIL import Image
from signs import held_out, network_images

import ov_mobilenet as ovm
from ov_mobilenet.cli.demo import SAMPLE
from ov_mobilenet.cli.main import main
from ov_mobilenet.conversion.converter import WeightPrecision
from ov_mobilenet.images.decode import read_image
from ov_mobilenet.images.geometry import apply_geometry
from ov_mobilenet.ir.record import IrRecord
from ov_mobilenet.zoo.geometry import parse_geometry

pytestmark = pytest.mark.full

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("model_api_program.py")
BAKE = Path(__file__).with_name("model_api_bake.py")
TOLERANCE = 1e-5
REAL = (
    "mobilenet-v2-pytorch-real",
    "mobilenet-v2-onnx-real",
    "mobilenet-v1-0.25-128-tf2017",
    "mobilenet-v1-0.25-224-tflite",
    "mobilenet-v1-0.25-128-quant-tflite",
)
# Model API feeds one image at a time, so a batch of 8 is left out.
FORMS: dict[str, dict[str, Any]] = {
    "as documented": {},
    "u8 NHWC": {"input_type": "u8", "layout": "NHWC"},
    "f32 NHWC": {"layout": "NHWC"},
    "any batch": {"batch": -1},
    "crop": {"geometry": parse_geometry("resize 40 greater pillow, crop 32")},
}


@pytest.fixture(scope="module")
def model_api() -> Path:
    """The Python of the environment with Model API."""
    python = Path(os.environ.get("MODEL_API_PYTHON", ROOT / ".venv-mapi" / "bin" / "python"))
    probe = "import importlib.util, sys; sys.exit(importlib.util.find_spec('model_api') is None)"
    if not python.is_file() or subprocess.run([python, "-I", "-c", probe]).returncode:
        pytest.skip("needs an environment with openvino-model-api, which make test-full makes, or MODEL_API_PYTHON")
    return python


def convert(yml: Path, out: Path, precision: WeightPrecision = "FP32", **form: Any) -> Path:
    config = ovm.load_config(yml)
    sources = ovm.download(config, out / "dl", cache_root=out / "cache", offline=True)
    return ovm.convert(sources, out / "ir", precisions=(precision,), form=ovm.Form(**form))[0].xml


def answers_of(xml: Path, frames: np.ndarray, python: Path, folder: Path) -> list[list[dict[str, Any]]]:
    """Model API's answers to uint8 (N, H, W, 3) BGR frames of the network's size."""
    images = []
    for index, frame in enumerate(frames):
        images.append(str(folder / f"{index:03}.png"))
        Image.fromarray(frame[:, :, ::-1]).save(images[-1])
    command = [str(python), "-I", str(PROGRAM), str(xml), *images]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    answers: list[list[dict[str, Any]]] = json.loads(done.stdout)
    return answers


def compare(xml: Path, frames: np.ndarray, python: Path, folder: Path) -> list[list[dict[str, Any]]]:
    """Check Model API's answers to uint8 (N, H, W, 3) BGR frames of the network's size, and return them."""
    before = [path.read_bytes() for path in (xml, xml.with_suffix(".bin"))]
    answers = answers_of(xml, frames, python, folder)
    assert [path.read_bytes() for path in (xml, xml.with_suffix(".bin"))] == before
    classifier = ovm.load_classifier(xml, device="CPU", inference_precision="f32")
    assert isinstance(classifier.record, IrRecord)
    labels = classifier.record.labels
    assert labels is not None
    for answer, row in zip(answers, classifier.probabilities(frames), strict=True):
        ours = np.argsort(-row, kind="stable")[:5]
        ids = [best["class_id"] for best in answer]
        # Two classes whose scores differ by less than the tolerance may be in either order.
        assert np.abs(row[ids] - row[ours]).max() <= TOLERANCE
        assert np.abs(row[ids] - [best["score"] for best in answer]).max() <= TOLERANCE
        assert len(set(ids)) == 5
        assert [best["label"] for best in answer] == ["_".join(labels[index].split()) for index in ids]
    return answers


@pytest.mark.parametrize("precision", ["FP32", "FP16"])
def test_the_sample_model(precision: WeightPrecision, model_api: Path, tmp_path: Path) -> None:
    drawn = network_images(frame for frame, _ in held_out(2, 24))
    # Two drawings one over the other leave the network undecided: more than one score counts.
    mixed = ((drawn[:12].astype(np.uint16) + drawn[12:]) // 2).astype(np.uint8)
    xml = convert(ovm.find_config(SAMPLE).path, tmp_path, precision)
    answers = compare(xml, np.concatenate([drawn, mixed]), model_api, tmp_path)
    assert sum(answer[1]["score"] > 0.05 for answer in answers) >= 3


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("classes", [1000, 1001])
def test_imagenet_networks(classes: int, form: str, model_api: Path, tmp_path: Path) -> None:
    extra = f"ov_mobilenet: {{labels: imagenet_{classes}_classes, classes: {classes}}}\n"
    end = "logits" if classes == 1000 else "softmax"
    yml = small.write_onnx(tmp_path / "net", classes=classes, end=end, extra=extra)
    frames = small.frames(16)
    answers = compare(convert(yml, tmp_path, **FORMS[form]), frames, model_api, tmp_path)
    for answer, frame in zip(answers, frames, strict=True):
        expected = small.by_hand(frame, classes=classes)
        assert [best["class_id"] for best in answer] == list(np.argsort(-expected)[:5])
        assert max(abs(best["score"] - expected[best["class_id"]]) for best in answer) < 3e-5


@pytest.mark.shared
@pytest.mark.parametrize("name", REAL)
def test_real_networks_on_real_images(name: str, shared: Path, model_api: Path, tmp_path: Path) -> None:
    if "pytorch" in name:
        pytest.importorskip("torch")
    xml = convert(shared / "zoo" / name / "model.yml", tmp_path)
    geometry = ovm.load_classifier(xml, device="CPU").geometry
    assert geometry is not None
    files = sorted((shared / "imagenet200" / "images").iterdir())[:40]
    frames = np.stack([apply_geometry(geometry, read_image(file, geometry.reader)) for file in files])
    compare(xml, frames, model_api, tmp_path)


@pytest.mark.parametrize("classes", [1, small.CLASSES])
def test_a_binary_and_a_multi_label_network(classes: int, model_api: Path, tmp_path: Path) -> None:
    """Model API gives the probabilities of the two classes; of independent classes it selects the same ones."""
    (tmp_path / "net").mkdir()
    names = [f"name {index}" for index in range(max(2, classes))]
    (tmp_path / "net" / "labels.txt").write_text("\n".join(names) + "\n")
    extra = "ov_mobilenet: {labels: labels.txt}\n"
    xml = convert(small.write_onnx(tmp_path / "net", end="sigmoid", classes=classes, extra=extra), tmp_path)
    frames = small.frames(6)
    logits = np.stack([small.by_hand(frame, softmax=False, classes=classes) for frame in frames])
    p = 1 / (1 + np.exp(-logits))
    for answer, row in zip(answers_of(xml, frames, model_api, tmp_path), p, strict=True):
        found = {best["class_id"]: best["score"] for best in answer}
        if classes == 1:
            assert abs(found[1] - row[0]) < 1e-4 and abs(found[0] + row[0] - 1) < 1e-4
        else:
            assert set(found) == set(np.flatnonzero(row >= 0.5).tolist())


@pytest.mark.parametrize(("mean", "scale", "code"), [(127.5, 127.5, 0), (127.5, 255, 3), (0, 255, 3)])
def test_diagnose_reads_what_model_api_baked(
    mean: float, scale: float, code: int, model_api: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its IRs have a resize in the graph, and take frames of any size."""
    (tmp_path / "images").mkdir()
    for number, (frame, _) in enumerate(held_out(2, 60)):
        Image.fromarray(frame[:, :, ::-1]).save(tmp_path / "images" / f"{number:02}.png")
    network = ovm.find_config(SAMPLE).folder / "road-signs.onnx"
    configuration = {"mean_values": [mean] * 3, "scale_values": [scale] * 3, "reverse_input_channels": True}
    command = [str(model_api), "-I", str(BAKE), str(network), json.dumps(configuration), str(tmp_path / "x.xml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    arguments = ["diagnose", str(tmp_path / "x.xml"), "--images", str(tmp_path / "images"), "--format", "json", "-q"]
    assert main([*arguments, "--geometry", "crop 0.875, resize 128"]) == code
    found = json.loads(capsys.readouterr().out)
    assert (found["best"]["normalisation"], found["best"]["channel_order"]) == ("tensorflow", "RGB")
    assert found["baked"]["channel_order"] == "RGB"
    assert (found["baked"]["mean_values"] or [0.0])[0] == mean and found["baked"]["scale_values"][0] == scale
