"""Networks given as bare files: the normalisation comes from evidence in the file, or the network is refused."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_networks as small
from signs import held_out, network_images

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main

Capture = pytest.CaptureFixture[str]
EXPORTS = Path(__file__).resolve().parents[1] / "data" / "signs"
UNKNOWN = "the normalisation of the network is not known"


def convert(path: Path, out: Path, *more: str) -> int:
    return main(["convert", "--source", str(path), "--name", "x", "-o", str(out), "--precisions", "FP32", *more])


def answers(out: Path, frames: np.ndarray) -> np.ndarray:
    xml = out / "public" / "x" / "FP32" / "x.xml"
    return ovm.load_classifier(xml, device="CPU", inference_precision="f32").probabilities(frames)


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    result: np.ndarray = exponentials / exponentials.sum(1, keepdims=True)
    return result


# --- naming schemes


def test_a_guess_that_changes_answers_is_printed_with_q_too(tmp_path: Path, capsys: Capture) -> None:
    """What the guesses are worth is tested in `test_fine_tuned.py`, against torch."""
    torch = pytest.importorskip("torch")
    from ov_mobilenet.conversion.architectures.mobilenet_v2 import MobileNetV2

    state = MobileNetV2(classes=5, width=0.35).state_dict()
    torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, tmp_path / "a.pth")
    assert convert(tmp_path / "a.pth", tmp_path / "out", "--input-shape", "1,3,64,64", "-q", "--dry-run") == 0
    err = capsys.readouterr().err
    evidence = "key names of torchvision and architecture mobilenet_v2"
    assert f"guess: normalisation: torchvision, {evidence} (--preset" in err
    assert f"guess: geometry: resize 73 greater pillow, crop 64, {evidence} (--geometry)" in err
    assert "guess: architecture" not in err


@pytest.mark.parametrize(
    ("rename", "known"),
    [
        (lambda key: key, True),
        (lambda key: key.replace("classifier.", "head."), True),  # only the head is the user's own
        (lambda key: key.replace("features.", "layers."), False),
    ],
)
def test_the_keys_of_the_blocks_are_the_evidence(
    rename: Callable[[str], str], known: bool, tmp_path: Path, capsys: Capture
) -> None:
    torch = pytest.importorskip("torch")
    from ov_mobilenet.conversion.architectures.mobilenet_v3 import MobileNetV3

    state = MobileNetV3("mobilenet_v3_small", classes=5, width=0.5).state_dict()
    torch.save({rename(key): value for key, value in state.items()}, tmp_path / "a.pth")
    assert convert(tmp_path / "a.pth", tmp_path / "out", "--dry-run") == (0 if known else 2)
    out, err = capsys.readouterr()
    if known:
        assert "--mean_values=[123.675,116.28,103.53]" in out
        assert "size: 256" in out, "the geometry of the preset"
    else:
        assert "only by shape and order" in err or UNKNOWN in err


@pytest.mark.parametrize("suffix", [".pb", ".tflite"])
def test_tensor_names_of_slim_imply_its_normalisation(suffix: str, tmp_path: Path, capsys: Capture) -> None:
    """The sample network has slim's names; its truth is -1..1, and what it answers on drawings proves it."""
    shutil.copy(EXPORTS / f"road-signs{suffix}", tmp_path / f"a{suffix}")
    assert convert(tmp_path / f"a{suffix}", tmp_path / "out") == 0
    evidence = "tensor names of TensorFlow's slim networks and architecture mobilenet_v1"
    err = capsys.readouterr().err
    assert f"normalisation: tensorflow, {evidence}" in err
    assert f"geometry: crop 0.875, resize 128, {evidence}" in err
    drawings = list(held_out(5, 48))
    frames = np.ascontiguousarray(network_images([frame for frame, _ in drawings]))
    truth = [index for _, index in drawings]
    assert (answers(tmp_path / "out", frames).argmax(1) == truth).mean() > 0.95
    # With other names the file is refused, and nothing is written.
    content = (tmp_path / f"a{suffix}").read_bytes().replace(b"MobilenetV1", b"MobilenetX1")
    (tmp_path / f"b{suffix}").write_bytes(content)
    assert convert(tmp_path / f"b{suffix}", tmp_path / "other", "-q") == 2
    assert UNKNOWN in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small MobileNet V2 in ONNX, exported by torch with its names."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from ov_mobilenet.conversion.architectures.mobilenet_v2 import MobileNetV2

    path = tmp_path_factory.mktemp("onnx") / "v2.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(MobileNetV2(5, 0.35).eval(), torch.zeros(1, 3, 64, 64), path, dynamo=False)
    return path


def renamed(source: Path, target: Path, word: str, replacement: str) -> Path:
    """A copy of an ONNX file with other names of nodes and tensors."""
    import onnx

    model = onnx.load(source)
    for node in model.graph.node:
        node.name = node.name.replace(word, replacement)
        node.input[:] = [name.replace(word, replacement) for name in node.input]
        node.output[:] = [name.replace(word, replacement) for name in node.output]
    for tensor in model.graph.initializer:
        tensor.name = tensor.name.replace(word, replacement)
    onnx.save(model, target)
    return target


def test_an_onnx_export_keeps_the_names_of_torchvision_or_is_refused(
    exported: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert convert(exported, tmp_path / "out", "--dry-run") == 0
    out, err = capsys.readouterr()
    assert "normalisation: torchvision, tensor names of torchvision and architecture mobilenet_v2" in err
    assert "--scale_values=[58.395,57.12,57.375]" in out
    other = renamed(exported, tmp_path / "b.onnx", "features", "layers")
    assert convert(other, tmp_path / "out", "--dry-run") == 2
    assert UNKNOWN in capsys.readouterr().err
    zoo = renamed(other, tmp_path / "c.onnx", "layers", "mobilenetv20_features_")
    assert convert(zoo, tmp_path / "out", "--dry-run") == 0
    assert "torchvision, tensor names of the ONNX model zoo and architecture" in capsys.readouterr().err


def test_names_without_the_architecture_are_no_evidence(tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("onnx")
    network = small.write_onnx(tmp_path / "net").with_name("small.onnx")
    other = renamed(network, tmp_path / "b.onnx", "filtered", "mobilenetv20_features_conv0")
    assert convert(other, tmp_path / "out") == 2
    assert UNKNOWN in capsys.readouterr().err


@pytest.mark.parametrize(
    ("preset", "shape", "geometry"),
    [
        ("torchvision", "1,3,32,32", "resize 37 greater pillow, crop 32"),
        ("torchvision", "1,3,224,224", "resize 256 greater pillow, crop 224"),
        ("torchvision", "1,3,224,192", "resize 256x219 greater pillow, crop 224x192"),
        ("tensorflow", "1,3,160,192", "crop 0.875, resize 160x192"),
        ("keras-v3", "1,3,224,224", "resize 256, crop 224"),
    ],
)
def test_a_preset_sets_the_geometry(preset: str, shape: str, geometry: str, tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("onnx")
    network = small.write_onnx(
        tmp_path / "net",
    ).with_name("small.onnx")
    more = ["--preset", preset, "--input-shape", shape]
    assert convert(network, tmp_path / "out", *more) == 0
    assert "geometry" not in capsys.readouterr().err, "the preset says it"
    classifier = ovm.load_classifier(tmp_path / "out" / "public" / "x" / "FP32" / "x.xml", device="CPU")
    assert str(classifier.geometry) == geometry
    side = shape.split(",", 2)[2].replace(",", "x")
    assert convert(network, tmp_path / "own", *more, "--geometry", f"resize {side}", "--dry-run") == 0
    assert "type: crop" not in capsys.readouterr().out


def test_a_float_network_without_evidence_is_refused_until_it_is_decided(tmp_path: Path, capsys: Capture) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    network = small.write_onnx(tmp_path / "net").with_name("small.onnx")
    for more in ([], ["-q"], ["--reverse-input-channels"], ["--no-reverse-input-channels"]):
        assert convert(network, tmp_path / "out", *more) == 2
        err = capsys.readouterr().err
        assert UNKNOWN in err
        for choice in ("--preset keras-v3, tensorflow, torchvision", "--mean-values", "--assume none"):
            assert choice in err
    assert not (tmp_path / "out").exists()
    assert convert(network, tmp_path / "out", "--assume", "none") == 0
    frames = small.frames()
    pixels = np.ascontiguousarray(frames[..., ::-1].transpose(0, 3, 1, 2)).astype(np.float32)
    expected = softmax(onnxruntime.InferenceSession(network).run(None, {"data": pixels})[0])
    assert np.abs(answers(tmp_path / "out", frames) - expected).max() < 3e-5
    for more in (["--preset", "tensorflow"], ["--scale-values", "255"], ["mobilenet-v2-pytorch"]):
        assert convert(network, tmp_path / "other", "--assume", "none", *more) == 2
        assert "the normalisation is given twice" in capsys.readouterr().err


# --- a normalisation inside the graph


Steps = list[tuple[str, object]]


def with_steps(folder: Path, steps: Steps, network: Path | None = None) -> Path:
    """The small network, or another one, with operations on its input: (type, constant or attributes)."""
    onnx = pytest.importorskip("onnx")
    source = network or small.write_onnx(folder).with_name("small.onnx")
    folder.mkdir(exist_ok=True)
    model = onnx.load(source)
    graph = model.graph
    first = graph.input[0].name
    for node in graph.node:
        node.input[:] = ["ready" if name == first else name for name in node.input]
    name, made = first, []
    for number, (kind, value) in enumerate(steps):
        target = "ready" if number == len(steps) - 1 else f"step{number}"
        inputs: list[str] = [name]
        attributes: dict[str, Any] = {}
        if isinstance(value, dict):
            attributes = value
        else:
            for place, constant in enumerate(value if isinstance(value, tuple) else (value,)):
                array = np.array(constant, np.float32)
                shape = (1, 3, 1, 1) if array.size == 3 and kind != "BatchNormalization" else array.shape
                tensor = onnx.numpy_helper.from_array(array.reshape(shape), f"constant{number}_{place}")
                graph.initializer.append(tensor)
                inputs.append(tensor.name)
        made.append(onnx.helper.make_node(kind, inputs, [target], **attributes))
        name = target
    for place, node in enumerate(made):
        graph.node.insert(place, node)
    path = folder / "steps.onnx"
    onnx.save(model, path)
    return path


MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
INSIDE: dict[str, tuple[Steps, str]] = {
    "div-sub": ([("Div", 127.5), ("Sub", 1.0)], "x/127.5 - 1"),
    "sub-div": ([("Sub", list(small.MEAN)), ("Div", list(small.SCALE))], "(x - [123.675, 116.28, 103.53])"),
    "mul-add": ([("Mul", 1 / 127.5), ("Add", -1.0)], "x/127.5 - 1"),
    "only a factor": ([("Mul", 1 / 255)], "x/255"),
    "two steps": ([("Div", 255.0), ("Sub", MEAN), ("Div", STD)], "(x - [123.675, 116.28, 103.53])"),
    "batch norm": (
        [("BatchNormalization", ([1.0] * 3, [0.0] * 3, [120.0] * 3, [3600.0] * 3))], "x/60 - 2",
    ),
    "operations between": (
        [("Transpose", {"perm": [0, 2, 3, 1]}), ("Cast", {"to": 1}), ("Div", 127.5),
         ("Transpose", {"perm": [0, 3, 1, 2]}), ("Sub", 1.0)],
        "x/127.5 - 1",
    ),
    "limits": ([("Identity", {}), ("Clip", (0.0, 255.0)), ("Div", 127.5), ("Sub", 1.0)], "x/127.5 - 1"),
}  # fmt: skip


@pytest.mark.parametrize("kind", INSIDE)
def test_a_normalisation_inside_the_graph_is_found(kind: str, tmp_path: Path, capsys: Capture) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    steps, words = INSIDE[kind]
    network = with_steps(tmp_path / "net", steps)
    assert convert(network, tmp_path / "out") == 0
    err = capsys.readouterr().err
    assert f"normalisation: none, the network takes 0..255: inside the graph: {words}" in err
    frames = small.frames()
    pixels = np.ascontiguousarray(frames[..., ::-1].transpose(0, 3, 1, 2)).astype(np.float32)
    expected = softmax(onnxruntime.InferenceSession(network).run(None, {"data": pixels})[0])
    assert np.abs(answers(tmp_path / "out", frames) - expected).max() < 3e-5
    for outer in (
        ["--preset", "torchvision"],
        ["--preset", "tensorflow"],
        ["--scale-values", "255"],
        ["--mean-values", "127.5", "--scale-values", "127.5"],
    ):
        assert convert(network, tmp_path / "other", *outer) == 2
        err = capsys.readouterr().err
        assert "the network already normalises its input" in err
        assert words in err
    assert not (tmp_path / "other").exists()


def test_a_part_of_a_normalisation_is_refused_until_it_is_completed(tmp_path: Path, capsys: Capture) -> None:
    """Mean and deviation for 0..1 are inside, so the division by 255 is missing."""
    onnxruntime = pytest.importorskip("onnxruntime")
    network = with_steps(tmp_path / "net", [("Sub", MEAN), ("Div", STD)])
    assert convert(network, tmp_path / "out") == 2
    assert "the normalisation does not look complete" in capsys.readouterr().err
    assert convert(network, tmp_path / "out", "--scale-values", "255") == 0
    frames = small.frames()
    pixels = np.ascontiguousarray(frames[..., ::-1].transpose(0, 3, 1, 2)).astype(np.float32) / np.float32(255)
    expected = softmax(onnxruntime.InferenceSession(network).run(None, {"data": pixels})[0])
    assert np.abs(answers(tmp_path / "out", frames) - expected).max() < 3e-5


def test_the_scheme_of_a_library_tells_that_a_normalisation_is_a_part(
    exported: Path, tmp_path: Path, capsys: Capture
) -> None:
    network = with_steps(tmp_path / "net", [("Div", 255.0)], exported)
    assert convert(network, tmp_path / "out", "--dry-run") == 2
    err = capsys.readouterr().err
    assert "the normalisation does not look complete" in err
    assert "got x/255" in err
    assert convert(network, tmp_path / "out", "--dry-run", "--assume", "none") == 0
    whole = with_steps(tmp_path / "whole", [("Sub", list(small.MEAN)), ("Div", list(small.SCALE))], exported)
    assert convert(whole, tmp_path / "out", "--dry-run") == 0


def test_names_are_no_evidence_if_the_pixels_are_changed_in_an_unknown_way(
    exported: Path, tmp_path: Path, capsys: Capture
) -> None:
    """Names tell what the first convolution takes; a whole normalisation may follow the operation on the pixels."""
    network = with_steps(tmp_path / "net", [("Abs", {}), ("Div", 127.5), ("Sub", 1.0)], exported)
    assert convert(network, tmp_path / "out", "-q") == 2
    err = capsys.readouterr().err
    assert "the normalisation of the network is not known" in err
    assert "got the operation Abs on the pixels" in err
    assert "or --assume none" in err
    assert convert(network, tmp_path / "out", "--dry-run", "--assume", "none") == 0


def test_a_description_that_normalises_twice_is_converted_with_a_warning(tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "net"
    once = small.write_onnx(folder)
    arguments = ["-o", str(tmp_path / "out"), "-d", str(tmp_path / "out")]
    assert main(["convert", str(once), *arguments]) == 0
    assert "on top of a normalisation" not in capsys.readouterr().err
    network = with_steps(folder, [("Div", 127.5), ("Sub", 1.0)])
    twice = small.describe(network)
    assert main(["convert", str(twice), *arguments]) == 0
    err = capsys.readouterr().err
    assert "mean and scale from model.yml come on top of a normalisation inside the graph (x/127.5 - 1)" in err


def test_arithmetic_after_the_first_layer_is_no_normalisation_of_the_input(tmp_path: Path) -> None:
    """A second branch from the input, or constants that are no numbers per channel, are not taken for one."""
    import openvino as ov
    import openvino.opset13 as ops

    from ov_mobilenet.conversion.inner_normalisation import find_inner_normalisation

    def graph(build: Callable[[Any], Any]) -> ov.Model:
        pixels = ops.parameter([1, 3, 4, 4], np.float32)
        return ov.Model([build(pixels)], [pixels], "m")

    number = ops.constant(np.float32(127.5))
    assert not find_inner_normalisation(graph(lambda x: ops.divide(ops.relu(x), number)))
    assert not find_inner_normalisation(graph(lambda x: ops.divide(number, x)))
    assert not find_inner_normalisation(graph(lambda x: ops.add(ops.divide(x, number), x)))
    assert not find_inner_normalisation(
        graph(lambda x: ops.multiply(x, ops.constant(np.full((1, 3, 4, 4), 2, np.float32))))
    )
    assert not find_inner_normalisation(graph(lambda x: ops.multiply(x, ops.constant(np.float32(0)))))
    flipped = find_inner_normalisation(graph(lambda x: ops.subtract(ops.constant(np.float32(1)), x)))
    assert flipped.values_of(ovm.Normalisation(scale=(255.0,))) == (0.0, 1.0)
