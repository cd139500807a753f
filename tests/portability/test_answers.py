"""The sample model's probabilities on 100 drawings against torch's on x86-64, by precision and by form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino as ov
import portable_cases as cases
import pytest
from numpy.typing import NDArray

import ov_mobilenet as ovm
from ov_mobilenet.cli.demo import SAMPLE
from ov_mobilenet.devices.settings import InferencePrecision
from ov_mobilenet.images.load_image import load_image
from ov_mobilenet.zoo.geometry import parse_geometry

# The largest difference of a probability that is allowed where the pixels are the same. Sums are formed in another
# order on each processor, and the narrow types keep 11 (f16) and 8 (bf16) bits.
LIMITS = {"f32": 3e-5, "f16": 4e-2, "bf16": 0.1}
GEOMETRY = parse_geometry("crop 0.875, resize 128")


@pytest.fixture(scope="module")
def answers() -> NDArray[np.float32]:
    return cases.recorded_answers()


@pytest.fixture(scope="module")
def frames() -> cases.Frame:
    """The drawings as the network's input, uint8 (100, 128, 128, 3) BGR."""
    drawings = cases.files_of(cases.DRAWINGS)
    return np.stack([load_image(data, GEOMETRY, "exact").frame for _, data in drawings])


def same_top1(probabilities: NDArray[np.float32], answers: NDArray[np.float32]) -> int:
    return int((probabilities.argmax(1) == answers.argmax(1)).sum())


def described(probabilities: NDArray[np.float32], answers: NDArray[np.float32], precision: str) -> str:
    difference = np.abs(probabilities - answers).max(axis=1)
    return (
        f"{precision}: the same top-1 on {same_top1(probabilities, answers)} of {len(answers)}; largest difference of "
        f"a probability {difference[::2].max():.1e}, and {difference[1::2].max():.1e} on the small drawings, of which "
        "the network is less sure and which are resized"
    )


def test_f32_has_the_top1_of_torch_on_every_drawing(
    sample_ir: Path, frames: cases.Frame, answers: NDArray[np.float32], measured: Callable[[str], None]
) -> None:
    classifier = ovm.load_classifier(sample_ir, device="CPU", inference_precision="f32")
    probabilities = classifier.probabilities(frames)
    measured(described(probabilities, answers, "f32"))
    assert same_top1(probabilities, answers) == 100
    assert np.abs(probabilities - answers).max() < LIMITS["f32"]


def test_the_devices_own_precision_has_the_top1_of_torch(
    sample_ir: Path, frames: cases.Frame, answers: NDArray[np.float32], measured: Callable[[str], None]
) -> None:
    classifier = ovm.load_classifier(sample_ir, device="CPU")
    precision = classifier.inference_precision
    assert precision is not None
    probabilities = classifier.probabilities(frames)
    measured(described(probabilities, answers, f"{precision}, the device's own precision"))
    assert same_top1(probabilities, answers) >= 99
    assert np.abs(probabilities - answers).max() < LIMITS[precision]


@pytest.mark.parametrize("precision", ["f16", "bf16"])
def test_a_precision_runs_as_asked_or_is_refused(
    precision: InferencePrecision, sample_ir: Path, frames: cases.Frame, answers: NDArray[np.float32]
) -> None:
    try:
        classifier = ovm.load_classifier(sample_ir, device="CPU", inference_precision=precision)
    except ovm.DeviceError as error:
        assert f"does not support inference precision {precision}" in str(error)
        assert precision not in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return
    assert classifier.inference_precision == precision
    difference = np.abs(classifier.probabilities(frames[:4]) - answers[:4]).max()
    # Smaller would mean that it really runs in f32.
    assert 1e-7 < difference < LIMITS[precision]


@pytest.mark.parametrize(
    "form",
    [
        ovm.Form(layout="NCHW", input_type="f32"),
        ovm.Form(layout="NHWC", input_type="u8"),
        ovm.Form(batch=4, layout="NHWC", input_type="u8"),
        ovm.Form(batch=-1, layout="NCHW", input_type="f32"),
        ovm.Form(bake_geometry=True),
        ovm.Form(batch=-1, bake_geometry=True),
    ],
    ids=["f32 NCHW", "u8 NHWC", "batch 4", "any batch", "baked geometry", "baked geometry, any batch"],
)  # fmt: skip
def test_every_form_has_the_answers_of_torch_in_openvino_alone(
    form: ovm.Form, answers: NDArray[np.float32], tmp_path: Path
) -> None:
    sources = ovm.download(ovm.find_config(SAMPLE), tmp_path / "dl", cache_root=tmp_path / "cache", offline=True)
    xml = ovm.convert(sources, tmp_path / "ir", precisions=("FP32",), form=form)[0].xml
    compiled = ov.Core().compile_model(xml, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    drawings = [cases.by_pillow(data) for _, data in cases.files_of(cases.DRAWINGS)][0:8:2]
    pixels = np.stack(drawings)
    if not form.bake_geometry:
        pixels = pixels[:, 9:137, 9:137]  # the crop of 147x147 to 128x128
    if form.layout == "NCHW":
        pixels = pixels.transpose(0, 3, 1, 2)
    pixels = np.ascontiguousarray(pixels, np.float32 if form.input_type == "f32" else np.uint8)
    parts = np.split(pixels, 4) if form.batch is None else [pixels]
    probabilities = np.concatenate([compiled(part)[0].copy() for part in parts])
    assert np.abs(probabilities - answers[0:8:2]).max() < LIMITS["f32"]
