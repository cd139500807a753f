"""`describe`, the Python counterpart of `convert --source`, and files that people have."""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_networks as small

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main

Capture = pytest.CaptureFixture[str]
pytest.importorskip("onnx")


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return small.write_onnx(tmp_path / "net").with_name("small.onnx")


def test_describe_and_convert_do_the_same_as_the_command(network: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("a\nb\nc\nd\ne\n")
    described = ovm.describe(
        network, name="x", mean=small.MEAN, scale=small.SCALE, reverse_input_channels=True,
        labels=tmp_path / "names.txt", geometry="resize 40, crop 32",
    )  # fmt: skip
    assert [guess.name for guess in described.guesses] == ["layout", "output kind"]
    folder = tmp_path / "python" / "public" / "x"
    models = ovm.convert(described, folder)
    arguments = [
        "convert", "--source", str(network), "--name", "x", "-o", str(tmp_path / "cli"),
        "--mean-values", ",".join(map(str, small.MEAN)), "--scale-values", ",".join(map(str, small.SCALE)),
        "--reverse-input-channels", "--labels", str(tmp_path / "names.txt"), "--geometry", "resize 40, crop 32",
    ]  # fmt: skip
    assert main(arguments) == 0
    files = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    other = tmp_path / "cli" / "public" / "x"
    assert files == {path.relative_to(other): path.read_bytes() for path in other.rglob("*") if path.is_file()}
    assert (folder / "model.yml").read_text() == described.model_yml

    classifier = ovm.load_classifier(models[0].xml, device="CPU", inference_precision="f32")
    frames = small.frames()
    expected = np.stack([small.by_hand(frame) for frame in frames])
    assert np.abs(classifier.probabilities(frames) - expected).max() < 4e-2  # FP16
    assert classifier.labels == ("a", "b", "c", "d", "e")
    # Saved alone, it is a description like any other.
    config = described.save(tmp_path / "saved" / "x")
    assert (config.name, config.details.classes) == ("x", small.CLASSES)
    assert ovm.convert(config.path, tmp_path / "again")[0].record.geometry == models[0].record.geometry


def test_describe_takes_the_output_kinds_of_the_command(network: Path, tmp_path: Path) -> None:
    described = ovm.describe(network, name="x", assume="none", output_kind="multilabel-logits")
    assert "output: multilabel-logits" in described.model_yml
    assert "output kind" not in [guess.name for guess in described.guesses]
    xml = ovm.convert(described, tmp_path / "x", precisions=("FP32",))[0].xml
    probabilities = ovm.load_classifier(xml, device="CPU", inference_precision="f32").probabilities(small.frames())
    assert np.abs(probabilities.sum(axis=1) - 1).max() > 0.1, "sigmoids, which do not sum to 1"
    with pytest.raises(ovm.UsageError, match="does not match the model's output: expected probability, got logits"):
        ovm.describe(network, name="x", assume="none", output_kind="probability")


@pytest.mark.parametrize("kind", ["logits", "multilabel-logits", "features"])
def test_a_declared_output_kind_does_the_same_as_in_the_command(kind: Any, network: Path, tmp_path: Path) -> None:
    described = ovm.describe(network, name="x", preset="tensorflow", output_kind=kind)
    (ir,) = ovm.convert(described, tmp_path / "python", precisions=["FP32"])
    arguments = ["--name", "x", "--preset", "tensorflow", "--precisions", "FP32", "-o", str(tmp_path)]
    assert main(["convert", "--source", str(network), "--output-kind", kind, *arguments]) == 0
    other = tmp_path / "public" / "x"
    assert ir.xml.read_bytes() == (other / "FP32" / "x.xml").read_bytes()
    assert described.model_yml == (other / "model.yml").read_text()
    again = ovm.convert(other / "model.yml", tmp_path / "again", precisions=["FP32"])[0]
    assert (again.xml.read_bytes(), again.record.output_kind) == (ir.xml.read_bytes(), ir.record.output_kind)
    with pytest.raises(ovm.UsageError, match="--output-kind does not match the model's output: expected probability"):
        ovm.describe(network, name="x", preset="tensorflow", output_kind="probability")


def test_describe_refuses_what_is_not_known_or_contradicts(network: Path, tmp_path: Path) -> None:
    with pytest.raises(ovm.UsageError, match="the normalisation of the network is not known"):
        ovm.describe(network, name="x")
    for options, message in (
        ({"name": "a/b", "assume": "none"}, "invalid name"),
        ({"name": "x", "normalise": True}, "unknown option.*preset.*got normalise"),
        ({"name": "x", "preset": "pytorch"}, "invalid preset: expected torchvision or tensorflow or keras-v3"),
        ({"name": "x", "assume": "all"}, "invalid assume"),
        ({"name": "x", "output_kind": "classes"}, "invalid output_kind: expected logits or"),
        ({"name": "x", "mean": "1,2,3"}, "invalid mean"),
        ({"name": "x", "scale": (0.0,)}, "invalid scale"),
        ({"name": "x", "assume": "none", "preset": "tensorflow"}, "the normalisation is given twice"),
        ({"name": "x", "assume": "none", "head": "relu"}, "--head can only be used with PyTorch checkpoints"),
    ):
        with pytest.raises(ovm.UsageError, match=message):
            ovm.describe(network, **options)
    described = ovm.describe(network, name="x", assume="none")
    with pytest.raises(ovm.UsageError, match="lookup options are for a MODEL"):
        ovm.convert(described, tmp_path / "x", offline=True)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "model.yml").write_text("description: by hand\n")
    for use in (lambda: ovm.convert(described, tmp_path / "x"), lambda: described.save(tmp_path / "x")):
        with pytest.raises(ovm.ConfigError, match="was not generated"):
            use()


def test_every_choice_of_the_command_is_an_option() -> None:
    from ov_mobilenet.conversion.inspection import inspect_source
    from ov_mobilenet.conversion.own_network import UserChoices
    from ov_mobilenet.describe_network import DescribeOptions

    choices = {*UserChoices.__dataclass_fields__, *inspect.signature(inspect_source).parameters} - {"source"}
    choices |= {"diagnose_images", "size", "offline"}
    assert set(DescribeOptions.__annotations__) == choices
    assert all(f"`{name}`" in (ovm.describe.__doc__ or "") or name == "assume" for name in choices)


@pytest.mark.parametrize("suffix", [".ONNX", ".Onnx"])
def test_endings_in_upper_case(suffix: str, network: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    upper = Path(shutil.copy(network, tmp_path / f"NET{suffix}"))
    arguments = ["--name", "x", "-o", str(tmp_path / "out"), "--preset", "torchvision", "--precisions", "FP32"]
    assert main(["convert", "--source", str(upper), *arguments, "--verify"]) == 0
    xml = tmp_path / "out" / "public" / "x" / "FP32" / "x.xml"
    frames = small.frames()
    expected = np.stack([small.by_hand(frame) for frame in frames])
    answer = ovm.load_classifier(xml, device="CPU", inference_precision="f32").probabilities(frames)
    assert np.abs(answer - expected).max() < 3e-5


@pytest.mark.parametrize("suffix", [".pb", ".tflite"])
def test_endings_in_upper_case_of_tensorflow_files(suffix: str, tmp_path: Path) -> None:
    exports = Path(__file__).resolve().parents[1] / "data" / "signs"
    upper = Path(shutil.copy(exports / f"road-signs{suffix}", tmp_path / f"NET{suffix.upper()}"))
    assert main(["convert", "--source", str(upper), "--name", "x", "-o", str(tmp_path / "out")]) == 0
    again = ["-o", str(tmp_path / "again"), "-d", str(tmp_path / "again")]
    assert main(["convert", str(tmp_path / "out" / "public" / "x" / "model.yml"), *again]) == 0


@pytest.mark.parametrize("channels", [1, 4])
def test_a_network_for_grey_images_is_refused_by_its_own_file(channels: int, tmp_path: Path, capsys: Capture) -> None:
    onnx = pytest.importorskip("onnx")
    make, float32 = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        make.make_node("Conv", ["x", "w"], ["c"]),
        make.make_node("GlobalAveragePool", ["c"], ["p"]),
        make.make_node("Flatten", ["p"], ["y"]),
    ]
    weight = onnx.numpy_helper.from_array(np.ones((5, channels, 3, 3), np.float32), "w")
    ports = [make.make_tensor_value_info("x", float32, [1, channels, 28, 28])]
    graph = make.make_graph(nodes, "g", ports, [make.make_tensor_value_info("y", float32, [1, 5])], [weight])
    path = tmp_path / "grey.onnx"
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8), path)
    arguments = ["convert", "--source", str(path), "--name", "x", "-o", str(tmp_path / "out")]
    assert main([*arguments, "--assume", "none"]) == 2
    err = capsys.readouterr().err
    assert f"{path}: the network does not take colour images: expected an input of four dimensions, NCHW" in err
    assert ("a network for grey images" in err) == (channels == 1)
    assert "model.yml" not in err
    assert not (tmp_path / "out").exists()
