"""Keras files read without TensorFlow; numeric results are compared in test_keras_source.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import keras_networks as nets
import numpy as np
import pytest

import ov_mobilenet as ovm
from ov_mobilenet.conversion.keras_files.architectures import canonical, canonical_layers, identify
from ov_mobilenet.conversion.keras_files.config import checked_config, classes, input_shape
from ov_mobilenet.conversion.keras_files.hdf5 import Variable
from ov_mobilenet.errors import ConversionError, MissingDependencyError

WHERE = Path("weights.h5")


def kernel(channels: int) -> tuple[Variable, ...]:
    return (Variable("kernel", np.zeros((1, 1, 1, channels), np.float32)),)


def v3_layers(channels: list[int], classes: int = 1000) -> dict[str, tuple[Variable, ...]]:
    """The layers by which a MobileNetV3 with these block channels is recognised, with the names of 2020."""
    names = ["expanded_conv/project", *(f"expanded_conv_{block}/project" for block in range(1, len(channels)))]
    return {name: kernel(count) for name, count in zip(names, channels, strict=True)} | {
        "expanded_conv/squeeze_excite/Conv": kernel(8),
        "Logits": kernel(classes),
    }


# Channels as Keras prints them in model.summary(), typed in.
@pytest.mark.parametrize(
    ("channels", "name", "width"),
    [
        ([16, 24, 24, 40, 40, 40, 48, 48, 96, 96, 96], "MobileNetV3Small", 1.0),
        ([16, 24, 24, 32, 32, 32, 40, 40, 72, 72, 72], "MobileNetV3Small", 0.75),
        ([16, 24, 24, 40, 40, 40, 80, 80, 80, 80, 112, 112, 160, 160, 160], "MobileNetV3Large", 1.0),
        ([16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 88, 88, 120, 120, 120], "MobileNetV3Large", 0.75),
    ],
)
def test_v3_and_its_width_are_identified_by_layers_and_channels(channels: list[int], name: str, width: float) -> None:
    found = identify(canonical_layers(v3_layers(channels, classes=7), WHERE), WHERE)
    assert (found.name, found.width, found.classes, found.minimalistic) == (name, width, 7, False)


def test_v3_without_squeeze_and_excite_is_minimalistic() -> None:
    layers = v3_layers([16, 24, 24, 40, 40, 40, 48, 48, 96, 96, 96])
    del layers["expanded_conv/squeeze_excite/Conv"]
    assert identify(canonical_layers(layers, WHERE), WHERE).minimalistic


def test_v2_and_v1_are_identified() -> None:
    v2 = [8, 8, 8, 16, 16, 16, 24, 24, 24, 24, 32, 32, 32, 56, 56, 56, 112]
    names = ["expanded_conv_project", *(f"block_{block}_project" for block in range(1, 17))]
    layers = {name: kernel(count) for name, count in zip(names, v2, strict=True)}
    layers |= {"Conv1": kernel(16), "predictions": (Variable("kernel", np.zeros((1280, 5), np.float32)),)}
    found = identify(canonical_layers(layers, WHERE), WHERE)
    assert (found.name, found.width, found.classes) == ("MobileNetV2", 0.35, 5)

    v1 = [16, 32, 32, 64, 64, 128, 128, 128, 128, 128, 128, 256, 256]
    layers = {f"conv_pw_{block}": kernel(count) for block, count in enumerate(v1, 1)}
    layers |= {"conv1": kernel(8), "conv_dw_13": kernel(1), "conv_preds": kernel(1000)}
    found = identify(canonical_layers(layers, WHERE), WHERE)
    assert (found.name, found.width, found.classes) == ("MobileNet", 0.25, 1000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"expanded_conv_3/project": kernel(36)}, "match no width of the network"),
        ({"expanded_conv_11/project": kernel(96)}, "belong to no MobileNet of Keras"),
        ({"Logits": ()}, "head is not a convolution or dense layer"),
        ({"logits": kernel(5)}, "two layers have the same name"),
        ({"Logits": kernel(0)}, "invalid number of classes"),
    ],
)
def test_weights_that_match_no_network_are_refused(change: dict[str, Any], message: str) -> None:
    layers = v3_layers([16, 24, 24, 40, 40, 40, 48, 48, 96, 96, 96]) | change
    with pytest.raises(ConversionError, match=message):
        identify(canonical_layers(layers, WHERE), WHERE)


@pytest.mark.parametrize("layer", ["conv", "conv_bn", "expanded_conv_1_expand_bn", "conv_1_bn", "logits"])
@pytest.mark.parametrize("today", ["expanded_conv_squeeze_excite_conv_1", "expanded_conv_10_depthwise"])
def test_old_and_new_layer_names_are_equivalent(layer: str, today: str) -> None:
    for name in (layer, today):
        assert nets.published_name(name) != name
        assert canonical(nets.published_name(name)) == canonical(name)


def full_model() -> dict[str, Any]:
    first = {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, 96, 96, 3]}}
    glorot = {"module": "keras.initializers", "class_name": "GlorotUniform", "config": {"seed": None}}
    head = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 5, "kernel_initializer": glorot}}
    return {"module": "keras", "class_name": "Sequential", "config": {"layers": [first, head]}}


def test_a_plain_configuration_is_accepted() -> None:
    config = checked_config(json.dumps(full_model()), WHERE)
    assert config == full_model()
    assert (classes(config), input_shape(config)) == (5, (-1, 96, 96, 3))


@pytest.mark.parametrize("missing", ["h5py", "tensorflow"])
def test_without_tensorflow_the_error_names_the_package(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ov_mobilenet.conversion.keras_files.loading import keras_settings

    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    (tmp_path / "net").mkdir()
    file = tmp_path / "net" / "weights.h5"
    file.write_bytes(b"\x89HDF\r\n\x1a\n")
    fix = r"require tensorflow\. Run: .*pip install .*\[tensorflow\]'"
    if missing == "h5py":
        sources = ovm.download(ovm.load_config(nets.describe(file)), tmp_path / "dl", cache_root=tmp_path, offline=True)
        with pytest.raises(MissingDependencyError, match=fix):
            ovm.convert(sources, tmp_path / "ir")
    else:
        with pytest.raises(MissingDependencyError, match=fix), keras_settings(file):
            pass


@pytest.mark.parametrize(
    ("framework", "files", "found"),
    [
        ("tf", ["weights.h5"], "weights.h5"),
        ("tf", ["weights.h5", "readme.txt"], "weights.h5"),
        ("tf", ["weights.h5", "more.h5"], None),
        ("tf", ["frozen.pb"], None),
        ("onnx", ["weights.h5"], None),
    ],
)
def test_a_network_that_a_script_creates_is_read_from_its_only_keras_file(
    framework: str, files: list[str], found: str | None, tmp_path: Path
) -> None:
    import msgspec

    from ov_mobilenet.conversion.sources import network_framework, network_path
    from ov_mobilenet.zoo.arguments import plan_conversion

    first = tmp_path / "weights.h5"
    first.write_bytes(b"x")
    config = ovm.load_config(nets.describe(first, framework=framework, network="--saved_model_dir=$conv_dir/net"))
    named = tuple(msgspec.structs.replace(config.files[0], name=name) for name in files)
    config = msgspec.structs.replace(config, files=named)
    if found is None:
        with pytest.raises(ConversionError, match="scripts of descriptions are not run"):
            network_path(config, plan_conversion(config), tmp_path)
        return
    path = network_path(config, plan_conversion(config), tmp_path)
    assert (path, network_framework(config, path)) == (tmp_path / found, "keras")
