"""Converted small networks against answers computed with numpy."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
import small_networks as small

import ov_mobilenet as ovm
from ov_mobilenet.conversion.converter import WeightPrecision
from ov_mobilenet.conversion.normalisation_check import normalisation_warnings
from ov_mobilenet.errors import AlreadyNormalisedError, ConversionError, IrError, UsageError
from ov_mobilenet.ir.normalisation import bake_normalisation
from ov_mobilenet.ir.record import read_record
from ov_mobilenet.zoo.arguments import plan_conversion
from ov_mobilenet.zoo.geometry import parse_geometry
from ov_mobilenet.zoo.normalisation import Normalisation

FRAMES = small.frames()
EXPECTED = np.stack([small.by_hand(frame) for frame in FRAMES])


def convert(yml: Path, out: Path, *, precision: WeightPrecision = "FP32", **form: Any) -> Path:
    config = ovm.load_config(yml)
    sources = ovm.download(config, out / "download", cache_root=out / "cache", offline=True)
    return ovm.convert(sources, out / "ir", precisions=(precision,), form=ovm.Form(**form))[0].xml


def run(xml: Path, pixels: np.ndarray) -> np.ndarray:
    compiled = ov.Core().compile_model(xml, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled(pixels)[0])


@pytest.fixture(scope="module")
def small_ir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("small")
    return convert(small.write_onnx(out / "net"), out)


def test_the_frames_reveal_swapped_channels() -> None:
    swapped = np.stack([small.by_hand(frame[:, :, ::-1]) for frame in FRAMES])
    assert len(set(EXPECTED.argmax(1))) >= 3
    assert np.abs(swapped - EXPECTED).max() > 0.5


def test_raw_bgr_pixels_give_probabilities(small_ir: Path) -> None:
    pixels = FRAMES.transpose(0, 3, 1, 2).astype(np.float32)
    for index, frame in enumerate(pixels):
        probabilities = run(small_ir, frame[None])[0]
        assert np.abs(probabilities - EXPECTED[index]).max() < 3e-5
        assert probabilities.sum() == pytest.approx(1.0, abs=1e-5)


def test_input_and_output_match_the_description(small_ir: Path) -> None:
    model = ov.Core().read_model(small_ir)
    assert model.inputs[0].get_names() == {"data"}
    assert model.inputs[0].get_shape() == [1, 3, small.SIDE, small.SIDE]
    assert model.inputs[0].get_element_type() == ov.Type.f32
    assert model.get_parameters()[0].layout == ov.Layout("NCHW")
    assert model.outputs[0].get_names() == {"scores"}
    assert model.outputs[0].get_shape() == [1, small.CLASSES]


@pytest.mark.parametrize(
    ("batch", "layout", "input_type", "fixed_reshape"),
    list(itertools.product((1, 8, -1), ("NCHW", "NHWC"), ("f32", "u8"), (False, True))),
)
def test_every_form_gives_the_same_probabilities(
    tmp_path: Path, batch: int, layout: str, input_type: str, fixed_reshape: bool
) -> None:
    yml = small.write_onnx(tmp_path / "net", batch=1 if fixed_reshape else "n", fixed_reshape=fixed_reshape)
    xml = convert(yml, tmp_path, batch=batch, layout=layout, input_type=input_type)
    shape = ov.Core().read_model(xml).inputs[0].get_partial_shape()
    assert shape[0].is_dynamic if batch == -1 else shape[0].get_length() == batch
    count = {-1: 3}.get(batch, batch)
    pixels = FRAMES[:count].astype(np.uint8 if input_type == "u8" else np.float32)
    answer = run(xml, pixels if layout == "NHWC" else np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
    assert answer.shape == (count, small.CLASSES)
    assert np.abs(answer - EXPECTED[:count]).max() < 3e-5


def test_fp16_rounds_weights_only(tmp_path: Path) -> None:
    # The weights are exact in float16, so any difference comes from a rounded mean, scale or bias.
    yml = small.write_onnx(tmp_path / "net")
    xml = convert(yml, tmp_path, precision="FP16")
    for index, frame in enumerate(FRAMES):
        answer = run(xml, frame.transpose(2, 0, 1)[None].astype(np.float32))[0]
        assert np.abs(answer - EXPECTED[index]).max() < 3e-5


@pytest.mark.parametrize("end", ["softmax", "softmax-reshape"])
def test_no_second_softmax_is_added(tmp_path: Path, end: str) -> None:
    xml = convert(small.write_onnx(tmp_path / "net", end=end, batch=1), tmp_path)
    answer = run(xml, FRAMES[:1].transpose(0, 3, 1, 2).astype(np.float32))
    assert np.abs(answer - EXPECTED[:1]).max() < 3e-5


def test_the_output_has_the_names_from_softmax_to_output(tmp_path: Path) -> None:
    xml = convert(small.write_onnx(tmp_path / "net", end="softmax-reshape", batch=1), tmp_path)
    assert ov.Core().read_model(xml).outputs[0].get_names() == {"scores", "net/Softmax"}


@pytest.mark.parametrize(("end", "declared"), [("logits", "probabilities"), ("softmax", "logits")])
def test_a_wrong_output_kind_in_the_description_is_refused(tmp_path: Path, end: str, declared: str) -> None:
    extra = f"ov_mobilenet: {{output: {declared}}}\n"
    with pytest.raises(ConversionError, match=f"expected an output of {declared}"):
        convert(small.write_onnx(tmp_path / "net", end=end, extra=extra), tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": "nowhere"}, "no such output: expected 'nowhere', got 'scores'"),
        ({"layout": "NHWC", "shape": (1, 32, 32, 3)}, "does not support this input shape"),
        (
            {"extra": "ov_mobilenet: {classes: 6}\n"},
            "the number of classes does not match the network's output: expected 6, got 5",
        ),
    ],
)
def test_a_description_that_contradicts_the_network_is_refused(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConversionError, match=message):
        convert(small.write_onnx(tmp_path / "net", **options), tmp_path)
    assert not list((tmp_path / "ir").rglob("*.xml"))


def test_an_unknown_input_is_refused(tmp_path: Path) -> None:
    yml = small.write_onnx(tmp_path / "net")
    yml.write_text(yml.read_text().replace("data[", "pixels[").replace("name: data", "name: pixels"))
    with pytest.raises(ConversionError, match="no such input: expected 'pixels', got 'data'"):
        convert(yml, tmp_path)


def test_a_truncated_network_is_refused_in_one_line(tmp_path: Path) -> None:
    yml = small.write_onnx(tmp_path / "net")
    network = yml.with_name("small.onnx")
    network.write_bytes(network.read_bytes()[:700])
    small.describe(network)
    with pytest.raises(ConversionError, match=r"small\.onnx: the file is damaged or not an ONNX network") as caught:
        convert(yml, tmp_path)
    assert "\n" not in str(caught.value)


def test_the_record_of_a_converted_model(tmp_path: Path) -> None:
    extra = "ov_mobilenet: {classes: 5, background_class: 0, labels: names.txt}\n"
    yml = small.write_onnx(tmp_path / "net", extra=extra)
    labels = ("background", "great white shark", "red & <blue>", '"quoted"', "crane")
    yml.with_name("names.txt").write_text("\n".join(labels) + "\n", "utf-8")
    xml = convert(yml, tmp_path)
    model = ov.Core().read_model(xml)
    record = read_record(model, xml)
    assert record is not None
    assert record.labels == labels
    assert record.background_class == 0
    assert record.channel_order == "BGR"
    assert record.normalisation == Normalisation(mean=small.MEAN, scale=small.SCALE, reverse_input_channels=True)
    assert record.config_name == "net"
    checksum = ovm.load_config(yml).files[0].checksum
    assert checksum is not None
    assert record.sources == {"small.onnx": f"sha256:{checksum.value}"}
    info = {key: value.astype(str) for key, value in model.rt_info["model_info"].items()}
    assert info == {
        "model_type": "Classification",
        "labels": 'background great_white_shark red_&_<blue> "quoted" crane',
        "resize_type": "standard",
    }
    assert "conversion_parameters" not in model.rt_info
    assert str(tmp_path) not in xml.read_text("utf-8")


def test_a_newer_record_is_refused_with_both_numbers(small_ir: Path, tmp_path: Path) -> None:
    model = ov.Core().read_model(small_ir)
    model.set_rt_info("7", ["ov_mobilenet", "format_version"])
    xml = tmp_path / "newer.xml"
    ov.save_model(model, xml)
    with pytest.raises(IrError, match="format version 2 or older, got format version 7"):
        ovm.load_classifier(xml)


def test_a_second_bake_is_refused(small_ir: Path) -> None:
    model = ov.Core().read_model(small_ir)
    with pytest.raises(AlreadyNormalisedError, match=r"already contains a normalisation.*123\.675"):
        bake_normalisation(model, Normalisation(mean=(1.0,)), layout="NCHW")


def test_a_bake_after_the_model_optimizer_is_refused(tmp_path: Path) -> None:
    config = ovm.load_config(small.write_onnx(tmp_path / "net"))
    model = ov.Core().read_model(config.folder / "small.onnx")
    model.set_rt_info("data[123.675,116.28,103.53]", ["conversion_parameters", "mean_values"])
    model.set_rt_info("False", ["conversion_parameters", "reverse_input_channels"])
    with pytest.raises(AlreadyNormalisedError, match=r"Model Optimizer: mean_values data\[123\.675"):
        bake_normalisation(model, plan_conversion(config).normalisation, layout="NCHW")


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = small.write_onnx(tmp_path / "one"), small.write_onnx(tmp_path / "two", end="softmax", batch=1)
    first = [convert(yml, tmp_path / "a" / yml.parent.name, precision="FP16") for yml in (one, two)]
    second = [convert(yml, tmp_path / "b" / yml.parent.name, precision="FP16") for yml in (two, one)][::-1]
    script = (
        "import sys; from pathlib import Path; import test_converted_model as t; "
        "t.convert(Path(sys.argv[1]), Path(sys.argv[2]), precision='FP16')"
    )
    for yml in (one, two):
        out = tmp_path / "c" / yml.parent.name
        paths = [str(Path(__file__).parent), *sys.path]
        subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}; {script}", yml, out], check=True, timeout=120
        )
    for xml_a, xml_b in zip(first, second, strict=True):
        for suffix in (".xml", ".bin"):
            wanted = xml_a.with_suffix(suffix).read_bytes()
            assert xml_b.with_suffix(suffix).read_bytes() == wanted
            third = tmp_path / "c" / xml_a.relative_to(tmp_path / "a")
            assert third.with_suffix(suffix).read_bytes() == wanted


def test_an_interrupted_save_keeps_the_earlier_ir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    yml = small.write_onnx(tmp_path / "net")
    xml = convert(yml, tmp_path)
    before = xml.read_bytes(), xml.with_suffix(".bin").read_bytes()

    def full_disk(model: ov.Model, path: Path, **options: object) -> None:
        Path(path).write_text("half an IR")
        raise RuntimeError("No space left on device")

    monkeypatch.setattr(ov, "save_model", full_disk)
    with pytest.raises(OSError, match="No space left"):
        convert(yml, tmp_path)
    assert (xml.read_bytes(), xml.with_suffix(".bin").read_bytes()) == before
    assert sorted(path.name for path in xml.parent.iterdir()) == ["net.bin", "net.xml"]


def test_a_different_normalisation_in_the_accuracy_check_is_a_warning() -> None:
    config = ovm.find_config("mobilenet-v2-pytorch")
    (warning,) = normalisation_warnings(config, plan_conversion(config).normalisation)
    assert "[58.624, 57.12, 57.375]" in warning
    assert "[58.395, 57.12, 57.375]" in warning
    for name in ("mobilenet-v1-0.25-128", "mobilenetv2-7"):
        config = ovm.find_config(name)
        assert normalisation_warnings(config, plan_conversion(config).normalisation) == []


@pytest.mark.parametrize("framework", ["caffe", "paddle"])
def test_refused_frameworks_are_explained(tmp_path: Path, framework: str) -> None:
    yml = small.write_onnx(tmp_path / "net", framework=framework)
    with pytest.raises(ConversionError, match=f"framework {framework} is not supported.*OpenVINO"):
        convert(yml, tmp_path)


CHECK = (
    "models: [{name: net, launchers: [{framework: openvino}], datasets: [{name: d, preprocessing: "
    "[{type: resize, size: 64}]}]}]\n"
)


def test_a_geometry_of_another_size_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    yml = small.write_onnx(tmp_path / "net")
    with pytest.raises(UsageError, match="does not match the network's input size: expected a last step of 32"):
        convert(yml, tmp_path, geometry=parse_geometry("resize 64"))
    yml.with_name("accuracy-check.yml").write_text(CHECK)
    with pytest.raises(
        ConversionError, match=r"model\.yml: the geometry does not match.*last step of 32, got resize 64"
    ):
        convert(yml, tmp_path)
    assert not (tmp_path / "ir").exists()
    convert(yml, tmp_path, geometry=parse_geometry("resize 32"))


def write_network(folder: Path, nodes: list[Any], shape: list[int] | None, result: list[int] | None) -> Path:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    constants = {"flat_shape": np.array([-1], np.int64)}
    graph = helper.make_graph(
        [helper.make_node(kind, names, [output], **attributes) for kind, names, output, attributes in nodes],
        "odd",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, result)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    folder.mkdir(parents=True, exist_ok=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, folder / "odd.onnx")
    yml = small.describe(folder / "odd.onnx")
    text = yml.read_text()
    yml.write_text(text.replace("    shape: [1, 3, 32, 32]\n", "").replace("    layout: NCHW\n", ""))
    return yml


@pytest.mark.parametrize(
    ("nodes", "shape", "result"),
    [
        ([("ReduceSum", ["data"], "scores", {"keepdims": 0})], [1, 3, 32, 32], []),
        ([("Reshape", ["data", "flat_shape"], "scores", {})], [1, 3, 32, 32], [3072]),
        ([("Relu", ["data"], "scores", {})], [], []),
        ([("Relu", ["data"], "scores", {})], None, None),
        ([("Relu", ["data"], "scores", {})], [1, 5], [1, 5]),
    ],
    ids=["rank 0", "rank 1", "scalar input", "no rank", "no image"],
)
def test_networks_of_odd_rank_are_refused(
    tmp_path: Path, nodes: list[Any], shape: list[int] | None, result: list[int] | None
) -> None:
    yml = write_network(tmp_path / "net", nodes, shape, result)
    with pytest.raises(ConversionError, match="not a classifier|does not take images"):
        convert(yml, tmp_path)
    assert not list(tmp_path.rglob("*.xml"))


def test_an_openvino_exception_becomes_a_conversion_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ov_mobilenet.conversion import finished_model

    def fail(model: ov.Model) -> None:
        raise RuntimeError("Check 'x' failed at y.cpp:1:\nodd graph")

    monkeypatch.setattr(finished_model, "compress_weights", fail)
    with pytest.raises(ConversionError, match=r"small\.onnx: .*\(odd graph\)"):
        convert(small.write_onnx(tmp_path / "net"), tmp_path, precision="FP16")
