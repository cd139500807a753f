"""What a network ends in: two classes from one output, independent classes, features; against numpy and torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
import small_networks as small
from nncf_for_tests import require_nncf

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.errors import ConfigError, IrError, UsageError

Capture = pytest.CaptureFixture[str]
DATA = Path(__file__).resolve().parents[1] / "data" / "output_kinds"
FRAMES = small.frames()
# One end of a network: its name in the small ONNX network and its number of classes there.
ENDS = {"probability": ("sigmoid", 1), "logit": ("logits", 1), "multilabel": ("sigmoid", 5), "features": ("pooled", 5)}


def sigmoid(x: np.ndarray) -> np.ndarray:
    answer: np.ndarray = 1 / (1 + np.exp(-x))
    return answer


def logits(classes: int) -> np.ndarray:
    return np.stack([small.by_hand(frame, softmax=False, classes=classes) for frame in FRAMES])


def binary() -> np.ndarray:
    p = sigmoid(logits(1))
    assert p.min() < 0.2 and p.max() > 0.8, "or the two classes could be exchanged unnoticed"
    return np.hstack([1 - p, p])


def features() -> np.ndarray:
    return np.stack([small.features_by_hand(frame) for frame in FRAMES])


EXPECTED: dict[str, Callable[[], np.ndarray]] = {
    "probability": binary,
    "logit": binary,
    "multilabel": lambda: sigmoid(logits(5)),
    "features": features,
    "map": features,
}


def network(suffix: str, end: str, folder: Path) -> Path:
    if suffix == ".tflite":
        return DATA / f"{end}.tflite"
    name, classes = ENDS.get(end, (end, 5))
    return small.write_onnx(folder / "net", end=name, classes=classes).with_name("small.onnx")


def convert(source: Path, out: Path, *more: str) -> tuple[int, Path]:
    numbers = [",".join(map(str, values)) for values in (small.MEAN, small.SCALE)]
    normalisation = ["--mean-values", numbers[0], "--scale-values", numbers[1], "--reverse-input-channels"]
    arguments = ["convert", "--source", str(source), "--name", "mine", "-o", str(out), "--precisions", "FP32"]
    code = main([*arguments, *normalisation, *more])
    return code, out / "public" / "mine" / "FP32" / "mine.xml"


def run(xml: Path) -> np.ndarray:
    """The IR's own output, without this package."""
    compiled = ov.Core().compile_model(ov.Core().read_model(xml), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    is_nchw = compiled.input(0).partial_shape[1] == 3
    frames = FRAMES.transpose(0, 3, 1, 2) if is_nchw else FRAMES
    return np.concatenate([compiled([frame[None].astype(np.float32)])[0] for frame in frames])


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
@pytest.mark.parametrize("end", EXPECTED)
def test_the_output_kind_is_found_and_verified(suffix: str, end: str, tmp_path: Path, capsys: Capture) -> None:
    code, xml = convert(network(suffix, end, tmp_path), tmp_path / "out", "--precisions", "FP32,FP16", "--verify")
    err = capsys.readouterr().err
    assert code == 0, err
    assert err.count("verified mine") == 2, "both precisions were compared with the source framework"
    answer, expected = run(xml), EXPECTED[end]()
    assert answer.shape == expected.shape
    assert np.abs(answer - expected).max() < 3e-5 * max(1, np.abs(expected).max())
    word = {"multilabel": "multilabel-probabilities", "map": "features"}.get(end, end)
    assert f"guess: output kind: {word}" in err
    if end == "logit":
        assert "A regression looks the same" in err
    if end == "map":
        assert "a map of 16x16 without a classifier, averaged to a vector of 8 values" in err
    described = ovm.load_config(xml.parents[1])
    assert described.details.output == word
    assert described.details.classes == {"multilabel": 5, "features": None, "map": None}.get(end, 2)


def test_a_quantised_binary_network_is_cut_before_its_output_is_rounded(tmp_path: Path, capsys: Capture) -> None:
    code, xml = convert(DATA / "probability-int8.tflite", tmp_path / "out", "--verify")
    assert code == 0, capsys.readouterr().err
    answer = run(xml)
    assert np.abs(answer - binary()).max() < 0.05
    assert np.abs(answer.sum(1) - 1).max() < 1e-6
    assert np.abs(answer * 256 - np.rint(answer * 256)).max() > 0.1, "not rounded to 1/256"


def test_a_declared_content_decides_what_the_graph_does_not_show(tmp_path: Path, capsys: Capture) -> None:
    source = small.write_onnx(tmp_path / "net").with_name("small.onnx")
    code, xml = convert(source, tmp_path / "a", "--output-kind", "multilabel-logits")
    assert code == 0
    assert np.abs(run(xml) - sigmoid(logits(5))).max() < 3e-5
    code, xml = convert(source, tmp_path / "b", "--output-kind", "features")
    assert code == 0
    assert np.abs(run(xml) - logits(5)).max() < 3e-4
    pooled = small.write_onnx(tmp_path / "pooled", end="pooled").with_name("small.onnx")
    code, xml = convert(pooled, tmp_path / "c", "--output-kind", "logits")
    assert code == 0
    exponentials = np.exp(features())
    assert np.abs(run(xml) - exponentials / exponentials.sum(1, keepdims=True)).max() < 3e-5
    assert "guess: output kind" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("end", "declared"),
    [
        ("probability", "logit"),
        ("logit", "probability"),
        ("probability", "multilabel-probabilities"),
        ("multilabel", "logits"),
        ("multilabel", "features"),
        ("map", "logits"),
    ],
)
def test_a_declared_content_that_contradicts_the_graph_is_refused(
    end: str, declared: str, tmp_path: Path, capsys: Capture
) -> None:
    assert convert(network(".onnx", end, tmp_path), tmp_path / "out", "--output-kind", declared)[0] == 2
    assert "--output-kind does not match the model's output" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def torch_network(classes: int, path: Path) -> Any:
    """A small MobileNet V1 whose weights are saved to the path."""
    torch = pytest.importorskip("torch")
    from ov_mobilenet.conversion.architectures import MobileNetSpec, build

    torch.manual_seed(5)
    module = build(MobileNetSpec(architecture="mobilenet_v1", width=0.25, classes=classes))
    small.spread_answers(module)
    torch.save(module.state_dict(), path)
    return module.eval()


def test_torch_weights_with_one_row_are_a_binary_classifier(tmp_path: Path, capsys: Capture) -> None:
    torch = pytest.importorskip("torch")
    module = torch_network(1, tmp_path / "one.pth")
    size = ["--input-shape", "1,3,64,64"]
    for declared in ("multilabel-logits", "features"):
        assert convert(tmp_path / "one.pth", tmp_path / "no", *size, "--output-kind", declared)[0] == 2
        assert "--output-kind does not match the model's output" in capsys.readouterr().err
    code, xml = convert(tmp_path / "one.pth", tmp_path / "out", *size, "--verify")
    err = capsys.readouterr().err
    assert code == 0, err
    assert "guess: output kind: logit" in err
    frames = small.frames(side=64)
    with torch.inference_mode():
        p = sigmoid(module(torch.from_numpy(small.normalised(frames))).numpy())
    answer = ovm.load_classifier(xml, device="CPU", inference_precision="f32").probabilities(frames)
    assert np.abs(answer - np.hstack([1 - p, p])).max() < 3e-5
    assert p.max() - p.min() > 0.2


def test_torch_weights_can_be_multi_label(tmp_path: Path, capsys: Capture) -> None:
    torch_network(5, tmp_path / "many.pth")
    more = ["--input-shape", "1,3,64,64", "--output-kind", "multilabel-logits"]
    code, xml = convert(tmp_path / "many.pth", tmp_path / "out", *more)
    assert code == 0, capsys.readouterr().err
    sums = ovm.load_classifier(xml, device="CPU").probabilities(small.frames(side=64)).sum(1)
    assert np.abs(sums - 1).max() > 0.1


def test_two_labels_for_a_binary_network(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "labels.txt").write_text("no person\nperson\n")
    source = network(".onnx", "probability", tmp_path)
    code, xml = convert(source, tmp_path / "out", "--labels", str(tmp_path / "labels.txt"))
    assert code == 0, capsys.readouterr().err
    best = ovm.load_classifier(xml, device="CPU").classify(FRAMES[int(binary()[:, 1].argmax())]).best
    assert (best.class_id, best.label) == (1, "person")
    assert (
        convert(network(".onnx", "features", tmp_path), tmp_path / "other", "--labels", str(tmp_path / "labels.txt"))[0]
        == 2
    )
    assert "a network without a classifier has no labels" in capsys.readouterr().err


def test_the_record_says_the_output_kind_and_old_versions_refuse_it(tmp_path: Path, capsys: Capture) -> None:
    facts = {}
    for end in ("probability", "multilabel", "features"):
        model = ov.Core().read_model(convert(network(".onnx", end, tmp_path / end), tmp_path / end / "out")[1])
        info = {key: value.astype(str) for key, value in model.rt_info["model_info"].items()}
        kind = ["ov_mobilenet", "output_kind"]
        recorded = model.get_rt_info(kind).astype(str) if model.has_rt_info(kind) else None
        facts[end] = recorded, model.get_rt_info(["ov_mobilenet", "format_version"]).astype(str), info
    assert facts["probability"] == (None, "1", {"model_type": "Classification", "resize_type": "standard"})
    # Model API computes sigmoid(output) > threshold, and the output is a sigmoid already: sigmoid(0.5) = 0.622459.
    info = {"confidence_threshold": "0.622459", "model_type": "Classification", "multilabel": "True"}
    assert facts["multilabel"] == ("multilabel", "2", {**info, "resize_type": "standard"})
    assert facts["features"] == ("features", "2", {"resize_type": "standard"})


def test_a_network_with_a_hidden_layer_after_the_pooling_is_a_classifier_only_without_its_activation(
    tmp_path: Path,
) -> None:
    """A hard swish, a bias or a batch norm after it, and an L2 norm are features; a linear layer is a classifier."""
    import openvino.opset13 as ops

    from ov_mobilenet.ir.output_content import output_facts

    vector = ops.parameter([1, 8], np.float32)
    dense = ops.add(ops.matmul(vector, np.ones((8, 4), np.float32), False, False), np.ones((1, 4), np.float32))
    swish = ops.multiply(dense, ops.clamp(ops.add(dense, np.float32(3)), 0, 6))
    cases: list[tuple[Any, str]] = [
        (dense, "logits"),
        (ops.divide(dense, np.float32(2)), "logits"),
        (ops.log_softmax(dense, 1), "logits"),
        (ops.relu(dense), "features"),
        (swish, "features"),
        (ops.multiply(swish, np.float32(2)), "features"),
        (ops.normalize_l2(dense, [1], 1e-6, "add"), "features"),
        (ops.divide(dense, ops.sqrt(ops.reduce_sum(ops.multiply(dense, dense), [1], True))), "features"),
        (ops.divide(ops.exp(dense), ops.reduce_sum(ops.exp(dense), [1], True)), "logits"),
    ]
    for node, content in cases:
        assert output_facts(node.output(0), None, "NCHW", tmp_path).content == content, node


def test_features_are_no_classifier(tmp_path: Path, capsys: Capture) -> None:
    code, xml = convert(network(".onnx", "features", tmp_path), tmp_path / "out")
    assert code == 0
    with pytest.raises(UsageError, match="the network has no classifier.*load_feature_extractor"):
        ovm.load_classifier(xml)
    extractor = ovm.load_feature_extractor(xml, device="CPU", inference_precision="f32")
    assert extractor.dimension == 8
    expected = features()
    assert np.abs(extractor.vectors(FRAMES) - expected).max() < 1e-4
    assert np.abs(np.array(extractor.extract(FRAMES[3]).features) - expected[3]).max() < 1e-4
    results = list(extractor.stream([*FRAMES[:2], tmp_path / "missing.png", *FRAMES[2:]]))
    failed = results.pop(2)
    assert isinstance(failed, ovm.Failure)
    vectors = [result.features for result in results if isinstance(result, ovm.Features)]
    assert np.abs(np.array(vectors) - expected).max() < 1e-4
    with pytest.raises(ovm.ImageError):
        extractor.extract(tmp_path / "missing.png")


def test_a_classifier_gives_no_features(known: Any) -> None:
    with pytest.raises(
        UsageError, match="the output kind does not match the model's output: expected features, got classes"
    ):
        ovm.load_feature_extractor(known.xml)


@pytest.mark.parametrize("end", ["features", "map", "probability", "multilabel"])
def test_an_ir_without_a_record(end: str, tmp_path: Path) -> None:
    """An IR as `ov.convert_model` writes it: the kind is found in the graph; there is no normalisation."""
    model = ov.convert_model(network(".onnx", end, tmp_path))
    model.reshape([1, 3, small.SIDE, small.SIDE])
    ov.save_model(model, tmp_path / "plain.xml", compress_to_fp16=False)
    normalisation = ovm.Normalisation(mean=small.MEAN, scale=small.SCALE, reverse_input_channels=True)
    expected = EXPECTED[end]()
    if end in ("features", "map"):
        with pytest.raises(UsageError, match="the network has no classifier"):
            ovm.load_classifier(tmp_path / "plain.xml", normalisation=normalisation)
        answer = ovm.load_feature_extractor(
            tmp_path / "plain.xml", normalisation=normalisation, device="CPU", inference_precision="f32"
        ).vectors(FRAMES)
    else:
        answer = ovm.load_classifier(
            tmp_path / "plain.xml", normalisation=normalisation, device="CPU", inference_precision="f32"
        ).probabilities(FRAMES)
    assert answer.shape == expected.shape
    assert np.abs(answer - expected).max() < 1e-4


def test_the_output_kind_of_an_ir_without_a_record_can_be_given(tmp_path: Path) -> None:
    def plain(end: str) -> Path:
        model = ov.convert_model(network(".onnx", end, tmp_path / end))
        model.reshape([1, 3, small.SIDE, small.SIDE])
        ov.save_model(model, tmp_path / f"{end}.xml", compress_to_fp16=False)
        return tmp_path / f"{end}.xml"

    exact: Any = {"device": "CPU", "inference_precision": "f32"}
    exact["normalisation"] = ovm.Normalisation(mean=small.MEAN, scale=small.SCALE, reverse_input_channels=True)
    exponentials = np.exp(features())
    pooled = ovm.load_classifier(plain("features"), output_kind="classes", **exact).probabilities(FRAMES)
    assert np.abs(pooled - exponentials / exponentials.sum(1, keepdims=True)).max() < 1e-4
    scores = plain("logits")
    many = ovm.load_classifier(scores, output_kind="multilabel", **exact).probabilities(FRAMES)
    assert np.abs(many - sigmoid(logits(5))).max() < 1e-4
    assert np.abs(ovm.load_feature_extractor(scores, **exact).vectors(FRAMES) - logits(5)).max() < 1e-3
    assert ovm.load_classifier(scores, output_kind="classes", **exact).output_kind == "classes"
    for end in ("multilabel", "map"):
        with pytest.raises(UsageError, match="the output kind does not match the model's output: expected classes"):
            ovm.load_classifier(plain(end), output_kind="classes", **exact)


@pytest.mark.parametrize("end", ["features", "multilabel"])
def test_what_needs_exclusive_classes_refuses_other_kinds(end: str, tmp_path: Path, known: Any) -> None:
    code, xml = convert(network(".onnx", end, tmp_path), tmp_path / "out")
    assert code == 0
    images = tmp_path / "images"
    for name, file in zip("ab", known.files, strict=False):
        (images / name).mkdir(parents=True)
        (images / name / "x.png").write_bytes(file.read_bytes())
    with pytest.raises(UsageError, match="exclusive classes only"):
        ovm.measure_accuracy(xml, images)
    with pytest.raises(UsageError, match="exclusive classes"):
        ovm.compare([str(xml), str(xml)], images)
    with pytest.raises(UsageError, match="exclusive classes"):
        ovm.compare([f"{xml.parents[1] / 'model.yml'}@source"] * 2, images)
    require_nncf()
    with pytest.raises(UsageError, match="only networks of exclusive classes can be quantised"):
        ovm.quantize(xml, known.files)


def test_an_unknown_output_kind_in_a_record_is_refused(tmp_path: Path) -> None:
    _, xml = convert(network(".onnx", "multilabel", tmp_path), tmp_path / "out")
    text = xml.read_text()
    assert 'output_kind value="multilabel"' in text
    text = text.replace('output_kind value="multilabel"', 'output_kind value="other"')
    xml.write_text(text.rpartition("<!-- ov-mobilenet")[0])  # without the digest of the files
    with pytest.raises(IrError, match="the IR's record is broken"):
        ovm.load_classifier(xml)


def test_an_unknown_output_in_a_description_is_refused(tmp_path: Path) -> None:
    yml = small.write_onnx(tmp_path / "net", extra="ov_mobilenet: {output: vectors}\n")
    with pytest.raises(ConfigError, match="output"):
        ovm.load_config(yml)
