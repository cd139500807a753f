"""Configurations and weights of Keras 2 files without TensorFlow; results are compared in test_keras2_source.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ov_mobilenet.conversion.keras_files.hdf5 import Hdf5Contents, Variable
from ov_mobilenet.conversion.keras_files.legacy_network import LegacyModel, LegacyTensor, read_legacy_network
from ov_mobilenet.conversion.keras_files.legacy_weights import WantedWeights, find_weights
from ov_mobilenet.errors import ConversionError

WHERE = Path("keras_model.h5")
GIVEN = {
    "class_name": "InputLayer",
    "config": {"batch_input_shape": [None, 96, 96, 3], "dtype": "float32", "sparse": False, "ragged": False,
               "name": "input_1"},
    "name": "input_1", "inbound_nodes": [],
}  # fmt: skip


def entry(kind: str, name: str, *before: str, **config: Any) -> dict[str, Any]:
    """A layer of Keras 2.4 that takes the results of others."""
    nodes = [[[other, 0, 0, {}] for other in before]] if before else []
    return {"class_name": kind, "config": {"name": name, **config}, "name": name, "inbound_nodes": nodes}


def model(*layers: dict[str, Any], kind: str = "Functional", last: str | None = None) -> dict[str, Any]:
    config = {
        "name": "model", "layers": [GIVEN, *layers], "input_layers": [["input_1", 0, 0]],
        "output_layers": [[last or layers[-1]["name"], 0, 0]],
    }  # fmt: skip
    return {"class_name": kind, "config": config}


def read(config: Any) -> LegacyModel:
    return read_legacy_network(json.dumps(config), WHERE)


HEAD = entry("Dense", "head", "input_1", units=5, activation="softmax", kernel_initializer={"class_name": "Mine>X"})


def test_what_matters_only_in_training_is_dropped() -> None:
    norm = entry(
        "BatchNormalization", "bn", "input_1", axis=[3], momentum=0.9, epsilon=1e-3, trainable=False, renorm=False,
        gamma_initializer={"class_name": "Lambda", "config": {"function": "os.system"}}, beta_regularizer="x",
        dtype={"class_name": "Policy", "config": {"name": "mixed_float16"}}, moving_mean_initializer=None,
    )  # fmt: skip
    depthwise = entry("DepthwiseConv2D", "dw", "bn", kernel_size=[3, 3], groups=1, depth_multiplier=1, filters=None)
    drop = entry("Dropout", "drop", "dw", rate=0.3, noise_shape=None, seed=7, unheard_of={"class_name": "Lambda"})
    _, bn, dw, dropped = read(model(norm, depthwise, drop)).layers
    assert (bn.kind, bn.arguments, bn.trainable) == ("BatchNormalization", {"axis": 3, "epsilon": 1e-3}, False)
    assert (dw.kind, dw.arguments) == ("DepthwiseConv2D", {"kernel_size": [3, 3], "depth_multiplier": 1})
    assert (dropped.kind, dropped.arguments) == ("Identity", {})


@pytest.mark.parametrize("kind", ["Functional", "Model"])
def test_ends_and_inner_models_in_all_their_forms(kind: str) -> None:
    network = model(HEAD, kind=kind)
    for key in ("input_layers", "output_layers"):
        network["config"][key] = network["config"][key][0]  # the only one, not in a list
    inner = read(network)
    assert (inner.input, inner.output, inner.shape, inner.classes) == (
        "input_1",
        LegacyTensor("head", 0),
        (96, 96, 3),
        5,
    )
    for layers in ([network], [{**GIVEN, "name": None}, network]):
        for config in (layers, {"name": "outer", "layers": layers}):  # a list until Keras 2.2.2
            outer = read({"class_name": "Sequential", "config": config})
            assert (outer.shape, outer.classes) == ((96, 96, 3), 5)
            assert [layer.name for layer in outer.leaves()][-2:] == ["input_1", "head"]
            assert outer.output == LegacyTensor("model", 0)


def test_arithmetic_between_layers() -> None:
    scaled = entry("TFOpLambda", "tf.math.truediv", function="math.truediv")
    scaled["inbound_nodes"] = [["input_1", 0, 0, {"y": 127.5, "name": None}]]
    squared = entry("TFOpLambda", "tf.math.multiply", function="math.multiply")
    squared["inbound_nodes"] = [["tf.math.truediv", 0, 0, {"y": ["input_1", 0, 0]}]]
    negative = entry("TFOpLambda", "tf.math.subtract", function="math.subtract")
    negative["inbound_nodes"] = [["_CONSTANT_VALUE", -1, 1.0, {"y": ["tf.math.multiply", 0, 0]}]]
    network = read(model(scaled, squared, negative))
    assert [layer.arguments for layer in network.layers[1:]] == [
        {"function": name} for name in ("divide", "multiply", "subtract")
    ]
    assert [layer.calls[0] for layer in network.layers[1:]] == [
        (LegacyTensor("input_1", 0), 127.5),
        (LegacyTensor("tf.math.truediv", 0), LegacyTensor("input_1", 0)),
        (1.0, LegacyTensor("tf.math.multiply", 0)),
    ]
    assert not network.rescales
    assert read(model(entry("Rescaling", "r", "input_1", scale=0.1, offset=0.0))).rescales


@pytest.mark.parametrize(
    ("version", "is_legacy"),
    [(None, True), ("1.2.2", True), ("2.2.4-tf", True), ("2.15.0", True), ("3.3.3", False), ("30.1", False)],
)
def test_the_version_tells_which_form_a_file_has(version: str | None, is_legacy: bool) -> None:
    assert Hdf5Contents({}, {}, "{}", version).is_legacy is is_legacy
    assert not Hdf5Contents({}, {}, None, version).is_legacy


def weights(*names: str) -> tuple[Variable, ...]:
    """Tensors of one value each, which is their place in the file."""
    return tuple(Variable(name, np.full((1,), index, np.float32)) for index, name in enumerate(names))


def wanted(path: str, *kinds: str, trainable: bool = True) -> WantedWeights:
    return WantedWeights(tuple(path.split(">")), kinds, ((1,),) * len(kinds), trainable)


def places(layers: list[WantedWeights], groups: dict[str, tuple[Variable, ...]]) -> list[list[int]]:
    return [[int(value[0]) for value in values] for values in find_weights(layers, groups, WHERE)]


def test_weights_are_found_by_name_in_any_order_and_scope() -> None:
    layers = [wanted("m>conv", "kernel", "bias"), wanted("m>se/conv", "kernel"), wanted("m>drop")]
    names = ("model/se/conv/kernel:0", "conv/bias:0", "conv/kernel:0", "drop/Variable:0")
    assert places(layers, {"m": weights(*names)}) == [[2, 1], [0], []]
    # A layer that is not part of an inner model owns its whole group, whatever the scope is.
    assert places([wanted("conv", "kernel")], {"conv": weights("conv_7/kernel:0")}) == [[0]]
    # Two inner models may have layers of one name.
    twins = [wanted("m>a>conv", "kernel"), wanted("m>b>conv", "kernel")]
    assert places(twins, {"m": weights("b/conv/kernel:0", "a/conv/kernel:0")}) == [[1], [0]]


def test_weights_without_unique_names_are_taken_in_keras_2s_order() -> None:
    layers = [
        wanted("m>a", "kernel", "bias", trainable=False),
        wanted("m>b", "gamma", "moving_mean"),
        wanted("m>c", "kernel"),
    ]
    names = ("b_1/gamma:0", "c_1/kernel:0", "a_1/kernel:0", "a_1/bias:0", "b_1/moving_mean:0")
    assert places(layers, {"m": weights(*names)}) == [[2, 3], [0, 4], [1]]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("a/kernel:0",), r"the weights of m do not match .*expected a/kernel, b/kernel, got a/kernel:0"),
        (("a/kernel:0", "b/kernel:0", "b/bias:0"), "the weights of m do not match"),
        ((), "the weights of m do not match .*got none"),
    ],
)
def test_weights_that_do_not_match(names: tuple[str, ...], message: str) -> None:
    layers = [wanted("m>a", "kernel"), wanted("m>b", "kernel")]
    with pytest.raises(ConversionError, match=message):
        find_weights(layers, {"m": weights(*names)}, WHERE)


def test_weights_of_unknown_layers_and_other_shapes_are_refused() -> None:
    layers = [wanted("a", "kernel")]
    with pytest.raises(ConversionError, match="weights of layers that the network does not have: got z"):
        find_weights(layers, {"a": weights("a/kernel:0"), "z": weights("z/kernel:0")}, WHERE)
    with pytest.raises(ConversionError, match=r"a/kernel does not match the network: expected \[1\], got \[2\]"):
        find_weights(layers, {"a": (Variable("a/kernel:0", np.zeros(2)),)}, WHERE)
