"""INT8 of the built-in sample model, whose generated images have known classes, and of small networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov
import pytest
from inputs.media import shard
from nncf_for_tests import require_nncf
from signs import held_out

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.errors import ImageError, IrError, MissingDependencyError, UsageError
from ov_mobilenet.ir.record import IrRecord, read_record
from ov_mobilenet.quantization.int8_network import Int8Network

require_nncf()

SAMPLE = "mobilenet-v1-0.25-128-signs"


def calibration_of(made: ovm.Quantized) -> dict[str, Any]:
    assert made.model.record.calibration is not None
    return made.model.record.calibration


@pytest.fixture(scope="module")
def made(xml: Path, images: list[Path]) -> ovm.Quantized:
    return ovm.quantize(xml, images)


def test_int8_keeps_the_accuracy_on_held_out_images(xml: Path, made: ovm.Quantized) -> None:
    drawn = list(held_out(3, 200))
    labels = np.array([label for _, label in drawn])
    top1 = []
    for path in (xml, made.model.xml):
        classifier = ovm.load_classifier(path, device="CPU", inference_precision="f32")
        found = classifier.classify_batch([frame for frame, _ in drawn], top_k=1)
        classes = [result.best.class_id for result in found if isinstance(result, ovm.Classification)]
        top1.append(np.mean(np.array(classes) == labels))
    assert top1[0] > 0.95
    assert top1[1] >= top1[0] - 0.01


def test_the_int8_ir_is_written_beside_the_float_ir_with_its_record(xml: Path, made: ovm.Quantized) -> None:
    assert made.model.xml == xml.parent.parent / "FP16-INT8" / xml.name
    assert made.bytes_ratio <= 0.30
    assert made.warnings == ()
    network = ov.Core().read_model(made.model.xml)
    calibration = json.loads(network.get_rt_info(["ov_mobilenet", "calibration"]).astype(str))
    assert calibration["images"] == 60
    assert calibration["preset"] == "performance"
    assert network.get_rt_info(["ov_mobilenet", "precision"]).astype(str) == "FP16-INT8"
    assert network.get_rt_info(["model_info", "model_type"]).astype(str) == "Classification"
    assert made.model.record == read_record(network, made.model.xml)


@pytest.mark.full
def test_the_same_images_in_another_order_give_the_same_bytes(
    xml: Path, images: list[Path], made: ovm.Quantized, tmp_path: Path
) -> None:
    again = ovm.quantize(xml, images[::-1], tmp_path / xml.name)
    for suffix in (".xml", ".bin"):
        assert again.model.xml.with_suffix(suffix).read_bytes() == made.model.xml.with_suffix(suffix).read_bytes()


def test_every_convolution_runs_in_int8(made: ovm.Quantized) -> None:
    compiled = ov.Core().compile_model(made.model.xml, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    kinds = {}
    for node in compiled.get_runtime_model().get_ops():
        facts = {key: node.rt_info[key].astype(str) for key in ("layerType", "primitiveType", "runtimePrecision")}
        if facts["layerType"] in ("Convolution", "GroupConvolution"):
            kinds[node.get_friendly_name()] = facts["runtimePrecision"]
    assert len(kinds) == 27
    assert set(kinds.values()) <= {"u8", "i8"}


@pytest.mark.filterwarnings("ignore")
def test_unreadable_images_are_skipped_and_too_few_are_an_error(
    xml: Path, images: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(images[0].read_bytes()[:100])
    settings = ovm.QuantizeSettings(fast_bias_correction=True)
    done: list[tuple[int, int]] = []
    result = ovm.quantize(
        xml, [*images[:20], broken], tmp_path / xml.name, settings=settings, on_progress=lambda *n: done.append(n)
    )
    assert result.skipped == 1
    assert len(done) >= 20  # the name of on_progress in 0.1
    assert "only 20 calibration images" in caplog.text
    with pytest.raises(ImageError, match="3 of 4"):
        ovm.quantize(xml, [*images[:3], broken])
    with pytest.raises(UsageError, match="no images: expected images"):
        ovm.quantize(xml, [])
    with pytest.raises(UsageError, match="unknown option: expected config_dirs, .*got preset"):
        ovm.quantize(xml, images, tmp_path / "other.xml", preset="mixed")  # type: ignore[call-arg]


@pytest.mark.full
def test_a_shard_calibrates_like_its_images_and_a_corrupt_member_is_skipped(
    xml: Path, images: list[Path], tmp_path: Path
) -> None:
    names = [f"{index:03}.png" for index in range(21)]
    members = dict(zip(names, [path.read_bytes() for path in images[:20]] + [b"no image"], strict=True))
    packed = shard(tmp_path / "a.tar", dict(reversed(members.items())))
    settings = ovm.QuantizeSettings(fast_bias_correction=True)
    made = ovm.quantize(xml, packed, tmp_path / "a.xml", settings=settings)
    of_files = ovm.quantize(xml, images[:20], tmp_path / "b.xml", settings=settings)
    assert (made.skipped, of_files.skipped) == (1, 0)
    digests = [calibration_of(result)["digest"] for result in (made, of_files)]
    assert digests[0] == digests[1]


def test_int8_irs_and_irs_without_a_record_are_refused(
    xml: Path, made: ovm.Quantized, images: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(IrError, match="already quantised"):
        ovm.quantize(made.model.xml, images)
    network = ov.Core().read_model(xml)
    bare = ov.Model(network.get_results(), network.get_parameters(), "bare")
    ov.save_model(bare, tmp_path / "bare.xml", compress_to_fp16=False)
    with pytest.raises(IrError, match="no record"):
        ovm.quantize(tmp_path / "bare.xml", images)


def test_the_command_prints_only_json_on_stdout(
    xml: Path, images: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "quantize",
        str(xml),
        "--calibration",
        str(images[0].parent),
        "-o",
        str(tmp_path),
        "--format",
        "json",
    ]
    assert main([*arguments, "--subset-size", "30", "--fast-bias-correction"]) == 0
    facts = json.loads(capfd.readouterr().out)
    assert Path(facts["xml"]) == tmp_path / "public" / SAMPLE / "FP16-INT8" / f"{SAMPLE}.xml"
    assert facts["calibration"]["images"] == 30
    assert facts["calibration"]["bias_correction"] == "fast"


def test_an_ignored_scope_stays_in_float_and_must_match_an_operation(
    xml: Path, images: list[Path], tmp_path: Path
) -> None:
    kinds = ((node.get_type_name(), node.get_friendly_name()) for node in ov.Core().read_model(xml).get_ordered_ops())
    name = [name for kind, name in kinds if kind == "Convolution"][3]
    settings = ovm.QuantizeSettings(ignored_scope=(name,), fast_bias_correction=True)
    result = ovm.quantize(xml, images, tmp_path / "net.xml", settings=settings)
    assert name in calibration_of(result)["in_float"]
    with pytest.raises(UsageError, match="matches no operation"):
        ovm.quantize(xml, images, settings=ovm.QuantizeSettings(ignored_scope=("Nothing",)))
    with pytest.raises(UsageError, match="invalid subset_size: expected at least 10 images, got 9"):
        ovm.quantize(xml, images, settings=ovm.QuantizeSettings(subset_size=9))


def test_an_old_openvino_is_refused_and_the_extra_is_named(
    xml: Path, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openvino.get_version", lambda: "2025.4.0-1")
    with pytest.raises(MissingDependencyError, match=r"\[quantize\]"):
        ovm.quantize(xml, images)


def test_a_zoo_name_is_quantised_as_the_command_does(
    images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = ovm.QuantizeSettings(subset_size=12, fast_bias_correction=True)
    done: list[tuple[int, int]] = []
    made = ovm.quantize(
        SAMPLE, images[:12], settings=settings, on_progress=lambda count, total: done.append((count, total)),
        cache_dir=tmp_path / "cache", offline=True,
    )  # fmt: skip
    assert made.model.xml == Path("public") / SAMPLE / "FP16-INT8" / f"{SAMPLE}.xml"
    assert done == [(count, 12) for count in range(1, 13)]
    with pytest.raises(UsageError, match="exclude each other"):
        ovm.quantize(SAMPLE, images, tmp_path / "net.xml", output_dir=tmp_path, offline=True)


def test_each_network_is_read_and_finished_once(
    xml: Path, images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ov_mobilenet.ir import files
    from ov_mobilenet.quantization import int8_network

    calls: list[str] = []
    read_ir, finish = files._read_ir, int8_network.finish

    def recorded_read(path: Path, *more: Any) -> ov.Model:
        calls.append("read")
        return read_ir(path, *more)

    def recorded_finish(quantised: ov.Model, record: IrRecord) -> Int8Network:
        calls.append("finish")
        return finish(quantised, record)

    monkeypatch.setattr(files, "_read_ir", recorded_read)
    monkeypatch.setattr("ov_mobilenet.quantization.quantizer.finish", recorded_finish)
    for index, (frame, label) in enumerate(held_out(4, 12)):
        folder = tmp_path / "val" / f"{label:02}"
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{index}.png"), frame)
    settings = ovm.QuantizeSettings(fast_bias_correction=True, max_drop=1.0)
    ovm.quantize(xml, images[:12], tmp_path / "net.xml", settings=settings, dataset=tmp_path / "val")
    assert calls == ["read", "finish"]


def test_the_default_bias_correction_is_the_accurate_one() -> None:
    assert ovm.QuantizeSettings().fast_bias_correction is False
    assert "fast_bias_correction: whether to correct the bias of each layer by a faster" in (
        ovm.QuantizeSettings.__doc__ or ""
    )
