"""Signs that a network is fed wrongly: the same answers for all images, and top-1 at the level of chance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import small_networks as small
from known_network import Known, val_txt
from nncf_for_tests import require_nncf

import ov_mobilenet as ovm
from ov_mobilenet.accuracy.sanity import (
    are_constant,
    are_uniform,
    binomial_cdf,
    image_spread,
    is_at_chance_level,
    labelled_warnings,
    unlabelled_warnings,
)
from ov_mobilenet.cli.main import main

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("successes", "trials", "probability", "expected"),
    [
        (0, 3, 0.5, 1 / 8),  # by hand: 1, 3, 3, 1 of 8
        (1, 3, 0.5, 4 / 8),
        (2, 3, 0.5, 7 / 8),
        (3, 3, 0.5, 1.0),
        (-1, 3, 0.5, 0.0),
        (1, 2, 0.1, 0.99),  # 1 - 0.1^2
        (0, 200, 0.001, 0.999**200),
        (5, 9, 0.0, 1.0),
        (5, 9, 1.0, 0.0),
    ],
)
def test_the_binomial_distribution(successes: int, trials: int, probability: float, expected: float) -> None:
    assert binomial_cdf(successes, trials, probability) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("top1", "images", "classes", "expected"),
    [
        (0, 200, 1000, True),
        (2, 200, 1000, True),  # P(X >= 2) = 0.018
        (3, 200, 1000, False),  # P(X >= 3) = 0.0011
        (172, 200, 1000, False),
        (0, 5, 1000, False),  # too few images: a network that is right for half of them is wrong for 5 in 1 of 32
        (0, 20, 1000, True),
        (104, 200, 2, True),
        (140, 200, 2, False),
        (12, 20, 2, False),  # 0.6 of 20 may be chance, but a network that is right for 0.75 gives it in 1 of 10
        (10, 200, 2, True),  # exchanged labels: far below chance
        (50_000, 50_000, 1000, False),
        (40, 50_000, 1000, True),
    ],
)
def test_the_chance_level(top1: int, images: int, classes: int, expected: bool) -> None:
    assert is_at_chance_level(top1, images, classes) == expected


def test_labelled_answers() -> None:
    rng = np.random.default_rng(1)
    truths = rng.integers(0, 10, 100)
    assert labelled_warnings(truths, truths, 10) == ()
    assert (
        "at the level of chance: 10 of 100 images"
        in labelled_warnings(truths, np.r_[truths[:10], truths[10:] + 1], 11)[0]
    )
    constant = labelled_warnings(truths, [3] * 100, 10)
    assert len(constant) == 1 and "100% of 100 images are classified as class 3" in constant[0]
    assert labelled_warnings([3] * 100, [3] * 100, 10) == (), "a folder of one class"
    assert labelled_warnings([0] * 90 + [1] * 10, [0] * 97 + [1] * 3, 2) == (), "a rare class"
    assert labelled_warnings(truths[:19], truths[:19] + 1, 11) == (), "too few images"


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    answer: np.ndarray = (exponentials / exponentials.sum(1, keepdims=True)).astype(np.float32)
    return answer


def test_unlabelled_answers() -> None:
    rng = np.random.default_rng(1)
    base = rng.normal(0, 2, (1, 10))
    constant = softmax(base + rng.normal(0, 0.02, (40, 10)))
    assert are_constant(constant, 50.0)
    assert "gives nearly the same answer for all 40 images" in unlabelled_warnings(constant, 50.0)[0]
    assert not are_constant(constant, 2.0), "frames of a still scene hardly differ"
    assert not are_constant(constant[:19], 50.0)
    sure = base.copy()
    sure[0, 4] = 12.0
    one_class = softmax(sure + rng.normal(0, 0.5, (40, 10)))
    assert not are_constant(one_class, 50.0) and are_uniform(one_class, 50.0)
    assert "all 40 images are classified as class 4" in unlabelled_warnings(one_class, 50.0)[0]
    assert unlabelled_warnings(softmax(rng.normal(0, 3, (40, 10))), 50.0) == ()
    assert unlabelled_warnings(np.zeros((0, 10), np.float32), 0.0) == ()


def test_the_spread_of_images() -> None:
    frames = np.array([[0, 100], [20, 100]], np.uint8)
    assert image_spread(frames) == 5.0  # standard deviations 10 and 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-four images that differ."""
    folder = tmp_path_factory.mktemp("images")
    for number, frame in enumerate(small.frames(24)):
        cv2.imwrite(str(folder / f"{number:02}.png"), frame)
    return folder


def convert(out: Path, folder: Path, scale: float, *more: str) -> int:
    source = small.write_onnx(out / "net").with_name("small.onnx")
    mean = ",".join(map(str, small.MEAN))
    normalisation = ["--mean-values", mean, "--scale-values", str(scale), "--verify-images", str(folder)]
    return main(["convert", "--source", str(source), "--name", "mine", "-o", str(out), *normalisation, *more])


def test_constant_answers_fail_the_verification(tmp_path: Path, folder: Path, capsys: Capture) -> None:
    assert convert(tmp_path / "wrong", folder, 58.0 * 2000, "-q", "--format", "json") == 3
    out, err = capsys.readouterr()
    assert "the network gives nearly the same answer for all images, although they differ" in err
    assert "the same on 24 images. Likely causes: wrong mean and scale values" in err
    assert all(row["verification"]["constant_answers"] for row in json.loads(out))
    assert convert(tmp_path / "right", folder, 58.0, "--format", "json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert not any(row["verification"]["constant_answers"] or row["verification"]["warnings"] for row in rows)


def test_the_same_image_twenty_times_is_not_judged(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "images").mkdir()
    for number in range(24):
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), small.frames(1)[0])
    assert convert(tmp_path / "out", tmp_path / "images", 58.0) == 0
    assert "warning" not in capsys.readouterr().err


def accuracy(known: Known, names: list[tuple[str, int]], folder: Path, *more: str) -> tuple[int, str]:
    annotations = val_txt(folder / "val.txt", names)
    arguments = ["accuracy", str(known.xml), "--dataset", str(known.files[0].parent), "--annotations", str(annotations)]
    return main([*arguments, *more]), str(annotations)


@pytest.fixture(scope="module")
def many(known: Known, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, int]]:
    """Forty images with the classes that the network gives them."""
    classifier = ovm.load_classifier(known.xml, device="CPU", inference_precision="f32")
    frames = small.frames(40, seed=9)
    best = classifier.probabilities(frames).argmax(1)
    rows = []
    for number, (frame, index) in enumerate(zip(frames, best, strict=True)):
        name = f"more-{number:02}.png"
        cv2.imwrite(str(known.files[0].parent / name), frame)
        rows.append((name, int(index)))
    return rows


def test_accuracy_at_the_level_of_chance_is_a_loud_warning(
    known: Known, many: list[tuple[str, int]], tmp_path: Path, capsys: Capture
) -> None:
    assert accuracy(known, many, tmp_path, "--format", "json")[0] == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["top1"] == 1.0 and json.loads(out)["warnings"] == []
    shifted = [(name, (index + 1) % 8) for name, index in many]
    assert accuracy(known, shifted, tmp_path, "--format", "json", "-q")[0] == 0
    out, err = capsys.readouterr()
    (warning,) = json.loads(out)["warnings"]
    assert "top-1 is at the level of chance: 0 of 40 images are right with 8 classes" in warning
    assert f"warning: {warning}" in err


def test_quantize_reports_what_the_float_model_shows(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    require_nncf()
    assert convert(tmp_path / "wrong", folder, 58.0 * 2000) == 3
    capsys.readouterr()
    xml = tmp_path / "wrong" / "public" / "mine" / "FP32" / "mine.xml"
    arguments = ["quantize", str(xml), "--calibration", str(folder), "--fast-bias-correction", "-q", "--format", "json"]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    (warning,) = json.loads(out)["warnings"]
    assert "the network gives nearly the same answer for all 24 images" in warning
    assert warning in err


def write_shared_images(shared: Path, count: int, target: Path, *, crops: bool) -> None:
    """Images of ImageNet, or crops of a single one, as images of one class are alike."""
    files = sorted((shared / "imagenet200" / "images").iterdir())[:count]
    target.mkdir()
    rng = np.random.default_rng(0)
    one = cv2.imread(str(files[0]))
    for number, file in enumerate(files):
        image = one if crops else cv2.imread(str(file))
        assert image is not None
        height, width = image.shape[:2]
        side = int(min(height, width) * rng.uniform(0.7, 1)) if crops else min(height, width)
        y, x = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
        cv2.imwrite(str(target / f"{number}.jpg"), image[y : y + side, x : x + side])


@pytest.mark.shared
@pytest.mark.parametrize("crops", [False, pytest.param(True, marks=pytest.mark.full)])
def test_a_real_network_is_not_suspected(shared: Path, crops: bool, tmp_path: Path, capsys: Capture) -> None:
    write_shared_images(shared, 25, tmp_path / "images", crops=crops)
    network = shared / "zoo" / "mobilenet-v2-onnx-real" / "mobilenetv2_real.onnx"
    common: list[Any] = ["convert", "--source", str(network), "--name", "real", "--precisions", "FP32"]
    images = ["--verify-images", str(tmp_path / "images")]
    assert main([*common, "-o", str(tmp_path / "out"), "--preset", "torchvision", *images]) == 0
    assert "warning" not in capsys.readouterr().err
    wrong = ["--mean-values", "123.675,116.28,103.53", "--scale-values", "14650"]
    assert main([*common, "-o", str(tmp_path / "wrong"), *wrong, *images]) == 3
    assert "nearly the same answer for all images" in capsys.readouterr().err
