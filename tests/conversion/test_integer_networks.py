"""Networks with integer inputs, weights or outputs: edited ONNX networks and TFLite networks quantised here."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import small_networks as small

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main

Capture = pytest.CaptureFixture[str]
EXPORTS = Path(__file__).resolve().parents[1] / "data" / "signs"


def convert(path: Path, out: Path, *more: str) -> int:
    return main(["convert", "--source", str(path), "--name", "mine", "-o", str(out), "--precisions", "FP32", *more])


def answers(out: Path, frames: np.ndarray) -> np.ndarray:
    xml = out / "public" / "mine" / "FP32" / "mine.xml"
    classifier = ovm.load_classifier(xml, device="CPU", inference_precision="f32")
    return classifier.probabilities(np.ascontiguousarray(frames))


def edited(folder: Path, change: Callable[..., object], **options: Any) -> Path:
    onnx = pytest.importorskip("onnx")
    network = small.write_onnx(folder, **options).with_name("small.onnx")
    model = onnx.load(network)
    change(onnx, model.graph)
    onnx.save(model, network)
    return network


def use_uint8_input(onnx: Any, graph: Any) -> None:
    """Give the network a uint8 input, and (x - 128) / 64 inside."""
    graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    graph.initializer.append(onnx.numpy_helper.from_array(np.float32(128), "mean"))
    graph.initializer.append(onnx.numpy_helper.from_array(np.float32(64), "scale"))
    make = onnx.helper.make_node
    for node in graph.node:
        node.input[:] = ["ready" if name == "data" else name for name in node.input]
    graph.node.insert(0, make("Cast", ["data"], ["floats"], to=onnx.TensorProto.FLOAT))
    graph.node.insert(1, make("Sub", ["floats", "mean"], ["centred"]))
    graph.node.insert(2, make("Div", ["centred", "scale"], ["ready"]))


@pytest.mark.parametrize("form", [[], ["--input-type", "u8", "--layout", "NHWC"]])
def test_an_onnx_network_with_uint8_input(form: list[str], tmp_path: Path, capsys: Capture) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    network = edited(tmp_path / "net", use_uint8_input)
    assert convert(network, tmp_path / "out", "--verify", *form) == 0
    err = capsys.readouterr().err
    assert "normalisation: none, the network takes 0..255: 0..255 are the integers 0..255" in err
    assert "verified mine FP32" in err
    frames = small.frames()
    session = onnxruntime.InferenceSession(network)
    logits = session.run(None, {"data": np.ascontiguousarray(frames[..., ::-1].transpose(0, 3, 1, 2))})[0]
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    expected = exponentials / exponentials.sum(1, keepdims=True)
    assert np.abs(answers(tmp_path / "out", frames) - expected).max() < 3e-5


def test_mean_and_scale_for_a_uint8_input_are_refused(tmp_path: Path, capsys: Capture) -> None:
    network = edited(tmp_path / "net", use_uint8_input)
    assert convert(network, tmp_path / "out", "--preset", "tensorflow") == 1
    assert (
        "takes uint8 pixels without normalisation: expected no mean_values and no scale_values"
        in capsys.readouterr().err
    )
    assert main(["convert", str(network.with_name("model.yml")), "-o", str(tmp_path / "out"), "-d", str(tmp_path)]) != 0
    assert not (tmp_path / "out").exists()


def use_int64_input(onnx: Any, graph: Any) -> None:
    use_uint8_input(onnx, graph)
    graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT64


def end_in_argmax(onnx: Any, graph: Any) -> None:
    graph.node.append(onnx.helper.make_node("ArgMax", ["scores"], ["best"], axis=1))
    graph.output[0].name = "best"
    graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64


def end_in_softmax_of_one(onnx: Any, graph: Any) -> None:
    graph.node.append(onnx.helper.make_node("Softmax", ["scores"], ["one"], axis=1))
    graph.output[0].name = "one"


def end_in_float_argmax(onnx: Any, graph: Any) -> None:
    end_in_argmax(onnx, graph)
    graph.node.append(onnx.helper.make_node("Cast", ["best"], ["float_best"], to=onnx.TensorProto.FLOAT))
    graph.output[0].name = "float_best"
    graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT


def end_in_integers(onnx: Any, graph: Any) -> None:
    graph.node.append(onnx.helper.make_node("Cast", ["scores"], ["whole"], to=onnx.TensorProto.INT32))
    graph.output[0].name = "whole"
    graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT32


@pytest.mark.parametrize(
    ("change", "classes", "message"),
    [
        (end_in_softmax_of_one, 1, "at least 2 values per image, got a softmax over 1"),
        (end_in_argmax, 5, "ends in the index of the best class (TopK)"),
        (end_in_float_argmax, 5, "ends in the index of the best class (TopK)"),
        (end_in_integers, 5, "the output holds integers: expected a float score per class, got i32"),
        (use_int64_input, 5, "unsupported integer type: expected float or uint8, got i64"),
    ],
)
def test_an_output_without_class_scores_is_refused(
    change: Callable[..., object], classes: int, message: str, tmp_path: Path, capsys: Capture
) -> None:
    network = edited(tmp_path / "net", change, classes=classes)
    assert convert(network, tmp_path / "out") == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    yml = small.describe(network, output="")
    yml.write_text(yml.read_text().replace("  - --output=\n", ""))
    assert main(["convert", str(yml), "-o", str(tmp_path / "out"), "-d", str(tmp_path)]) == 1
    assert message in capsys.readouterr().err


@pytest.fixture(scope="module")
def signs() -> tuple[np.ndarray, np.ndarray]:
    """Drawings of road signs at the sample network's size, uint8 (N, 128, 128, 3) BGR, and their classes."""
    from signs import held_out, network_images

    drawings = list(held_out(5, 96))
    return network_images([frame for frame, _ in drawings]), np.array([index for _, index in drawings])


def quantise(kind: str, path: Path, images: np.ndarray, *, output: str | None = None) -> None:
    """Quantise the trained network of road signs with TensorFlow.

    Args:
        kind: type of input and output (int8, uint8 or float32), or dynamic for quantised weights only.
        images: for the calibration, normalised float32.
        output: logits, or None for probabilities.
    """
    tf = pytest.importorskip("tensorflow")
    graph = tf.compat.v1.GraphDef.FromString((EXPORTS / "road-signs.pb").read_bytes())
    source = next(node.name for node in graph.node if node.op == "Placeholder")
    softmax = next(node for node in graph.node if node.op == "Softmax")
    target = softmax.input[0] if output == "logits" else softmax.name
    converter = tf.compat.v1.lite.TFLiteConverter.from_frozen_graph(
        str(EXPORTS / "road-signs.pb"), [source], [target], {source: [1, 128, 128, 3]}
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind != "dynamic":
        converter.representative_dataset = lambda: ([image[None]] for image in images)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = getattr(tf, kind)
    path.write_bytes(converter.convert())


def lite_answers(path: Path, frames: np.ndarray) -> np.ndarray:
    """LiteRT's answers to input quantised as its documentation says: normalised value / step + zero point."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    answers = []
    for frame in frames:
        values = frame[None, :, :, ::-1].astype(np.float32) / 127.5 - 1
        step, zero = source["quantization"]
        if step:
            limits = np.iinfo(source["dtype"])
            values = np.clip(np.rint(values / step + zero), limits.min, limits.max)
        interpreter.set_tensor(source["index"], values.astype(source["dtype"]))
        interpreter.invoke()
        answer = interpreter.get_tensor(target["index"])[0].astype(np.float32)
        step, zero = target["quantization"]
        answers.append((answer - zero) * step if step else answer)
    return np.array(answers)


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["int8", "uint8", "float32", "dynamic"])
@pytest.mark.parametrize("light", [1.0, 0.8])
def test_a_quantised_network_is_as_accurate_as_in_litert(
    kind: str, light: float, signs: tuple[np.ndarray, np.ndarray], tmp_path: Path, capsys: Capture
) -> None:
    """`light`: factor on the calibration images; below 1 the quantised range of the input does not cover 0..255."""
    frames, truth = signs
    network = tmp_path / f"{kind}.tflite"
    quantise(kind, network, (frames[:48, :, :, ::-1] * np.float32(light)).astype(np.float32) / 127.5 - 1)
    # Verified on drawings: on noise two classes may be so close that rounding changes the best one.
    (tmp_path / "images").mkdir()
    for index, frame in enumerate(frames[::4]):
        cv2.imwrite(str(tmp_path / "images" / f"{index}.png"), frame)
    images = ["--verify-images", str(tmp_path / "images")]
    assert convert(network, tmp_path / "out", "--preset", "tensorflow", *images) == 0
    err = capsys.readouterr().err
    assert "quantised network" in err
    assert ("the quantisation of the input applies them" in err) == (kind in ("int8", "uint8") and light == 1.0)
    expected, answer = lite_answers(network, frames), answers(tmp_path / "out", frames)
    right = [int((values.argmax(1) == truth).sum()) for values in (expected, answer)]
    assert right[0] > 0.9 * len(truth)
    assert abs(right[0] - right[1]) <= 1
    assert (expected.argmax(1) == answer.argmax(1)).mean() > 0.97


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")
def test_an_int8_network_without_normalisation_options_takes_pixels(
    signs: tuple[np.ndarray, np.ndarray], tmp_path: Path, capsys: Capture
) -> None:
    frames, truth = signs
    network = tmp_path / "net.tflite"
    quantise("int8", network, frames[:48, :, :, ::-1].astype(np.float32) / 127.5 - 1, output="logits")
    assert convert(network, tmp_path / "out", "--verify") == 0
    assert re.search(r"normalisation: none, .* 0..255: 0..255 become -(1|0\.99\d*)\.\.", capsys.readouterr().err)
    assert (answers(tmp_path / "out", frames).argmax(1) == truth).mean() > 0.9
    assert convert(network, tmp_path / "out", "--preset", "torchvision") == 1
    assert "mean and scale contradict the quantisation" in capsys.readouterr().err
