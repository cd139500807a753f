"""`Classifier` on a small network whose probabilities are computed by hand."""

from __future__ import annotations

import asyncio
import io
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import small_networks as small
from fake_classifier import classified, failed
from numpy.typing import NDArray
from PIL import Image

import ov_mobilenet as ovm
from ov_mobilenet.errors import (
    ConfigError,
    ConversionError,
    DeviceError,
    ImageError,
    IrError,
    MissingDependencyError,
    UnknownModelError,
    UsageError,
)
from ov_mobilenet.zoo.geometry import parse_geometry

FRAMES = small.frames()
EXPECTED = np.stack([small.by_hand(frame) for frame in FRAMES])
LABELS = ("tench", "great white shark", "crane", "hen", "goose")


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Path:
    yml = small.write_onnx(
        tmp_path_factory.mktemp("net") / "small", extra="ov_mobilenet: {labels: names.txt, classes: 5}\n"
    )
    yml.with_name("names.txt").write_text("\n".join(LABELS))
    return yml


@pytest.fixture(scope="module")
def small_ir(description: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ir")
    sources = ovm.download(ovm.load_config(description), out / "dl", cache_root=out / "cache")
    form = ovm.Form(geometry=parse_geometry("resize 32"))
    return ovm.convert(sources, out, precisions=("FP32",), form=form)[0].xml


@pytest.fixture(scope="module")
def classifier(small_ir: Path) -> ovm.Classifier:
    return ovm.load_classifier(small_ir, device="CPU", inference_precision="f32")


def png(frame: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame[:, :, ::-1]).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_frame_a_file_and_its_bytes_give_the_same_result(classifier: ovm.Classifier, tmp_path: Path) -> None:
    for frame, expected in zip(FRAMES, EXPECTED, strict=True):
        (tmp_path / "x.png").write_bytes(png(frame))
        for image in (frame, tmp_path / "x.png", str(tmp_path / "x.png"), png(frame)):
            result = classifier.classify(image, top_k=5)
            order = np.argsort(-expected)
            assert [p.class_id for p in result.top_k] == list(order)
            assert [p.label for p in result.top_k] == [LABELS[i] for i in order]
            assert np.abs([p.probability for p in result.top_k] - expected[order]).max() < 3e-5


def test_the_probability_of_top_1_is_over_all_classes(classifier: ovm.Classifier) -> None:
    unsure = int(EXPECTED.max(axis=1).argmin())
    (only,) = classifier.classify(FRAMES[unsure], top_k=1).top_k
    assert only.probability == pytest.approx(EXPECTED[unsure].max(), abs=3e-5)
    assert only.probability < 0.99


def test_a_batch_gives_the_results_of_single_images(classifier: ovm.Classifier) -> None:
    results = classifier.classify_batch(list(FRAMES))
    singles = [classifier.classify(frame) for frame in FRAMES]
    assert [classified(r).predictions for r in results] == [r.predictions for r in singles]


@pytest.mark.parametrize("batch", [8, -1])
def test_models_with_a_fixed_and_a_dynamic_batch_size(description: Path, tmp_path: Path, batch: int) -> None:
    sources = ovm.download(ovm.load_config(description), tmp_path / "dl", cache_root=tmp_path / "cache")
    form = ovm.Form(batch=batch, geometry=parse_geometry("resize 32"))
    xml = ovm.convert(sources, tmp_path, precisions=("FP32",), form=form)[0].xml
    classifier = ovm.load_classifier(xml, device="CPU", inference_precision="f32")
    results = classifier.classify_batch([*FRAMES, b"no image"])
    assert [classified(r).best.class_id for r in results[:-1]] == list(EXPECTED.argmax(1))
    assert isinstance(results[-1], ovm.Failure)


def test_an_error_of_a_single_image_names_its_path(classifier: ovm.Classifier) -> None:
    for classify in (classifier.classify, lambda path: asyncio.run(classifier.classify_async(path))):
        with pytest.raises(ImageError) as raised:
            classify("missing.jpg")
        assert str(raised.value).startswith("missing.jpg: cannot be read")
    with pytest.raises(ImageError) as raised:
        classifier.classify(b"no image")
    assert raised.value.where is None
    (failure,) = classifier.stream(["missing.jpg"])
    assert isinstance(failure, ovm.Failure) and not failure.error.startswith("missing.jpg")


def test_an_unreadable_image_is_a_failure_in_its_place(classifier: ovm.Classifier) -> None:
    images = [FRAMES[0], b"", FRAMES[1], Path("not/there.jpg"), FRAMES[2]]
    for results in (classifier.classify_batch(images), [next(classifier.stream([image])) for image in images]):
        assert [type(r).__name__ for r in results] == ["Classification", "Failure"] * 2 + ["Classification"]
        assert "empty" in failed(results[1]).error
        assert results[3].source == "not/there.jpg"
        assert [classified(results[i]).best.class_id for i in (0, 2, 4)] == list(EXPECTED[:3].argmax(1))


@pytest.mark.parametrize("method", ["classify_batch", "stream"])
def test_a_missing_library_raises_instead_of_a_failure_per_image(
    classifier: ovm.Classifier, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)  # as without libGL: the import fails
    with pytest.raises(MissingDependencyError, match="opencv-python-headless"):
        list(getattr(classifier, method)([png(FRAMES[0]), png(FRAMES[1])]))


def test_many_threads_share_one_classifier(classifier: ovm.Classifier) -> None:
    wrong: list[int] = []

    def work() -> None:
        for _ in range(20):
            for index, frame in enumerate(FRAMES):
                if classifier.classify(frame).best.class_id != EXPECTED[index].argmax():
                    wrong.append(index)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


@pytest.mark.parametrize(
    ("image", "got"),
    [
        (np.zeros((32, 32, 3), np.float32), r"float32 \(32, 32, 3\)"),
        (np.zeros((3, 32, 32), np.uint8), r"uint8 \(3, 32, 32\)"),
        (np.zeros((32, 32), np.uint8), r"uint8 \(32, 32\)"),
        (np.zeros((0, 32, 3), np.uint8), r"\(0, 32, 3\)"),
        (17, "int"),
    ],
)
def test_an_array_that_is_not_a_frame_is_described(classifier: ovm.Classifier, image: object, got: str) -> None:
    with pytest.raises(ImageError, match=got):
        classifier.classify(image)  # type: ignore[arg-type]


def test_top_k_below_one_is_a_usage_error(classifier: ovm.Classifier) -> None:
    with pytest.raises(UsageError):
        classifier.classify(FRAMES[0], top_k=0)


def test_timings_add_up(classifier: ovm.Classifier) -> None:
    t = classifier.classify(png(FRAMES[0])).timings_ms
    assert 0 < t.decode + t.geometry + t.inference <= t.total


def test_a_model_yml_is_converted_once_and_cached(description: Path, tmp_path: Path) -> None:
    for _ in range(2):
        classifier = ovm.load_classifier(description, device="CPU", cache_dir=tmp_path, geometry="resize 32")
        assert classifier.classify(FRAMES[0]).best.class_id == EXPECTED[0].argmax()
        (xml,) = tmp_path.rglob("*.xml")
        stamp = xml.stat().st_mtime_ns
    assert xml.stat().st_mtime_ns == stamp


@pytest.fixture
def foreign_ir(description: Path, tmp_path: Path) -> Path:
    """An IR of OpenVINO's converter; created before caplog, because the converter removes caplog's handler."""
    xml = tmp_path / "foreign.xml"
    ov.save_model(ov.convert_model(description.with_name("small.onnx")), xml)
    return xml


def test_an_ir_of_another_tool_runs_and_its_logits_become_probabilities(
    foreign_ir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    classifier = ovm.load_classifier(foreign_ir, device="CPU", inference_precision="f32")
    assert "no record" in caplog.text
    assert "whole image" in caplog.text
    frame = FRAMES[0]
    total = sum(p.probability for p in classifier.classify(frame, top_k=5).top_k)
    assert total == pytest.approx(1.0, abs=1e-5)
    assert classifier.classify(frame).best.label.startswith("class ")


def test_the_channels_of_an_rgb_model_are_reversed_in_the_graph(description: Path, tmp_path: Path) -> None:
    folder = tmp_path / "rgb"
    folder.mkdir()
    for file in description.parent.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    yml = folder / "model.yml"
    yml.write_text(yml.read_text().replace("  - --reverse_input_channels\n", ""))
    (folder / "accuracy-check.yml").write_text(
        "models: [{name: rgb, launchers: [{framework: openvino}], datasets: [{name: d, preprocessing: "
        "[{type: bgr_to_rgb}, {type: resize, size: 32}]}]}]\n"
    )
    classifier = ovm.load_classifier(yml, device="CPU", inference_precision="f32", cache_dir=tmp_path / "c")
    assert classifier.record is not None
    assert classifier.record.channel_order == "RGB"
    for frame, expected in zip(FRAMES, EXPECTED, strict=True):
        assert classifier.classify(frame).best.probability == pytest.approx(expected.max(), abs=3e-5)


def test_labels_and_geometry_that_do_not_fit_are_refused(small_ir: Path) -> None:
    with pytest.raises(ConfigError, match="expected 5, got 2"):
        ovm.load_classifier(small_ir, labels=("a", "b"))
    with pytest.raises(UsageError, match="last step of 32.*resize 64"):
        ovm.load_classifier(small_ir, geometry="resize 64")


def test_unknown_models(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="mobilenet-v2-pytorch"):
        ovm.load_classifier("mobilenet-v2-pytorhc")
    with pytest.raises(IrError, match="no such IR"):
        ovm.load_classifier(tmp_path / "none.xml")


@pytest.mark.parametrize("name", ["net.onnx", "net.PTH", "net.pth.tar", "net.ckpt", "net.keras"])
def test_a_source_network_must_be_converted_first(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match=f"convert --source .*{re.escape(name)} --name net$"):
        ovm.load_classifier(tmp_path / name)


def test_broken_irs(small_ir: Path, tmp_path: Path) -> None:
    xml = tmp_path / "x.xml"
    xml.write_bytes(small_ir.read_bytes())
    with pytest.raises(IrError, match="weights are missing"):
        ovm.load_classifier(xml)
    xml.with_suffix(".bin").write_bytes(small_ir.with_suffix(".bin").read_bytes()[:100])
    with pytest.raises(IrError, match=r"x\.xml: the files of the IR were changed or damaged"):
        ovm.load_classifier(xml)
    xml.write_text("<net")
    with pytest.raises(IrError, match=r"x\.xml: not a readable IR"):
        ovm.load_classifier(xml)


def test_an_unknown_device_lists_the_available_ones(small_ir: Path) -> None:
    with pytest.raises(DeviceError, match="FOO.*CPU"):
        ovm.load_classifier(small_ir, device="FOO")


def test_auto_reports_the_device_that_runs(small_ir: Path) -> None:
    classifier = ovm.load_classifier(small_ir, device="AUTO", inference_precision="f32")
    assert classifier.inference_precision == "f32"
    assert "AUTO" not in classifier.device


def test_an_inference_precision_that_the_device_does_not_run_is_an_error(small_ir: Path) -> None:
    if "FP16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU runs f16")
    with pytest.raises(DeviceError, match="does not support inference precision f16: expected f32( or bf16)?, got f16"):
        ovm.load_classifier(small_ir, device="CPU", inference_precision="f16")


def test_ties_go_to_the_lower_class_id() -> None:
    from ov_mobilenet.runtime.results import top_predictions

    best = top_predictions(np.array([0.1, 0.4, 0.4, 0.1], np.float32), None, 4)
    assert [p.class_id for p in best] == [1, 2, 0, 3]


def changed_record(xml: Path, target: Path, field: str, value: str) -> Path:
    model = ov.Core().read_model(xml)
    model.set_rt_info(value, ["ov_mobilenet", field])
    ov.save_model(model, target, compress_to_fp16=False)
    return target


GOOD_STEP = '{"type": "resize", "height": 32, "width": 32}'


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("geometry", '{"steps": []}', "record is broken"),
        ("geometry", f'{{"steps": [{{"type": "resize", "height": -5, "width": 3}}, {GOOD_STEP}]}}', "record is broken"),
        ("geometry", f'{{"steps": [{{"type": "resize", "height": 0, "width": 0}}, {GOOD_STEP}]}}', "record is broken"),
        ("geometry", f'{{"steps": [{{"type": "crop", "fraction": 7.5}}, {GOOD_STEP}]}}', "record is broken"),
        ("geometry", f'{{"steps": [{{"type": "crop"}}, {GOOD_STEP}]}}', "record is broken.*crop has either"),
        (
            "geometry",
            '{"steps": [{"type": "resize", "height": 31, "width": 32}]}',
            "geometry does not match",
        ),
        ("geometry", "[" * 100_000, "record is broken"),
        ("format_version", "²", "record is broken"),
        ("format_version", "abc", "record is broken"),
        ("format_version", "9" * 5000, "record is broken"),
        ("format_version", "9", "newer ov-mobilenet"),
    ],
)
def test_a_broken_record_is_an_ir_error(small_ir: Path, tmp_path: Path, field: str, value: str, message: str) -> None:
    xml = changed_record(small_ir, tmp_path / "x.xml", field, value)
    with pytest.raises(IrError, match=message):
        ovm.load_classifier(xml, device="CPU")


def network(inputs: int, shape: list[int], output: str, *, record: bool) -> ov.Model:
    import openvino.opset13 as ops

    data = [ops.parameter(shape, np.float32) for _ in range(inputs)]
    start = data[0] if data else ops.constant(np.ones(shape, np.float32))
    axes = {"rank 2": [2, 3], "rank 1": [0, 2, 3], "rank 0": list(range(len(shape)))}[output]
    end = ops.reduce_sum(start, np.array(axes, np.int64), keep_dims=False)
    model = ov.Model([ops.result(end)], data, "net")
    if record:
        for name, value in {"format_version": "1", **RECORD}.items():
            model.set_rt_info(value, ["ov_mobilenet", name])
    return model


RECORD = {
    "config_name": "net",
    "config_digest": "0",
    "sources": "{}",
    "normalisation": '{"mean": [], "scale": [], "reverse_input_channels": false}',
    "geometry": "null",
    "channel_order": "BGR",
    "background_class": "null",
    "labels": "null",
    "precision": "FP32",
    "versions": "{}",
}


@pytest.mark.parametrize("record", [True, False])
@pytest.mark.parametrize(
    ("inputs", "shape", "output"),
    [
        (0, [1, 3, 8, 8], "rank 2"),
        (2, [1, 3, 8, 8], "rank 2"),
        (1, [8], "rank 0"),
        (1, [1, 3, 8, 8], "rank 1"),
        (1, [1, 3, 8, 8], "rank 0"),
    ],
)
def test_an_ir_that_is_not_a_classifier(
    inputs: int, shape: list[int], output: str, record: bool, tmp_path: Path
) -> None:
    ov.save_model(network(inputs, shape, output, record=record), tmp_path / "x.xml")
    with pytest.raises((IrError, ConversionError), match="take images|not a classifier"):
        ovm.load_classifier(tmp_path / "x.xml", device="CPU")


def test_a_damaged_ir_in_the_cache_is_converted_again(description: Path, tmp_path: Path) -> None:
    def load() -> ovm.Classifier:
        return ovm.load_classifier(description, device="CPU", cache_dir=tmp_path, geometry="resize 32")

    load()
    (xml,) = tmp_path.rglob("*.xml")
    before = xml.read_bytes()
    xml.write_text("<net")
    assert load().classify(FRAMES[0]).best.class_id == EXPECTED[0].argmax()
    assert xml.read_bytes() == before
    xml.with_suffix(".bin").write_bytes(b"short")
    assert load().classify(FRAMES[0]).best.class_id == EXPECTED[0].argmax()


def test_two_descriptions_with_the_same_name_have_separate_sources(description: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "small"
    other.mkdir(parents=True)
    for file in description.parent.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    yml = other / "model.yml"
    yml.write_text(yml.read_text().replace("a small network", "another small network"))
    cache = tmp_path / "cache"
    for path in (description, yml):
        ovm.load_classifier(path, device="CPU", cache_dir=cache, geometry="resize 32")
    networks = list(cache.rglob("small.onnx"))
    assert len({path.parent for path in networks}) == 2
    assert {path.parent.parent for path in networks} == {path.parent.parent for path in cache.rglob("*.xml")}


def test_probabilities_that_are_not_finite_are_a_failure_of_the_image(tmp_path: Path) -> None:
    import openvino.opset13 as ops

    data = ops.parameter([-1, 3, 32, 32], np.float32)
    # 0/0 for an image that is all black.
    total = ops.reduce_sum(data, np.array([2, 3], np.int64), keep_dims=False)
    share = ops.divide(total, ops.reduce_sum(total, np.array([1], np.int64), keep_dims=True))
    ov.save_model(ov.Model([ops.result(ops.softmax(share, 1))], [data], "nan"), tmp_path / "nan.xml")
    classifier = ovm.load_classifier(tmp_path / "nan.xml", device="CPU", inference_precision="f32")
    images = [FRAMES[0], np.zeros((32, 32, 3), np.uint8), FRAMES[1]]
    for results in (classifier.classify_batch(images), [next(classifier.stream([image])) for image in images]):
        assert [type(result).__name__ for result in results] == ["Classification", "Failure", "Classification"]
        assert "not finite" in failed(results[1]).error
    with pytest.raises(IrError, match="not finite"):
        classifier.classify(images[1])
    with pytest.raises(IrError, match="not finite"):
        classifier.probabilities(np.stack(images))


def test_probabilities_of_frames_of_another_size_are_an_image_error(classifier: ovm.Classifier) -> None:
    with pytest.raises(ImageError, match="the network's input size: expected 32x32, got 16x32"):
        classifier.probabilities(np.zeros((2, 16, 32, 3), np.uint8))


def test_a_batch_size_below_one_is_a_usage_error(small_ir: Path) -> None:
    with pytest.raises(UsageError, match="invalid batch_size: expected at least 1, got 0"):
        ovm.load_classifier(small_ir, device="CPU", batch_size=0)


def test_the_message_of_an_unknown_option_lists_all_options(small_ir: Path) -> None:
    with pytest.raises(UsageError, match="unknown option: expected device, .*cache_dir, .*got cache_dri"):
        ovm.load_classifier(small_ir, cache_dri="somewhere")  # type: ignore[call-arg]


FIRST_USE = """
import sys, threading
import numpy as np
import ov_mobilenet as ovm

classifier = ovm.load_classifier(sys.argv[1], device="CPU")
sys.setswitchinterval(1e-6)  # threads change all the time, so that a race is met at the first attempt
together = threading.Barrier(8)

def classify():
    together.wait()
    classifier.classify(np.zeros((40, 40, 3), np.uint8))

threads = [threading.Thread(target=classify, daemon=True) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(20)
print("hanging:", sum(thread.is_alive() for thread in threads), flush=True)
"""


def test_the_first_images_of_a_process_may_come_from_several_threads(small_ir: Path) -> None:
    # In a process of its own: OpenVINO fills its table of data types once per process, and deadlocked there.
    try:
        done = subprocess.run([sys.executable, "-c", FIRST_USE, str(small_ir)], capture_output=True, text=True,
                              timeout=60)  # fmt: skip
    except subprocess.TimeoutExpired:
        pytest.fail("deadlock")
    assert done.stdout == "hanging: 0\n", done.stderr
