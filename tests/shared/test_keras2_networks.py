"""Keras files and exports that people published, and the answers that are known. Skipped without ../shared."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main

pytestmark = [pytest.mark.shared, pytest.mark.full, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def outside(shared: Path) -> Path:
    pytest.importorskip("tensorflow")
    if not (shared / "outside" / "vww").is_dir():
        pytest.skip("needs the networks in ../shared/outside")
    return shared / "outside"


def converted(source: Path, out: Path, *options: str) -> ovm.Classifier:
    arguments = ["convert", "--source", str(source), "--name", "x", "-o", str(out), "--precisions", "FP32"]
    assert main([*arguments, *options]) == 0
    return ovm.load_classifier(out / "public" / "x" / "FP32" / "x.xml", device="CPU", inference_precision="f32")


def test_teachable_machine_of_2020(outside: Path, tmp_path: Path) -> None:
    classifier = converted(outside / "tm-ojjsaw" / "converted_keras.zip", tmp_path)
    assert classifier.labels == ("Cereal Box", "Spicy Peanuts", "Glass of rice", "Unknown")
    for image, label in (("test.jpg", "Cereal Box"), ("test2.jpg", "Spicy Peanuts")):
        best = classifier.classify(outside / "tm-ojjsaw" / image).top_k[0]
        assert best.label == label and best.probability > 0.99


def test_teachable_machine_of_2021(outside: Path, tmp_path: Path) -> None:
    """Against a network of keras.applications with the weights of the file by name, fed as the exported code does."""
    keras = pytest.importorskip("keras")
    import h5py
    from PIL import Image, ImageOps

    folder = outside / "tm-xrrca"
    classifier = converted(folder / "keras_model.h5", tmp_path)
    assert classifier.labels == ("Volleyball", "Person")
    network = keras.applications.MobileNetV2((224, 224, 3), alpha=0.35, include_top=False, weights=None, pooling="avg")
    with h5py.File(folder / "keras_model.h5") as file:
        inner, head = (file["model_weights"][name] for name in ("sequential_1", "sequential_3"))
        for layer in network.layers:
            names = [
                "depthwise_kernel" if "depthwise" in w.path and w.name == "kernel" else w.name for w in layer.weights
            ]
            layer.set_weights([np.asarray(inner[layer.name][f"{name}:0"]) for name in names])
        hidden, bias = (np.asarray(head["dense_Dense1"][f"{name}:0"]) for name in ("kernel", "bias"))
        last = np.asarray(head["dense_Dense2"]["kernel:0"])
    for name in ("test.jpg", "test2.jpg"):
        image = Image.open(outside / "tm-ojjsaw" / name).convert("RGB")
        pixels = np.asarray(ImageOps.fit(image, (224, 224), Image.Resampling.LANCZOS))
        features = network.predict(pixels[None].astype(np.float32) / 127.5 - 1, verbose=0)
        scores = np.maximum(features @ hidden + bias, 0) @ last
        expected = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
        assert np.abs(classifier.probabilities(pixels[None, ..., ::-1]) - expected).max() < 3e-5
        # With our geometry instead of Pillow's ImageOps.fit:
        best = classifier.classify(outside / "tm-ojjsaw" / name).top_k[0]
        assert abs(best.probability - expected.max()) < 0.02 and best.class_id == expected.argmax()


def drawings(count: int, side: int = 96) -> np.ndarray:
    """uint8 (N, side, side, 3) BGR: eight figures in random colours on a plain background."""
    rng = np.random.default_rng(3)
    frames = np.repeat(np.repeat(rng.integers(0, 256, (count, 1, 1, 3), np.uint8), side, 1), side, 2)
    for frame in frames:
        for _ in range(8):
            colour = [int(value) for value in rng.integers(0, 256, 3)]
            x, y, u, v = (int(value) for value in rng.integers(0, side, 4))
            kind = rng.integers(3)
            if kind == 0:
                cv2.circle(frame, (x, y), u // 3 + 2, colour, -1)
            elif kind == 1:
                cv2.rectangle(frame, (x, y), (u, v), colour, -1)
            else:
                cv2.line(frame, (x, y), (u, v), colour, 3)
    return frames


def test_the_three_files_of_visual_wake_words_agree(outside: Path, tmp_path: Path) -> None:
    """The quantised file itself, run by LiteRT, differs from the float one by up to 0.2 on such drawings."""
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter
    frames = drawings(100)
    answers = {}
    for name in ("vww_96.h5", "vww_96_float.tflite", "vww_96_int8.tflite"):
        source = Path(shutil.copyfile(outside / "vww" / name, tmp_path / f"a{Path(name).suffix}"))
        answers[name] = converted(source, tmp_path / name, "--scale-values", "255").probabilities(frames)
    keras, floats, integers = answers.values()
    assert len(set(floats.argmax(1))) == 2
    assert np.abs(keras - floats).max() < 1e-5

    lite = interpreter(str(outside / "vww" / "vww_96_int8.tflite"))
    lite.allocate_tensors()
    given, taken = lite.get_input_details()[0], lite.get_output_details()[0]
    scale, zero = taken["quantization"]
    expected = []
    for frame in frames:
        lite.set_tensor(given["index"], (frame[None, ..., ::-1].astype(np.int16) - 128).astype(np.int8))
        lite.invoke()
        expected.append((lite.get_tensor(taken["index"])[0].astype(np.float32) - zero) * scale)
    assert np.abs(integers - np.stack(expected)).max() < 0.02
    assert np.abs(integers - floats).mean() < 0.04
    clear = np.abs(floats[:, 0] - 0.5) > 0.1
    assert clear.sum() >= 80 and np.array_equal(integers[clear].argmax(1), floats[clear].argmax(1))
