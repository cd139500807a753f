"""`verify`: correct conversions that must hold, wrong ones that must not, and inputs it must refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_networks as small
from numpy.typing import NDArray

import ov_mobilenet as ovm
from ov_mobilenet.accuracy import source_graph, verification
from ov_mobilenet.accuracy.source_networks import source_oracle
from ov_mobilenet.accuracy.verification_result import check
from ov_mobilenet.errors import ConversionError, UsageError, VerificationError
from ov_mobilenet.resolve import LookupOptions
from ov_mobilenet.zoo.arguments import plan_conversion
from ov_mobilenet.zoo.output_kind import OutputContent

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def converted(yml: Path, out: Path) -> tuple[ovm.SourceFiles, ovm.IrModel]:
    sources = ovm.download(ovm.load_config(yml), out / "dl", cache_root=out / "cache", offline=True)
    return sources, ovm.convert(sources, out / "ir", precisions=("FP32",))[0]


def changed(yml: Path, change: Callable[[Any], None]) -> Path:
    """Change the ONNX model, and its size and checksum in the model.yml."""
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


def rename(model: Any, old: str, new: str) -> None:
    for port in (*model.graph.input, *model.graph.output):
        port.name = new if port.name == old else port.name
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]


def test_a_binary_network_whose_description_states_no_output_is_verified(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from ov_mobilenet.conversion.architectures.mobilenet_v2 import MobileNetV2

    yml = small.write_checkpoint(tmp_path / "net", "mobilenet_v2", lambda: MobileNetV2(classes=1))
    result = ovm.verify(*converted(yml, tmp_path))
    assert result.holds
    assert result.top1_agreement == 1.0


@pytest.mark.parametrize("end", ["logits", "softmax", "softmax-reshape"])
def test_networks_with_different_outputs_are_compared_in_probabilities(tmp_path: Path, end: str) -> None:
    sources, model = converted(small.write_onnx(tmp_path / "net", end=end, batch=1), tmp_path)
    result = ovm.verify(sources, model)
    assert result.holds
    assert result.images == verification.NOISE_IMAGES


def test_logits_between_0_and_1_are_not_mistaken_for_probabilities(tmp_path: Path) -> None:
    def squash(model: Any) -> None:
        (dense,) = (tensor for tensor in model.graph.initializer if tensor.name == "dense")
        (offset,) = (tensor for tensor in model.graph.initializer if tensor.name == "offset")
        weights = onnx.numpy_helper.to_array(dense) * 1e-3
        dense.CopyFrom(onnx.numpy_helper.from_array(weights, "dense"))
        offset.CopyFrom(onnx.numpy_helper.from_array(np.full(small.CLASSES, 0.5, np.float32), "offset"))

    sources, model = converted(changed(small.write_onnx(tmp_path / "net"), squash), tmp_path)
    assert ovm.verify(sources, model).holds


@pytest.mark.parametrize("documented", ["", ":0"])
def test_tensor_names_match_with_and_without_the_output_number(tmp_path: Path, documented: str) -> None:
    def number(model: Any) -> None:
        rename(model, "data", "data:0")
        rename(model, "scores", "scores:0")

    yml = changed(small.write_onnx(tmp_path / "net", output="scores" + documented), number)
    sources, model = converted(yml, tmp_path)
    assert ovm.verify(sources, model).holds


def test_a_source_network_with_a_fixed_batch_size(tmp_path: Path) -> None:
    yml = small.write_onnx(tmp_path / "net", batch=8, shape=(8, 3, 32, 32))
    sources, model = converted(yml, tmp_path)
    assert ovm.verify(sources, model).holds


def test_a_network_that_onnxruntime_cannot_run_is_a_conversion_error(tmp_path: Path) -> None:
    def from_the_future(model: Any) -> None:
        model.ir_version = 99

    config = ovm.load_config(changed(small.write_onnx(tmp_path / "net"), from_the_future))
    plan = plan_conversion(config)
    with pytest.raises(ConversionError, match=r"small\.onnx: onnxruntime cannot run the source network \(.*IR version"):
        source_oracle(config, plan, config.folder / "small.onnx")
    config = ovm.load_config(small.write_onnx(tmp_path / "fixed", batch=1))
    oracle = source_oracle(config, plan, config.folder / "small.onnx")
    with pytest.raises(ConversionError, match="onnxruntime cannot run the source network"):
        oracle(np.zeros((16, 16, 3), np.uint8))


def test_unreadable_images_are_not_replaced_by_noise(tmp_path: Path) -> None:
    sources, model = converted(small.write_onnx(tmp_path / "net"), tmp_path)
    for images in ([], [tmp_path / "none.png"]):
        with pytest.raises(VerificationError, match=f"no image could be read.*{len(images)} unreadable"):
            ovm.verify(sources, model, images)


def test_a_nan_of_the_source_network_fails_the_verification(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = source_graph.as_probabilities
    numbers = iter(range(verification.NOISE_IMAGES))

    def broken(answer: NDArray[np.float32], content: OutputContent) -> NDArray[np.float32]:
        factor = np.float32(np.nan if next(numbers) == 3 else 1)
        spoiled: NDArray[np.float32] = right(answer, content) * factor
        return spoiled

    monkeypatch.setattr(verification, "as_probabilities", broken)
    sources, model = converted(small.write_onnx(tmp_path / "net"), tmp_path)
    result = ovm.verify(sources, model)
    assert np.isnan(result.max_difference)
    with pytest.raises(VerificationError, match=r"a largest difference of NaN"):
        check(result, model.xml)


def test_a_model_is_verified_by_its_model_yml_alone_or_with_an_ir(tmp_path: Path) -> None:
    yml = small.write_onnx(tmp_path / "net")
    _, model = converted(yml, tmp_path)
    done: list[tuple[int, int]] = []
    lookup: LookupOptions = {"cache_dir": tmp_path / "cache", "offline": True}
    by_cache = ovm.verify(yml, on_progress=lambda count, total: done.append((count, total)), **lookup)
    assert by_cache.holds
    assert done == [(count, verification.NOISE_IMAGES) for count in range(1, verification.NOISE_IMAGES + 1)]
    assert ovm.verify(str(yml), model.xml, **lookup) == by_cache
    assert ovm.verify(yml, model, **lookup) == by_cache


def test_an_ir_is_verified_against_the_description_it_was_converted_from(tmp_path: Path) -> None:
    yml = small.write_onnx(tmp_path / "configs" / "net")
    _, model = converted(yml, tmp_path)
    lookup: LookupOptions = {"cache_dir": tmp_path / "cache", "offline": True}
    configs: LookupOptions = {**lookup, "config_dirs": [tmp_path / "configs"]}
    assert ovm.verify(model.xml, **configs).holds
    with pytest.raises(UsageError, match="description of this IR is unknown"):
        ovm.verify(model.xml, **lookup)
    yml.write_text(yml.read_text() + "ov_mobilenet: {classes: 5}\n")
    with pytest.raises(UsageError, match="unknown or has changed"):
        ovm.verify(model.xml, **configs)


def test_what_cannot_be_verified_is_refused(tmp_path: Path) -> None:
    import openvino as ov

    yml = small.write_onnx(tmp_path / "net")
    sources, model = converted(yml, tmp_path)
    with pytest.raises(UsageError, match="source files need an IR"):
        ovm.verify(sources)
    network = ov.Core().read_model(model.xml)
    network.set_rt_info("FP16-INT8", ["ov_mobilenet", "precision"])
    ov.save_model(network, tmp_path / "int8.xml", compress_to_fp16=False)
    with pytest.raises(VerificationError, match=r"FP32 or FP16 weights, got FP16-INT8\. Measure it with"):
        ovm.verify(sources, tmp_path / "int8.xml")


def test_options_that_would_be_ignored_are_refused(tmp_path: Path) -> None:
    sources, model = converted(small.write_onnx(tmp_path / "net"), tmp_path)
    with pytest.raises(UsageError, match="unknown option: .*got tolerance"):
        ovm.verify(sources, model, tolerance=1.0)  # type: ignore[call-arg]
    with pytest.raises(UsageError, match="lookup options are for a MODEL"):
        ovm.verify(sources, model, offline=True)
    with pytest.raises(UsageError, match="ir and ir_dir exclude each other"):
        ovm.verify(sources.config.path, model, ir_dir=tmp_path)


def test_a_guessed_layout_holds_in_the_source_framework_too(tmp_path: Path) -> None:
    def take_nhwc(model: Any) -> None:
        graph, dims = model.graph, model.graph.input[0].type.tensor_type.shape.dim
        dims[1].dim_value, dims[3].dim_value = 32, 3
        graph.node[0].input[0] = "planar"
        graph.node.insert(0, onnx.helper.make_node("Transpose", ["data"], ["planar"], perm=[0, 3, 1, 2]))

    yml = changed(small.write_onnx(tmp_path / "net"), take_nhwc)
    text = yml.read_text().replace("shape: [1, 3, 32, 32]", "shape: [1, 32, 32, 3]").replace("    layout: NCHW\n", "")
    yml.write_text(text)
    assert ovm.verify(yml, cache_dir=tmp_path / "cache").holds
