"""Deployment forms of one network: however it is fed, it sees the same image."""

from __future__ import annotations

import itertools
from pathlib import Path

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
from ov_mobilenet.errors import ImageError, UsageError, VerificationError
from ov_mobilenet.images.yuv_planes import to_planes
from ov_mobilenet.ir.form import Form, settle
from ov_mobilenet.zoo.geometry import parse_words

PRECISIONS = ("f32", "bf16")


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


def convert(sources: ovm.SourceFiles, out: Path, **form: object) -> Path:
    return ovm.convert(sources, out, precisions=("FP32",), form=ovm.Form(**form))[0].xml


def classifier(sources: ovm.SourceFiles, out: Path, precision: str = "f32", **form: object) -> ovm.Classifier:
    return ovm.load_classifier(convert(sources, out, **form), device="CPU", inference_precision=precision)


def needs_bf16(precision: str) -> None:
    if precision == "bf16" and "BF16" not in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU does not compute at bf16")


@pytest.mark.parametrize(("batch", "layout", "kind"), [*itertools.product((1, 8, -1), ("NHWC", "NCHW"), ("u8", "f32"))])
def test_every_form_gives_the_same(
    batch: int, layout: str, kind: str, sources: ovm.SourceFiles, plain: ovm.Classifier, drawings: list, tmp_path: Path
) -> None:
    frames = np.ascontiguousarray(network_images(drawings[:20]))
    formed = classifier(sources, tmp_path, batch=batch, layout=layout, input_type=kind)
    expected = plain.probabilities(frames)
    assert np.abs(formed.probabilities(frames) - expected).max() < 3e-5
    # The file itself, fed as its own input says.
    network = ov.Core().compile_model(tmp_path / "FP32" / f"{SAMPLE}.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    port = network.inputs[0]
    assert port.get_element_type().get_type_name() == kind
    given = frames[:8] if layout == "NHWC" else frames[:8].transpose(0, 3, 1, 2)
    given = given[: batch if batch > 0 else 3].astype(np.uint8 if kind == "u8" else np.float32)
    answer = network([np.ascontiguousarray(given)])[0]
    assert np.abs(answer - expected[: len(given)]).max() < 3e-5


def seen(geometry: str, side: tuple[int, int], precision: str, frame: np.ndarray) -> np.ndarray:
    """What a network behind the baked geometry sees."""
    parameter = ops.parameter([1, *side, 3], ov.Type.f32)
    parameter.output(0).set_names({"x"})
    network = ov.Model([ops.result(ops.multiply(parameter, np.float32(1)))], [parameter], "eye")
    baked = bake_geometry(network, parse_words(geometry), layout="NHWC", input_type="u8", path=Path("eye"))
    compiled = ov.Core().compile_model(baked, "CPU", {"INFERENCE_PRECISION_HINT": precision})
    return np.asarray(compiled([frame[None]])[0][0])


def noise(height: int, width: int) -> np.ndarray:
    """Pixels that are unlike their neighbours, some of them smooth."""
    rng = np.random.default_rng(height * width)
    frame = cv2.resize(rng.integers(0, 256, (height // 9 + 2, width // 9 + 2, 3), np.uint8), (width, height))
    frame[::5] = rng.integers(0, 256, frame[::5].shape, np.uint8)
    return frame


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("height", "width"), [(480, 640), (641, 427), (225, 223), (1080, 1920), (300, 97), (257, 256)])
def test_pillows_geometry_in_the_graph(height: int, width: int, precision: str) -> None:
    needs_bf16(precision)
    frame = noise(height, width)
    # By hand: the shorter side 256, the longer one rounded down, the middle 224.
    short = min(height, width)
    size = (256 * width // short, 256 * height // short)
    resized = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))
    top, left = (size[1] - 224) // 2, (size[0] - 224) // 2
    expected = resized[top : top + 224, left : left + 224].astype(np.float64)
    answer = seen("resize 256 greater pillow, crop 224 opencv", (224, 224), precision, frame)
    assert np.abs(answer - expected).max() <= 2


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("height", "width"), [(480, 640), (333, 251), (2160, 3840), (100, 81)])
def test_a_fraction_of_any_frame_is_cropped_to_the_pixel(height: int, width: int, precision: str) -> None:
    # At bf16 a float knows a size of 3840 only to 16: the crop would be off by as many pixels.
    needs_bf16(precision)
    frame = noise(height, width)
    tall, wide = height * 7 // 8, width * 7 // 8
    top, left = (height - tall) // 2, (width - wide) // 2
    expected = cv2.resize(frame[top : top + tall, left : left + wide], (128, 128)).astype(np.float64)
    assert np.abs(seen("crop 0.875, resize 128", (128, 128), precision, frame) - expected).max() <= 2


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_whole_model_takes_frames_of_any_size(
    precision: str, sources: ovm.SourceFiles, plain: ovm.Classifier, drawings: list, tmp_path: Path
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
    batched = [result.best.class_id for result in baked.classify_batch(drawings[:9])]
    assert batched == list(answers[:9])
    with pytest.raises(UsageError, match="crops and resizes in the graph"):
        ovm.load_classifier(tmp_path / "FP32" / f"{SAMPLE}.xml", geometry="resize 128")


def test_a_baked_batch_takes_frames_of_one_size(
    sources: ovm.SourceFiles, plain: ovm.Classifier, tmp_path: Path
) -> None:
    frames = np.stack([cv2.resize(frame, (200, 160)) for frame, _ in held_out(12, 6)])
    formed = classifier(sources, tmp_path, bake_geometry=True, batch=-1, layout="NCHW", input_type="f32")
    expected = np.stack([[p.probability for p in plain.classify(f, top_k=16).top_k] for f in frames])
    answer = -np.sort(-formed.probabilities(frames))
    assert np.abs(answer - expected).max() < 0.05


@pytest.mark.parametrize("color_format", ["nv12", "i420"])
def test_planes_of_a_camera(color_format: str, sources: ovm.SourceFiles, drawings: list, tmp_path: Path) -> None:
    frame = drawings[0][:120, :160]
    planes = to_planes(frame, color_format)
    back = cv2.COLOR_YUV2BGR_NV12 if color_format == "nv12" else cv2.COLOR_YUV2BGR_I420
    expected = cv2.cvtColor(planes, back).astype(np.float64)

    parameter = ops.parameter([1, 120, 160, 3], ov.Type.u8)
    parameter.output(0).set_names({"x"})
    network = ov.Model([ops.result(ops.convert(parameter, "f32"))], [parameter], "eye")
    compiled = ov.Core().compile_model(take_planes(network, color_format), "CPU")
    assert compiled.inputs[0].get_names() == {"x"}
    assert np.abs(compiled([planes[None]])[0][0] - expected).max() <= 2

    for baked in (False, True):
        formed = classifier(sources, tmp_path / str(baked), color_format=color_format, bake_geometry=baked)
        answers = [formed.classify(f).best.class_id for f, _ in held_out(11, 40)]
        assert np.mean([a == t for a, (_, t) in zip(answers, held_out(11, 40), strict=True)]) >= 0.95


def test_rgb_frames(sources: ovm.SourceFiles, plain: ovm.Classifier, drawings: list, tmp_path: Path) -> None:
    frames = np.ascontiguousarray(network_images(drawings[:8]))
    xml = convert(sources, tmp_path, color_format="rgb", input_type="u8", layout="NHWC")
    compiled = ov.Core().compile_model(xml, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answer = np.concatenate([compiled([np.ascontiguousarray(frame[None, ..., ::-1])])[0] for frame in frames])
    assert np.abs(answer - plain.probabilities(frames)).max() < 3e-5
    # `classify` still takes BGR frames: what a frame is does not depend on the file.
    formed = ovm.load_classifier(xml, device="CPU", inference_precision="f32")
    assert np.abs(formed.probabilities(frames) - plain.probabilities(frames)).max() < 3e-5


def test_for_the_npu_everything_is_fixed(sources: ovm.SourceFiles, tmp_path: Path) -> None:
    network = ov.Core().read_model(convert(sources, tmp_path, purpose="npu"))
    assert network.inputs[0].get_partial_shape().is_static
    assert network.inputs[0].shape[0] == 1
    assert all(operation.output(0).get_partial_shape().is_static for operation in network.get_ordered_ops()[:-1])


def test_what_the_model_server_feeds(sources: ovm.SourceFiles, plain: ovm.Classifier, tmp_path: Path) -> None:
    # https://docs.openvino.ai/2024/ovms_docs_binary_input.html: images are decoded to BGR, NHWC; a model whose
    # height and width are not fixed gets them at their own size.
    compiled = ov.Core().compile_model(convert(sources, tmp_path, purpose="ovms"), "CPU")
    port = compiled.inputs[0]
    assert str(port.get_partial_shape()) == "[1,?,?,3]"
    assert port.get_element_type() == ov.Type.u8
    for image in sorted((ovm.find_config(SAMPLE).folder / "samples").glob("*.jpg")):
        decoded = cv2.imdecode(np.fromfile(image, np.uint8), cv2.IMREAD_COLOR)
        assert compiled([decoded[None]])[0].argmax() == plain.classify(image).best.class_id


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"purpose": "npu", "batch": 8}, "--for npu excludes --batch 8: the NPU compiles one image"),
        ({"purpose": "npu", "batch": -1}, "--for npu excludes --batch -1"),
        ({"purpose": "npu", "bake_geometry": True}, "--for npu excludes --bake-geometry: .*dynamic"),
        ({"purpose": "ovms", "layout": "NCHW"}, "--for ovms excludes --layout NCHW"),
        ({"purpose": "ovms", "color_format": "nv12"}, "--for ovms excludes --color-format nv12"),
        ({"color_format": "nv12", "input_type": "f32"}, "--color-format nv12 excludes --input-type f32"),
        ({"color_format": "i420", "layout": "NCHW"}, "--color-format i420 excludes --layout NCHW"),
    ],
)
def test_wishes_that_exclude_each_other(wishes: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        settle(Form(**wishes))


def test_a_form_that_cannot_be_verified_says_so(sources: ovm.SourceFiles, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    for form in ({"bake_geometry": True}, {"color_format": "nv12"}):
        model = ovm.convert(sources, tmp_path, precisions=("FP32",), form=ovm.Form(**form))[0]
        with pytest.raises(VerificationError, match="Verify the plain form"):
            ovm.verify(sources, model)


def test_a_network_has_the_least_size_of_its_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yml = small.write_onnx(tmp_path / "net")
    yml.write_text(yml.read_text() + "ov_mobilenet: {least_side: 32}\n")
    arguments = ["convert", str(yml), "-o", str(tmp_path / "out"), "-d", str(tmp_path / "out")]
    assert main([*arguments, "--input-shape", "1,3,31,40"]) == 2
    assert "height and width of at least 32, as its document says, got 31x40" in capsys.readouterr().err
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
def test_what_is_mistaken_for_pixels_is_named(change, message: str, plain: ovm.Classifier) -> None:
    frame = np.ascontiguousarray(network_images([next(iter(held_out(1, 1)))[0]])[0])
    with pytest.raises(ImageError, match=message):
        plain.classify(change(frame))
    with pytest.raises(ImageError, match=message):
        batch = change(frame)
        plain.probabilities(batch[None] if isinstance(batch, np.ndarray) else [batch])
