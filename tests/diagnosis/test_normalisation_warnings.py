"""`accuracy` and `quantize` warn about a wrong normalisation: the sample model converted with other values."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from nncf_for_tests import require_nncf
from signs import held_out

import ov_mobilenet as ovm
from ov_mobilenet.cli.demo import SAMPLE
from ov_mobilenet.cli.main import main
from ov_mobilenet.diagnosis.check import CHECKED_IMAGES, normalisation_warnings
from ov_mobilenet.images.geometry import apply_geometry
from ov_mobilenet.ir.files import open_ir
from ov_mobilenet.zoo.geometry import parse_geometry

Capture = pytest.CaptureFixture[str]
Bake = Callable[..., Path]

# What the network was trained with, from its description: -1..1, RGB.
RIGHT = "--preset tensorflow"
WRONG = {
    "tensorflow BGR": ("--mean-values", "127.5", "--scale-values", "127.5", "--no-reverse-input-channels"),
    "half RGB": ("--mean-values", "127.5", "--scale-values", "255", "--reverse-input-channels"),
    "0..1 RGB": ("--scale-values", "255", "--reverse-input-channels"),
    "0..255 BGR": ("--assume", "none", "--no-reverse-input-channels"),
}


@pytest.fixture(scope="module")
def bake(tmp_path_factory: pytest.TempPathFactory) -> Bake:
    """Converts the sample model with other values; returns the FP32 IR."""
    folder = tmp_path_factory.mktemp("bakes")
    (source,) = ovm.find_config(SAMPLE).folder.glob("*.onnx")
    made: dict[tuple[str, ...], Path] = {}

    def convert(*options: str) -> Path:
        if options not in made:
            out = folder / str(len(made))
            common = ["--name", "mine", "-o", str(out), "--precisions", "FP32", "-q"]
            geometry = ["--geometry", "crop 0.875, resize 128"]
            assert main(["convert", "--source", str(source), *common, *geometry, *options]) == 0
            (made[options],) = out.glob("public/mine/FP32/mine.xml")
        return made[options]

    return convert


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty drawings in folders of their classes."""
    folder = tmp_path_factory.mktemp("drawings")
    for number, (frame, label) in enumerate(held_out(5, 40)):
        (folder / f"{label:02}").mkdir(exist_ok=True)
        cv2.imwrite(str(folder / f"{label:02}" / f"{number}.png"), frame)
    return folder


def accuracy(xml: Path, dataset: Path, capsys: Capture, *more: str) -> tuple[list[str], str]:
    """The warnings in the JSON report, and the standard error output."""
    capsys.readouterr()
    assert main(["accuracy", str(xml), "--dataset", str(dataset), "--format", "json", "-q", *more]) == 0
    out, err = capsys.readouterr()
    return json.loads(out)["warnings"], err


@pytest.mark.parametrize("baked", ["tensorflow BGR", "half RGB", "0..255 BGR"])
def test_accuracy_names_what_is_baked_and_what_is_better(
    baked: str, bake: Bake, dataset: Path, capsys: Capture
) -> None:
    xml = bake(*WRONG[baked])
    warnings, err = accuracy(xml, dataset, capsys)
    assert f"the normalisation that is baked ({baked}) is probably not what" in warnings[-1]
    assert "tensorflow RGB is better on 20 of the images: 20 instead of " in warnings[-1]
    assert f"ov-mobilenet diagnose {xml} --images {dataset}" in warnings[-1]
    assert warnings[-1].endswith(f"again with {RIGHT}") != ("cannot be ruled out" in warnings[-1])
    assert f"warning: {warnings[-1]}" in err
    assert len(warnings) == 1 or (len(warnings) == 2 and "level of chance" in warnings[0])


def test_accuracy_does_not_suspect_the_right_normalisation(bake: Bake, dataset: Path, capsys: Capture) -> None:
    assert accuracy(bake(*RIGHT.split()), dataset, capsys) == ([], "")


@pytest.mark.full
def test_a_resumed_measurement_has_the_same_warning(bake: Bake, dataset: Path, tmp_path: Path, capsys: Capture) -> None:
    xml, predictions = bake(*WRONG["half RGB"]), tmp_path / "p.jsonl"
    whole, _ = accuracy(xml, dataset, capsys)
    accuracy(xml, dataset, capsys, "--predictions", str(predictions), "--sample", "25")
    assert accuracy(xml, dataset, capsys, "--predictions", str(predictions), "--resume")[0] == whole != []


@pytest.fixture(scope="module")
def drawings() -> dict[int, list[np.ndarray]]:
    """Drawings of the network's input size by class."""
    geometry, found = parse_geometry("crop 0.875, resize 128"), dict[int, list[np.ndarray]]()
    for frame, label in held_out(9, 48):
        found.setdefault(label, []).append(apply_geometry(geometry, frame))
    return found


def warned(xml: Path, frames: np.ndarray) -> tuple[str, ...]:
    return normalisation_warnings(open_ir(xml), frames, model=xml, images="my photos")


def test_images_of_one_class_and_too_few_images_are_not_judged(
    bake: Bake, drawings: dict[int, list[np.ndarray]]
) -> None:
    right, wrong = bake(*RIGHT.split()), bake(*WRONG["0..1 RGB"])
    shifts = range(-CHECKED_IMAGES // 2, CHECKED_IMAGES // 2)
    one_class = np.stack([np.roll(drawings[3][shift % 3], shift, axis=1) for shift in shifts])
    assert warned(right, one_class) == ()
    of_all = np.stack([frame for frames in drawings.values() for frame in frames])[:: 48 // CHECKED_IMAGES]
    of_all = of_all[:CHECKED_IMAGES]
    assert warned(right, of_all) == warned(wrong, of_all[1:]) == ()
    (warning,) = warned(wrong, of_all)
    assert "tensorflow" in warning and "--images 'my photos'" in warning and "are right" not in warning


@pytest.mark.parametrize(
    "form", [("--bake-geometry",), ("--color-format", "nv12"), ("--output-kind", "multilabel-logits")]
)
def test_irs_that_cannot_be_checked_give_no_warning(
    form: tuple[str, ...], bake: Bake, drawings: dict[int, list[np.ndarray]]
) -> None:
    frames = np.stack([frames[0] for frames in drawings.values()] * 2)[:CHECKED_IMAGES]
    assert warned(bake(*WRONG["0..1 RGB"], *form), frames) == ()


def quantized(xml: Path, calibration: Path, out: Path, capsys: Capture, *more: str) -> tuple[Path, str]:
    """The INT8 IR and the last warning."""
    require_nncf()
    arguments = ["quantize", str(xml), "--calibration", str(calibration), "--fast-bias-correction", "-o", str(out)]
    capsys.readouterr()  # the output of `convert`
    assert main([*arguments, "--format", "json", "-q", *more]) == 0
    stdout, err = capsys.readouterr()
    made = json.loads(stdout)
    assert f"warning: {made['warnings'][-1]}" in err
    return Path(made["xml"]), made["warnings"][-1]


@pytest.mark.full
def test_quantize_with_labels_and_accuracy_of_its_int8_ir_warn(
    bake: Bake, dataset: Path, tmp_path: Path, capsys: Capture
) -> None:
    xml = bake(*WRONG["tensorflow BGR"])
    int8, of_float = quantized(xml, dataset, tmp_path, capsys, "--dataset", str(dataset))
    (of_int8,) = (text for text in accuracy(int8, dataset, capsys)[0] if "that is baked" in text)
    for warning in (of_float, of_int8):
        assert "the normalisation that is baked (tensorflow BGR) is probably not" in warning
        assert "tensorflow RGB is better" in warning and " are right" in warning


@pytest.mark.full
def test_quantize_without_labels_warns(bake: Bake, dataset: Path, tmp_path: Path, capsys: Capture) -> None:
    _, warning = quantized(bake(*WRONG["0..1 RGB"]), dataset, tmp_path, capsys)
    assert "the normalisation that is baked (0..1 RGB) is probably not" in warning
    assert f"--images {dataset}" in warning and " are right" not in warning
