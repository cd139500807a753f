"""`verify` of quantised networks: right conversions of every kind hold, and each wrong one does not."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov
import pytest
import small_networks as small
from quantised_networks import write_quantised

import ov_mobilenet as ovm
from ov_mobilenet.accuracy.verification_limits import NOISE_WARNING, verification_limits
from ov_mobilenet.accuracy.verification_result import Verification, check
from ov_mobilenet.cli.main import main
from ov_mobilenet.errors import ConversionError, VerificationError

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

IMAGES = 40
# QLinearConv is not readable.
READABLE = ("qdq", "qdq per channel", "dynamic")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("images")
    files = [folder / f"{index}.png" for index in range(IMAGES)]
    for file, frame in zip(files, small.frames(IMAGES), strict=True):
        cv2.imwrite(str(file), frame)
    return files


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The description of each kind."""
    folder = tmp_path_factory.mktemp("networks")
    return {kind: write_quantised(folder / kind.replace(" ", "-"), kind) for kind in READABLE}


def converted(yml: Path, out: Path) -> tuple[ovm.SourceFiles, Path]:
    sources = ovm.download(ovm.load_config(yml), out / "dl", cache_root=out / "cache", offline=True)
    return sources, ovm.convert(sources, out / "ir", precisions=("FP32",))[0].xml


@pytest.mark.parametrize("kind", READABLE)
def test_a_right_conversion_holds_and_is_a_classifier(
    kind: str, networks: dict[str, Path], images: list[Path], tmp_path: Path
) -> None:
    sources, xml = converted(networks[kind], tmp_path)
    result = ovm.verify(sources, xml, images)
    assert result.quantised
    assert result.holds
    assert result.warnings == ()
    # The figures by hand, from onnxruntime's logits and the IR's answers.
    frames = small.frames(IMAGES)
    session = onnxruntime.InferenceSession(networks[kind].with_name("small.onnx"))
    logits = np.concatenate([session.run(None, {"data": frame[None]})[0] for frame in small.normalised(frames)])
    expected = np.exp(logits - logits.max(1, keepdims=True))
    expected /= expected.sum(1, keepdims=True)
    classifier = ovm.load_classifier(xml, device="CPU", inference_precision="f32")
    actual = np.concatenate([classifier.probabilities(frame[None]) for frame in frames])
    rows, top = np.arange(IMAGES), expected.argmax(1)
    assert result.mean_difference == pytest.approx(np.abs(actual - expected)[rows, top].mean(), abs=1e-5)
    assert result.max_difference == pytest.approx(np.abs(actual - expected).max(), abs=1e-5)
    near = expected[rows, top] - expected[rows, actual.argmax(1)] <= 0.1
    assert result.near_agreement == pytest.approx(near.mean())
    assert len(set(top.tolist())) > 2


@pytest.mark.parametrize("kind", READABLE)
def test_dynamic_quantisation_is_reported(
    kind: str, networks: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    converted(networks[kind], tmp_path)
    found = [message for message in caplog.messages if "2 layers are quantised dynamically" in message]
    assert len(found) == (kind == "dynamic")


@pytest.mark.parametrize("kind", ["qdq", "qdq per channel"])
def test_the_ir_of_a_qdq_network_runs_in_int8(kind: str, networks: dict[str, Path], tmp_path: Path) -> None:
    core = ov.Core()
    if core.get_property("CPU", "FULL_DEVICE_NAME").lower().startswith("arm"):
        pytest.skip("fuses other layers")
    _, xml = converted(networks[kind], tmp_path)
    running = core.compile_model(xml, "CPU").get_runtime_model()
    infos = [operation.get_rt_info() for operation in running.get_ops()]
    precisions = {
        info["layerType"].astype(str): info["runtimePrecision"].astype(str) for info in infos if "layerType" in info
    }
    assert precisions["Convolution"] in ("u8", "i8")
    assert precisions["FullyConnected"] in ("u8", "i8")


def swap_channels(text: str) -> str:
    return text.replace("  - --reverse_input_channels\n", "")


def scale_to_one(text: str) -> str:
    return normalise_by(text, "0,0,0", "255,255,255")


def scale_to_minus_one(text: str) -> str:
    return normalise_by(text, "127.5,127.5,127.5", "127.5,127.5,127.5")


def normalise_by(text: str, mean: str, scale: str) -> str:
    return text.replace("[123.675,116.28,103.53]", f"[{mean}]").replace("[58.395,57.12,57.375]", f"[{scale}]")


def omit_normalisation(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if "_values=" not in line)


def normalise_twice(text: str) -> str:
    """(((x - m) / s) - m) / s = (x - (m + m * s)) / s²."""
    means, scales = np.array(small.MEAN), np.array(small.SCALE)
    return normalise_by(text, ",".join(map(str, means + means * scales)), ",".join(map(str, scales**2)))


@pytest.mark.parametrize("kind", ["qdq", *(pytest.param(kind, marks=pytest.mark.full) for kind in READABLE[1:])])
@pytest.mark.parametrize(
    "mistake", [swap_channels, scale_to_one, scale_to_minus_one, omit_normalisation, normalise_twice]
)
def test_a_wrong_input_does_not_hold(
    mistake: Callable[[str], str], kind: str, networks: dict[str, Path], images: list[Path], tmp_path: Path
) -> None:
    right = networks[kind]
    shutil.copy(right.with_name("small.onnx"), tmp_path)
    wrong = tmp_path / "model.yml"
    text = mistake(right.read_text())
    assert text != right.read_text()
    wrong.write_text(text)
    sources = ovm.download(ovm.load_config(right), tmp_path / "dl", cache_root=tmp_path / "cache", offline=True)
    result = ovm.verify(sources, converted(wrong, tmp_path)[1], images)
    assert not result.is_within_tolerance
    with pytest.raises(VerificationError, match=r"a mean difference of 0\.\d+ \(a largest difference of"):
        check(result, tmp_path)


def move_zero_point(model: Any) -> None:
    """Let the input's DequantizeLinear subtract another zero point than its QuantizeLinear added."""
    source = next(node for node in model.graph.node if node.op_type == "QuantizeLinear" and node.input[0] == "data")
    target = next(node for node in model.graph.node if node.input[0] == source.output[0])
    (tensor,) = (tensor for tensor in model.graph.initializer if tensor.name == source.input[2])
    value = onnx.numpy_helper.to_array(tensor)
    moved = np.array(int(value) + (64 if int(value) < 64 else -64), value.dtype)
    model.graph.initializer.append(onnx.numpy_helper.from_array(moved, "moved"))
    target.input[2] = "moved"


def test_a_wrong_zero_point_does_not_hold(networks: dict[str, Path], images: list[Path], tmp_path: Path) -> None:
    sources, _ = converted(networks["qdq"], tmp_path)
    _, xml = converted(write_quantised(tmp_path / "wrong", "qdq", change=move_zero_point), tmp_path / "moved")
    assert not ovm.verify(sources, xml, images).is_within_tolerance


@pytest.mark.parametrize("on", ["images", "noise"])
def test_a_second_softmax_does_not_hold(on: str, networks: dict[str, Path], images: list[Path], tmp_path: Path) -> None:
    import openvino.opset13 as ops

    sources, xml = converted(networks["qdq"], tmp_path)
    model = ov.Core().read_model(xml)
    (result,) = model.get_results()
    twice = ops.softmax(result.input_value(0), 1)
    result.input(0).replace_source_output(twice.output(0))
    ov.save_model(model, tmp_path / "twice.xml", compress_to_fp16=False)
    found = ovm.verify(sources, tmp_path / "twice.xml", images if on == "images" else None)
    assert not found.is_within_tolerance
    assert found.top1_agreement > 0.9


def test_on_noise_only_the_mean_is_judged_and_a_warning_says_so(
    networks: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources, xml = converted(networks["qdq"], tmp_path)
    result = ovm.verify(sources, xml)
    assert result.holds
    assert (result.least_near_agreement, result.warnings) == (None, (NOISE_WARNING,))
    yml = networks["qdq"]
    places = ["-o", str(tmp_path / "out"), "-d", str(tmp_path / "dl"), "--precisions", "FP32"]
    assert main(["convert", str(yml), *places, "--verify"]) == 0
    err = capsys.readouterr().err
    assert "16 noise images: mean difference " in err
    assert "(tolerance 0.098: quantised network)" in err
    assert "verify on images (--verify-images)" in err


def test_convert_names_the_figures_that_are_judged(
    networks: dict[str, Path], images: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = networks["qdq"].with_name("small.onnx")
    out = ["--name", "mine", "-o", str(tmp_path / "out"), "--precisions", "FP32"]
    good = ["--preset", "torchvision", "--verify-images", str(images[0].parent)]
    assert main(["convert", "--source", str(network), *out, *good]) == 0
    err = capsys.readouterr().err
    assert f"verified mine FP32 on {IMAGES} images: mean difference " in err
    assert "% with near ties (minimum 84%)" in err


def answers_of(count: int, kind: Any, *, quantised: bool = True, on_noise: bool = False) -> Any:
    return verification_limits("FP32", kind, count, quantised=quantised, on_noise=on_noise)


def test_limits_are_wider_for_few_images() -> None:
    limits = [answers_of(count, "classes") for count in (1, 20, 200, 50_000)]
    assert [round(found.mean_tolerance, 3) for found in limits] == [0.21, 0.094, 0.071, 0.061]
    assert [round(found.least_near_agreement, 3) for found in limits] == [0.33, 0.796, 0.888, 0.927]
    assert answers_of(20, "features").least_near_agreement is None
    assert answers_of(20, "classes", on_noise=True).least_near_agreement is None
    plain = answers_of(20, "classes", quantised=False)
    assert (plain.tolerance, plain.least_agreement, plain.mean_tolerance) == (3e-5, 1.0, None)


def test_nan_and_a_changed_top1_do_not_hold() -> None:
    figures: dict[str, Any] = {
        "precision": "FP32", "images": 200, "skipped": 0, "max_difference": 0.3, "top1_agreement": 0.7,
        "tolerance": 1.0, "least_agreement": 0.0, "quantised": True, "mean_difference": 0.05, "near_agreement": 0.93,
        "mean_tolerance": 0.07, "least_near_agreement": 0.89,
    }  # fmt: skip
    assert Verification(**figures).holds
    for name, value in (("max_difference", math.nan), ("mean_difference", math.nan), ("near_agreement", 0.8)):
        assert not Verification(**{**figures, name: value}).holds


@pytest.mark.parametrize("command", ["convert", "verify", "diagnose"])
@pytest.mark.parametrize(
    ("kind", "opset", "message"),
    [
        ("qoperator", 13, "quantised in ONNX's QOperator format (Q"),
        ("qdq per channel", 12, "expected opset 13 or newer, got opset 12"),
    ],
)
def test_an_unreadable_quantisation_is_named(
    kind: str, opset: int, message: str, command: str, images: list[Path], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    yml = write_quantised(tmp_path / "net", kind, opset=opset)
    network = yml.with_name("small.onnx")
    if command == "verify":
        _, xml = converted(small.write_onnx(tmp_path / "float"), tmp_path / "other")
        with pytest.raises(ConversionError) as error:
            ovm.verify(yml, xml, cache_dir=tmp_path / "cache", offline=True)
        assert message in str(error.value)
        return
    arguments = {
        "convert": ["convert", "--source", str(network), "--name", "mine", "-o", str(tmp_path / "out")],
        "diagnose": ["diagnose", str(network), "--images", str(images[0].parent)],
    }
    assert main(arguments[command]) == 1
    err = capsys.readouterr().err
    assert message in err
    assert ("`ov-mobilenet quantize`" in err) == (kind == "qoperator")
    assert ("convert_version(model, 13)" in err) == (opset == 12)


def test_per_channel_quantisation_is_read_after_raising_the_opset(tmp_path: Path, images: list[Path]) -> None:
    from onnx import version_converter

    network = write_quantised(tmp_path / "net", "qdq per channel", opset=12).with_name("small.onnx")
    raised = version_converter.convert_version(onnx.load(network), 13)
    onnx.save(raised, network)
    sources, xml = converted(small.describe(network), tmp_path)
    assert ovm.verify(sources, xml, images).holds
