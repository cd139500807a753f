"""A folder with the files of a repository as MODEL and as --source; graphs are converted end to end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_networks as small

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.conversion.inspection import SourceFacts
from ov_mobilenet.hub.network_file import choose_network_file
from ov_mobilenet.hub.snapshot import inspect_snapshot
from ov_mobilenet.ir.files import open_ir

pytest.importorskip("onnx")

# The normalisation that `small.by_hand` applies.
PROCESSOR = {
    "feature_extractor_type": "ImageFeatureExtractor", "do_resize": True, "size": {"height": 32, "width": 32},
    "resample": 2, "do_normalize": True, "image_mean": [m / 255 for m in small.MEAN],
    "image_std": [s / 255 for s in small.SCALE],
}  # fmt: skip
NAMES = ("ant", "bee", "cat", "dog", "eel")
CONFIG = {"model_type": "mobilenet_v2", "id2label": dict(enumerate(NAMES))}
TIMM = {
    "architecture": "mobilenetv4_conv_small", "num_classes": 5, "label_names": list(NAMES),
    "pretrained_cfg": {"input_size": [3, 32, 32], "crop_pct": 1.0, "mean": PROCESSOR["image_mean"],
                       "std": PROCESSOR["image_std"], "license": "apache-2.0"},
}  # fmt: skip


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """An export to ONNX, as onnx-community publishes them."""
    folder = tmp_path / "mobilenet-export"
    (folder / "onnx").mkdir(parents=True)
    network = small.write_onnx(tmp_path / "net").with_name("small.onnx")
    shutil.copy(network, folder / "onnx" / "model.onnx")
    write(folder, CONFIG, PROCESSOR)
    return folder


def write(folder: Path, config: dict[str, Any] | None, processor: dict[str, Any] | None = None) -> None:
    for name, content in (("config.json", config), ("preprocessor_config.json", processor)):
        if content is not None:
            (folder / name).write_text(json.dumps(content))
        else:
            (folder / name).unlink(missing_ok=True)


def weights(folder: Path, config: dict[str, Any], **options: Any) -> SourceFacts:
    """The facts of PyTorch weights; the file is not read."""
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"not read")
    write(folder, config, options.pop("processor", None))
    return inspect_snapshot(folder, **options)


def test_an_export_to_onnx_answers_as_computed_by_hand(snapshot: Path) -> None:
    classifier = ovm.load_classifier(snapshot, device="CPU", inference_precision="f32")
    frames = small.frames()
    expected = np.stack([small.by_hand(frame) for frame in frames])
    assert np.abs(classifier.probabilities(frames) - expected).max() < 3e-5
    assert classifier.labels == NAMES
    assert str(classifier.geometry) == "resize 32 pillow"


def test_timm_beside_a_graph(snapshot: Path) -> None:
    write(snapshot, TIMM)
    config = ovm.find_config(snapshot)
    assert (config.name, config.license, config.details.classes) == ("mobilenet-export", "apache-2.0", 5)
    classifier = ovm.load_classifier(snapshot, device="CPU", inference_precision="f32")
    frames = small.frames(4)
    expected = np.stack([small.by_hand(frame) for frame in frames])
    assert np.abs(classifier.probabilities(frames) - expected).max() < 3e-5
    write(snapshot, {**TIMM, "label_names": ["a", "b"]})
    with pytest.raises(ovm.ConfigError, match=r"config.json: label_names: the number of names differs"):
        ovm.find_config(snapshot)


def test_the_options_of_the_user_win(snapshot: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "names.txt").write_text("1\n2\n3\n4\n5\n")
    arguments = ["--source", str(snapshot), "--name", "mine", "-o", str(tmp_path / "out"), "--precisions", "FP32"]
    given = ["--scale-values", "255", "--geometry", "resize 32", "--labels", str(tmp_path / "names.txt")]
    assert main(["convert", *arguments, *given]) == 0
    err = capfd.readouterr().err
    warning = next(line for line in err.splitlines() if line.startswith("warning: "))
    assert "scale_values [255.0]) is used, which differs from config.json and preprocessor_config.json: " in warning
    assert err.count("config.json") == warning.count("config.json"), "nothing else comes from the files"
    record = open_ir(tmp_path / "out" / "public" / "mine" / "FP32" / "mine.xml").record
    assert record is not None and record.origin is None
    assert "<origin" not in (tmp_path / "out" / "public" / "mine" / "FP32" / "mine.xml").read_text()
    assert record.normalisation == ovm.Normalisation(scale=(255.0,), reverse_input_channels=True)
    assert (str(record.geometry), record.labels) == ("resize 32", ("1", "2", "3", "4", "5"))
    assert main(["convert", *arguments]) == 0
    assert "(config.json and preprocessor_config.json)" in capfd.readouterr().err
    described = ovm.describe(snapshot, name="mine")
    assert "labels.txt" in described.model_yml and described.draft.labels_text == "ant\nbee\ncat\ndog\neel\n"


def test_a_network_without_a_configuration_needs_the_options(tmp_path: Path, snapshot: Path) -> None:
    write(snapshot, {"model_type": "resnet"}, None)
    with pytest.raises(ovm.UsageError, match=r"normalisation of the network is not known.*convert --source \S+ --name"):
        ovm.find_config(snapshot)
    assert ovm.describe(snapshot, name="mine", preset="torchvision").draft.description.normalisation.mean == small.MEAN


def test_a_description_is_written_once_and_follows_the_files(snapshot: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = ovm.find_config(snapshot, cache_dir=cache)
    assert ovm.find_config(str(snapshot), cache_dir=cache).path == first.path
    assert first.path.parent.parent.parent.parent == cache / "hub"
    write(snapshot, {**CONFIG, "id2label": {**CONFIG["id2label"], 0: "ape"}}, PROCESSOR)  # type: ignore[dict-item]
    other = ovm.find_config(snapshot, cache_dir=cache)
    assert other.path != first.path and other.digest != first.digest
    assert not [path for path in (cache / "hub").rglob(".part-*")]


def test_the_cache_commands_know_descriptions(
    snapshot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    ovm.find_config(snapshot, cache_dir=cache)
    assert main(["cache", "list", "--cache-dir", str(cache), "--format", "json"]) == 0
    kinds = [entry["kind"] for entry in json.loads(capsys.readouterr().out)["entries"]]
    assert kinds == ["hub"]
    assert main(["cache", "prune", "--cache-dir", str(cache)]) == 0
    assert not list((cache / "hub").iterdir())


def test_a_snapshot_in_the_cache_of_other_tools_has_the_name_of_its_repository(snapshot: Path, tmp_path: Path) -> None:
    folder = tmp_path / "hub" / "models--onnx-community--tiny" / "snapshots" / ("0" * 40)
    shutil.copytree(snapshot, folder)
    assert ovm.find_config(folder).name == "tiny"
    bad = shutil.copytree(snapshot, tmp_path / "with space")
    with pytest.raises(ovm.UsageError, match="the name cannot be that of a model"):
        ovm.find_config(bad)


def test_facts_of_weights(tmp_path: Path) -> None:
    facts = weights(tmp_path / "a", TIMM)
    assert facts.library_network is not None and facts.library_network.name == "timm/mobilenetv4_conv_small"
    assert (facts.framework, facts.network, facts.classes) == ("pytorch", "model.safetensors", 5)
    assert facts.declared is not None and facts.declared.labels == NAMES
    v2 = {
        **CONFIG,
        "architectures": ["MobileNetV2ForImageClassification"],
        "problem_type": "multi_label_classification",
    }
    facts = weights(tmp_path / "b", v2, processor=PROCESSOR)
    assert facts.output_kind == "multilabel-logits" and facts.classes == 5


def test_weights_that_are_refused(tmp_path: Path) -> None:
    code = {"AutoModel": "model.Net"}
    refused: list[tuple[dict[str, Any], str]] = [
        ({**TIMM, "auto_map": code}, "config.json: auto_map: the network is defined by code .* never run"),
        ({**CONFIG, "auto_map": code}, "auto_map"),
        ({"model_type": "resnet"}, "config.json: model_type: not a network of timm.*got resnet"),
        ({}, "model_type.*no such key"),
        ({**TIMM, "architecture": "resnet50"}, "unknown architecture of timm: .*got resnet50"),
        (CONFIG, "no preprocessor_config.json"),
    ]
    for number, (config, message) in enumerate(refused):
        with pytest.raises(ovm.ConversionError, match=message):
            weights(tmp_path / str(number), config)
    for option in ({"architecture": "mobilenet_v2"}, {"weights_key": "model"}, {"head": "relu"}, {"output": "x"}):
        with pytest.raises(ovm.UsageError, match="can only be used with|requires a network with a graph"):
            ovm.describe(tmp_path / "0", name="x", **option)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("files", "wanted", "expected"),
    [
        (("config.json", "model.safetensors", "pytorch_model.bin", "onnx/model.onnx"), None, "model.safetensors"),
        (("pytorch_model.bin", "onnx/model.onnx", "tf_model.h5"), None, "pytorch_model.bin"),
        (("onnx/model.onnx", "onnx/model_quantized.onnx", "README.md"), None, "onnx/model.onnx"),
        (("mobilenetv2-12.onnx", "README.md"), None, "mobilenetv2-12.onnx"),
        (("model.tflite", "labels.txt"), None, "model.tflite"),
        (("model.safetensors", "onnx/model_int8.onnx"), "onnx/model_int8.onnx", "onnx/model_int8.onnx"),
        (("a.onnx", "b.onnx"), None, "several networks in the repository.*a.onnx, b.onnx"),
        (("README.md",), None, "no network in the repository"),
        ((), None, "no network in the repository.*no files"),
        (("a.onnx",), "b.onnx", "no such file in the repository"),
        (("a.onnx", "README.md"), "README.md", "not the file of a network"),
    ],
)
def test_the_file_of_the_network(files: tuple[str, ...], wanted: str | None, expected: str) -> None:
    if expected in files:
        assert choose_network_file(files, wanted, "hf:a/b") == expected
        return
    with pytest.raises(ovm.UsageError, match=f"hf:a/b: {expected}"):
        choose_network_file(files, wanted, "hf:a/b")


def test_a_description_by_hand_in_the_folder_comes_first(snapshot: Path, tmp_path: Path) -> None:
    yml = small.write_onnx(tmp_path / "mine")
    (yml.parent / "config.json").write_text("{}")
    assert ovm.find_config(yml.parent).path == yml


def test_weights_take_one_layout_and_another_size_is_said(tmp_path: Path) -> None:
    weights(tmp_path / "net", {**TIMM, "architecture": "mobilenetv3_small_100"})
    with pytest.raises(ovm.UsageError, match="--source-layout does not match.*NCHW.*got NHWC"):
        ovm.describe(tmp_path / "net", name="net", shape=(1, 64, 64, 3), layout="NHWC")
    guesses = ovm.describe(tmp_path / "net", name="net", shape=(1, 3, 64, 64)).guesses
    (geometry,) = [guess for guess in guesses if guess.name == "geometry"]
    assert geometry.changes_answers and "config.json is for another input size" in geometry.value


def test_the_remains_of_a_killed_run_are_removed(snapshot: Path, tmp_path: Path) -> None:
    config = ovm.find_config(snapshot, cache_dir=tmp_path / "cache")
    remains = config.folder.parent / ".part" / config.name
    config.folder.rename(tmp_path / "gone")
    remains.mkdir(parents=True)
    (remains / "half.onnx").write_bytes(b"half")
    assert ovm.find_config(snapshot, cache_dir=tmp_path / "cache").path == config.path
    assert [path.name for path in config.folder.parent.iterdir()] == [config.name]


def test_wrong_options_of_the_lookup(snapshot: Path) -> None:
    with pytest.raises(ovm.UsageError, match="invalid size: expected train or test, got 'huge'"):
        ovm.find_config(snapshot, size="huge")  # type: ignore[arg-type]


def test_an_architecture_that_is_not_ours_is_refused_before_its_weights_are_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**TIMM, "architecture": "resnet50"}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ovm.ConversionError, match=r"config.json: unknown architecture of timm: .*got resnet50"):
        ovm.find_config(tmp_path)


def test_weights_without_their_folder_name_the_folder(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    weights(tmp_path / "net", TIMM)
    with pytest.raises(
        ovm.ConversionError, match=rf"config.json beside the file .* give the folder, {tmp_path / 'net'}"
    ):
        ovm.describe(tmp_path / "net" / "model.safetensors", name="net")
    broken = tmp_path / "net" / "broken.onnx"
    broken.write_bytes(b"not a network")
    with pytest.raises(ovm.ConversionError) as error:
        ovm.describe(broken, name="net")
    assert "config.json" not in str(error.value), "a graph is read without it"
