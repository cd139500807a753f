"""Every input form of the real networks gives the same answers to real images."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ov_mobilenet as ovm
from ov_mobilenet.images.decode import read_image
from ov_mobilenet.images.geometry import apply_geometry

pytestmark = [pytest.mark.shared, pytest.mark.full]

NAMES = (
    "mobilenet-v2-pytorch-real",
    "mobilenet-v2-onnx-real",
    "mobilenet-v1-0.25-128-tf2017",
    "mobilenet-v1-0.25-224-tflite",
    "mobilenet-v1-0.25-128-quant-tflite",
)
SOME = 20  # images for each form: not a multiple of the batch size. The probabilities are compared, not only the best.
FORMS = [*itertools.product((1, 8, -1), ("NHWC", "NCHW"), ("u8", "f32"))]


def load(sources: ovm.SourceFiles, out: Path, **form: Any) -> ovm.Classifier:
    (model,) = ovm.convert(sources, out, precisions=("FP32",), form=ovm.Form(**form))
    return ovm.load_classifier(model.xml, device="CPU", inference_precision="f32")


@pytest.mark.parametrize("name", NAMES)
def test_the_form_changes_no_answer(
    name: str, shared: Path, images: tuple[list[Path], np.ndarray], tmp_path: Path
) -> None:
    if "pytorch" in name:
        pytest.importorskip("torch")
    config = ovm.load_config(shared / "zoo" / name / "model.yml")
    sources = ovm.download(config, tmp_path / "dl", cache_root=tmp_path / "cache", offline=True)
    files, _ = images
    plain = load(sources, tmp_path / "plain")
    assert plain.geometry is not None
    frames = np.stack([apply_geometry(plain.geometry, read_image(file, plain.geometry.reader)) for file in files])
    expected = plain.probabilities(frames)
    for batch, layout, kind in FORMS:
        classifier = load(sources, tmp_path / "form", batch=batch, layout=layout, input_type=kind)
        different = np.abs(classifier.probabilities(frames[:SOME]) - expected[:SOME]).max()
        assert different < 1e-5, (batch, layout, kind, different)
    baked = load(sources, tmp_path / "baked", bake_geometry=True)
    best = expected.argmax(1)
    changed = sum(baked.classify(file).best.class_id != class_id for file, class_id in zip(files, best, strict=True))
    assert changed <= 2
