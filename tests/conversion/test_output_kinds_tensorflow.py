"""Output kinds of Keras, SavedModel, frozen-graph and TFLite networks, against Keras and numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras_networks as nets
import numpy as np
import pytest
import small_networks as small
import tensorflow_networks as networks

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main

pytestmark = [pytest.mark.full, pytest.mark.filterwarnings("ignore")]

Capture = pytest.CaptureFixture[str]
FRAMES = small.frames()
NUMBERS = [",".join(map(str, values)) for values in (small.MEAN, small.SCALE)]
OURS = ("--mean-values", NUMBERS[0], "--scale-values", NUMBERS[1], "--reverse-input-channels")
ENDS = {"probability": ("sigmoid", 1), "logit": ("logits", 1), "multilabel": ("sigmoid", 5), "map": ("map", 5)}


@pytest.fixture(scope="module", autouse=True)
def tensorflow() -> None:
    pytest.importorskip("tensorflow")


def converted(source: Path, out: Path, *more: str) -> Path:
    arguments = ["convert", "--source", str(source), "--name", "mine", "-o", str(out), "--precisions", "FP32"]
    assert main([*arguments, "--verify", *more]) == 0
    return out / "public" / "mine" / "FP32" / "mine.xml"


def answers(xml: Path, frames: np.ndarray, *, features: bool = False) -> np.ndarray:
    if features:
        return ovm.load_feature_extractor(xml, device="CPU", inference_precision="f32").vectors(frames)
    return ovm.load_classifier(xml, device="CPU", inference_precision="f32").probabilities(frames)


@pytest.mark.parametrize("kind", ["saved model", "frozen graph", "tflite"])
@pytest.mark.parametrize("end", ENDS)
def test_tensorflow_networks(kind: str, end: str, tmp_path: Path, capsys: Capture) -> None:
    name, classes = ENDS[end]
    source = tmp_path / {"saved model": "made", "frozen graph": "made.pb", "tflite": "made.tflite"}[kind]
    if kind == "saved model":
        networks.write_small_saved_model(source, end=name, classes=classes)
    elif kind == "frozen graph":
        networks.write_small_graph(source, end=name, classes=classes)
    else:
        networks.write_small_tflite(source, end=name, classes=classes)
    xml = converted(source, tmp_path / "out", *OURS)
    logits = np.stack([small.by_hand(frame, softmax=False, classes=classes) for frame in FRAMES])
    p = 1 / (1 + np.exp(-logits))
    if end == "map":
        p = np.stack([small.features_by_hand(frame) for frame in FRAMES])
    expected = np.hstack([1 - p, p]) if classes == 1 else p
    assert np.abs(answers(xml, FRAMES, features=end == "map") - expected).max() < 1e-4
    assert "verified mine FP32" in capsys.readouterr().err


def keras_network(end: str) -> Any:
    """A Keras MobileNet V2 with another end, lively enough to tell images apart."""
    import keras

    base = nets.build("MobileNetV2", 96, alpha=0.35, classes=5)
    head = base.get_layer("predictions")
    if end in ("pooled", "map"):
        layer = "global_average_pooling2d" if end == "pooled" else "out_relu"
        found = next(one for one in base.layers if one.name.startswith(layer))
        return keras.Model(base.input, found.output)
    kernel, bias = head.get_weights()
    units, activation = {"probability": (1, "sigmoid"), "logit": (1, None), "multilabel": (5, "sigmoid")}[end]
    output = keras.layers.Dense(units, activation=activation, name="new_head")
    network = keras.Model(base.input, output(base.layers[-2].output))
    output.set_weights([kernel[:, :units], bias[:units]])
    return network


# Both formats are read to the same Keras model, from which the output kind is told; two ends show that .h5 is, too.
@pytest.mark.parametrize(
    ("end", "suffix"), [*((end, ".keras") for end in (*ENDS, "pooled")), ("multilabel", ".h5"), ("map", ".h5")]
)
def test_keras_networks(end: str, suffix: str, tmp_path: Path) -> None:
    network = keras_network(end)
    network.save(tmp_path / f"net{suffix}")
    xml = converted(tmp_path / f"net{suffix}", tmp_path / "out", "--preset", "tensorflow")
    frames = nets.frames(12, 96, seed=21)
    values = network.predict(nets.as_input(frames, halves=True), verbose=0)
    if end == "map":
        values = values.mean(axis=(1, 2))
    if end == "logit":
        values = 1 / (1 + np.exp(-values))
    expected = np.hstack([1 - values, values]) if values.shape[1] == 1 else values
    is_features = end in ("pooled", "map")
    answer = answers(xml, frames, features=is_features)
    assert np.abs(answer - expected).max() < 1e-4
    assert expected.std(axis=0).max() > 0.05, "the images must be told apart"
