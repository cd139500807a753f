"""Profiles: written and read again, validated, and applied to a classifier."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import small_networks as small
import yaml

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.errors import ConfigError, UsageError
from ov_mobilenet.ir.files import ir_digest, open_ir
from ov_mobilenet.ir.identity import network_identity
from ov_mobilenet.runtime import profile as profiles
from ov_mobilenet.runtime.profile import Profile, load_profile
from ov_mobilenet.tuning.profile_writing import save_profile
from ov_mobilenet.zoo.geometry import parse_geometry


@pytest.fixture(scope="module")
def small_ir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tuned")
    sources = ovm.download(ovm.load_config(small.write_onnx(out / "small")), out / "dl", cache_root=out / "cache")
    return ovm.convert(sources, out, precisions=("FP32",), form=ovm.Form(geometry=parse_geometry("resize 32")))[0].xml


def document(xml: Path, **changes: Any) -> dict[str, Any]:
    versions = profiles.current_versions()
    return {
        "schema_version": 2,
        "created": "2026-01-31T12:00:00Z",
        "model": {
            "name": "small",
            "xml": str(xml),
            "digest": ir_digest(xml),
            "identity": msgspec.to_builtins(network_identity(open_ir(xml))),
        },
        "device": {"name": "CPU", "full_name": profiles.full_device_name("CPU")},
        "versions": {"openvino": versions.openvino, "ov_mobilenet": versions.ov_mobilenet},
        "settings": {"batch_size": 2, "inference_precision": "f32", "streams": 1, "threads": 1, "nireq": 3},
        "objective": "throughput",
        "mode": "inference",
        "latency_budget_ms": None,
        "noise": 0.01,
        "gain": {"ratio": 1.4, "low": 1.3, "high": 1.5, "pairs": 9},
        "measurements": [
            {
                "precision": "f32", "batch": 2, "streams": 1, "requests": 3, "threads": 1, "throughput_fps": 100.0,
                "p95_ms": 5.0, "images_per_cpu_s": None, "images_per_j": None, "top1": None, "on_front": True,
                "chosen": True,
            }
        ],
        **changes,
    }  # fmt: skip


def written(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / "a.profile.yml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def test_a_saved_profile_is_read_again_and_replaces_an_existing_file(small_ir: Path, tmp_path: Path) -> None:
    first = load_profile(written(tmp_path, document(small_ir)))
    assert msgspec.to_builtins(first)["settings"]["hint"] is None
    path = tmp_path / "b.yml"
    path.write_text("something else")
    save_profile(first, path)
    assert load_profile(path) == first
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.profile.yml", "b.yml"]


def test_a_classifier_uses_its_profile_and_returns_the_same_probabilities(small_ir: Path, tmp_path: Path) -> None:
    path = written(tmp_path, document(small_ir))
    tuned = ovm.load_classifier(small_ir, profile=path)
    made = tuned.compiled()
    assert (made.batch, made.streams, made.requests, tuned.device) == (2, 1, 3, "CPU")
    frames = small.frames()
    assert np.abs(tuned.probabilities(frames) - [small.by_hand(frame) for frame in frames]).max() < 1e-5
    again = ovm.load_classifier(small_ir, profile=load_profile(path))
    assert again.compiled().batch == 2


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (("settings", "streams"), 0, "settings.streams: wrong type or value"),
        (("settings", "streams"), "2", "settings.streams: wrong type or value"),
        (("settings", "batch_size"), True, "settings.batch_size"),
        (("settings", "properties"), {"X": "1"}, "settings.properties: unknown key"),
        (("settings", "hint"), "fast", "settings.hint"),
        (("settings", "hint"), "throughput", "settings: a performance hint sets the number of streams itself"),
        (("device", "name"), "cpu; rm", "settings: invalid device name"),
        (("model", "digest"), "abc", "model.digest"),
        (("schema_version",), 3, "schema_version: unsupported profile version: expected 1 or 2, got 3"),
        (("objective",), "speed", "objective"),
        (("noise",), -1, "noise"),
        (("surplus",), 1, "surplus: unknown key"),
    ],
)
def test_invalid_content_is_reported_with_file_line_and_key(
    key: tuple[str, ...], value: Any, message: str, small_ir: Path, tmp_path: Path
) -> None:
    content = document(small_ir)
    inner = content
    for part in key[:-1]:
        inner = inner[part]
    inner[key[-1]] = value
    path = written(tmp_path, content)
    with pytest.raises(ConfigError) as caught:
        load_profile(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}:")


def test_a_missing_key_and_a_tag_are_refused(small_ir: Path, tmp_path: Path) -> None:
    content = document(small_ir)
    del content["versions"]["openvino"]
    with pytest.raises(ConfigError, match=r"versions\.openvino: missing"):
        load_profile(written(tmp_path, content))
    path = tmp_path / "tag.yml"
    path.write_text("schema_version: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(ConfigError, match="tag"):
        load_profile(path)


def test_a_profile_applies_to_a_copy_of_its_ir(small_ir: Path, tmp_path: Path) -> None:
    path = written(tmp_path, document(small_ir))
    for ending in (".xml", ".bin"):
        (tmp_path / f"copy{ending}").write_bytes(small_ir.with_suffix(ending).read_bytes())
    assert ovm.load_classifier(tmp_path / "copy.xml", profile=path).compiled().batch == 2


def test_other_hardware_is_rejected_and_other_versions_are_a_warning(
    small_ir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    device = {"name": "CPU", "full_name": "Another CPU"}
    with pytest.raises(ConfigError, match="another device: expected CPU: Another CPU, got CPU: "):
        ovm.load_classifier(small_ir, profile=written(tmp_path, document(small_ir, device=device)))
    now = profiles.current_versions()
    versions = {"openvino": "2020.1", "ov_mobilenet": now.ov_mobilenet}
    with caplog.at_level(logging.WARNING):
        ovm.load_classifier(small_ir, profile=written(tmp_path, document(small_ir, versions=versions)))
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "openvino 2020.1" in warning and now.openvino in warning


@pytest.mark.parametrize(
    "more", [{"device": "CPU"}, {"hint": "latency"}, {"batch_size": 2}, {"settings": ovm.DeviceSettings()}]
)
def test_settings_together_with_a_profile_are_rejected(more: dict[str, Any], small_ir: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="given twice"):
        ovm.load_classifier(small_ir, profile=written(tmp_path, document(small_ir)), **more)


def test_classify_accepts_a_profile(small_ir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    for number, frame in enumerate(small.frames()[:3]):
        Image.fromarray(frame[:, :, ::-1]).save(tmp_path / f"{number}.png")
    path = written(tmp_path, document(small_ir))
    images = [str(tmp_path / f"{number}.png") for number in range(3)]
    plain = ["classify", str(small_ir), *images, "--format", "csv", "-k", "1"]
    assert main([*plain, "-d", "CPU", "--inference-precision", "f32"]) == 0
    expected = [line.split(",")[:3] for line in capsys.readouterr().out.splitlines()]
    assert main([*plain, "--profile", str(path)]) == 0
    assert [line.split(",")[:3] for line in capsys.readouterr().out.splitlines()] == expected
    assert main([*plain, "--profile", str(path), "--threads", "2"]) == 2
    assert "given twice" in capsys.readouterr().err
    assert main([*plain, "--profile", str(tmp_path / "none.yml")]) == 1


def test_benchmark_accepts_a_profile(small_ir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, document(small_ir))
    plain = ["benchmark", str(small_ir), "--profile", str(path), "--iterations", "4", "--warmup", "0"]
    assert main([*plain, "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["batch"], report["num_streams"], report["infer_requests"], report["device"]) == (2, 1, 3, "CPU")
    for more in (["--batch", "4"], ["-d", "CPU"], ["--threads", "2"]):
        assert main([*plain, *more]) == 2
        assert "given twice" in capsys.readouterr().err
    assert main([*plain, str(small_ir)]) == 2
    assert "--profile takes one model" in capsys.readouterr().err


def test_device_settings_of_a_profile(small_ir: Path, tmp_path: Path) -> None:
    found: Profile = load_profile(written(tmp_path, document(small_ir)))
    settings = found.device_settings()
    assert (settings.device, settings.streams, settings.nireq) == ("CPU", 1, 3)
    assert settings.inference_precision == "f32"


def test_the_profile_is_read_before_the_model_is_downloaded(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.yml"):
        ovm.load_classifier(
            "mobilenetv2-7", profile=tmp_path / "missing.yml", cache_dir=tmp_path / "cache", offline=True
        )
    assert not (tmp_path / "cache").exists()


def test_benchmark_reads_the_profile_before_the_model_is_downloaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--profile", str(tmp_path / "missing.yml"), "--cache-dir", str(tmp_path / "cache"), "--offline"]
    assert main(["benchmark", "mobilenetv2-7", *arguments]) == 1
    assert "missing.yml" in capsys.readouterr().err
    assert not (tmp_path / "cache").exists()
