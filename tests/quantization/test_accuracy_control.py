"""`max_drop` on two small networks that INT8 really breaks: one that NNCF can repair, and one that it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import pytest
from known_network import converted, val_txt
from nncf_for_tests import require_nncf
from small_networks import SIDE, describe

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.errors import UsageError, VerificationError

require_nncf()
pytest.importorskip("onnx")

IMAGES = 24
Rows = list[list[float]]


def write_network(folder: Path, conv: Rows, bias: list[float], dense: Rows, offset: list[float]) -> Path:
    """A 1x1 convolution of RGB to two features, ReLU, average pool, and a dense layer to two classes.

    Returns:
        The model.yml.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    folder.mkdir(parents=True)
    values = {"conv": np.array(conv).reshape(2, 3, 1, 1), "bias": bias, "dense": dense, "offset": offset}
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["data", "conv", "bias"], ["filtered"]),
            helper.make_node("Relu", ["filtered"], ["active"]),
            helper.make_node("GlobalAveragePool", ["active"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("Gemm", ["flat", "dense", "offset"], ["scores"], transB=1),
        ],
        "fragile",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, folder / "fragile.onnx")
    return describe(folder / "fragile.onnx", extra="ov_mobilenet: {classes: 2}\n")


def write_images(folder: Path) -> Path:
    """A dataset of images of one colour each: any red, and little blue for class 0 or much blue for class 1."""
    folder.mkdir()
    reds = np.linspace(0, 255, IMAGES)
    for index in range(IMAGES):
        frame = np.full((SIDE, SIDE, 3), (150 if index % 2 else 50, 128, reds[index]), np.uint8)
        cv2.imwrite(str(folder / f"{index:02}.png"), frame)
    val_txt(folder / "val.txt", [(f"{index:02}.png", index % 2) for index in range(IMAGES)])
    return folder


@pytest.fixture(scope="module")
def wide_range(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An IR that is right in float; in INT8, the range of the red feature leaves no step for the blue one.

    The red feature reaches 800 and the blue one 0.8; both share one activation range, so one step is about 3.
    """
    folder = tmp_path_factory.mktemp("wide")
    yml = write_network(folder / "net", [[300, 0, 0], [0, 0, 1]], [600, 0], [[0, -2], [0, 2]], [1.5, 0])
    return converted(yml, folder / "out")


@pytest.fixture(scope="module")
def close_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An IR whose classes differ by 1e-4 in a weight of 0.5, which neither INT8 nor FP16 can represent.

    The second class is right where the blue feature is above 3.94: it is 3.07 or 4.81. Without the difference all
    images have the same class, so bias correction cannot help either.
    """
    folder = tmp_path_factory.mktemp("close")
    yml = write_network(folder / "net", [[1, 0, 0], [0, 0, 1]], [4, 4], [[1, 0.5], [1, 0.5001]], [3.94e-4, 0])
    return converted(yml, folder / "out")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images")


def test_layers_are_reverted_to_float_until_the_drop_is_small_enough(
    wide_range: Path, images: Path, tmp_path: Path
) -> None:
    plain = ovm.quantize(wide_range, images, tmp_path / "plain.xml", dataset=images)
    assert plain.accuracy is not None
    assert (plain.accuracy["float_top1"], plain.accuracy["top1"]) == (1.0, 0.5)
    assert plain.put_back == ()
    settings = ovm.QuantizeSettings(max_drop=0.01)
    kept = ovm.quantize(wide_range, images, tmp_path / "kept.xml", dataset=images, settings=settings)
    assert kept.accuracy is not None
    assert (kept.accuracy["float_top1"], kept.accuracy["top1"], kept.accuracy["agreement"]) == (1.0, 1.0, 1.0)
    assert kept.put_back
    # The saved IR, measured by another function, and what it records.
    assert ovm.measure_accuracy(kept.model.xml, images, device="CPU").top1 == 1.0
    assert ovm.measure_accuracy(plain.model.xml, images, device="CPU").top1 == 0.5
    network = ov.Core().read_model(kept.model.xml)
    calibration = json.loads(network.get_rt_info(["ov_mobilenet", "calibration"]).astype(str))
    assert calibration["put_back"] == list(kept.put_back)


def test_a_drop_within_the_limit_reverts_nothing(wide_range: Path, images: Path, tmp_path: Path) -> None:
    settings = ovm.QuantizeSettings(max_drop=0.5)
    made = ovm.quantize(wide_range, images, tmp_path / "net.xml", dataset=images, settings=settings)
    assert made.put_back == ()
    assert made.accuracy is not None
    assert made.accuracy["top1"] == 0.5


def test_a_drop_that_no_layer_can_prevent_is_exit_code_3_and_nothing_is_written(
    close_weights: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out" / "net.xml"
    settings = ovm.QuantizeSettings(max_drop=0.01)
    with pytest.raises(VerificationError, match=r"at most 0\.01 lower, got 0\.5000 lower with \d+ layers reverted"):
        ovm.quantize(close_weights, images, target, dataset=images, settings=settings)
    assert not target.exists()
    command = ["quantize", str(close_weights), "--calibration", str(images), "--dataset", str(images)]
    assert main([*command, "--max-drop", "0.01", "-o", str(tmp_path / "out")]) == 3
    assert "loses too much accuracy" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_maximum_drop_needs_a_dataset(wide_range: Path, images: Path) -> None:
    with pytest.raises(UsageError, match="needs labelled images"):
        ovm.quantize(wide_range, images, settings=ovm.QuantizeSettings(max_drop=0.01))
