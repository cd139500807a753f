"""Input forms: all forms of a network give the same answers to the same image."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest
import small_networks as small
from PIL import Image
from signs import held_out, network_images

import ov_mobilenet as ovm
from ov_mobilenet.cli.demo import SAMPLE
from ov_mobilenet.cli.main import main
from ov_mobilenet.conversion.camera_planes import take_planes
from ov_mobilenet.conversion.geometry_graph import bake_geometry
from ov_mobilenet.devices.settings import InferencePrecision
from ov_mobilenet.errors import ImageError, UsageError, VerificationError
from ov_mobilenet.images.yuv_planes import to_planes
from ov_mobilenet.ir.form import Form, Planes, complete_form
from ov_mobilenet.zoo.geometry import parse_geometry

PRECISIONS: tuple[InferencePrecision, ...] = ("f32", "bf16")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> ovm.SourceFiles:
    folder = tmp_path_factory.mktemp("forms")
    return ovm.download(ovm.find_config(SAMPLE), folder / "dl", cache_root=folder / "cache", offline=True)


@pytest.fixture(scope="module")
def drawings() -> list[np.ndarray]:
    return [frame for frame, _ in held_out(11, 80)]


@pytest.fixture(scope="module")
def plain(sources: ovm.SourceFiles, tmp_path_factory: pytest.TempPathFactory) -> ovm.Classifier:
    return classifier(sources, tmp_path_factory.mktemp("plain"))


def convert(sources: ovm.SourceFiles, out: Path, **form: Any) -> Path:
    return ovm.convert(sources, out, precisions=("FP32",), form=ovm.Form(**form))[0].xml


def classifier(
    sources: ovm.SourceFiles, out: Path, precision: InferencePrecision = "f32", **form: Any
) -> ovm.Classifier:
    return ovm.load_classifier(convert(sources, out, **form), device="CPU", inference_precision=precision)


def needs_bf16(precision: str) -> None:
    if precision == "bf16" and "BF16" not in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU does not compute at bf16")


@pytest.mark.parametrize(("batch", "layout", "kind"), [*itertools.product((1, 8, -1), ("NHWC", "NCHW"), ("u8", "f32"))])
def test_every_form_gives_the_same(
    batch: int,
    layout: str,
    kind: str,
    sources: ovm.SourceFiles,
    plain: ovm.Classifier,
    drawings: list[np.ndarray],
    tmp_path: Path,
) -> None:
    frames = np.ascontiguousarray(network_images(drawings[:20]))
    formed = classifier(sources, tmp_path, batch=batch, layout=layout, input_type=kind)
    expected = plain.probabilities(frames)
    assert np.abs(formed.probabilities(frames) - expected).max() < 3e-5
    # The IR without load_classifier, with input of its own type and layout.
    network = ov.Core().compile_model(tmp_path / "FP32" / f"{SAMPLE}.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    port = network.inputs[0]
    assert port.get_element_type().get_type_name() == kind
    given = frames[:8] if layout == "NHWC" else frames[:8].transpose(0, 3, 1, 2)
    given = given[: batch if batch > 0 else 3].astype(np.uint8 if kind == "u8" else np.float32)
    answer = network([np.ascontiguousarray(given)])[0]
    assert np.abs(answer - expected[: len(given)]).max() < 3e-5


def cropped_and_resized(geometry: str, side: tuple[int, int], precision: str, frame: np.ndarray) -> np.ndarray:
    """The output of the baked geometry."""
    parameter = ops.parameter([1, *side, 3], ov.Type.f32)
    parameter.output(0).set_names({"x"})
    network = ov.Model([ops.result(ops.multiply(parameter, np.float32(1)))], [parameter], "copy")
    baked = bake_geometry(network, parse_geometry(geometry), layout="NHWC", input_type="u8", path=Path("copy"))
    compiled = ov.Core().compile_model(baked, "CPU", {"INFERENCE_PRECISION_HINT": precision})
    return np.array(compiled([frame[None]])[0][0])


def noise(height: int, width: int) -> np.ndarray:
    """A frame with smooth rows and rows of independent random pixels."""
    rng = np.random.default_rng(height * width)
    frame = cv2.resize(rng.integers(0, 256, (height // 9 + 2, width // 9 + 2, 3), np.uint8), (width, height))
    frame[::5] = rng.integers(0, 256, frame[::5].shape, np.uint8)
    return np.asarray(frame)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    ("height", "width"),
    [(480, 640), (641, 427), (225, 223), pytest.param(1080, 1920, marks=pytest.mark.full), (300, 97), (257, 256)],
)
def test_baked_pillow_geometry(height: int, width: int, precision: str) -> None:
    needs_bf16(precision)
    frame = noise(height, width)
    # By hand: the shorter side 256, the longer one rounded down, the middle 224.
    short = min(height, width)
    size = (256 * width // short, 256 * height // short)
    resized = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))
    top, left = (size[1] - 224) // 2, (size[0] - 224) // 2
    expected = resized[top : top + 224, left : left + 224].astype(np.float64)
    answer = cropped_and_resized("resize 256 greater pillow, crop 224 opencv", (224, 224), precision, frame)
    assert np.abs(answer - expected).max() <= 2


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("height", "width"), [(480, 640), (333, 251), (2160, 3840), (100, 81)])
def test_a_baked_crop_by_a_fraction_is_exact(height: int, width: int, precision: str) -> None:
    # bf16 represents a size of 3840 only to a multiple of 16: a crop computed in bf16 would be off by that much.
    needs_bf16(precision)
    frame = noise(height, width)
    tall, wide = height * 7 // 8, width * 7 // 8
    top, left = (height - tall) // 2, (width - wide) // 2
    expected = cv2.resize(frame[top : top + tall, left : left + wide], (128, 128)).astype(np.float64)
    assert np.abs(cropped_and_resized("crop 0.875, resize 128", (128, 128), precision, frame) - expected).max() <= 2


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_model_with_baked_geometry_takes_frames_of_any_size(
    precision: InferencePrecision,
    sources: ovm.SourceFiles,
    plain: ovm.Classifier,
    drawings: list[np.ndarray],
    tmp_path: Path,
) -> None:
    needs_bf16(precision)
    baked = classifier(sources, tmp_path, precision, bake_geometry=True)
    assert baked.geometry is None
    assert baked.input_size is None
    sizes = {frame.shape for frame in drawings}
    assert len(sizes) > 10
    expected = np.array([plain.classify(frame).best.class_id for frame in drawings])
    answers = np.array([baked.classify(frame).best.class_id for frame in drawings])
    assert (answers != expected).sum() <= 1
    batched = [result for result in baked.classify_batch(drawings[:9]) if isinstance(result, ovm.Classification)]
    assert [result.best.class_id for result in batched] == list(answers[:9])
    for count in (1, 2):
        with pytest.raises(UsageError, match="a model with dynamic input size runs one image per request"):
            baked.stream(drawings[:count], batch_size=4)
    with pytest.raises(UsageError, match="crops and resizes in the graph"):
        ovm.load_classifier(tmp_path / "FP32" / f"{SAMPLE}.xml", geometry="resize 128")


def test_baked_geometry_with_a_batch(sources: ovm.SourceFiles, plain: ovm.Classifier, tmp_path: Path) -> None:
    frames = np.stack([cv2.resize(frame, (200, 160)) for frame, _ in held_out(12, 6)])
    formed = classifier(sources, tmp_path, bake_geometry=True, batch=-1, layout="NCHW", input_type="f32")
    expected = np.stack([[p.probability for p in plain.classify(f, top_k=16).top_k] for f in frames])
    answer = -np.sort(-formed.probabilities(frames))
    assert np.abs(answer - expected).max() < 0.05


@pytest.mark.parametrize("color_format", ["nv12", "i420"])
def test_yuv_planes(color_format: Planes, sources: ovm.SourceFiles, drawings: list[np.ndarray], tmp_path: Path) -> None:
    frame = drawings[0][:120, :160]
    planes = to_planes(frame, color_format)
    back = cv2.COLOR_YUV2BGR_NV12 if color_format == "nv12" else cv2.COLOR_YUV2BGR_I420
    expected = cv2.cvtColor(planes, back).astype(np.float64)

    parameter = ops.parameter([1, 120, 160, 3], ov.Type.u8)
    parameter.output(0).set_names({"x"})
    network = ov.Model([ops.result(ops.convert(parameter, "f32"))], [parameter], "copy")
    compiled = ov.Core().compile_model(take_planes(network, color_format), "CPU")
    assert compiled.inputs[0].get_names() == {"x"}
    assert np.abs(compiled([planes[None]])[0][0] - expected).max() <= 2

    for baked in (False, True):
        formed = classifier(sources, tmp_path / str(baked), color_format=color_format, bake_geometry=baked)
        answers = [formed.classify(f).best.class_id for f, _ in held_out(11, 40)]
        assert np.mean([a == t for a, (_, t) in zip(answers, held_out(11, 40), strict=True)]) >= 0.95


def test_rgb_frames(
    sources: ovm.SourceFiles, plain: ovm.Classifier, drawings: list[np.ndarray], tmp_path: Path
) -> None:
    frames = np.ascontiguousarray(network_images(drawings[:8]))
    xml = convert(sources, tmp_path, color_format="rgb", input_type="u8", layout="NHWC")
    compiled = ov.Core().compile_model(xml, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answer = np.concatenate([compiled([np.ascontiguousarray(frame[None, ..., ::-1])])[0] for frame in frames])
    assert np.abs(answer - plain.probabilities(frames)).max() < 3e-5
    # `classify` takes BGR frames whatever the colour format of the IR.
    formed = ovm.load_classifier(xml, device="CPU", inference_precision="f32")
    assert np.abs(formed.probabilities(frames) - plain.probabilities(frames)).max() < 3e-5


def test_the_npu_form_has_static_shapes(sources: ovm.SourceFiles, tmp_path: Path) -> None:
    network = ov.Core().read_model(convert(sources, tmp_path, deploy_for="npu"))
    assert network.inputs[0].get_partial_shape().is_static
    assert network.inputs[0].shape[0] == 1
    assert all(operation.output(0).get_partial_shape().is_static for operation in network.get_ordered_ops()[:-1])


def test_the_ovms_form_takes_decoded_images(sources: ovm.SourceFiles, plain: ovm.Classifier, tmp_path: Path) -> None:
    # https://docs.openvino.ai/2024/ovms_docs_binary_input.html: images are decoded to BGR, NHWC; a model whose
    # height and width are not fixed gets them at their own size.
    compiled = ov.Core().compile_model(convert(sources, tmp_path, deploy_for="ovms"), "CPU")
    port = compiled.inputs[0]
    assert str(port.get_partial_shape()) == "[1,?,?,3]"
    assert port.get_element_type() == ov.Type.u8
    for image in sorted((ovm.find_config(SAMPLE).folder / "samples").glob("*.jpg")):
        decoded = np.asarray(cv2.imdecode(np.fromfile(image, np.uint8), cv2.IMREAD_COLOR))
        assert compiled([decoded[None]])[0].argmax() == plain.classify(image).best.class_id


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"deploy_for": "npu", "batch": 8},
            "--for npu cannot be combined with --batch 8: the NPU compiles a fixed batch of one",
        ),
        ({"deploy_for": "npu", "batch": -1}, "--for npu cannot be combined with --batch -1"),
        ({"deploy_for": "npu", "bake_geometry": True}, "--for npu cannot be combined with --bake-geometry: .*dynamic"),
        ({"deploy_for": "ovms", "layout": "NCHW"}, "--for ovms cannot be combined with --layout NCHW"),
        ({"deploy_for": "ovms", "color_format": "nv12"}, "--for ovms cannot be combined with --color-format nv12"),
        ({"color_format": "nv12", "input_type": "f32"}, "--color-format nv12 cannot be combined with --input-type f32"),
        ({"color_format": "i420", "layout": "NCHW"}, "--color-format i420 cannot be combined with --layout NCHW"),
    ],
)
def test_contradicting_fields_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        complete_form(Form(**fields))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"input_type": "u16"}, "unknown input type: expected f32 or u8, got 'u16'"),
        ({"color_format": "yuv"}, "unknown colour format: expected bgr or rgb or nv12 or i420, got 'yuv'"),
        ({"deploy_for": "tpu"}, "unknown deployment: expected npu or ovms, got 'tpu'"),
    ],
)
def test_unknown_values_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        complete_form(Form(**fields))


def test_the_former_name_of_deploy_for_is_accepted() -> None:
    assert Form(purpose="npu") == Form(deploy_for="npu")
    assert complete_form(Form(purpose="npu")).batch == 1


def test_forms_that_cannot_be_verified_are_refused(sources: ovm.SourceFiles, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    for form in (ovm.Form(bake_geometry=True), ovm.Form(color_format="nv12")):
        model = ovm.convert(sources, tmp_path, precisions=("FP32",), form=form)[0]
        with pytest.raises(VerificationError, match="Verify the plain form"):
            ovm.verify(sources, model)


def test_a_size_below_the_documented_minimum_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yml = small.write_onnx(tmp_path / "net")
    yml.write_text(yml.read_text() + "ov_mobilenet: {least_side: 32}\n")
    arguments = ["convert", str(yml), "-o", str(tmp_path / "out"), "-d", str(tmp_path / "out")]
    assert main([*arguments, "--input-shape", "1,3,31,40"]) == 2
    assert (
        "smaller than the description allows: expected height and width of at least 32, got 31x40"
        in capsys.readouterr().err
    )
    assert main([*arguments, "--input-shape", "1,3,40,48"]) == 0
    network = ov.Core().read_model(tmp_path / "out" / "public" / "net" / "FP32" / "net.xml")
    assert list(network.inputs[0].shape) == [1, 3, 40, 48]
    assert main([*arguments, "--input-shape", "1,3,40"]) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.astype(np.float32) / 255, r"look scaled to \[0, 1\].*not divided by 255"),
        (lambda f: (f.astype(np.float32) - 127.5) / 127.5, "look normalised already"),
        (lambda f: f.astype(np.float32), r"floats instead of bytes.*astype\(np.uint8\)"),
        (lambda f: f.astype(np.float64), "floats instead of bytes"),
        (lambda f: f.astype(np.int32), "not a frame.*int32"),
        (lambda f: f.tolist(), "not a frame.*list"),
    ],
)
def test_input_that_is_not_a_uint8_frame_is_refused(
    change: Callable[[np.ndarray], Any], message: str, plain: ovm.Classifier
) -> None:
    frame = np.ascontiguousarray(network_images([next(iter(held_out(1, 1)))[0]])[0])
    with pytest.raises(ImageError, match=message):
        plain.classify(change(frame))
    with pytest.raises(ImageError, match=message):
        batch = change(frame)
        plain.probabilities(batch[None] if isinstance(batch, np.ndarray) else [batch])  # type: ignore[arg-type]
