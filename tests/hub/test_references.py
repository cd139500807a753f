"""`hf:OWNER/NAME[@REVISION][/FILE]` wherever MODEL or --source stands, from a hub on loopback."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import small_networks as small
from loopback_hub import LoopbackHub

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.errors import OfflineError
from ov_mobilenet.hub.description import reference_name
from ov_mobilenet.ir.files import open_ir
from ov_mobilenet.zoo.hub_origin import HubOrigin
from ov_mobilenet.zoo.hub_reference import parse_hub_reference

pytest.importorskip("huggingface_hub")
pytest.importorskip("onnx")

NAME = "owner/tiny-net"
MODEL = f"hf:{NAME}"
PROCESSOR = {
    "image_processor_type": "ViTImageProcessor", "do_resize": True, "size": {"height": 32, "width": 32}, "resample": 2,
    "do_normalize": True, "image_mean": [m / 255 for m in small.MEAN], "image_std": [s / 255 for s in small.SCALE],
}  # fmt: skip
TIMM: dict[str, Any] = {
    "architecture": "mobilenetv3_small_050", "num_classes": 5, "label_names": ["a", "b", "c", "d", "e"],
    "pretrained_cfg": {"input_size": [3, 224, 224], "test_input_size": [3, 256, 256], "test_crop_pct": 1.0},
}  # fmt: skip


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    with LoopbackHub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


def files(config: dict[str, Any], **others: bytes) -> dict[str, bytes]:
    return {"config.json": json.dumps(config).encode(), **others}


def onnx_files(folder: Path, *names: str) -> dict[str, bytes]:
    content = small.write_onnx(folder / "net").with_name("small.onnx").read_bytes()
    config = {"id2label": {str(index): name for index, name in enumerate(("ant", "bee", "cat", "dog", "eel"))}}
    documents = {**files(config), "preprocessor_config.json": json.dumps(PROCESSOR).encode()}
    return {**documents, **{name: content for name in names or ("onnx/model.onnx",)}}


def weights_of(config: dict[str, Any]) -> dict[str, bytes]:
    return {**files(config), "model.safetensors": os.urandom(1000)}


def test_the_description_of_weights_does_not_download_them(hub: LoopbackHub, tmp_path: Path) -> None:
    commit = hub.add(NAME, weights_of(TIMM), licence="apache-2.0")
    config = ovm.find_config(MODEL, cache_dir=tmp_path)
    assert not hub.sent("model.safetensors")
    (file,) = config.files
    assert (config.name, config.license, file.name, file.size) == ("tiny-net", "apache-2.0", "model.safetensors", 1000)
    assert [str(source) for source in file.sources] == [f"hf:{NAME}@{commit}/model.safetensors"]
    assert file.checksum is not None and file.checksum.algorithm == "sha256"
    assert config.input_info[0].shape == (1, 3, 224, 224)
    tested = ovm.find_config(MODEL, cache_dir=tmp_path, size="test")
    assert tested.input_info[0].shape == (1, 3, 256, 256) and tested.digest != config.digest


def test_a_graph_answers_as_computed_by_hand_and_records_its_origin(hub: LoopbackHub, tmp_path: Path) -> None:
    commit = hub.add(NAME, onnx_files(tmp_path), licence="mit")
    classifier = ovm.load_classifier(MODEL, device="CPU", inference_precision="f32", cache_dir=tmp_path / "cache")
    frames = small.frames()
    expected = np.stack([small.by_hand(frame) for frame in frames])
    assert np.abs(classifier.probabilities(frames) - expected).max() < 3e-5
    assert classifier.labels == ("ant", "bee", "cat", "dog", "eel")
    (xml,) = (tmp_path / "cache" / "ir").rglob("*.xml")
    record = open_ir(xml).record
    assert record is not None and record.origin == HubOrigin(repository=NAME, revision=commit, license="mit")


def test_a_moved_revision_is_another_description_and_a_commit_stays(hub: LoopbackHub, tmp_path: Path) -> None:
    old = hub.add(NAME, weights_of(TIMM))
    first = ovm.find_config(MODEL, cache_dir=tmp_path)
    hub.add(NAME, weights_of({**TIMM, "label_names": ["v", "w", "x", "y", "z"]}))
    second = ovm.find_config(MODEL, cache_dir=tmp_path)
    assert second.path != first.path and (second.folder / "labels.txt").read_text() == "v\nw\nx\ny\nz\n"
    hub.requests.clear()
    assert ovm.find_config(f"{MODEL}@{old}", cache_dir=tmp_path).path == first.path
    assert not hub.requests  # a commit does not change


def test_offline_with_and_without_caches(hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add(NAME, onnx_files(tmp_path))
    with pytest.raises(OfflineError):
        ovm.find_config(MODEL, cache_dir=tmp_path / "cache", offline=True)
    online = ovm.find_config(MODEL, cache_dir=tmp_path / "cache")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    hub.requests.clear()
    offline = ovm.find_config(MODEL, cache_dir=tmp_path / "cache", offline=True)
    assert offline.path == online.path
    again = ovm.find_config(MODEL, cache_dir=tmp_path / "other", offline=True)  # from the cache of huggingface_hub
    assert again.files == online.files
    assert ovm.load_classifier(MODEL, device="CPU", cache_dir=tmp_path / "cache", offline=True).labels is not None
    assert not hub.requests


def test_offline_a_network_that_was_only_described_is_missing(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.add(NAME, weights_of(TIMM))
    ovm.find_config(MODEL, cache_dir=tmp_path)
    assert ovm.find_config(MODEL, cache_dir=tmp_path, offline=True).name == "tiny-net"
    with pytest.raises(OfflineError):
        ovm.find_config(MODEL, cache_dir=tmp_path, offline=True, size="test")


def test_what_some_files_say_offline_is_not_kept_for_the_commit(hub: LoopbackHub, tmp_path: Path) -> None:
    """Another tool has fetched the network, but not the file with the class names."""
    commit = hub.add(NAME, onnx_files(tmp_path))
    found = ovm.find_config(MODEL, cache_dir=tmp_path / "first")
    (pointer,) = Path(os.environ["HF_HOME"]).glob(f"**/{commit}/config.json")
    pointer.unlink()
    assert ovm.find_config(MODEL, cache_dir=tmp_path / "second", offline=True).details.labels is None
    for folder, offline in (("second", False), ("second", True), ("first", True)):
        config = ovm.find_config(MODEL, cache_dir=tmp_path / folder, offline=offline)
        assert config.details.labels == "labels.txt" and config.files == found.files


def test_the_test_size_is_for_networks_in_timms_format(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.add(NAME, onnx_files(tmp_path))
    for model in (MODEL, "mobilenet-v2-pytorch"):
        with pytest.raises(ovm.UsageError, match="--size test is for Hugging Face repositories in timm's format"):
            ovm.find_config(model, cache_dir=tmp_path, size="test")
    assert main(["info", "--all", "--size", "test"]) == 2
    with pytest.raises(ovm.UsageError, match="--size test is for"):
        ovm.load_classifier(tmp_path / "net.xml", size="test")
    with pytest.raises(ovm.UsageError, match="--size test is for"):
        ovm.describe(tmp_path / "net" / "small.onnx", name="mine", preset="torchvision", size="test")


def test_an_unknown_architecture_is_refused_before_its_weights_are_downloaded(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.add(NAME, weights_of({**TIMM, "architecture": "resnet50"}))
    with pytest.raises(ovm.ConversionError, match=r"config.json: unknown architecture of timm: .*got resnet50"):
        ovm.find_config(MODEL, cache_dir=tmp_path)
    assert not hub.sent("model.safetensors")


def test_every_command_takes_a_reference(hub: LoopbackHub, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    commit = hub.add(NAME, onnx_files(tmp_path), licence="mit")
    image, cache = tmp_path / "image.png", ["--cache-dir", str(tmp_path / "cache")]
    cv2.imwrite(str(image), small.frames(1)[0])
    out = ["-o", str(tmp_path / "out")]
    (tmp_path / "models.lst").write_text(f"{MODEL}  # a comment\nresnet-50\n")
    assert main(["info", MODEL, "--format", "json", *cache]) == 0
    shown = json.loads(capfd.readouterr().out)
    assert (shown["name"], shown["license"], shown["classes"]) == ("tiny-net", "mit", 5)
    assert main(["download", MODEL, *out, *cache]) == 0
    assert "weights under mit" in capfd.readouterr().err
    assert (tmp_path / "out" / "public" / "tiny-net" / "model.onnx").is_file()
    assert main(["convert", "--list", str(tmp_path / "models.lst"), *out, *cache, "--precisions", "FP32"]) == 0
    xml = tmp_path / "out" / "public" / "tiny-net" / "FP32" / "tiny-net.xml"
    assert main(["info", str(xml)]) == 0
    assert f"repository {NAME}, revision {commit}, license mit" in capfd.readouterr().out
    for options in ([], ["--ir-dir", str(tmp_path / "out")]):
        run = ["classify", MODEL, str(image), "-d", "CPU", "--format", "jsonl", *cache, *options]
        assert main(run) == 0
        answer = json.loads(capfd.readouterr().out)["predictions"][0]
        assert answer["class_id"] == int(small.by_hand(small.frames(1)[0]).argmax())
    assert main(["info", MODEL, MODEL.upper().replace("HF", "hf"), *cache]) == 1  # one fails, the other is shown
    assert "tiny-net" in capfd.readouterr().out


def test_source_with_options_copies_the_files(hub: LoopbackHub, tmp_path: Path) -> None:
    commit = hub.add(NAME, onnx_files(tmp_path, "onnx/model.onnx", "onnx/model_fp16.onnx"), licence="mit")
    folder = tmp_path / "out" / "public" / "mine"
    arguments = [
        "convert",
        "--source",
        f"{MODEL}@main/onnx/model_fp16.onnx",
        "--name",
        "mine",
        "-o",
        str(tmp_path / "out"),
    ]
    assert main([*arguments, "--geometry", "resize 32", "--precisions", "FP32"]) == 0
    config = ovm.load_config(folder)
    (file,) = config.files
    assert [str(source) for source in file.sources][1] == f"hf:{NAME}@{commit}/onnx/model_fp16.onnx"
    assert (folder / "model_fp16.onnx").is_file() and config.license == "mit"
    record = open_ir(folder / "FP32" / "mine.xml").record
    assert record is not None and str(record.geometry) == "resize 32"
    assert record.origin == HubOrigin(repository=NAME, revision=commit, license="mit")
    hub.requests.clear()
    again = ovm.convert(folder / "model.yml", tmp_path / "again", precisions=["FP32"], cache_dir=tmp_path / "cache")
    assert not hub.requests and again[0].record.origin == record.origin  # the file beside the description comes first


def test_hostile_repositories(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.add("a/large", {"config.json": b" " * (9 << 20), "model.safetensors": b"x"})
    with pytest.raises(ovm.ConfigError, match="hf:a/large/config.json: file too large"):
        ovm.find_config("hf:a/large", cache_dir=tmp_path)
    assert not hub.sent("config.json")
    hub.add("a/licence", weights_of(TIMM), licence="x\n\x1b[31m" + "y" * 1000)
    shown = ovm.find_config("hf:a/licence", cache_dir=tmp_path).license
    assert len(shown) <= 200 and shown.isprintable()
    hub.add("a/pickle", {"config.json": json.dumps({**TIMM, "auto_map": {"x": "y.z"}}).encode(), "y.py": b"1/0",
                         "pytorch_model.bin": b"not read"})  # fmt: skip
    with pytest.raises(ovm.ConversionError, match=r"auto_map: .* never run"):
        ovm.find_config("hf:a/pickle", cache_dir=tmp_path)
    assert not hub.sent("y.py") and not hub.sent("pytorch_model.bin")
    assert not list((tmp_path / "hub").glob("a--large/*")) and not list((tmp_path / "hub").rglob("a--pickle/*/*"))


def test_describe_and_the_ambiguous(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.add(NAME, {name: b"\x08\x07" for name in ("a.onnx", "b.onnx")})
    with pytest.raises(ovm.UsageError, match=f"{MODEL}: several networks.*a.onnx, b.onnx"):
        ovm.find_config(MODEL, cache_dir=tmp_path)
    hub.add("onnxmodelzoo/net-12", {"net-12.onnx": onnx_files(tmp_path)["onnx/model.onnx"]})
    with pytest.raises(ovm.UsageError, match="not known.*convert --source hf:onnxmodelzoo/net-12 --name net-12"):
        ovm.find_config("hf:onnxmodelzoo/net-12", cache_dir=tmp_path)
    described = ovm.describe("hf:onnxmodelzoo/net-12", name="mine", preset="torchvision")
    assert described.draft.description.normalisation.mean == small.MEAN


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("hf:timm/mobilenetv4_conv_small.e2400_r224_in1k", "mobilenetv4_conv_small.e2400_r224_in1k"),
        ("hf:a/net@v1.0", "net"),
        ("hf:a/net/onnx/model_int8.onnx", "net-model_int8"),
        ("hf:onnxmodelzoo/mobilenetv2-12/mobilenetv2-12.onnx", "mobilenetv2-12"),
        ("hf:a/net/a file.onnx", "net-a_file"),
        ("hf:a/..", None),
        ("hf:a/b.xml", None),
    ],
)
def test_the_name_of_the_model(reference: str, name: str | None) -> None:
    if name is not None:
        assert reference_name(parse_hub_reference(reference)) == name
        return
    with pytest.raises(ovm.UsageError, match="the name cannot be that of a model"):
        reference_name(parse_hub_reference(reference))
