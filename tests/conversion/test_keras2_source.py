"""Full models of Keras 2: networks of the installed Keras in Keras 2's form, compared with Keras's predictions."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import keras2_files as files
import keras_networks as nets
import numpy as np
import pytest

from ov_mobilenet.conversion.keras_files.description import describe_keras
from ov_mobilenet.conversion.keras_files.loading import load_network
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.arguments import ConversionPlan, SourceNetwork
from ov_mobilenet.zoo.model import InputInfo

pytestmark = [pytest.mark.full, pytest.mark.filterwarnings("ignore")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
keras = pytest.importorskip("keras")
pytest.importorskip("tensorflow")

SIDE = 32
PLAN = ConversionPlan(source=SourceNetwork(root="dl_dir", path="n.h5", folder=False), input=InputInfo(""), output=None)


def loaded(path: Path) -> Any:
    return load_network(PLAN, path)[0]


def pixels(count: int = 4, side: int = SIDE) -> np.ndarray:
    return nets.as_input(nets.frames(count, side, seed=3), halves=True)


def randomised(network: Any, seed: int = 1) -> Any:
    """Random values for every weight, also for the statistics of batch norm, so that none can stand for another."""
    rng = np.random.default_rng(seed)
    for weight in network.weights:
        low, high = (0.5, 1.5) if weight.name in ("moving_variance", "gamma") else (-0.5, 0.5)
        weight.assign(rng.uniform(low, high, weight.shape).astype(np.float32))
    return network


def every_layer() -> Any:
    """Layers whose configuration differs between Keras 2 and 3, and arithmetic between layers."""
    layers = keras.layers
    x = given = keras.Input((SIDE, SIDE, 3), name="pixels")
    x = layers.RandomFlip()(x)
    x = (x / 2.0) - 0.25
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.Conv2D(8, 3, strides=2, use_bias=False, kernel_regularizer="l2")(x)
    x = layers.BatchNormalization(epsilon=1e-2)(x)
    x = skip = layers.ReLU(6.0)(x)
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.LeakyReLU(negative_slope=0.2)(x)
    x = layers.SeparableConv2D(8, 3, padding="same", activation="swish")(x)
    x = layers.PReLU(shared_axes=[1, 2])(layers.Add()([x, skip]))
    x = layers.Multiply()([x, layers.ReLU(6.0)(x + 3.0) * (1 / 6)])
    x = layers.Concatenate()([x, skip * x])
    x = layers.MaxPooling2D(2)(layers.SpatialDropout2D(0.1)(x))
    x = layers.Flatten()(layers.AveragePooling2D(2)(layers.GaussianNoise(0.1)(x)))
    x = layers.Dense(5)(layers.Dropout(0.3)(x))
    return randomised(keras.Model(given, layers.Softmax()(x)))


@pytest.mark.parametrize("version", ["2.2.4-tf", "2.4.0", "2.15.0"])
def test_every_layer_gives_the_results_of_keras(version: str, tmp_path: Path) -> None:
    network = every_layer()
    path = files.write_keras2(network, tmp_path / "n.h5", version=version)
    expected = network.predict(pixels(), verbose=0)
    assert np.ptp(expected, axis=0).max() > 0.05  # the answers depend on the image
    assert np.abs(loaded(path).predict(pixels(), verbose=0) - expected).max() < 1e-6
    found = describe_keras(path)
    assert (found.classes, found.input_shape, found.rescales) == (5, (-1, SIDE, SIDE, 3), None)


@pytest.mark.parametrize(("options", "scope"), [({"model_class": "Model", "sequential_inputs": False}, ""), ({}, "_1")])
def test_inner_models_of_teachable_machine(options: dict[str, Any], scope: str, tmp_path: Path) -> None:
    network = randomised(files.teachable_machine(4))
    config = files.keras2_config(network, **options)
    path = files.write_keras2(network, tmp_path / "n.h5", config=config, scope=scope)
    expected = network.predict(pixels(2, 224), verbose=0)
    assert np.abs(loaded(path).predict(pixels(2, 224), verbose=0) - expected).max() < 1e-5


def test_frozen_layers_are_saved_in_another_order(tmp_path: Path) -> None:
    """Keras 2 saves what is not trained last; names that end in _1 leave only the order to go by."""
    base = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            keras.layers.Conv2D(4, 3, name="a"),
            keras.layers.BatchNormalization(name="b"),
            keras.layers.Conv2D(4, 1, name="c"),
        ],
        name="base",
    )
    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, activation="softmax")]
    network = randomised(keras.Sequential([keras.Input((SIDE, SIDE, 3)), base, *head]))
    base.get_layer("a").trainable = False
    for scope in ("", "_1"):
        path = files.write_keras2(network, tmp_path / f"n{scope}.h5", scope=scope)
        difference = loaded(path).predict(pixels(), verbose=0) - network.predict(pixels(), verbose=0)
        assert np.abs(difference).max() < 1e-6


def test_hard_sigmoid_is_keras_2s(tmp_path: Path) -> None:
    network = keras.Sequential([
        keras.Input((SIDE, SIDE, 3)), keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(3, activation="hard_sigmoid", name="dense"),
    ])  # fmt: skip
    randomised(network)
    x = pixels() * 4
    kernel, bias = network.get_layer("dense").get_weights()
    expected = np.clip(0.2 * (x.mean((1, 2)) @ kernel + bias) + 0.5, 0, 1)
    path = files.write_keras2(network, tmp_path / "n.h5")
    assert np.abs(loaded(path).predict(x, verbose=0) - expected).max() < 1e-6
    assert np.abs(network.predict(x, verbose=0) - expected).max() > 1e-3


def test_a_layer_that_is_called_twice_is_one_layer(tmp_path: Path) -> None:
    given = keras.Input((SIDE, SIDE, 3), name="pixels")
    shared = keras.layers.Conv2D(3, 3, padding="same", name="shared")
    last = keras.layers.Dense(4, activation="softmax")(keras.layers.GlobalMaxPooling2D()(shared(shared(given))))
    network = randomised(keras.Model(given, last))
    config = files.keras2_config(network)
    entry = next(layer for layer in config["config"]["layers"] if layer["name"] == "shared")
    entry["inbound_nodes"] = [[["pixels", 0, 0, {}]], [["shared", 0, 0, {}]]]
    pooled = next(layer for layer in config["config"]["layers"] if layer["class_name"] == "GlobalMaxPooling2D")
    pooled["inbound_nodes"] = [[["shared", 1, 0, {}]]]
    path = files.write_keras2(network, tmp_path / "n.h5", config=config)
    difference = loaded(path).predict(pixels(), verbose=0) - network.predict(pixels(), verbose=0)
    assert np.abs(difference).max() < 1e-6


def test_weights_that_are_missing_or_have_another_shape_are_refused(tmp_path: Path) -> None:
    import h5py

    network = every_layer()
    conv = next(layer.name for layer in network.layers if type(layer).__name__ == "Conv2D")
    path = files.write_keras2(network, tmp_path / "n.h5")
    with h5py.File(path, "r+") as file:
        group = file["model_weights"][conv]
        del group[conv]["kernel:0"]
        group[conv]["kernel:0"] = np.zeros((1, 1, 3, 8), np.float32)
    with pytest.raises(ConversionError, match=r"kernel does not match.*\[3, 3, 3, 8\], got \[1, 1, 3, 8\]"):
        loaded(path)
    with h5py.File(path, "r+") as file:
        file["model_weights"].attrs["layer_names"] = [b"elsewhere"]
        file["model_weights"].move(conv, "elsewhere")
        file["model_weights/elsewhere"].attrs["weight_names"] = [f"{conv}/kernel:0".encode()]
    with pytest.raises(ConversionError, match="the weights of .* do not match the network"):
        loaded(path)


def test_an_error_shows_the_end_of_keras_message(tmp_path: Path) -> None:
    path = tmp_path / "n.h5"
    network = every_layer()
    config = files.keras2_config(network)
    conv = next(layer for layer in config["config"]["layers"] if layer["class_name"] == "Conv2D")
    conv["config"]["strides"] = [2, 2, 2]
    with pytest.raises(ConversionError, match=r"Keras cannot build the network \(.*strides.*2"):
        loaded(files.write_keras2(network, path, config=config))
    # Keras 3 begins with the configuration of the layer, and ends with the cause.
    import h5py

    depthwise = keras.layers.DepthwiseConv2D(3)
    keras.Sequential([keras.Input((SIDE, SIDE, 3)), depthwise, keras.layers.Flatten()]).save(path)
    with h5py.File(path, "r+") as file:
        text = json.loads(file.attrs["model_config"])
        next(x for x in text["config"]["layers"] if x["class_name"] == "DepthwiseConv2D")["config"]["groups"] = 1
        file.attrs["model_config"] = json.dumps(text)
    with pytest.raises(ConversionError, match=r"Keras cannot build the network \(.*'groups': 1"):
        loaded(path)
