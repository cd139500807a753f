"""`convert --source`: the user's own networks."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_networks as small
from signs import held_out, network_images

import ov_mobilenet as ovm
from ov_mobilenet.cli.demo import SAMPLE
from ov_mobilenet.cli.main import main
from ov_mobilenet.zoo.accuracy_check import CropStep

EXPORTS = Path(__file__).resolve().parents[1] / "data" / "signs"
Capture = pytest.CaptureFixture[str]


def sign_network(suffix: str) -> Path:
    folder = ovm.find_config(SAMPLE).folder if suffix == ".onnx" else EXPORTS
    return folder / f"road-signs{suffix}"


def source(name: str, path: Path, out: Path, *more: str) -> list[str]:
    return ["convert", "--source", str(path), "--name", name, "-o", str(out), *more]


def described(folder: Path) -> ovm.ModelConfig:
    return ovm.load_config(folder)


@pytest.mark.parametrize(
    ("suffix", "layout", "ends"),
    [
        (".onnx", "NCHW, 3 channels", "logits, a softmax is added"),
        (".pb", "NHWC, 3 channels", "probabilities, no softmax is added"),
        (".tflite", "NHWC, 3 channels", "probabilities, no softmax is added"),
    ],
)
def test_convert_the_sample_network_from_its_file(
    suffix: str, layout: str, ends: str, tmp_path: Path, capsys: Capture
) -> None:
    labels = ovm.find_config(SAMPLE).folder / "labels.txt"
    arguments = ["--preset", "tensorflow", "--labels", str(labels), "--geometry", "crop 0.875, resize 128"]
    assert main(source("signs", sign_network(suffix), tmp_path, *arguments)) == 0
    out, err = capsys.readouterr()
    folder = tmp_path / "public" / "signs"
    assert out.split() == [str(folder / p / "signs.xml") for p in ("FP16", "FP32")]
    assert f"guess: layout: {layout}" in err
    assert "(--source-layout)" in err
    assert f"guess: output kind: {ends} (--output-kind)" in err
    assert "channel order" not in err, "the preset sets it"
    assert "geometry" not in err

    drawings = list(held_out(5, 48))
    frames = network_images([frame for frame, _ in drawings])
    classifier = ovm.load_classifier(folder / "FP32" / "signs.xml", device="CPU", inference_precision="f32")
    answer = classifier.probabilities(np.ascontiguousarray(frames))
    assert (answer.argmax(1) == [index for _, index in drawings]).mean() > 0.95
    assert classifier.labels == tuple(labels.read_text().splitlines())
    assert str(classifier.geometry) == "crop 0.875, resize 128"


def test_the_written_description_gives_the_same_ir(tmp_path: Path, capsys: Capture) -> None:
    path = sign_network(".onnx")
    assert main(source("mine", path, tmp_path, "--preset", "tensorflow", "--geometry", "resize 128")) == 0
    folder = tmp_path / "public" / "mine"
    assert {p.name for p in folder.iterdir()} == {"model.yml", "accuracy-check.yml", path.name, "FP16", "FP32"}
    again = tmp_path / "again"
    assert main(["convert", str(folder / "model.yml"), "-o", str(again), "-d", str(again)]) == 0
    for file in ("FP16/mine.xml", "FP16/mine.bin", "FP32/mine.xml", "FP32/mine.bin"):
        assert (again / "public" / "mine" / file).read_bytes() == (folder / file).read_bytes()
    # The description can be used like any other.
    config = described(folder)
    assert config.details.classes == 16
    assert "# Guessed: output kind: logits" in (folder / "model.yml").read_text()
    assert main(["list", "mine", "--config-dir", str(tmp_path / "public")]) == 0


def test_guesses_are_reported(tmp_path: Path, capsys: Capture) -> None:
    arguments = source("mine", sign_network(".onnx"), tmp_path, "--assume", "none")
    assert main(arguments) == 0
    err = capsys.readouterr().err
    for what, option in (
        ("layout: NCHW", "--source-layout"),
        ("channel order: RGB", "--no-reverse-input-channels"),
        ("output kind: logits", "--output-kind"),
        ("labels: none", "--labels"),
        ("geometry: the whole image, resize 128", "--geometry"),
    ):
        assert any(what in line and f"({option})" in line for line in err.splitlines()), what
    # -q hides the notes, but no guess that changes answers.
    assert main([*arguments, "-q"]) == 0
    kept = [line.split(":")[1].strip() for line in capsys.readouterr().err.splitlines()]
    assert kept == ["output kind", "channel order", "geometry"]
    decided = ["--geometry", "resize 128", "--output-kind", "logits", "--no-reverse-input-channels"]
    assert main([*arguments, "-q", *decided]) == 0
    assert capsys.readouterr().err == ""


def test_the_numbers_of_a_network_described_by_options(tmp_path: Path) -> None:
    yml = small.write_onnx(tmp_path / "small")
    flags = ["--mean-values", "[123.675,116.28,103.53]", "--scale-values", "58.395,57.12,57.375"]
    assert main(source("mine", yml.with_name("small.onnx"), tmp_path, *flags, "--reverse-input-channels")) == 0
    xml = tmp_path / "public" / "mine" / "FP32" / "mine.xml"
    classifier = ovm.load_classifier(xml, device="CPU", inference_precision="f32")
    frames = small.frames()
    expected = np.stack([small.by_hand(frame) for frame in frames])
    assert np.abs(classifier.probabilities(frames) - expected).max() < 3e-5
    # The channel order changes the answers.
    assert main(source("bgr", yml.with_name("small.onnx"), tmp_path, *flags, "--no-reverse-input-channels")) == 0
    other = ovm.load_classifier(tmp_path / "public" / "bgr" / "FP32" / "bgr.xml", inference_precision="f32")
    assert np.abs(other.probabilities(frames) - expected).max() > 0.05


def test_the_figures_of_a_preset_belong_to_colours(tmp_path: Path) -> None:
    onnx = small.write_onnx(tmp_path / "small").with_name("small.onnx")
    assert main([*source("mine", onnx, tmp_path, "--preset", "torchvision"), "--no-reverse-input-channels"]) == 0
    arguments = described(tmp_path / "public" / "mine").model_optimizer_args
    assert "--mean_values=[103.53,116.28,123.675]" in " ".join(arguments)
    assert "--scale_values=[57.375,57.12,58.395]" in " ".join(arguments)
    assert "--reverse_input_channels" not in arguments
    xml = tmp_path / "public" / "mine" / "FP32" / "mine.xml"
    classifier = ovm.load_classifier(xml, device="CPU", inference_precision="f32")
    frames = small.frames()
    # The same network by hand: its first channel is blue, so blue gets the mean of blue.
    numbers = ["--mean-values", "103.53,116.28,123.675", "--scale-values", "57.375,57.12,58.395"]
    assert main([*source("hand", onnx, tmp_path, *numbers), "--no-reverse-input-channels"]) == 0
    by_hand = ovm.load_classifier(xml.parents[2] / "hand" / "FP32" / "hand.xml", inference_precision="f32")
    assert np.array_equal(classifier.probabilities(frames), by_hand.probabilities(frames))


def test_normalisation_and_geometry_of_another_model_are_the_defaults(tmp_path: Path, capsys: Capture) -> None:
    arguments = source("mine", sign_network(".onnx"), tmp_path)
    assert main([*arguments, SAMPLE]) == 0
    err = capsys.readouterr().err
    assert "normalisation" not in err
    assert "channel order" not in err
    config = described(tmp_path / "public" / "mine")
    assert "--mean_values=[127.5,127.5,127.5]" in config.model_optimizer_args
    assert config.dataset is not None
    crop = config.dataset.preprocessing[0]
    assert isinstance(crop, CropStep)
    assert crop.central_fraction == 0.875


def test_another_input_shape(tmp_path: Path, capsys: Capture) -> None:
    arguments = source("mine", sign_network(".onnx"), tmp_path, "--preset", "tensorflow")
    assert main([*arguments, "--input-shape", "2,3,160,192"]) == 0
    capsys.readouterr()
    facts = tmp_path / "public" / "mine" / "FP32" / "mine.xml"
    assert main(["info", str(facts), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["inputs"][0]["shape"] == "[2,3,160,192]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mean-values", "1,2"], "invalid --mean-values: expected one number or three"),
        (["--scale-values", "0"], "invalid --scale-values"),
        (["--preset", "tensorflow", "--mean-values", "1"], "the normalisation is given twice"),
        (["--input-shape", "1,128,128,3"], "invalid --input-shape: expected four numbers in the order NCHW"),
        (["--geometry", "resize 99"], "does not match the network's input size"),
        (
            ["--labels", "imagenet_1000_classes"],
            "the number of labels does not match the number of classes: expected 16, got 1000",
        ),
        (
            ["--output-kind", "probabilities"],
            "--output-kind does not match the model's output: expected probabilities, got logits",
        ),
        (["--classes", "15"], "--classes does not match the network: expected 15, got 16"),
        (["--width", "1.0"], "--width can only be used with weights without a graph"),
        (["--scale-values", "1e-50"], "invalid --scale-values"),
        (["--scale-values", "1e39"], "invalid --scale-values"),
        (["--mean-values", "nan"], "invalid --mean-values"),
        (["--name", "mine.xml"], "--source requires --name"),
        (["--name", SAMPLE, "--assume", "none"], "is taken by another model"),
        (["--source", ""], "the path is empty"),
        (["--batch", "4097"], "invalid --batch"),
        (["--input-shape", "1,3,8193,224"], "invalid --input-shape"),
        (["--input-shape", "4097,3,224,224"], "invalid --input-shape"),
        (["--architecture", "mobilenet_v2"], "the network has another architecture: expected mobilenet_v2"),
        (["--name", "a/b"], "--source requires --name"),
        (["--all"], "--source converts one network"),
    ],
)
def test_contradictions_are_usage_errors_and_nothing_is_written(
    arguments: list[str], message: str, tmp_path: Path, capsys: Capture
) -> None:
    assert main([*source("mine", sign_network(".onnx"), tmp_path), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.with_name("no.onnx"), "no such file or folder"),
        (lambda path: shutil.copy(path, path.with_suffix(".weights")), "unknown type of network"),
        (lambda path: path.rename(path.with_suffix(".txt")).parent, "there is no network in the folder"),
        (lambda path: shutil.copy(path, path.with_name("saved_model.pb")), "the file is part of a SavedModel"),
    ],
)
def test_a_path_that_is_not_a_network_is_refused(
    make: Callable[[Path], Path | str], message: str, tmp_path: Path, capsys: Capture
) -> None:
    copy = Path(shutil.copy(sign_network(".onnx"), tmp_path / "net.onnx"))
    assert main(source("mine", Path(make(copy)), tmp_path / "out")) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--preset", "tensorflow"], ["--no-reverse-input-channels"]])
def test_source_options_without_source_are_refused(option: list[str], capsys: Capture) -> None:
    assert main(["convert", SAMPLE, *option]) == 2
    assert f"{option[0]} requires --source" in capsys.readouterr().err


def test_a_repository_with_source_options_is_refused_with_the_right_command(capsys: Capture) -> None:
    assert main(["convert", "hf:owner/name", "--assume", "none"]) == 2
    assert "--assume requires --source. For a repository: --source hf:owner/name --name" in capsys.readouterr().err


def test_a_network_given_as_model_is_refused_with_the_right_command(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(sign_network(".onnx"), "my net.onnx")
    assert main(["convert", "my net.onnx"]) == 2
    assert "ov-mobilenet convert --source 'my net.onnx' --name NAME" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_named_pipes_are_refused(tmp_path: Path, capsys: Capture) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    assert main(source("mine", tmp_path / "pipe.onnx", tmp_path / "out")) == 2
    assert "neither a file nor a folder" in capsys.readouterr().err
    assert main(source("mine", sign_network(".onnx"), tmp_path / "out", "--labels", str(tmp_path / "pipe.onnx"))) == 2
    assert "--labels is not a file: expected a text file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--width", "nan"], "--width does not match the network: expected nan, got 0.25"),
        (["--output", "prob"], "--output requires a network with a graph; this file holds only weights"),
        (["--classes", "9"], "--classes does not match the network: expected 9, got 16"),
        (["--weights-key", "nope"], "it is a state dict itself"),
    ],
)
def test_options_that_contradict_the_weights_are_refused(
    option: list[str], message: str, tmp_path: Path, capsys: Capture
) -> None:
    pytest.importorskip("torch")
    assert main(source("mine", sign_network(".pth"), tmp_path / "out", *option)) != 0
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "option",
    [
        ["--for", "npu", "--batch", "-1"],
        ["--input-shape", "1,3,16,16", "--color-format", "nv12", "--output", "nowhere"],
        ["--color-format", "nv12", "--input-shape", "1,3,127,129"],  # detected after the network is read
        ["--backend", "mo", "--mo", "no/such/program"],
    ],
)
def test_a_failed_conversion_changes_nothing(option: list[str], tmp_path: Path) -> None:
    arguments = source("mine", sign_network(".onnx"), tmp_path / "out", "--preset", "tensorflow")
    assert main([*arguments, *option]) != 0
    assert not (tmp_path / "out").exists()
    assert main(arguments) == 0
    before = everything(tmp_path / "out")
    assert main([*arguments, "--preset", "torchvision", *option]) != 0
    assert everything(tmp_path / "out") == before


@pytest.mark.parametrize("name", ["a$b.onnx", "a\nb.onnx", "a*b.onnx", " ab.onnx"])
def test_a_file_name_that_is_not_allowed_in_a_description(name: str, tmp_path: Path, capsys: Capture) -> None:
    shutil.copy(sign_network(".onnx"), tmp_path / name)
    assert main(source("mine", tmp_path / name, tmp_path / "out")) == 2
    assert "the file name is not allowed in a description" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", [".ckpt", ".pth.tar", ".PT"])
def test_extensions_of_checkpoints(suffix: str, tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("torch")
    shutil.copy(sign_network(".pth"), tmp_path / f"net{suffix}")
    assert main([*source("mine", tmp_path / f"net{suffix}", tmp_path / "out"), "--assume", "none", "--dry-run"]) == 0
    assert "guess: architecture: mobilenet_v1, width 0.25" in capsys.readouterr().err


def test_a_verification_with_matched_keys_reports_its_limits(tmp_path: Path, capsys: Capture) -> None:
    torch = pytest.importorskip("torch")
    state = torch.load(sign_network(".pth"), weights_only=True)
    torch.save({key.replace("classifier", "top"): value for key, value in state.items()}, tmp_path / "net.pth")
    arguments = source("mine", tmp_path / "net.pth", tmp_path / "out", "--input-shape", "1,3,128,128")
    assert main([*arguments, "--preset", "tensorflow", "--verify"]) == 0
    err = capsys.readouterr().err
    assert err.count("matched by shape and order") == 1
    assert err.count("not covered: padding, activations and batch-norm epsilon") == 2  # FP16 and FP32
    assert main([*arguments, "--preset", "tensorflow", "--dry-run"]) == 0
    assert capsys.readouterr().err.count("matched by shape and order") == 1
    small_one = ["--input-shape", "1,3,64,64", "--precisions", "FP32", "--assume", "none"]
    assert main([*source("own", sign_network(".pth"), tmp_path / "out"), "--verify", *small_one]) == 0
    assert "not covered" not in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".onnx", ".pb", ".tflite"])
def test_commas_in_paths(suffix: str, tmp_path: Path) -> None:
    folder = tmp_path / "mine, yours"
    folder.mkdir()
    network = Path(shutil.copy(sign_network(suffix), folder / f"a,b{suffix}"))
    assert main(source("mine", network, tmp_path / "out,put", "--preset", "tensorflow")) == 0
    assert main(source("mine", sign_network(suffix), tmp_path / "plain", "--preset", "tensorflow")) == 0
    ir = Path("public", "mine", "FP32", "mine.bin")
    assert (tmp_path / "out,put" / ir).read_bytes() == (tmp_path / "plain" / ir).read_bytes()


def with_data_beside(folder: Path, location: str = "small.data") -> Path:
    onnx = pytest.importorskip("onnx")
    network = small.write_onnx(folder).with_name("small.onnx")
    model = onnx.load(network)
    onnx.save(model, network, save_as_external_data=True, location=location, size_threshold=0)
    return network


@pytest.mark.parametrize("folder", ["net", "net,work"])
def test_the_data_files_of_an_onnx_network_are_copied(folder: str, tmp_path: Path) -> None:
    network = with_data_beside(tmp_path / folder)
    options = ["--mean-values", "123.675,116.28,103.53", "--scale-values", "58.395,57.12,57.375", "--verify"]
    assert main(source("mine", network, tmp_path / "out", *options)) == 0
    there = tmp_path / "out" / "public" / "mine"
    assert {file.name for file in described(there).files} == {"small.onnx", "small.data"}
    for file in network.parent.iterdir():
        file.unlink()
    # The folder is complete: it can be converted again, and a changed data file is detected.
    again = ["convert", str(there), "-o", str(tmp_path / "again"), "-d", str(tmp_path / "again"), "--offline"]
    assert main(again) == 0
    classifier = ovm.load_classifier(tmp_path / "again" / "public" / "mine" / "FP32" / "mine.xml", device="CPU")
    expected = np.stack([small.by_hand(frame) for frame in small.frames()])
    assert (classifier.probabilities(small.frames()).argmax(1) == expected.argmax(1)).all()
    data = bytearray((there / "small.data").read_bytes())
    data[5] ^= 1
    (there / "small.data").write_bytes(data)
    assert main([*again[:2], "-o", str(tmp_path / "third"), "-d", str(tmp_path / "third"), "--offline"]) == 3


def test_data_files_outside_the_folder_are_refused(tmp_path: Path, capsys: Capture) -> None:
    onnx = pytest.importorskip("onnx")
    network = with_data_beside(tmp_path / "net")
    (tmp_path / "net" / "small.data").rename(tmp_path / "small.data")
    assert main(source("mine", network, tmp_path / "out")) == 1
    assert "an external data file does not exist: expected 'small.data'" in capsys.readouterr().err
    for location in ("../small.data", str(tmp_path / "small.data")):
        model = onnx.load(network, load_external_data=False)
        for tensor in model.graph.initializer:
            tensor.external_data[0].value = location
        network.write_bytes(model.SerializeToString())
        assert main(source("mine", network, tmp_path / "out")) == 1
        error = capsys.readouterr().err
        assert "an external data file is outside the network's folder" in error
        assert f"expected files in the same folder, got '{location}'" in error
    assert not (tmp_path / "out").exists()


def test_an_edited_description_is_not_overwritten(tmp_path: Path, capsys: Capture) -> None:
    arguments = source("mine", sign_network(".onnx"), tmp_path, "--preset", "tensorflow")
    assert main(arguments) == 0
    yml = tmp_path / "public" / "mine" / "model.yml"
    yml.write_text(yml.read_text() + "# a remark below the marker\n")
    assert main([*arguments, "--geometry", "crop 0.9, resize 128"]) == 0  # a generated file is overwritten
    assert "a remark" not in yml.read_text()
    mine = yml.read_text().partition("\n")[2]
    yml.write_text(mine)
    assert main(arguments) == 1
    assert "already has a description that was not generated" in capsys.readouterr().err
    assert yml.read_text() == mine


def test_a_dry_run_shows_the_description_and_writes_nothing(tmp_path: Path, capsys: Capture) -> None:
    assert main([*source("mine", sign_network(".onnx"), tmp_path / "out", "--preset", "tensorflow"), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "--reverse_input_channels" in out
    assert "accuracy-check.yml" in out
    assert not (tmp_path / "out").exists()


@pytest.mark.full
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("kind", ["weights.h5", "whole.keras", "folder"])
def test_keras_files_and_saved_models(kind: str, tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("keras")
    import keras_networks

    network = keras_networks.build("MobileNetV2", 96, alpha=0.35, classes=5)
    path = tmp_path / kind
    if kind == "weights.h5":
        keras_networks.write_published(network, path)
    elif kind == "whole.keras":
        network.save(path)
    else:
        network.export(path, verbose=False)
    shape = ["--input-shape", "1,96,96,3"] if kind == "weights.h5" else []
    assert main(source("mine", path, tmp_path / "out", "--preset", "tensorflow", *shape)) == 0
    err = capsys.readouterr().err
    assert ("guess: architecture: mobilenet_v2, width 0.35" in err) == (kind == "weights.h5")
    xml = tmp_path / "out" / "public" / "mine" / "FP32" / "mine.xml"
    frames = keras_networks.frames(6, 96, seed=3)
    expected = network.predict(keras_networks.as_input(frames, halves=True), verbose=0)
    classifier = ovm.load_classifier(xml, device="CPU", inference_precision="f32")
    assert np.abs(classifier.probabilities(frames) - expected).max() < 3e-5
    again = tmp_path / "again"
    assert main(["convert", str(xml.parents[1] / "model.yml"), "-o", str(again), "-d", str(again)]) == 0
    assert (again / "public" / "mine" / "FP32" / "mine.bin").read_bytes() == xml.with_suffix(".bin").read_bytes()


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("MobileNet", "published.h5"),
        ("MobileNetV2", "compiled.weights.h5"),
        ("MobileNetV2", "WHOLE.H5"),
        ("MobileNetV2", "WHOLE.KERAS"),
        ("MobileNetV2", "net.tflite"),
        ("MobileNetV2", "folder"),
        ("MobileNetV3Small", "published.h5"),
        ("MobileNetV3Small", "net.tflite"),
    ],
)
def test_networks_of_keras_need_no_preset(name: str, kind: str, tmp_path: Path, capsys: Capture) -> None:
    keras = pytest.importorskip("keras")
    import keras_networks

    halves = not name.startswith("MobileNetV3")
    options: dict[str, Any] = {"alpha": 0.5} if halves else {}
    network = keras_networks.build(name, 96, classes=5, **options)
    path = tmp_path / kind
    if kind == "published.h5":
        keras_networks.write_published(network, path)
    elif kind == "compiled.weights.h5":
        network.compile("adam", "sparse_categorical_crossentropy")
        before = network.get_weights()
        network.fit(np.zeros((2, 96, 96, 3)), np.zeros(2), verbose=0)  # so that the optimizer has a state
        network.set_weights(before)
        network.save_weights(path)
    elif kind == "net.tflite":
        import tensorflow as tf

        path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(network).convert())
    elif kind == "folder":
        network.export(path, verbose=False)
    else:
        network.save(path.with_suffix(path.suffix.lower()))
        path.with_suffix(path.suffix.lower()).rename(path)
    shape = ["--input-shape", "1,96,96,3"] if kind.endswith("h5") and kind != "WHOLE.H5" else []
    assert main(source("x", path, tmp_path / "out", *shape)) == 0
    err = capsys.readouterr().err
    inside = "normalisation: none, the network takes 0..255: inside the graph: x/127.5 - 1"
    assert ("normalisation: tensorflow, layer names of Keras" if halves else inside) in err
    assert f"geometry: {'crop 0.875, resize 96' if halves else 'resize 110, crop 96'}, layer names of Keras" in err
    frames = keras_networks.frames(6, 96, seed=3)
    expected = network.predict(keras_networks.as_input(frames, halves=halves), verbose=0)
    xml = tmp_path / "out" / "public" / "x" / "FP32" / "x.xml"
    answer = ovm.load_classifier(xml, device="CPU", inference_precision="f32").probabilities(frames)
    assert np.abs(answer - expected).max() < 3e-5
    keras.backend.clear_session()


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["MobileNet", "MobileNetV2"])
def test_a_saved_model_that_keras_did_not_export_names_the_way(name: str, tmp_path: Path, capsys: Capture) -> None:
    keras = pytest.importorskip("keras")
    tf = pytest.importorskip("tensorflow")
    network = getattr(keras.applications, name)(input_shape=(96, 96, 3), weights=None, alpha=0.35, classes=5)
    tf.saved_model.save(network, str(tmp_path / "net"))
    assert main(source("x", tmp_path / "net", tmp_path / "out")) == 1
    assert "write it with model.export(FOLDER) instead of tf.saved_model.save" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.full
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_input_size_of_keras_weights_is_guessed(tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("keras")
    import keras_networks

    path = tmp_path / "net.h5"
    keras_networks.write_published(keras_networks.build("MobileNetV2", 96, alpha=0.35, classes=5), path)
    assert main([*source("mine", path, tmp_path / "out", "--preset", "tensorflow"), "--dry-run"]) == 0
    assert "guess: input shape: 1,224,224,3 (--input-shape)" in capsys.readouterr().err
    assert main([*source("mine", path, tmp_path / "out", "--output", "x"), "--dry-run"]) == 2
    assert "--output requires a network with a graph; this file holds only weights" in capsys.readouterr().err


@pytest.mark.full
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("nested", [False, True])
def test_mean_and_scale_for_a_network_with_a_rescaling_layer_are_refused(
    nested: bool, tmp_path: Path, capsys: Capture
) -> None:
    keras = pytest.importorskip("keras")
    layers = [
        keras.layers.Rescaling(1 / 127.5, offset=-1), keras.layers.Conv2D(4, 3, strides=2),
        keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, activation="softmax"),
    ]  # fmt: skip
    inside = keras.Sequential([keras.Input((32, 32, 3)), *layers])
    network = keras.Sequential([keras.Input((32, 32, 3)), inside]) if nested else inside
    network.save(tmp_path / "net.keras")
    arguments = [*source("mine", tmp_path / "net.keras", tmp_path / "out"), "--dry-run"]
    for outer in (["--preset", "tensorflow"], ["--scale-values", "255"]):
        assert main([*arguments, *outer]) == 2
        err = capsys.readouterr().err
        assert "already normalises its input" in err
        assert "inside the graph: x/127.5 - 1" in err
    for allowed in (["--preset", "keras-v3"], ["--assume", "none"], []):
        assert main([*arguments, *allowed]) == 0
    assert "normalisation: none, the network takes 0..255: inside the graph: x/127.5 - 1" in capsys.readouterr().err
