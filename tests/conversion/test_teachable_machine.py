"""Networks with Teachable Machine's structure in all forms of its exports, at random weights."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import keras2_files as files
import keras_networks as nets
import numpy as np
import pytest

import ov_mobilenet as ovm
from ov_mobilenet.errors import UsageError

pytestmark = [pytest.mark.full, pytest.mark.filterwarnings("ignore")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

NAMES = ("Cereal Box", "0 to 5", "Rice")
GEOMETRY = "resize 224 greater bicubic pillow, crop 224"


@pytest.fixture(scope="module")
def network() -> Any:
    """A network whose answers depend on the image."""
    made = files.teachable_machine(len(NAMES))
    rng = np.random.default_rng(7)
    images = as_input(nets.frames(16, 224, seed=8))
    features, (hidden, last) = made.layers[0], made.layers[1].layers
    for norm in features.layers[0].layers:
        if type(norm).__name__ == "BatchNormalization":
            norm.momentum = 0.0
            gamma, beta, *statistics = norm.get_weights()
            # Mostly above zero, as in keras_networks: around zero each ReLU makes rounding errors larger.
            norm.set_weights([rng.uniform(0.5, 0.8, gamma.shape), rng.normal(0.9, 0.3, beta.shape), *statistics])
    features(images, training=True)
    hidden.set_weights([rng.normal(0, 0.05, (1280, 100)), rng.normal(0, 0.1, 100)])
    hidden_values = np.asarray(hidden(features(images, training=False)))
    kernel, mean = rng.normal(0, 1, (100, len(NAMES))), hidden_values.mean(axis=0)
    kernel -= np.outer(mean, mean @ kernel) / (mean @ mean)  # the last layer has no bias to centre its answers
    last.set_weights([kernel * 2.0 / (hidden_values @ kernel).std()])
    return made


def as_input(frames: np.ndarray) -> np.ndarray:
    return nets.as_input(frames, halves=True)


def quantised(network: Any) -> bytes:
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    images = as_input(nets.frames(8, 224, seed=9))
    images[0, 0, 0], images[0, 0, 1] = -1.0, 1.0
    converter.representative_dataset = lambda: ([image[None]] for image in images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    return bytes(converter.convert())


def export(network: Any, kind: str, folder: Path) -> Path:
    """Write an export with its labels. Returns: the network."""
    folder.mkdir()
    (folder / "labels.txt").write_text("".join(f"{number} {name}\n" for number, name in enumerate(NAMES)))
    if kind == "saved":
        network.export(folder / "model.savedmodel", verbose=False)
        return folder / "model.savedmodel"
    if kind.startswith("keras"):
        options: dict[str, Any] = {"model_class": "Model", "sequential_inputs": False} if kind == "keras 2020" else {}
        config = files.keras2_config(network, **options)
        return files.write_keras2(network, folder / "any_name.h5", config=config)
    content = quantised(network) if kind == "quantised" else tf.lite.TFLiteConverter.from_keras_model(network).convert()
    (folder / "any_name.tflite").write_bytes(content)
    return folder / "any_name.tflite"


def plain_answers(path: Path, frames: np.ndarray) -> np.ndarray:
    """The answers of a quantised network as OpenVINO reads it; its input represents -1..1 by 0..255.

    At random weights LiteRT's integers differ from that by 0.16, and from the float network by 0.27.
    """
    import openvino as ov

    compiled = ov.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answers = [compiled(np.ascontiguousarray(frame[None, ..., ::-1]))[0][0] for frame in frames]
    return np.stack(answers).astype(np.float32) / 256


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("keras 2020", "archive"), ("keras 2021", "file"), ("saved", "folder"), ("saved", "archive"), ("float", "file"),
        ("quantised", "archive"),
    ],
)  # fmt: skip
def test_every_export_is_fed_as_teachable_machine_documents(
    kind: str, given: str, network: Any, tmp_path: Path
) -> None:
    path = export(network, kind, tmp_path / "export")
    archive = Path(shutil.make_archive(str(tmp_path / "archive"), "zip", tmp_path / "export"))
    source = {"file": path, "folder": tmp_path / "export", "archive": archive}[given]
    (model,) = ovm.convert(ovm.describe(source, name="x"), tmp_path / "x", precisions=("FP32",))
    assert str(model.record.geometry) == GEOMETRY
    frames = nets.frames(6, 224, seed=10)
    classifier = ovm.load_classifier(model.xml, device="CPU", inference_precision="f32")
    assert classifier.labels == NAMES
    expected = network.predict(as_input(frames), verbose=0)
    assert np.ptp(expected, axis=0).max() > 0.2
    answers = classifier.probabilities(frames)
    if kind == "quantised":
        assert np.abs(answers - plain_answers(path, frames)).max() < 1 / 256
    else:
        assert np.abs(answers - expected).max() < 3e-5
    swapped = network.predict(as_input(frames[..., ::-1]), verbose=0)
    assert np.abs(swapped - expected).max() > 0.1  # or channel order would not be tested


def test_without_labels_or_with_options_nothing_is_declared(network: Any, tmp_path: Path) -> None:
    path = export(network, "keras 2021", tmp_path / "export")
    chosen = ovm.describe(path, name="x", assume="none", geometry="resize 224", labels="none")
    assert "Teachable" not in chosen.model_yml and "mean_values" not in chosen.model_yml
    (tmp_path / "export" / "labels.txt").write_text("0 a\n1 b\n")
    with pytest.raises(UsageError, match="number of labels.*Teachable Machine|Teachable Machine.*number of labels"):
        ovm.describe(path, name="x")
    (tmp_path / "export" / "labels.txt").unlink()
    # Keras's layer names still tell the normalisation.
    assert "Teachable" not in ovm.describe(path, name="x").model_yml
