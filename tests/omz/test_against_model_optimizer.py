"""IRs of this OpenVINO against IRs of the classic Model Optimizer; both run in our OpenVINO at f32."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from PIL import Image
from signs import held_out, network_images
from test_sample_model import description

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.images.decode import read_image
from ov_mobilenet.images.geometry import apply_geometry

pytestmark = pytest.mark.omz

FP32, FP16 = 1e-5, 5e-3
Captured = pytest.CaptureFixture[str]


def convert(yml: Path, out: Path, *more: str) -> Path:
    """Convert to FP32 and FP16. Returns the folder of the model."""
    where = ["-o", str(out), "-d", str(out), "--cache-dir", str(out / "cache"), "--offline"]
    assert main(["convert", str(yml), *where, "--precisions", "FP16,FP32", *more]) == 0
    return out / "public" / yml.parent.name


def by_mo(yml: Path, out: Path, mo: Path, *more: str) -> Path:
    return convert(yml, out, "--backend", "mo", "--mo", str(mo), *more)


def xml_of(folder: Path, precision: str) -> Path:
    return folder / precision / f"{folder.name}.xml"


def answers(xml: Path, frames: np.ndarray, **options: Any) -> np.ndarray:
    classifier = ovm.load_classifier(xml, device="CPU", inference_precision="f32", **options)
    return classifier.probabilities(frames)


@pytest.fixture(scope="module")
def drawings() -> tuple[np.ndarray, np.ndarray]:
    drawn = list(held_out(2, 160))
    return network_images(frame for frame, _ in drawn), np.array([label for _, label in drawn])


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_the_sample_network(suffix: str, mo: Path, drawings: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    yml = description(suffix, tmp_path / "signs")
    frames, labels = drawings
    ours, theirs = convert(yml, tmp_path / "ours"), by_mo(yml, tmp_path / "mo", mo, "--verify")
    expected, single = (answers(xml_of(folder, "FP32"), frames) for folder in (ours, theirs))
    assert np.abs(single - expected).max() < FP32
    assert np.array_equal(single.argmax(1), expected.argmax(1))
    assert (single.argmax(1) == labels).mean() >= 0.95
    halves = [answers(xml_of(folder, "FP16"), frames) for folder in (ours, theirs)]
    assert np.abs(halves[1] - halves[0]).max() < FP16
    for folder in (ours, theirs):
        model = ov.Core().read_model(xml_of(folder, "FP32"))
        assert {"input"} == model.inputs[0].get_names()
        assert model.outputs[0].get_names() == ov.Core().read_model(xml_of(ours, "FP16")).outputs[0].get_names()


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
@pytest.mark.parametrize(("batch", "layout"), [("8", "NHWC"), ("-1", "NCHW")])
def test_forms(
    suffix: str, batch: str, layout: str, mo: Path, drawings: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    yml = description(suffix, tmp_path / "signs")
    form = ["--batch", batch, "--layout", layout]
    folders = convert(yml, tmp_path / "ours"), by_mo(yml, tmp_path / "mo", mo, *form)
    expected, formed = (answers(xml_of(folder, "FP32"), drawings[0][:24]) for folder in folders)
    assert np.abs(formed - expected).max() < FP32
    shape = ov.Core().read_model(xml_of(folders[1], "FP32")).inputs[0].get_partial_shape()
    wanted = {"N": batch.replace("-1", "?"), "C": "3", "H": "128", "W": "128"}
    assert str(shape) == f"[{','.join(wanted[letter] for letter in layout)}]"


@pytest.mark.shared
def test_the_real_network(shared: Path, mo: Path, tmp_path: Path) -> None:
    yml = shared / "zoo" / "mobilenet-v2-onnx-real" / "model.yml"
    ours, theirs = convert(yml, tmp_path / "ours"), by_mo(yml, tmp_path / "mo", mo)
    rows = [line.split() for line in (shared / "imagenet200" / "val.txt").read_text().splitlines()]
    geometry = ovm.load_classifier(xml_of(ours, "FP32"), device="CPU").geometry
    assert geometry is not None
    images = (read_image(shared / "imagenet200" / "images" / name, geometry.reader) for name, _ in rows)
    frames = np.stack([apply_geometry(geometry, image) for image in images])
    expected, single = (answers(xml_of(folder, "FP32"), frames) for folder in (ours, theirs))
    assert len(frames) == 200
    assert np.abs(single - expected).max() < FP32
    assert np.array_equal(single.argmax(1), expected.argmax(1))
    assert (single.argmax(1) == np.array([int(label) for _, label in rows])).mean() >= 0.85
    halves = [answers(xml_of(folder, "FP16"), frames) for folder in (ours, theirs)]
    assert np.abs(halves[1] - halves[0]).max() < FP16


def test_a_renamed_copy_in_another_folder_gives_the_same(mo: Path, tmp_path: Path) -> None:
    first = by_mo(description(".onnx", tmp_path / "signs"), tmp_path / "first", mo)
    again = by_mo(tmp_path / "signs" / "model.yml", tmp_path / "with space, comma", mo)
    shutil.copytree(tmp_path / "signs", tmp_path / "something-else")
    renamed = by_mo(tmp_path / "something-else" / "model.yml", tmp_path / "renamed", mo)
    for precision in ("FP32", "FP16"):
        one, two, other = (xml_of(folder, precision) for folder in (first, again, renamed))
        assert one.read_bytes() == two.read_bytes()
        binaries = [xml.with_suffix(".bin").read_bytes() for xml in (one, two, other)]
        assert binaries[0] == binaries[1] == binaries[2]
        assert str(tmp_path) not in one.read_text()


def test_add_mo_arg(mo: Path, tmp_path: Path, capsys: Captured) -> None:
    yml = description(".onnx", tmp_path / "signs")
    unswapped = by_mo(yml, tmp_path / "out", mo, "--add_mo_arg=--reverse_input_channels=False")
    capsys.readouterr()
    assert main(["info", str(xml_of(unswapped, "FP32")), "--format", "json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert "reverse_input_channels" not in facts["normalisation"]
    assert facts["versions"]["model_optimizer"].startswith("2024.6.0-")


@pytest.mark.parametrize(
    ("argument", "message"),
    [("--no_such_argument", "unrecognized arguments: --no_such_argument"), ("--output=nowhere", "nowhere")],
)
def test_a_failure_is_one_message(argument: str, message: str, mo: Path, tmp_path: Path, capsys: Captured) -> None:
    yml = description(".onnx", tmp_path / "signs")
    where = ["-o", str(tmp_path), "-d", str(tmp_path), "-q", "--backend", "mo", "--mo", str(mo)]
    assert main(["convert", str(yml), *where, f"--add_mo_arg={argument}"]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err


def test_a_tensorflow_graph_requires_tensorflow(mo: Path, tmp_path: Path, capsys: Captured) -> None:
    if subprocess.run([mo.parent / "python", "-c", "import tensorflow"], capture_output=True).returncode == 0:
        pytest.skip("tensorflow is there")
    yml = description(".pb", tmp_path / "signs")
    where = ["-o", str(tmp_path), "-d", str(tmp_path), "--backend", "mo", "--mo", str(mo)]
    assert main(["convert", str(yml), *where]) == 1
    assert "needs tensorflow in its own environment" in capsys.readouterr().err


@pytest.mark.shared
def test_a_quantised_network_is_refused(shared: Path, mo: Path, tmp_path: Path, capsys: Captured) -> None:
    yml = shared / "zoo" / "mobilenet-v1-0.25-128-quant-tflite" / "model.yml"
    where = ["-o", str(tmp_path), "-d", str(tmp_path), "--backend", "mo", "--mo", str(mo)]
    assert main(["convert", str(yml), *where]) == 1
    assert "an integer input" in capsys.readouterr().err


@pytest.mark.parametrize("compressed", ["False", "True"])
def test_an_ir_of_the_program_alone_gives_the_same_answers(
    compressed: str, mo: Path, drawings: tuple[np.ndarray, np.ndarray], tmp_path: Path, capsys: Captured
) -> None:
    yml = description(".onnx", tmp_path / "signs")
    command: list[str | Path] = [
        mo, f"--input_model={yml.with_name('road-signs.onnx')}", f"--output_dir={tmp_path}", "--model_name=plain",
        "--input_shape=[1,3,128,128]", "--output=logits", "--mean_values=input[127.5,127.5,127.5]",
        "--scale_values=input[127.5]", "--reverse_input_channels", f"--compress_to_fp16={compressed}",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    xml = tmp_path / "plain.xml"
    ours = xml_of(convert(yml, tmp_path / "ours"), "FP32")
    frames, _ = drawings
    expected, theirs = answers(ours, frames), answers(xml, frames, geometry="crop 0.875, resize 128")
    assert np.abs(theirs - expected).max() < (4e-2 if compressed == "True" else FP32)
    frame = tmp_path / "0.png"
    Image.fromarray(next(held_out(2, 1))[0][:, :, ::-1]).save(frame)
    capsys.readouterr()
    labels = ["--labels", str(yml.with_name("labels.txt")), "--geometry", "crop 0.875, resize 128"]
    rows = []
    for model, options in ((ours, []), (xml, labels)):
        call = ["classify", str(model), str(frame), *options, "--format", "jsonl", "--inference-precision", "f32"]
        assert main(call) == 0
        out, err = capsys.readouterr()
        assert err == ""
        rows.append(json.loads(out)["predictions"])
    for one, other in zip(*rows, strict=True):
        assert (one["class_id"], one["label"]) == (other["class_id"], other["label"]) or one["probability"] < 1e-3
        assert one["probability"] == pytest.approx(other["probability"], abs=4e-2 if compressed == "True" else FP32)
    assert main(["info", str(xml), "--format", "json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["model_optimizer"]["mean_values"] == "input[127.5,127.5,127.5]"
    assert facts["model_optimizer"]["reverse_input_channels"] is True


def test_diagnose_reads_what_the_model_optimizer_baked(mo: Path, tmp_path: Path, capsys: Captured) -> None:
    """It moves mean, scale and reversal into the weights: only its record tells them."""
    source = ovm.find_config("mobilenet-v1-0.25-128-signs").folder / "road-signs.onnx"
    for number, (frame, _) in enumerate(held_out(2, 60)):
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.fromarray(frame[..., ::-1]).save(tmp_path / "images" / f"{number:02}.png")
    for name, options, code in (
        ("right", ["--mean_values", "[127.5]", "--scale_values", "[127.5]", "--reverse_input_channels"], 0),
        ("swapped", ["--mean_values", "[127.5]", "--scale_values", "[127.5]"], 3),
        ("other", ["--mean_values", "[123.675,116.28,103.53]", "--scale", "58", "--reverse_input_channels"], 3),
    ):
        shape = ["--input_shape", "[1,3,128,128]", "--input", "input"]
        command = [str(mo), "--input_model", str(source), "-n", name, "-o", str(tmp_path), *shape, *options]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
        capsys.readouterr()
        arguments = [
            "diagnose",
            str(tmp_path / f"{name}.xml"),
            "--images",
            str(tmp_path / "images"),
            "--format",
            "json",
        ]
        assert main([*arguments, "--geometry", "crop 0.875, resize 128", "-q"]) == code
        found = json.loads(capsys.readouterr().out)
        assert (found["best"]["normalisation"], found["best"]["channel_order"]) == ("tensorflow", "RGB")
        assert found["baked"]["channel_order"] == ("BGR" if name == "swapped" else "RGB")
        if code:
            assert "--source road-signs.onnx" in found["command"]
