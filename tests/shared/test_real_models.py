"""Accuracy and bytes of IRs of real ImageNet weights. Skipped without ../shared."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from PIL import Image

import ov_mobilenet as ovm
from ov_mobilenet.accuracy.source_networks import source_oracle
from ov_mobilenet.conversion.converter import WEIGHT_PRECISIONS, WeightPrecision
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.images.decode import read_image
from ov_mobilenet.images.geometry import apply_geometry
from ov_mobilenet.zoo.arguments import plan_conversion

pytestmark = pytest.mark.shared

# From the README of the images: accuracy of the source network at f32. The uint8 output of the last one has ties.
TOP1 = {
    "mobilenet-v2-pytorch-real": (0.855, 0.865),
    "mobilenet-v2-onnx-real": (0.855, 0.865),
    "mobilenet-v1-0.25-128-tf2017": (0.455, 0.465),
    "mobilenet-v1-0.25-224-tflite": (0.590, 0.600),
    "mobilenet-v1-0.25-128-quant-tflite": (0.48, 0.52),
}
NAMES = list(TOP1)


def needs(name: str) -> None:
    if "pytorch" in name:
        pytest.importorskip("torch")


def convert(
    yml: Path, out: Path, precisions: tuple[WeightPrecision, ...] = WEIGHT_PRECISIONS, **form: Any
) -> list[Path]:
    config = ovm.load_config(yml)
    sources = ovm.download(config, out / "sources" / config.name, cache_root=out / "cache", offline=True)
    models = ovm.convert(sources, out / "public" / config.name, precisions=precisions, form=ovm.Form(**form))
    return [model.xml for model in models]


@pytest.fixture(scope="session")
def converted(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("real")
    for name in NAMES:
        try:
            convert(shared / "zoo" / name / "model.yml", out)
        except ovm.OvMobilenetError:
            needs(name)
            raise
    return out


def xml_of(out: Path, name: str, precision: str = "FP32") -> Path:
    return out / "public" / name / precision / f"{name}.xml"


def answers(xml: Path, files: list[Path]) -> np.ndarray:
    classifier = ovm.load_classifier(xml, device="CPU", inference_precision="f32")
    assert classifier.geometry is not None
    frames = np.stack([apply_geometry(classifier.geometry, read_image(f, classifier.geometry.reader)) for f in files])
    return classifier.probabilities(frames)


def top1(answer: np.ndarray, truth: np.ndarray) -> float:
    shift = 1 if answer.shape[1] == 1001 else 0
    return float((answer.argmax(1) == truth + shift).mean())


@pytest.mark.parametrize("name", NAMES)
def test_top1_on_real_images(name: str, converted: Path, images: tuple[list[Path], np.ndarray]) -> None:
    low, high = TOP1[name]
    files, truth = images
    answer = answers(xml_of(converted, name), files)
    assert low - 1e-9 <= top1(answer, truth) <= high + 1e-9
    assert np.abs(answer.sum(axis=1) - 1).max() < 1e-4
    assert answer.min() >= 0
    assert answer.max() <= 1


@pytest.mark.parametrize("name", NAMES)
def test_a_renamed_copy_gives_the_same(
    name: str, shared: Path, converted: Path, images: tuple[list[Path], np.ndarray], tmp_path: Path
) -> None:
    needs(name)
    copy = tmp_path / "something-else"
    shutil.copytree(shared / "zoo" / name, copy)
    (xml,) = convert(copy / "model.yml", tmp_path, ("FP32",))
    files, _ = images
    assert np.array_equal(answers(xml, files[:40]), answers(xml_of(converted, name), files[:40]))
    assert xml.with_suffix(".bin").read_bytes() == xml_of(converted, name).with_suffix(".bin").read_bytes()


@pytest.mark.parametrize("name", ["mobilenet-v2-pytorch-real", "mobilenet-v2-onnx-real"])
def test_the_ir_equals_its_source_network(name: str, converted: Path, images: tuple[list[Path], np.ndarray]) -> None:
    needs(name)
    pytest.importorskip("onnxruntime")
    config = ovm.load_config(Path(__file__).parents[3] / "shared" / "zoo" / name)
    plan = plan_conversion(config)
    oracle = source_oracle(config, plan, converted / "sources" / name / plan.source.path)
    files = images[0]
    classifier = ovm.load_classifier(xml_of(converted, name), device="CPU", inference_precision="f32")
    assert classifier.geometry is not None
    frames = np.stack([apply_geometry(classifier.geometry, read_image(f, classifier.geometry.reader)) for f in files])
    expected = np.stack([oracle(frame) for frame in frames]).astype(np.float64)
    if expected.min() < 0:  # logits
        expected = np.exp(expected - expected.max(axis=1, keepdims=True))
        expected /= expected.sum(axis=1, keepdims=True)
    assert np.abs(classifier.probabilities(frames) - expected).max() < 3e-5
    half = ovm.load_classifier(xml_of(converted, name, "FP16"), device="CPU", inference_precision="f32")
    rounded = half.probabilities(frames)
    assert np.abs(rounded - expected).max() < 4e-2
    assert (rounded.argmax(1) == expected.argmax(1)).mean() >= 0.98


def test_the_quantised_network_ends_at_its_float_softmax(
    shared: Path, converted: Path, images: tuple[list[Path], np.ndarray]
) -> None:
    name = "mobilenet-v1-0.25-128-quant-tflite"
    files = images[0]
    ours = answers(xml_of(converted, name), files)
    config = ovm.load_config(shared / "zoo" / name)
    plan = plan_conversion(config)
    network = converted / "sources" / name / plan.source.path
    classifier = ovm.load_classifier(xml_of(converted, name))
    assert classifier.geometry is not None
    frames = np.stack([apply_geometry(classifier.geometry, read_image(f, "opencv")) for f in files])
    # The graph as OpenVINO reads it, its uint8 output scaled by 1/256.
    compiled = ov.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    whole = np.concatenate([compiled(frame[None, :, :, ::-1])[0].copy() for frame in frames]) / 256.0
    assert np.abs(ours - whole).max() <= 1 / 256 + 1e-6


@pytest.mark.parametrize("name", ["mobilenet-v1-0.25-128-tf2017", "mobilenet-v1-0.25-128-quant-tflite"])
@pytest.mark.parametrize(("batch", "layout", "input_type"), [(8, "NHWC", "u8"), (-1, "NCHW", "f32")])
def test_fixed_batches_can_be_changed(
    name: str,
    batch: int,
    layout: str,
    input_type: str,
    shared: Path,
    converted: Path,
    images: tuple[list[Path], np.ndarray],
    tmp_path: Path,
) -> None:
    form = {"batch": batch, "layout": layout, "input_type": input_type}
    (xml,) = convert(shared / "zoo" / name / "model.yml", tmp_path, ("FP32",), **form)
    files = images[0][:24]
    assert np.abs(answers(xml, files) - answers(xml_of(converted, name), files)).max() < 1e-5


def test_documented_names_of_the_frozen_graph(converted: Path) -> None:
    model = ov.Core().read_model(xml_of(converted, "mobilenet-v1-0.25-128-tf2017"))
    assert model.inputs[0].get_names() == {"input"}
    assert model.outputs[0].get_names() == {
        "MobilenetV1/Predictions/Reshape_1",
        "MobilenetV1/Predictions/Softmax",
    }
    assert model.outputs[0].get_shape() == [1, 1001]


def test_background_and_labels(converted: Path, shared: Path) -> None:
    image = shared / "imagenet200" / "images" / "n02111500_Great_Pyrenees.JPEG"
    for name, class_id in (("mobilenet-v1-0.25-224-tflite", 258), ("mobilenet-v2-onnx-real", 257)):
        classes = ovm.load_classifier(xml_of(converted, name)).classify(image).top_k
        assert (class_id, "Great Pyrenees") in [(c.class_id, c.label) for c in classes]


def assert_same_bytes(one: Path, other: Path) -> None:
    """Without pytest's comparison of the texts, which takes minutes for an IR."""
    same = one.read_bytes() == other.read_bytes()
    assert same, (one, other)


def test_converting_in_another_order_gives_the_same_bytes(shared: Path, converted: Path, tmp_path: Path) -> None:
    for name in NAMES:
        needs(name)
    for name in reversed(NAMES):
        for xml in convert(shared / "zoo" / name / "model.yml", tmp_path):
            first = converted / xml.relative_to(tmp_path)
            assert_same_bytes(xml, first)
            assert_same_bytes(xml.with_suffix(".bin"), first.with_suffix(".bin"))


@pytest.mark.full
def test_two_processes_at_once_give_the_same_bytes(shared: Path, converted: Path, tmp_path: Path) -> None:
    for name in NAMES:
        needs(name)
    models = [str(shared / "zoo" / name / "model.yml") for name in NAMES]
    command = [sys.executable, "-m", "ov_mobilenet", "convert", *models]
    outs = [tmp_path / "one", tmp_path / "two"]
    root = Path(__file__).resolve().parents[2]
    running = [subprocess.Popen([*command, "-o", out, "-d", out / "dl"], cwd=root) for out in outs]
    assert [process.wait(timeout=300) for process in running] == [0, 0]
    for out in outs:
        for first in converted.glob("public/*/*/*"):
            assert (out / first.relative_to(converted)).read_bytes() == first.read_bytes()


def test_half_precision_halves_the_file(converted: Path) -> None:
    for name in ("mobilenet-v2-onnx-real", "mobilenet-v1-0.25-224-tflite"):
        sizes = [xml_of(converted, name, p).with_suffix(".bin").stat().st_size for p in ("FP16", "FP32")]
        assert sizes[0] / sizes[1] < 0.52


def test_an_integer_onnx_network_is_refused_with_an_alternative(shared: Path, tmp_path: Path) -> None:
    import small_networks as small

    network = tmp_path / "int8" / "mobilenetv2-12-int8.onnx"
    network.parent.mkdir()
    shutil.copy(shared / "zoo" / "mobilenetv2-12-int8-onnx" / network.name, network)
    yml = small.describe(network, shape=(1, 3, 224, 224), output="output")
    with pytest.raises(ConversionError, match="QOperator format.*quantize"):
        convert(yml, tmp_path)


def test_decoders_agree_on_real_images(images: tuple[list[Path], np.ndarray]) -> None:
    for file in images[0]:
        expected = np.asarray(Image.open(file).convert("RGB"))[:, :, ::-1]
        for reader in ("opencv", "pillow"):
            assert np.array_equal(read_image(file, reader, exif_orientation=False), expected)
