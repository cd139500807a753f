"""Real networks run in their own framework, compared with the IRs: TensorFlow and LiteRT on 200 images.

Nothing here goes through our own oracles, but for the test of `--verify`.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import tensorflow_networks as networks

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.images.decode import read_image
from ov_mobilenet.images.geometry import apply_geometry

pytestmark = pytest.mark.shared

FROZEN = "mobilenet-v1-0.25-128-tf2017"
FLOAT_LITE = "mobilenet-v1-0.25-224-tflite"
QUANTISED_LITE = "mobilenet-v1-0.25-128-quant-tflite"
IMAGES = 200
BACKGROUND = 1  # class 0: ImageNet's numbers are one higher


def ir_answers(
    name: str, precision: Literal["FP32", "FP16"], shared: Path, files: list[Path], out: Path
) -> tuple[np.ndarray, np.ndarray]:
    """The frames, uint8 BGR at the network's size, and the converted network's probabilities."""
    config = ovm.load_config(shared / "zoo" / name / "model.yml")
    sources = ovm.download(config, out / "dl", cache_root=out / "cache", offline=True)
    (model,) = ovm.convert(sources, out / "ir", precisions=(precision,))
    classifier = ovm.load_classifier(model.xml, device="CPU", inference_precision="f32")
    geometry = classifier.geometry
    assert geometry is not None
    frames = np.stack([apply_geometry(geometry, read_image(f, geometry.reader)) for f in files])
    return frames, classifier.probabilities(frames)


def lite_answers(network: Path, files: np.ndarray) -> np.ndarray:
    """LiteRT's raw output for each image, given in the network's own input type."""
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(str(network))
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    answers = []
    for image in files:
        interpreter.set_tensor(source, image[None])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(target)[0].copy())
    return np.stack(answers)


def check(answer: np.ndarray, expected: np.ndarray, precision: str) -> None:
    tolerance, agreement = {"FP32": (3e-5, 1.0), "FP16": (4e-2, 0.98)}[precision]
    assert np.abs(answer - expected).max() < tolerance
    assert (answer.argmax(1) == expected.argmax(1)).mean() >= agreement


@pytest.mark.full
@pytest.mark.parametrize("precision", ["FP32", "FP16"])
def test_the_real_frozen_graph_in_tensorflow(
    precision: Literal["FP32", "FP16"], shared: Path, images: tuple[list[Path], np.ndarray], tmp_path: Path
) -> None:
    pytest.importorskip("tensorflow")
    files, truth = images
    frames, answer = ir_answers(FROZEN, precision, shared, files, tmp_path)
    graph = tmp_path / "frozen_graph.pb"
    with tarfile.open(shared / "zoo" / FROZEN / "mobilenet_v1_0.25_128_frozen.tgz") as archive:
        member = archive.extractfile("mobilenet_v1_0.25_128/frozen_graph.pb")
        assert member is not None
        graph.write_bytes(member.read())
    rgb = networks.rgb(frames, [127.5], [127.5])
    expected = networks.answers(graph, rgb, source="input:0", target="MobilenetV1/Predictions/Reshape_1:0")
    right = int((expected.argmax(1) == truth + BACKGROUND).sum())
    assert abs(right - 0.46 * IMAGES) <= 1
    check(answer, expected, precision)


@pytest.mark.parametrize("precision", ["FP32", "FP16"])
def test_the_real_tflite_network_in_litert(
    precision: Literal["FP32", "FP16"], shared: Path, images: tuple[list[Path], np.ndarray], tmp_path: Path
) -> None:
    frames, answer = ir_answers(FLOAT_LITE, precision, shared, images[0], tmp_path)
    network = shared / "zoo" / FLOAT_LITE / "mobilenet_v1_0.25_224_1_default_1.tflite"
    check(answer, lite_answers(network, networks.rgb(frames, [127.5], [127.5])), precision)


def test_the_real_quantised_network_in_litert(
    shared: Path, images: tuple[list[Path], np.ndarray], tmp_path: Path
) -> None:
    frames, answer = ir_answers(QUANTISED_LITE, "FP32", shared, images[0], tmp_path)
    network = shared / "zoo" / QUANTISED_LITE / "mobilenet_v1_0.25_128_quant_coral.tflite"
    expected = lite_answers(network, frames[..., ::-1])  # uint8 RGB: its normalisation is in its quantisation
    assert expected.dtype == np.uint8
    assert (answer.argmax(1) == expected.argmax(1)).mean() >= 0.93


@pytest.mark.full
def test_convert_verifies_the_real_frozen_graph(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorflow")
    images = shared / "imagenet200" / "images"
    model = shared / "zoo" / FROZEN / "model.yml"
    places = ["-o", str(tmp_path), "-d", str(tmp_path / "dl"), "--cache-dir", str(tmp_path / "cache")]
    options = ["--precisions", "FP32,FP16", "--verify", "--verify-images", str(images), "--format", "json"]
    assert main(["convert", str(model), *places, *options]) == 0
    for row in json.loads(capsys.readouterr().out):
        found = row["verification"]
        assert (found["images"], found["skipped"]) == (IMAGES, 0)
        assert 0 < found["max_difference"] <= {"FP32": 3e-5, "FP16": 4e-2}[row["precision"]]
        assert found["top1_agreement"] >= {"FP32": 1.0, "FP16": 0.98}[row["precision"]]
