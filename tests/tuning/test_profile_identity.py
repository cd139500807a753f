"""A profile is for a network in a form, not for the bytes of the files that one version converted it to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import small_networks as small

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.errors import ConfigError
from ov_mobilenet.ir.files import open_ir
from ov_mobilenet.ir.identity import network_identity
from ov_mobilenet.ir.record import write_record
from ov_mobilenet.ir.saving import save_ir
from ov_mobilenet.tuning.profile_writing import save_profile
from ov_mobilenet.zoo.geometry import parse_geometry

CALIBRATION = {"nncf": "3.0", "images": 300, "digest": "sha256:" + "a" * 64, "preset": "mixed", "in_float": ["Add_3"]}


def converted(yml: Path, out: Path, precision: Any = "FP32", **form: Any) -> Path:
    sources = ovm.download(ovm.load_config(yml), out / "dl", cache_root=out / "cache")
    made = ovm.convert(
        sources, out, precisions=(precision,), form=ovm.Form(**{"geometry": parse_geometry("resize 32"), **form})
    )
    return made[0].xml


def with_record(xml: Path, target: Path, **changes: Any) -> Path:
    """A copy of an IR with other values in its record."""
    ir = open_ir(xml)
    assert ir.record is not None
    write_record(ir.network, msgspec.structs.replace(ir.record, **changes))
    save_ir(ir.network, target)
    return target


def without_record(xml: Path, target: Path) -> Path:
    """The IR as another tool would have written it."""
    import openvino as ov

    network = open_ir(xml).network
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = ov.Model(network.get_results(), network.get_parameters(), "other")
    save_ir(fresh, target)
    assert open_ir(target).record is None
    return target


@pytest.fixture(scope="module")
def yml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.write_onnx(tmp_path_factory.mktemp("network") / "small")


@pytest.fixture(scope="module")
def tuned(yml: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An IR and the profile that `tune` wrote for it."""
    folder = tmp_path_factory.mktemp("tuned")
    xml = converted(yml, folder)
    found = ovm.tune(xml, device="CPU", time_limit_s=0.5)
    assert found.profile is not None
    profile = folder / "small.profile.yml"
    save_profile(found.profile, profile)
    return xml, profile


def upgrade(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this be a later version of the package: for the cache key, and in the record of converted models."""
    for module in ("conversion.converter", "resolve"):
        monkeypatch.setattr(f"ov_mobilenet.{module}.__version__", "9.9.9")


def test_a_profile_applies_to_the_same_network_converted_by_another_version(
    tuned: tuple[Path, Path], yml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    xml, profile = tuned
    upgrade(monkeypatch)
    later = converted(yml, tmp_path)
    assert b"9.9.9" in later.read_bytes()
    assert hashlib.sha256(later.read_bytes()).digest() != hashlib.sha256(xml.read_bytes()).digest()
    frames = small.frames()
    answers = ovm.load_classifier(later, profile=profile).probabilities(frames)
    assert np.abs(answers - [small.by_hand(frame) for frame in frames]).max() < 0.02  # the device's own precision


def test_a_profile_of_a_described_model_survives_an_upgrade(
    yml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cache, profile = ["--cache-dir", str(tmp_path / "cache")], str(tmp_path / "p.yml")
    assert main(["tune", str(yml), "-d", "CPU", "--time-limit", "1", "-o", profile, *cache]) == 0
    upgrade(monkeypatch)
    frames = ["--iterations", "3", "--warmup", "0", "--format", "json"]
    assert main(["benchmark", str(yml), "--profile", profile, *frames, *cache]) == 0
    assert len(list((tmp_path / "cache" / "ir").glob("*/FP32/small.xml"))) == 2  # it was converted again
    capsys.readouterr()


def test_a_graph_that_another_version_folds_differently_is_the_same_network(
    tuned: tuple[Path, Path], tmp_path: Path
) -> None:
    xml, profile = tuned
    import openvino.opset13 as ops

    ir = open_ir(xml)
    (softmax,) = [op for op in ir.network.get_ordered_ops() if op.get_type_name() == "Softmax"]
    doubled = ops.multiply(softmax.input_value(0), ops.constant(np.full((1, small.CLASSES), 1, np.float32)))
    softmax.input(0).replace_source_output(doubled.output(0))
    save_ir(ir.network, tmp_path / "small.xml")
    assert (tmp_path / "small.bin").read_bytes() != xml.with_suffix(".bin").read_bytes()
    ovm.load_classifier(tmp_path / "small.xml", profile=profile)


@pytest.mark.parametrize(
    ("part", "then", "now", "change"),
    [
        ("weight precision", "FP32", "FP16", lambda yml, xml, out: converted(yml, out, "FP16")),
        ("input", "f32 1x3x32x32 NCHW BGR", "u8 1x3x32x32", lambda yml, xml, out: converted(yml, out, input_type="u8")),
        ("input", "1x3x32x32 NCHW", "1x32x32x3 NHWC", lambda yml, xml, out: converted(yml, out, layout="NHWC")),
        ("input", "1x3x32x32", "2x3x32x32", lambda yml, xml, out: converted(yml, out, batch=2)),
        ("input", "BGR", "RGB", lambda yml, xml, out: converted(yml, out, color_format="rgb")),
        ("geometry", "on the host", "in the graph (resize 32)",
         lambda yml, xml, out: converted(yml, out, bake_geometry=True)),
        ("calibration", "none", "300 images aaaaaaaaaaaaaaaa, preset mixed, 1 operations in float",
         lambda yml, xml, out: with_record(xml, out / "small.xml", precision="FP16-INT8", calibration=CALIBRATION)),
        ("normalisation", "mean_values", "none",
         lambda yml, xml, out: with_record(xml, out / "small.xml", normalisation=ovm.Normalisation())),
        ("weights", "", "",
         lambda yml, xml, out: with_record(xml, out / "small.xml", sources={"small.onnx": "sha256:" + "1" * 64})),
        ("weights", "", "", lambda yml, xml, out: without_record(xml, out / "small.xml")),
    ],
)  # fmt: skip
def test_another_network_is_refused_and_the_difference_named(
    part: str, then: str, now: str, change: Callable[[Path, Path, Path], Path], tuned: tuple[Path, Path], yml: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    xml, profile = tuned
    other = change(yml, xml, tmp_path)
    with pytest.raises(ConfigError) as caught:
        ovm.load_classifier(other, profile=profile)
    error = caught.value
    assert error.what.startswith("the profile was created for another network; different ")
    assert part in error.what.partition("different ")[2].split(", ")
    assert error.expected is not None and error.got is not None and error.fix is not None
    assert f"{part} " in error.expected and then in error.expected and str(xml) in error.expected
    assert now in error.got and str(other) in error.got


def test_other_weights_are_refused(tuned: tuple[Path, Path], tmp_path: Path) -> None:
    other = converted(small.write_onnx(tmp_path / "small", classes=6), tmp_path)
    with pytest.raises(ConfigError, match="different weights, output: "):
        ovm.load_classifier(other, profile=tuned[1])


def test_int8_networks_differ_by_their_calibration_but_not_by_the_version_of_nncf(
    tuned: tuple[Path, Path], tmp_path: Path
) -> None:
    def identity(**facts: Any) -> Any:
        calibration = {**CALIBRATION, **facts}
        path = with_record(tuned[0], tmp_path / "small.xml", precision="FP16-INT8", calibration=calibration)
        return network_identity(open_ir(path))

    first = identity()
    assert identity(nncf="4.0", in_float=["Add_4"]) == first
    assert identity(nncf="4.0").digest == first.digest
    others: tuple[dict[str, Any], ...] = (
        {"digest": "sha256:" + "b" * 64},
        {"preset": "performance"},
        {"in_float": []},
        {"images": 30},
    )
    for other in others:
        differences = first.differences(identity(**other))
        assert [name for name, _, _ in differences] == ["calibration"]
    assert identity(in_float=3, images=None, digest=[]) != first  # values that are not ours do not stop it


def test_an_ir_of_another_tool_is_identified_by_its_weights(tuned: tuple[Path, Path], tmp_path: Path) -> None:
    plain = without_record(tuned[0], tmp_path / "a" / "small.xml")
    first = network_identity(open_ir(plain))
    for ending in (".xml", ".bin"):
        (tmp_path / f"copy{ending}").write_bytes(plain.with_suffix(ending).read_bytes())
    assert network_identity(open_ir(tmp_path / "copy.xml")) == first
    weights = bytearray(plain.with_suffix(".bin").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "copy.bin").write_bytes(weights)
    text = (tmp_path / "copy.xml").read_text("utf-8")
    (tmp_path / "copy.xml").write_text(text.rpartition("<!-- ov-mobilenet")[0], "utf-8")  # without the files' digest
    assert [name for name, _, _ in first.differences(network_identity(open_ir(tmp_path / "copy.xml")))] == ["weights"]


def test_a_profile_of_version_1_applies_to_its_files_only(
    tuned: tuple[Path, Path], yml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import yaml

    xml, profile = tuned
    content = yaml.safe_load(profile.read_text())
    del content["model"]["identity"]
    old = tmp_path / "old.yml"
    old.write_text(yaml.safe_dump({**content, "schema_version": 1}))
    ovm.load_classifier(xml, profile=old)
    upgrade(monkeypatch)
    with pytest.raises(ConfigError, match=r"created by version 0\.1 for other files, or for the same network conv"):
        ovm.load_classifier(converted(yml, tmp_path), profile=old)
    old.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=r"model\.identity: missing key"):
        ovm.load_profile(old)
