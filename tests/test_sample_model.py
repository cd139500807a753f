"""The sample model, which is trained: every source framework end to end on drawings, and wrong normalisation detected.

The same tests as on real weights (tests/shared), but these run in any clone.
"""

from __future__ import annotations

import hashlib
import json
import socket
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tensorflow_networks
from signs import CLASSES, held_out, network_images

import ov_mobilenet as ovm
from ov_mobilenet.accuracy.source_networks import source_oracle
from ov_mobilenet.cli.demo import SAMPLE
from ov_mobilenet.cli.main import main
from ov_mobilenet.zoo.arguments import plan_conversion

EXPORTS = Path(__file__).parent / "data" / "signs"
DRAWINGS = 160
DESCRIPTION = """\
description: an export of the sample model
task_type: classification
files:
  - name: {file}
    size: {size}
    checksum: {digest}
    source: {{$type: file, path: {file}}}
framework: {framework}
{onnx_args}input_info:
  - {{name: input, shape: {shape}, layout: {layout}}}
model_optimizer_args:
  - --reverse_input_channels
  - --mean_values=input[127.5,127.5,127.5]
  - --scale_values=input[127.5]
  - --output={output}
  - --input_model={input_model}
license: https://www.apache.org/licenses/LICENSE-2.0
ov_mobilenet: {{classes: 16, labels: labels.txt}}
"""
ONNX_ARGS = """\
conversion_to_onnx_args:
  - --model-name=mobilenet_v1
  - --weights=$dl_dir/road-signs.pth
  - --input-shape=1,3,128,128
  - --input-names=input
  - --output-names=prob
"""
Precision = Literal["FP32", "FP16"]
PRECISIONS: tuple[Precision, ...] = ("FP32", "FP16")
FRAMEWORKS = {".onnx": "onnx", ".pth": "pytorch", ".pb": "tf", ".tflite": "tflite"}


def description(suffix: str, folder: Path, **changes: str) -> Path:
    """The description of one export, in a folder as a user would lay it out."""
    folder.mkdir(parents=True, exist_ok=True)
    zoo = ovm.find_config(SAMPLE).folder
    data = ((zoo if suffix == ".onnx" else EXPORTS) / f"road-signs{suffix}").read_bytes()
    (folder / f"road-signs{suffix}").write_bytes(data)
    for name in ("labels.txt", "accuracy-check.yml"):
        (folder / name).write_bytes((zoo / name).read_bytes())
    from_tensorflow = suffix in (".pb", ".tflite")
    text = DESCRIPTION.format(
        file=f"road-signs{suffix}",
        size=len(data),
        digest=hashlib.sha384(data).hexdigest(),
        framework=FRAMEWORKS[suffix],
        onnx_args=ONNX_ARGS if suffix == ".pth" else "",
        shape="[1, 128, 128, 3]" if from_tensorflow else "[1, 3, 128, 128]",
        layout="NHWC" if from_tensorflow else "NCHW",
        output={".onnx": "logits", ".pth": "prob"}.get(suffix, "MobilenetV1/Predictions/Reshape_1"),
        input_model="$conv_dir/road-signs.onnx" if suffix == ".pth" else f"$dl_dir/road-signs{suffix}",
    )
    for old, new in changes.items():
        text = text.replace(old, new)
    (folder / "model.yml").write_text(text)
    return folder / "model.yml"


def skip_without_torch(suffix: str) -> None:
    if suffix == ".pth":
        pytest.importorskip("torch")


def convert(yml: Path, out: Path, precision: Precision = "FP32", **form: Any) -> Path:
    config = ovm.load_config(yml)
    sources = ovm.download(config, out / "dl", cache_root=out / "cache", offline=True)
    return ovm.convert(sources, out / "ir", precisions=(precision,), form=ovm.Form(**form))[0].xml


def probabilities_of(xml: Path, frames: np.ndarray) -> np.ndarray:
    return ovm.load_classifier(xml, device="CPU", inference_precision="f32").probabilities(frames)


@pytest.fixture(scope="module")
def drawings() -> tuple[np.ndarray, np.ndarray]:
    drawn = list(held_out(2, DRAWINGS))
    return network_images(frame for frame, _ in drawn), np.array([label for _, label in drawn])


@pytest.fixture(scope="module")
def reference(drawings: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The probabilities of the ONNX file in onnxruntime, with the normalisation done in this test."""
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(ovm.find_config(SAMPLE).folder / "road-signs.onnx"))
    rgb = (drawings[0][..., ::-1].astype(np.float32) - 127.5) / 127.5
    logits = session.run(["logits"], {"input": np.ascontiguousarray(rgb.transpose(0, 3, 1, 2))})[0]
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: np.ndarray = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities


@pytest.mark.parametrize("suffix", list(FRAMEWORKS))
def test_the_ir_of_every_export_has_the_probabilities_of_the_onnx_file(
    suffix: str, drawings: tuple[np.ndarray, np.ndarray], reference: np.ndarray, tmp_path: Path
) -> None:
    skip_without_torch(suffix)
    answer = probabilities_of(convert(description(suffix, tmp_path / "net"), tmp_path), drawings[0])
    assert np.abs(answer - reference).max() < 3e-5
    assert np.array_equal(answer.argmax(1), reference.argmax(1))
    assert (answer.argmax(1) == drawings[1]).mean() >= 0.95


@pytest.mark.parametrize("suffix", list(FRAMEWORKS))
def test_fp16_keeps_the_probabilities(
    suffix: str, drawings: tuple[np.ndarray, np.ndarray], reference: np.ndarray, tmp_path: Path
) -> None:
    skip_without_torch(suffix)
    answer = probabilities_of(convert(description(suffix, tmp_path / "net"), tmp_path, "FP16"), drawings[0])
    assert np.abs(answer - reference).max() < 4e-2
    assert (answer.argmax(1) == reference.argmax(1)).mean() >= 0.98


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_a_wrong_normalisation_costs_accuracy(
    suffix: str, drawings: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    frames, labels = drawings

    def top1(name: str, **changes: str) -> float:
        xml = convert(description(suffix, tmp_path / name, **changes), tmp_path / f"out-{name}")
        return float((probabilities_of(xml, frames).argmax(1) == labels).mean())

    assert top1("channels-not-reversed", **{"  - --reverse_input_channels\n": ""}) < 0.70
    unscaled = {
        "  - --mean_values=input[127.5,127.5,127.5]\n": "",
        "  - --scale_values=input[127.5]\n": "",
    }
    assert top1("no-mean-and-scale", **unscaled) < 0.70


@pytest.mark.parametrize("suffix", [".onnx", ".pb", ".tflite"])
@pytest.mark.parametrize(("batch", "layout", "input_type"), [(8, "NHWC", "u8"), (-1, "NCHW", "f32")])
def test_every_input_form_has_the_same_probabilities(
    suffix: str,
    batch: int,
    layout: str,
    input_type: str,
    drawings: tuple[np.ndarray, np.ndarray],
    reference: np.ndarray,
    tmp_path: Path,
) -> None:
    xml = convert(description(suffix, tmp_path / "net"), tmp_path, batch=batch, layout=layout, input_type=input_type)
    assert np.abs(probabilities_of(xml, drawings[0][:24]) - reference[:24]).max() < 3e-5


@pytest.mark.parametrize("suffix", list(FRAMEWORKS))
def test_converting_in_another_order_gives_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    skip_without_torch(suffix)
    yml = description(suffix, tmp_path / "net")
    first = convert(yml, tmp_path / "a")
    convert(description(".tflite", tmp_path / "other"), tmp_path / "b")
    second = convert(yml, tmp_path / "c")
    for end in (".xml", ".bin"):
        assert first.with_suffix(end).read_bytes() == second.with_suffix(end).read_bytes()


def test_the_ir_of_a_tflite_network_against_litert(drawings: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    yml = description(".tflite", tmp_path / "net")
    config = ovm.load_config(yml)
    oracle = source_oracle(config, plan_conversion(config), yml.with_name("road-signs.tflite"))
    expected = np.stack([oracle(frame) for frame in drawings[0][:40]])
    assert np.abs(probabilities_of(convert(yml, tmp_path), drawings[0][:40]) - expected).max() < 3e-5


@pytest.mark.full
@pytest.mark.parametrize(("precision", "tolerance"), [("FP32", 3e-5), ("FP16", 4e-2)])
def test_the_ir_of_the_frozen_graph_against_tensorflow(
    precision: Precision, tolerance: float, drawings: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    pytest.importorskip("tensorflow")
    expected = tensorflow_networks.answers(
        EXPORTS / "road-signs.pb",
        tensorflow_networks.rgb(drawings[0], [127.5], [127.5]),
        source="input:0",
        target="MobilenetV1/Predictions/Reshape_1:0",
    )
    assert (expected.argmax(1) == drawings[1]).mean() >= 0.95
    answer = probabilities_of(convert(description(".pb", tmp_path / "net"), tmp_path, precision), drawings[0])
    assert np.abs(answer - expected).max() < tolerance
    assert (answer.argmax(1) == expected.argmax(1)).mean() >= 0.98


@pytest.mark.full
@pytest.mark.parametrize("suffix", [".pb", ".tflite"])
@pytest.mark.parametrize("number", ["", ":0"])
def test_convert_verifies_tensorflow_and_tflite(
    suffix: str, number: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorflow" if suffix == ".pb" else "ai_edge_litert")
    yml = description(suffix, tmp_path / "net", **{"Reshape_1": "Reshape_1" + number})
    places = ["-o", str(tmp_path), "-d", str(tmp_path / "dl"), "--cache-dir", str(tmp_path / "cache")]
    samples = ovm.find_config(SAMPLE).folder / "samples"
    assert main(["convert", str(yml), *places, "--verify-images", str(samples), "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["verification"]["images"] for row in rows] == [12, 12]


def test_torch_and_tensorflow_pad_equally(drawings: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    # TensorFlow's padding is asymmetric at stride 2; with torch's symmetric padding the results differ.
    torch = pytest.importorskip("torch")
    from sample_network import load_network, normalised, probabilities

    network = load_network(EXPORTS / "road-signs.pth")
    frozen = probabilities_of(convert(description(".pb", tmp_path / "net"), tmp_path), drawings[0])
    assert np.abs(probabilities(network, normalised(drawings[0])) - frozen).max() < 3e-5
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d) and module.stride[0] == 2:
            module.padding = (1, 1)
            module.forward = torch.nn.Conv2d.forward.__get__(module)
    assert np.abs(probabilities(network, normalised(drawings[0])) - frozen).max() > 0.1


def test_the_sample_images_are_classified_correctly(tmp_path: Path) -> None:
    classifier = ovm.load_classifier(SAMPLE, device="CPU", cache_dir=tmp_path, offline=True)
    images = sorted((ovm.find_config(SAMPLE).folder / "samples").glob("*.jpg"))
    assert len(images) == 12
    for image in images:
        assert classifier.classify(image).best.label == image.stem.rsplit("_", 1)[0].replace("_", " ")


def test_labels_are_the_classes_of_the_drawings() -> None:
    labels = (ovm.find_config(SAMPLE).folder / "labels.txt").read_text().splitlines()
    assert tuple(labels) == CLASSES
    assert (ovm.find_config(SAMPLE).folder / "road-signs.onnx").stat().st_size <= 1_200_000


def test_the_demo_needs_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the demo opened a socket")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--format", "json", "-d", "CPU"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["verification"]["max_difference"] < 3e-5
    assert facts["device"] == "CPU"
    for result in facts["results"]:
        name = Path(result["source"]).stem.rsplit("_", 1)[0].replace("_", " ")
        assert result["predictions"][0]["label"] == name
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    assert main(["demo"]) == 0
    out = capsys.readouterr().out
    assert "stop red" in out
    assert "Next:" in out


def test_the_demo_fails_if_the_probabilities_differ(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ov_mobilenet.cli import demo

    right = demo.recorded_answers
    monkeypatch.setattr(demo, "recorded_answers", lambda folder: right(folder)[::-1])
    assert main(["demo"]) == 3
    assert "differs from torch" in capsys.readouterr().err
