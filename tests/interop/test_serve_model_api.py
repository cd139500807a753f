"""Model API's `OVMSAdapter` and `ClassificationModel`, unchanged, against `serve`.

The adapter sends frames at their original size, and reads labels and the kind of the model from `rt_info` in the
model's metadata.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from served_images import ServedImages, drawn_images, real_images
from served_process import MODEL_API, ServedProcess, answer_of, python_of, serving

import ov_mobilenet as ovm
from ov_mobilenet.cli.demo import SAMPLE

REAL = ("mobilenet-v1-0.25-128-tf2017", "mobilenet-v2-onnx-real")
pytestmark = pytest.mark.serve


def check(server: ServedProcess, address: str, images: ServedImages) -> None:
    """Compare Model API's classes, labels and scores with those of `classify`, for files of any size."""
    files = [str(file) for file in images.files]
    answers = answer_of(MODEL_API, "serve_model_api.py", f"{server.http}/v2/models/{address}", *files)
    for answer, frame in zip(answers, images.frames, strict=True):
        expected = images.classes_of(frame, 5)
        assert [best["class_id"] for best in answer] == [class_id for _, class_id, _ in expected]
        assert [best["label"] for best in answer] == ["_".join(label.split()) for _, _, label in expected]
        scores = [np.float32(best["score"]) for best in answer]
        assert scores == [np.float32(probability) for probability, _, _ in expected]


@pytest.mark.parametrize("address", ["signs", "signs/versions/1"])
def test_the_sample_model(address: str, tmp_path: Path) -> None:
    python_of(MODEL_API)
    images = drawn_images(SAMPLE, tmp_path)
    # What Model API's own cv2.imread gives for the files, so that JPEGs count too.
    images.frames[:] = [np.asarray(cv2.imread(str(file))) for file in images.files]
    with serving({"signs": SAMPLE}, tmp_path) as server:
        check(server, address, images)


def test_a_model_that_is_not_served(tmp_path: Path) -> None:
    python = python_of(MODEL_API)
    program = Path(__file__).with_name("serve_model_api.py")
    with serving({"signs": SAMPLE}, tmp_path) as server:
        command = [str(python), "-I", str(program), f"{server.http}/v2/models/other"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode != 0
    assert "Requested model: other" in done.stderr


@pytest.mark.shared
@pytest.mark.parametrize("name", REAL)
def test_real_networks_and_images(name: str, shared: Path, tmp_path: Path) -> None:
    python_of(MODEL_API)
    sources = ovm.download(
        ovm.load_config(shared / "zoo" / name / "model.yml"), tmp_path / "dl", cache_root=tmp_path / "c", offline=True
    )
    xml = ovm.convert(sources, tmp_path / "ir", precisions=("FP16",))[0].xml
    files = sorted((shared / "imagenet200" / "images").iterdir())[:20]
    with serving({"real": xml}, tmp_path) as server:
        check(server, "real", real_images(xml, tmp_path, files))
