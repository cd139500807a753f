"""Mean, scale and channel order passed to `load_classifier` for an IR without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ov_mobilenet as ovm
from ov_mobilenet.errors import AlreadyNormalisedError, ConversionError, UsageError

pytest.importorskip("onnx")
small_networks = pytest.importorskip("small_networks")
NORMALISATION = ovm.Normalisation(
    mean=small_networks.MEAN, scale=small_networks.SCALE, reverse_input_channels=True
)  # fmt: skip


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """An IR as `ovc` writes it: nothing baked in, no layout, logits as output."""
    import openvino as ov

    small_networks.write_onnx(tmp_path, batch=1)
    ov.save_model(ov.convert_model(tmp_path / "small.onnx"), tmp_path / "bare.xml", compress_to_fp16=False)
    return tmp_path / "bare.xml"


@pytest.mark.parametrize("layout", [None, "NCHW", "[n,c,h,w]"])
def test_a_given_normalisation_gives_the_probabilities_computed_by_hand(
    bare: Path, layout: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    classifier = ovm.load_classifier(
        bare, device="CPU", inference_precision="f32", normalisation=NORMALISATION, layout=layout
    )
    frames = small_networks.frames()
    expected = np.stack([small_networks.by_hand(frame) for frame in frames])
    assert np.abs(classifier.probabilities(frames) - expected).max() < 1e-5
    assert "raw BGR pixels" not in caplog.text  # no assumption is needed


def test_without_a_normalisation_the_probabilities_differ(bare: Path, caplog: pytest.LogCaptureFixture) -> None:
    frames = small_networks.frames()
    expected = np.stack([small_networks.by_hand(frame) for frame in frames])
    plain = ovm.load_classifier(bare, device="CPU", inference_precision="f32").probabilities(frames)
    assert np.abs(plain - expected).max() > 0.1
    assert "raw BGR pixels" in caplog.text


@pytest.mark.parametrize(
    "given",
    [NORMALISATION, ovm.Normalisation(mean=(127.5,)), ovm.Normalisation(reverse_input_channels=True)],
)
def test_a_second_normalisation_is_refused(given: ovm.Normalisation) -> None:
    with pytest.raises(AlreadyNormalisedError, match=r"applied a second time.*ov-mobilenet: .*Omit them"):
        ovm.load_classifier("mobilenet-v1-0.25-128-signs", normalisation=given)


def test_a_normalisation_is_refused_after_one_of_the_model_optimizer(bare: Path) -> None:
    import openvino as ov

    model = ov.Core().read_model(bare)
    model.set_rt_info("data[1,2,3]", ["conversion_parameters", "mean_values"])
    made = bare.with_name("mo.xml")
    ov.save_model(model, made, compress_to_fp16=False)
    with pytest.raises(AlreadyNormalisedError, match=r"Model Optimizer: mean_values data\[1,2,3\]"):
        ovm.load_classifier(made, normalisation=NORMALISATION)


@pytest.mark.parametrize(
    "numbers", [{"mean": (1.0, 2.0)}, {"scale": (0.0,)}, {"mean": (np.nan,)}, {"scale": (1.0, 1e7, 1.0)}]
)
def test_invalid_normalisation_values_are_usage_errors(numbers: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"invalid (mean|scale): expected (one number or three|finite numbers)"):
        ovm.Normalisation(**numbers)


def test_a_layout_that_does_not_fit_is_refused(bare: Path) -> None:
    with pytest.raises(ConversionError, match="the layout does not match"):
        ovm.load_classifier(bare, layout="NHWC")


def test_labels_are_read_from_a_file(bare: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("\n".join(f"name {number}" for number in range(5)))
    classifier = ovm.load_classifier(bare, device="CPU", labels=tmp_path / "names.txt")
    assert classifier.labels == tuple(f"name {number}" for number in range(5))


@pytest.mark.parametrize("shape", [(1, -1), (1, 3)])
def test_a_network_with_a_batch_size_in_its_graph_runs_with_its_own(
    shape: tuple[int, int], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import openvino as ov
    import openvino.opset13 as ops

    frame = ops.parameter([1, 3, 8, 8], np.float32, name="frame")
    scores = ops.reshape(ops.reduce_mean(frame, np.array([2, 3])), list(shape), False)
    ov.save_model(ov.Model([ops.softmax(scores, 1)], [frame], "means"), tmp_path / "means.xml")
    classifier = ovm.load_classifier(tmp_path / "means.xml", batch_size=4, device="CPU", inference_precision="f32")
    assert "does not take batches of this size: expected 4" in caplog.text
    frames = [np.full((8, 8, 3), (number, 50, 20), np.uint8) for number in range(40, 60)]
    for result, pixels in zip(classifier.stream(frames), frames, strict=True):
        assert isinstance(result, ovm.Classification)
        assert result.best.class_id == pixels[0, 0].argmax()
    with pytest.raises(UsageError, match="does not take batches of this size: expected 4"):
        next(classifier.stream(frames, batch_size=4))
