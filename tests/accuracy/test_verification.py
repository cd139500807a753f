"""The comparison of an IR with its source network: what it may be fooled by, and what it must survive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import small_networks as small

import ov_mobilenet as ovm
from ov_mobilenet.accuracy import verification
from ov_mobilenet.accuracy.source_networks import source_oracle
from ov_mobilenet.errors import ConversionError, VerificationError
from ov_mobilenet.zoo.arguments import plan_conversion

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def converted(yml: Path, out: Path) -> tuple[ovm.SourceFiles, ovm.IrModel]:
    sources = ovm.download(ovm.load_config(yml), out / "dl", cache_root=out / "cache", offline=True)
    return sources, ovm.convert(sources, out / "ir", precisions=("FP32",))[0]


def changed(yml: Path, change) -> Path:
    network = yml.with_name("small.onnx")
    model = onnx.load(network)
    change(model)
    onnx.save(model, network)
    text = yml.read_text()
    small.describe(network)
    fresh = [line for line in yml.read_text().splitlines() if "checksum" in line or "size:" in line]
    old = [line for line in text.splitlines() if "checksum" in line or "size:" in line]
    for a, b in zip(old, fresh, strict=True):
        text = text.replace(a, b)
    yml.write_text(text)
    return yml


def rename(model, old: str, new: str) -> None:
    for port in (*model.graph.input, *model.graph.output):
        port.name = new if port.name == old else port.name
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]


@pytest.mark.parametrize("end", ["logits", "softmax", "softmax-reshape"])
def test_every_end_is_compared_in_probabilities(tmp_path: Path, end: str) -> None:
    sources, model = converted(small.write_onnx(tmp_path / "net", end=end, batch=1), tmp_path)
    result = ovm.verify(sources, model)
    assert result.holds
    assert result.images == verification.DRAWN_IMAGES


def test_logits_between_0_and_1_are_not_taken_for_probabilities(tmp_path: Path) -> None:
    def squash(model) -> None:
        (dense,) = (tensor for tensor in model.graph.initializer if tensor.name == "dense")
        (offset,) = (tensor for tensor in model.graph.initializer if tensor.name == "offset")
        weights = onnx.numpy_helper.to_array(dense) * 1e-3
        dense.CopyFrom(onnx.numpy_helper.from_array(weights, "dense"))
        offset.CopyFrom(onnx.numpy_helper.from_array(np.full(small.CLASSES, 0.5, np.float32), "offset"))

    sources, model = converted(changed(small.write_onnx(tmp_path / "net"), squash), tmp_path)
    assert ovm.verify(sources, model).holds


@pytest.mark.parametrize("documented", ["", ":0"])
def test_names_with_and_without_the_tensors_number(tmp_path: Path, documented: str) -> None:
    def number(model) -> None:
        rename(model, "data", "data:0")
        rename(model, "scores", "scores:0")

    yml = changed(small.write_onnx(tmp_path / "net", output="scores" + documented), number)
    sources, model = converted(yml, tmp_path)
    assert ovm.verify(sources, model).holds


def test_a_fixed_batch_is_filled_up(tmp_path: Path) -> None:
    yml = small.write_onnx(tmp_path / "net", batch=8, shape=(8, 3, 32, 32))
    sources, model = converted(yml, tmp_path)
    assert ovm.verify(sources, model).holds


def test_a_network_that_onnxruntime_cannot_run_is_a_conversion_error(tmp_path: Path) -> None:
    def from_the_future(model) -> None:
        model.ir_version = 99

    config = ovm.load_config(changed(small.write_onnx(tmp_path / "net"), from_the_future))
    plan = plan_conversion(config)
    with pytest.raises(ConversionError, match=r"small\.onnx: onnxruntime cannot run the source network \(.*IR version"):
        source_oracle(config, plan, config.folder / "small.onnx")
    config = ovm.load_config(small.write_onnx(tmp_path / "fixed", batch=1))
    oracle = source_oracle(config, plan, config.folder / "small.onnx")
    with pytest.raises(ConversionError, match="onnxruntime cannot run the source network"):
        oracle(np.zeros((16, 16, 3), np.uint8))


def test_images_that_are_given_and_cannot_be_read_are_no_noise(tmp_path: Path) -> None:
    sources, model = converted(small.write_onnx(tmp_path / "net"), tmp_path)
    for images in ([], [tmp_path / "none.png"]):
        with pytest.raises(VerificationError, match=f"no image could be read.*{len(images)} unreadable"):
            ovm.verify(sources, model, images)


def test_an_oracle_that_gives_no_number_once_is_no_agreement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = verification.as_probabilities
    numbers = iter(range(verification.DRAWN_IMAGES))

    def broken(answer: np.ndarray, *, probabilities: bool) -> np.ndarray:
        return right(answer, probabilities=probabilities) * np.float32(np.nan if next(numbers) == 3 else 1)

    monkeypatch.setattr(verification, "as_probabilities", broken)
    sources, model = converted(small.write_onnx(tmp_path / "net"), tmp_path)
    result = ovm.verify(sources, model)
    assert np.isnan(result.max_difference)
    with pytest.raises(VerificationError, match=r"got no numbers \(NaN\)"):
        verification.check(result, model.xml)
