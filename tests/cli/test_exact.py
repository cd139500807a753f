"""`classify --exact`: f32 and exact decoding, compared with a computation in NumPy and a full decode by OpenCV."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import small_networks as small
import yaml

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.tuning.profile_writing import save_profile
from ov_mobilenet.zoo.geometry import parse_geometry


@pytest.fixture(scope="module")
def small_ir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exact")
    sources = ovm.download(ovm.load_config(small.write_onnx(out / "small")), out / "dl", cache_root=out / "cache")
    return ovm.convert(sources, out, precisions=("FP32",), form=ovm.Form(geometry=parse_geometry("resize 32")))[0].xml


@pytest.fixture
def large_jpeg(tmp_path: Path) -> Path:
    """12 times the network's size, with detail in every pixel: `auto` decodes it at half its size."""
    rng = np.random.default_rng(0)  # the answer for this colour is not certain
    colour = rng.integers(0, 256, 3)
    frame = np.clip(colour + rng.integers(-120, 121, (384, 384, 3)), 0, 255).astype(np.uint8)
    assert cv2.imwrite(str(tmp_path / "large.jpg"), frame, [cv2.IMWRITE_JPEG_QUALITY, 95])
    return tmp_path / "large.jpg"


def expected(image: Path) -> np.ndarray:
    return small.by_hand(cv2.resize(cv2.imread(str(image)), (32, 32)))


def answers(capsys: pytest.CaptureFixture[str], *arguments: str) -> np.ndarray:
    assert main(["classify", *arguments, "--format", "jsonl", "-k", "5", "-d", "CPU"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = {one["class_id"]: one["probability"] for one in json.loads(line)["predictions"]}
    return np.array([found[number] for number in range(small.CLASSES)])


def test_exact_gives_the_answer_of_the_whole_image_at_f32(
    small_ir: Path, large_jpeg: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_hand = expected(large_jpeg)
    plain = [str(small_ir), str(large_jpeg)]
    assert np.abs(answers(capsys, *plain) - by_hand).max() > 0.01
    for more in ([], ["--decode", "exact"], ["--inference-precision", "f32"],
                 ["--property", "INFERENCE_PRECISION_HINT=f32"]):  # fmt: skip
        assert np.abs(answers(capsys, *plain, "--exact", *more) - by_hand).max() < 1e-5


def test_python_has_the_same_by_its_settings(small_ir: Path, large_jpeg: Path) -> None:
    classifier = ovm.load_classifier(small_ir, device="CPU", inference_precision="f32", decode="exact")
    result = classifier.classify(large_jpeg)
    best = expected(large_jpeg)
    assert result.predictions[0].class_id == int(best.argmax())
    assert result.predictions[0].probability == pytest.approx(best.max(), abs=1e-5)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--decode", "auto"], "--exact contradicts --decode: expected --decode exact, or none, got auto"),
        (["--decode", "fast"], "got fast"),
        (["--inference-precision", "bf16"], "--exact contradicts the inference precision: expected f32, or none, got"),
        (["--property", "INFERENCE_PRECISION_HINT=f16"], "got f16"),
    ],
)
def test_a_contradiction_is_a_usage_error_before_anything_is_read(
    more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["classify", "no-such-model", "no-such.jpg", "--exact", *more]) == 2
    assert message in capsys.readouterr().err


def test_a_profile_of_another_precision_is_refused(
    small_ir: Path, large_jpeg: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = ovm.tune(small_ir, device="CPU", precision="f32", time_limit_s=0.3)
    assert found.profile is not None
    path = tmp_path / "f32.yml"
    save_profile(found.profile, path)
    plain = ["classify", str(small_ir), str(large_jpeg), "--exact", "--format", "jsonl", "-k", "5", "--profile"]
    assert main([*plain, str(path)]) == 0
    found_by_class: dict[int, Any] = {
        one["class_id"]: one["probability"] for one in json.loads(capsys.readouterr().out)["predictions"]
    }
    by_hand = expected(large_jpeg)
    assert max(abs(found_by_class[number] - by_hand[number]) for number in range(small.CLASSES)) < 1e-5
    content = yaml.safe_load(path.read_text())
    for precision, got in ((None, "got the device's choice"), ("bf16", "got bf16")):
        content["settings"]["inference_precision"] = precision
        path.write_text(yaml.safe_dump(content))
        assert main([*plain, str(path)]) == 2
        error = capsys.readouterr().err
        assert "--exact contradicts the profile: expected a profile that was tuned with --precision f32" in error
        assert got in error
