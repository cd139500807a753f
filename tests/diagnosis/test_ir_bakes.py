"""`diagnose` of IRs of our converter and of OpenVINO's own tools, with right and wrong normalisations in them."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest
import small_networks as small
from bakes_by_hand import named, normalised, with_pre_post_processor
from PIL import Image
from signs import held_out, network_images

import ov_mobilenet as ovm
from ov_mobilenet.cli.demo import SAMPLE
from ov_mobilenet.cli.main import main
from ov_mobilenet.diagnosis.candidates import Candidate
from ov_mobilenet.diagnosis.ir_network import network_of_ir
from ov_mobilenet.ir.files import open_ir

IMAGES = 30
GEOMETRY = "crop 0.875, resize 128"
RIGHT = named("tensorflow", "RGB")
Capture = pytest.CaptureFixture[str]
FORMS = [("NHWC", "u8"), ("NHWC", "f32"), ("NCHW", "u8"), ("NCHW", "f32")]


def sample_network() -> Path:
    return ovm.find_config(SAMPLE).folder / "road-signs.onnx"


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawings whose files the geometry of the sample model turns into its frames."""
    folder = tmp_path_factory.mktemp("drawings")
    for number, (frame, _) in enumerate(held_out(2, IMAGES)):
        Image.fromarray(frame[..., ::-1]).save(folder / f"{number:03}.png")
    return folder


def by_hand(candidate: Candidate, xml: Path, layout: str = "NHWC", input_type: str = "u8") -> Path:
    return with_pre_post_processor(sample_network(), candidate, xml, own="NCHW", layout=layout, input_type=input_type)


def by_ours(name: str, out: Path, *options: str) -> Path:
    arguments = ["convert", "--source", str(sample_network()), "--name", name, "-o", str(out), "-q"]
    assert main([*arguments, "--geometry", GEOMETRY, "--precisions", "FP32", *options]) == 0
    return out / "public" / name / "FP32" / f"{name}.xml"


def diagnosed(model: Path | str, images: Path, capsys: Capture, *options: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main(["diagnose", str(model), "--images", str(images), "--format", "json", "-q", *options])
    return code, json.loads(capsys.readouterr().out)


def names_of(found: dict[str, Any]) -> tuple[str, str]:
    return found["normalisation"], found["channel_order"]


def onnx_answers(x: np.ndarray) -> np.ndarray:
    """The source network's probabilities of float32 (N, 3, 128, 128), by onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(sample_network(), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"input": x})
    exponentials = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    answer: np.ndarray = exponentials / exponentials.sum(1, keepdims=True)
    return answer


OURS = {
    "as documented": (),
    "u8 NHWC": ("--input-type", "u8", "--layout", "NHWC"),
    "RGB": ("--color-format", "rgb"),
    "batch 8": ("--batch", "8"),
    "any batch": ("--batch", "-1"),
    "crop and resize in the graph": ("--bake-geometry",),
}


@pytest.mark.parametrize("form", OURS)
def test_an_ir_of_ours_gives_the_answers_of_the_source_network(form: str, tmp_path: Path) -> None:
    """Whatever is baked, and in whatever form: a candidate's answers are those of the network fed with its values."""
    xml = by_ours("wrong", tmp_path, "--preset", "torchvision", "--no-reverse-input-channels", *OURS[form])
    check_answers(xml, named("torchvision", "BGR").channel_order)


@pytest.mark.parametrize(("layout", "input_type"), FORMS)
def test_an_ir_by_hand_gives_the_answers_of_the_source_network(layout: str, input_type: str, tmp_path: Path) -> None:
    baked = named("torchvision", "RGB")
    xml = with_pre_post_processor(
        sample_network(), baked, tmp_path / "x.xml", own="NCHW", layout=layout, input_type=input_type, fp16=False
    )
    check_answers(xml, "RGB")


def check_answers(xml: Path, order: str) -> None:
    pytest.importorskip("onnxruntime")
    frames = network_images(frame for frame, _ in held_out(3, 6))
    network = network_of_ir(open_ir(xml), None)
    reading = next(one for one in (network, *network.other_readings) if one.baked and one.baked.name != "caffe")
    assert reading.baked is not None and reading.baked.channel_order == order
    for candidate in (RIGHT, named("caffe", "BGR"), named("0..1", "RGB")):
        expected = onnx_answers(normalised(frames, candidate))
        assert np.abs(reading.answers(candidate.apply(frames)) - expected).max() < 1e-3, candidate


@pytest.mark.parametrize(("layout", "input_type"), FORMS)
def test_what_is_baked_by_hand_is_named(layout: str, input_type: str, tmp_path: Path) -> None:
    """In layout NCHW, OpenVINO moves the scale into the weights: several normalisations have this mean."""
    for candidate in (named("torchvision", "RGB"), named("tensorflow", "BGR")):
        network = network_of_ir(open_ir(by_hand(candidate, tmp_path / "x.xml", layout, input_type)))
        found = [(one.baked.name, one.baked.channel_order) for one in (network, *network.other_readings) if one.baked]
        assert (candidate.name, candidate.channel_order) in found
        assert len({order for _, order in found}) == 1
        assert layout == "NCHW" or len(found) == 1


@pytest.mark.parametrize(
    ("name", "order", "layout", "input_type"),
    [("torchvision", "BGR", "NHWC", "u8"), ("half", "RGB", "NCHW", "f32"), ("0..255", "BGR", "NCHW", "f32")],
)
def test_a_wrong_bake_by_hand(
    name: str, order: str, layout: str, input_type: str, drawings: Path, tmp_path: Path, capsys: Capture
) -> None:
    xml = by_hand(named(name, order), tmp_path / "mine.xml", layout, input_type)
    code, found = diagnosed(xml, drawings, capsys, "--geometry", GEOMETRY)
    assert code == 3 and found["is_wrong"]
    assert names_of(found["best"]) == ("tensorflow", "RGB")
    assert names_of(found["baked"]) == (name, order)
    assert found["command"] == ("ov-mobilenet convert --source NETWORK --name mine --preset tensorflow")


@pytest.mark.parametrize(("layout", "input_type"), [("NHWC", "u8"), ("NCHW", "f32")])
def test_the_right_bake_by_hand(layout: str, input_type: str, drawings: Path, tmp_path: Path, capsys: Capture) -> None:
    xml = by_hand(RIGHT, tmp_path / "mine.xml", layout, input_type)
    code, found = diagnosed(xml, drawings, capsys, "--geometry", GEOMETRY)
    assert code == 0 and not found["is_wrong"] and found["command"] is None
    assert names_of(found["best"]) == names_of(found["baked"]) == ("tensorflow", "RGB")


def test_the_command_makes_an_ir_that_is_right(
    drawings: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    xml = by_ours("mine", tmp_path / "wrong", "--mean-values", "0", "--scale-values", "255", "--reverse-input-channels")
    code, found = diagnosed(xml, drawings, capsys)
    assert code == 3 and names_of(found["baked"]) == ("0..1", "RGB")
    program, *arguments = shlex.split(found["command"])
    assert program == "ov-mobilenet"
    shutil.copy(sample_network(), tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main([*arguments, "-q"]) == 0
    code, found = diagnosed(tmp_path / "public" / "mine" / "FP16" / "mine.xml", drawings, capsys)
    assert code == 0 and names_of(found["baked"]) == ("tensorflow", "RGB")


def test_a_zoo_model(drawings: Path, tmp_path: Path, capsys: Capture) -> None:
    """By its description, the IR is converted into the cache; by its name, it is found there."""
    for model in (ovm.find_config(SAMPLE).path, SAMPLE):
        code, found = diagnosed(model, drawings, capsys, "--cache-dir", str(tmp_path), "--offline")
        assert code == 0
        assert names_of(found["best"]) == names_of(found["baked"]) == ("tensorflow", "RGB")


def test_a_graph_that_cannot_be_told(drawings: Path, tmp_path: Path, capsys: Capture) -> None:
    """An operation that is not linear: what is fed counts as baked, and the output says so."""
    model = ov.Core().read_model(by_hand(named("0..255", "BGR"), tmp_path / "x.xml", "NCHW", "f32"))
    (parameter,) = model.get_parameters()
    targets = parameter.output(0).get_target_inputs()
    bent = ops.add(parameter, ops.multiply(ops.tanh(parameter), np.float32(0.3)))
    for target in targets:
        target.replace_source_output(bent.output(0))
    ov.save_model(ov.Model(model.get_results(), [parameter], "bent"), tmp_path / "bent.xml")
    assert main(["diagnose", str(tmp_path / "bent.xml"), "--images", str(drawings), "--geometry", GEOMETRY]) == 3
    out, _ = capsys.readouterr()
    assert "not known, so 0..255 BGR: wrong" in out
    assert "--name bent --preset tensorflow" in out


def test_an_int8_ir_is_not_limited_to_the_values_it_was_calibrated_with(tmp_path: Path) -> None:
    """NNCF's quantisation of the input, calibrated with a wrong normalisation, clips 0..1 instead of -1..1."""
    pytest.importorskip("onnxruntime")
    frames = network_images(frame for frame, _ in held_out(3, 6))
    model = ov.Core().read_model(by_hand(named("0..1", "RGB"), tmp_path / "x.xml", "NHWC", "f32"))
    convolution = next(node for node in model.get_ordered_ops() if node.get_type_name() == "Convolution")
    limits = [np.full((1, 1, 1, 1), end, np.float32) for end in (0, 1, 0, 1)]
    limited = ops.fake_quantize(convolution.input_value(0), *limits, 256)
    convolution.input(0).replace_source_output(limited.output(0))
    model.validate_nodes_and_infer_types()
    model.set_rt_info("x", ["nncf", "quantization", "preset"])
    ov.save_model(model, tmp_path / "int8.xml")
    network = network_of_ir(open_ir(tmp_path / "int8.xml"))
    assert network.baked is not None and (network.baked.name, network.baked.channel_order) == ("0..1", "RGB")
    expected = onnx_answers(normalised(frames, RIGHT))
    assert np.abs(network.answers(RIGHT.apply(frames)) - expected).max() < 2e-2  # weights are float16


def noise(folder: Path) -> Path:
    folder.mkdir()
    for number, frame in enumerate(small.frames(12)):
        Image.fromarray(frame).save(folder / f"{number}.png")
    return folder


def errors_of(xml: Path, images: Path, capsys: Capture, *options: str) -> str:
    capsys.readouterr()
    assert main(["diagnose", str(xml), "--images", str(images), *options]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err
    return err


def save(outputs: Iterable[Any], parameter: Any, xml: Path) -> Path:
    ov.save_model(ov.Model([ops.result(one) for one in outputs], [parameter], "small"), xml)
    return xml


def convolved(shape: list[int]) -> tuple[Any, Any]:
    parameter = ops.parameter(ov.PartialShape(shape), ov.Type.f32)
    weights = ops.constant(small.weights()["conv"])
    weights.set_friendly_name("weights")
    values = ops.relu(ops.convolution(parameter, weights, [2, 2], [1, 1], [1, 1], [1, 1]))
    return parameter, ops.reduce_mean(values, np.array([2, 3]), False)


def test_networks_without_evidence(tmp_path: Path, capsys: Capture) -> None:
    images = noise(tmp_path / "images")
    parameter, pooled = convolved([1, 3, 32, 32])
    message = errors_of(save([pooled], parameter, tmp_path / "features.xml"), images, capsys)
    assert "nothing in the network tells its normalisation" in message and "features" in message
    parameter, pooled = convolved([1, 3, 32, 32])
    scores = ops.softmax(ops.matmul(pooled, ops.constant(small.weights()["dense"]), False, True), 1)
    message = errors_of(save([scores, pooled], parameter, tmp_path / "two.xml"), images, capsys)
    assert "several outputs" in message and "2 outputs" in message


def test_an_ir_that_takes_bytes_only(tmp_path: Path, capsys: Capture) -> None:
    """Neither can its input part be told, nor does the graph take other values than bytes."""
    parameter = ops.parameter(ov.PartialShape([1, 3, 32, 32]), ov.Type.u8)
    values = ops.convert(ops.bitwise_and(parameter, ops.constant(np.array(128, np.uint8))), "f32")
    flow = ops.convolution(values, ops.constant(small.weights()["conv"]), [2, 2], [1, 1], [1, 1], [1, 1])
    pooled = ops.reduce_mean(ops.relu(flow), np.array([2, 3]), False)
    scores = ops.softmax(ops.matmul(pooled, ops.constant(small.weights()["dense"]), False, True), 1)
    xml = save([scores], parameter, tmp_path / "bytes.xml")
    assert main(["diagnose", str(xml), "--images", str(noise(tmp_path / "images"))]) == 1
    assert "cannot be run with values other than its own pixels" in capsys.readouterr().err


def test_an_input_of_any_size_needs_a_geometry(tmp_path: Path, capsys: Capture) -> None:
    images = noise(tmp_path / "images")
    parameter, pooled = convolved([1, 3, -1, -1])
    scores = ops.softmax(ops.matmul(pooled, ops.constant(small.weights()["dense"]), False, True), 1)
    xml = save([scores], parameter, tmp_path / "any.xml")
    assert "--geometry 'resize 224'" in errors_of(xml, images, capsys)
    code, found = diagnosed(xml, images, capsys, "--geometry", "resize 32")
    assert code in (0, 3) and found["images"] == 12
    assert "does not match" in errors_of(fixed(tmp_path), images, capsys, "--geometry", "resize 16")


def fixed(folder: Path) -> Path:
    parameter, pooled = convolved([1, 3, 32, 32])
    scores = ops.softmax(ops.matmul(pooled, ops.constant(small.weights()["dense"]), False, True), 1)
    return save([scores], parameter, folder / "fixed.xml")


def test_independent_labels(tmp_path: Path, capsys: Capture) -> None:
    """Sigmoids are evidence too."""
    parameter, pooled = convolved([-1, 3, 32, 32])
    scores = ops.sigmoid(ops.matmul(pooled, ops.constant(small.weights()["dense"]), False, True))
    xml = save([scores], parameter, tmp_path / "labels.xml")
    code, found = diagnosed(xml, noise(tmp_path / "images"), capsys)
    assert code in (0, 3) and found["evidence"] == "mutual_information"
    assert names_of(found["baked"]) == ("0..255", "BGR")
