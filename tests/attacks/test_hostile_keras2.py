"""Keras 2 files whose configuration names code, lies, or grows. Nothing of a configuration may reach Keras."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ov_mobilenet.conversion.keras_files.legacy_network import read_legacy_network
from ov_mobilenet.errors import ConversionError

WHERE = Path("keras_model.h5")


def layer(kind: object, name: str = "x", **config: Any) -> dict[str, Any]:
    nodes = [[["given", 0, 0, {}]]]
    return {"class_name": kind, "config": {"name": name, **config}, "name": name, "inbound_nodes": nodes}


def model(*layers: dict[str, Any], kind: object = "Functional", name: str = "net", **config: Any) -> dict[str, Any]:
    given = layer("InputLayer", "given", batch_input_shape=[None, 32, 32, 3])
    ends = {"input_layers": [["given", 0, 0]], "output_layers": [["x", 0, 0]]}
    return {"class_name": kind, "config": {"name": name, "layers": [given, *layers], **ends, **config}}


def refused(config: Any, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        read_legacy_network(config if isinstance(config, str) else json.dumps(config), WHERE)


CODE = {
    "Lambda": layer("Lambda", function=["4wEAAAAAAAAAAAAAAAEAAAACAAAA", None, None]),
    "TFSMLayer": layer("TFSMLayer", filepath="/tmp/foreign"),
    "TensorFlowOpLayer": layer("TensorFlowOpLayer", node_def="name: 'x' op: 'PyFunc'"),
    "Mine>Dense": layer("Mine>Dense", units=3),
    "StringLookup": layer("StringLookup", vocabulary="/etc/passwd"),
    "os.Dense": {**layer("Dense", units=3), "module": "os"},
    "Own>Dense": {**layer("Dense", units=3), "registered_name": "Own>Dense"},
    "kerashack.layers.Dense": {**layer("Dense", units=3), "module": "kerashack.layers"},
    "tf.io.write_file": layer("TFOpLambda", function="io.write_file"),
    "tf.py_function": layer("TFOpLambda", function="py_function"),
    r"\['Dense'\]": layer(["Dense"]),
    "activation 'evil'": layer("Dense", units=3, activation="evil"),
    "activation": layer("Dense", units=3, activation={"class_name": "Lambda", "config": {}}),
    "units": layer("Dense", units="__import__('os')"),
    "scale": layer("Rescaling", scale={"class_name": "__tensor__"}, offset=0),
}


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("name", CODE)
def test_keras_2_config_that_names_code(name: str, depth: int) -> None:
    config = model(CODE[name])
    for _ in range(depth):
        inner = {**config, "name": "x", "inbound_nodes": [[["given", 0, 0, {}]]]}
        config = model(inner, kind="Model")
    refused(config, rf"refers to code that is not allowed.*{name}.*SavedModel.*ONNX")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ([], "not a plain Keras network"),
        (layer("Lambda"), "not a plain Keras network.*'Lambda'"),
        (model(kind=["Model"]), "not a plain Keras network"),
        ({"class_name": "Model", "config": {}}, "incomplete"),
        ({"class_name": "Sequential", "config": []}, "a model without layers"),
        (model(layer("Dense", units=10**9)), "units of the model's configuration is too large"),
        (model(layer("Conv2D", filters=3, kernel_size=[2**40, 1])), "kernel_size .*too large"),
        (model(layer("Rescaling", scale=float("nan"))), "scale .*too large"),
        (model(layer("Dense", units=3, mystery=1)), "unknown argument 'mystery' of layer Dense"),
        (model(layer("DepthwiseConv2D", kernel_size=3, groups=2)), "unknown argument 'groups'"),
        (model(layer("BatchNormalization", renorm=True)), "unknown argument 'renorm'"),
        (model(layer("Conv2D", filters=3, data_format="channels_first")), "channels_last"),
        (model(layer("Dense", units=3, dtype="float16")), "half precision"),
        (model(layer("Dense", units=3), layer("Dense", units=3)), "two layers have the same name"),
        (model({**layer("Dropout"), "inbound_nodes": [[["given", 0, 0, {"training": True}]]]}), "training mode"),
        (model({**layer("Dropout"), "inbound_nodes": [{"args": []}]}), "connected as in Keras 3"),
        (model({**layer("Dropout"), "inbound_nodes": [[]]}), "incomplete"),
        (model(layer("Dropout"), output_layers=[["x", 0, 0], ["given", 0, 0]]), "one input and one output"),
        (model(*[layer("Dropout", f"x{index}") for index in range(3000)]), "too many layers"),
    ],
)
def test_invalid_keras_2_config(config: Any, message: str) -> None:
    refused(config, message)


def test_deep_and_wide_nesting_of_keras_2_models() -> None:
    config = model(layer("Dropout"))
    for _ in range(20):
        config = model({**config, "name": "x", "inbound_nodes": [[["given", 0, 0, {}]]]})
    refused(config, "nested too deeply")
    wide = model(*[{**layer("Dropout", f"d{index}")} for index in range(900)], layer("Dropout"))
    refused(model(*[{**wide, "name": f"m{index}"} for index in range(3)]), "unsupported number of layers")


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")  # of Keras, when it is imported
def test_a_keras_2_model_that_calls_itself_without_end(tmp_path: Path) -> None:
    pytest.importorskip("keras")
    from ov_mobilenet.conversion.keras_files.legacy_building import build_legacy

    def chained(inner: dict[str, Any]) -> dict[str, Any]:
        """Ten calls of a layer, one after the other: ten to the power of the depth in all."""
        nodes: list[Any] = [[["given" if index == 0 else "x", max(index - 1, 0), 0, {}]] for index in range(10)]
        return model({**inner, "name": "x", "inbound_nodes": nodes}, output_layers=[["x", 9, 0]])

    config = layer("Activation", activation="relu")
    for _ in range(8):
        config = chained(config)
    with pytest.raises(ConversionError, match="too many calls of layers"):
        build_legacy(read_legacy_network(json.dumps(config), WHERE), {}, WHERE)
    cases: tuple[tuple[list[Any], str], ...] = (
        ([[["x", 0, 0, {}]]], "not connected: got x"),
        ([[["elsewhere", 0, 0, {}]]], "not connected: got x"),
        ([], "output is not connected"),
    )
    for nodes, message in cases:
        loose = model({**layer("Activation", activation="relu"), "inbound_nodes": nodes})
        with pytest.raises(ConversionError, match=message):
            build_legacy(read_legacy_network(json.dumps(loose), WHERE), {}, WHERE)


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")
def test_keras_never_deserialises_a_keras_2_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keras = pytest.importorskip("keras")
    import h5py

    from ov_mobilenet.conversion.keras_files.loading import load_by_keras
    from ov_mobilenet.zoo.arguments import ConversionPlan, SourceNetwork
    from ov_mobilenet.zoo.model import InputInfo

    for name in ("load_model", "model_from_json"):
        monkeypatch.setattr(keras.models, name, lambda *args, **options: pytest.fail("Keras saw the file"))
    monkeypatch.setattr(
        keras.saving, "deserialize_keras_object", lambda *args, **options: pytest.fail("Keras saw the file")
    )
    evil = {"class_name": "Lambda", "config": {"function": "os.system"}}
    with h5py.File(tmp_path / "n.h5", "w") as file:
        file.attrs["keras_version"] = "2.4.0"
        file.attrs["training_config"] = json.dumps({"loss": evil})
        dense = layer("Dense", "x", units=2, kernel_initializer=evil, bias_regularizer=evil)
        file.attrs["model_config"] = json.dumps(
            model(layer("Flatten", "f"), {**dense, "inbound_nodes": [[["f", 0, 0, {}]]]})
        )
        group = file.create_group("model_weights/x")
        group["x/kernel:0"], group["x/bias:0"] = np.ones((3072, 2), np.float32), np.ones(2, np.float32)
        group.attrs["weight_names"] = [b"x/kernel:0", b"x/bias:0"]
        file["model_weights"].attrs["layer_names"] = [b"x"]
    source = SourceNetwork(root="dl_dir", path="n.h5", folder=False)
    network = load_by_keras(ConversionPlan(source=source, input=InputInfo(""), output=None), tmp_path / "n.h5")
    assert np.asarray(network(np.ones((1, 32, 32, 3), np.float32)))[0, 0] == 3073
