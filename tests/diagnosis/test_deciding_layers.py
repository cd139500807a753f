"""`convert --source` with images: weights of another library, whose layers the images tell, or the refusal."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import pytest

pytest.importorskip("torch")

import torch
from recorded_networks import Recorded, natural_images, recorded
from torch import nn

from ov_mobilenet.cli.main import main
from ov_mobilenet.zoo.config import load_config

TRAINING, OTHERS = natural_images(300, 1), natural_images(100, 2)
Capture = pytest.CaptureFixture[str]
Convert = Callable[..., int]


def leaky(slope: float) -> nn.Module:
    return nn.LeakyReLU(slope)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("natural")
    for number, image in enumerate(OTHERS):
        cv2.imwrite(str(folder / f"{number:03}.png"), image)
    return folder


@pytest.fixture(scope="module")
def network() -> Recorded:
    return recorded("v1", TRAINING, activation=partial(leaky, 0.1))


def save(network: Recorded, folder: Path, *, foreign: bool) -> Path:
    """A checkpoint with the keys of another library, or with torchvision's."""
    tensors = dict(network.matched.tensors)
    if foreign:
        tensors = {f"net.{key.replace('features', 'stage').replace('conv', 'unit')}": t for key, t in tensors.items()}
    path = folder / "mine.pth"
    torch.save(tensors, path)
    return path


@pytest.fixture
def convert(tmp_path: Path) -> Convert:
    def run(source: Path, *options: str | Path) -> int:
        known = ("--name", "mine", "--preset", "tensorflow", "--input-shape", "1,3,96,96", "--geometry", "resize 96")
        words = (*known, "--precisions", "FP32", "-o", tmp_path / "out", *options)
        return main(["convert", "--source", str(source), *map(str, words)])

    return run


def answers(xml: Path, frames: np.ndarray) -> np.ndarray:
    compiled = ov.Core().compile_model(xml, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    planes = frames.transpose(0, 3, 1, 2).astype(np.float32)
    return np.concatenate([compiled(plane[None])[0] for plane in planes])


@pytest.mark.parametrize(
    "foreign", [pytest.param(True, id="foreign"), pytest.param(False, id="torchvision", marks=pytest.mark.full)]
)
def test_images_tell_the_activation(
    foreign: bool, network: Recorded, images: Path, convert: Convert, tmp_path: Path, capsys: Capture
) -> None:
    source = save(network, tmp_path, foreign=foreign)
    assert convert(source, "--diagnose-images", images, "-q") == 0
    out, err = capsys.readouterr()
    (guess,) = [line for line in err.splitlines() if line.startswith("guess: activation: ")]
    assert guess.startswith("guess: activation: leaky-relu-0.1, batch-norm statistics 0.")
    assert guess.endswith("(--activation)")
    true = torch.softmax(torch.from_numpy(network.outputs(OTHERS[:20])), 1).numpy()
    assert np.abs(answers(Path(out.strip()), OTHERS[:20]) - true).max() < 1e-4
    settings = load_config(tmp_path / "out" / "public" / "mine").details.settings
    assert settings.activation == "leaky-relu-0.1"
    if foreign:
        assert (settings.padding, settings.batch_norm_epsilon) == ("same", 1e-3), "all are stated"


def test_foreign_weights_are_refused_without_images(
    network: Recorded, convert: Convert, tmp_path: Path, capsys: Capture
) -> None:
    assert convert(save(network, tmp_path, foreign=True)) == 2
    err = capsys.readouterr().err
    assert "--diagnose-images DIR" in err and "--activation NAME" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "foreign", [pytest.param(True, id="foreign", marks=pytest.mark.full), pytest.param(False, id="torchvision")]
)
def test_weights_with_an_unknown_activation_are_refused(
    foreign: bool, images: Path, convert: Convert, tmp_path: Path, capsys: Capture
) -> None:
    unknown = recorded("v1", TRAINING, activation=partial(leaky, 0.2))
    assert convert(save(unknown, tmp_path, foreign=foreign), "--diagnose-images", images) == 1
    err = capsys.readouterr().err
    assert "leaky-relu-0.2" in err and "an activation that cannot be converted" in err
    assert "Export the network to ONNX" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.full
def test_what_is_said_of_all_settings_is_not_questioned(
    network: Recorded, images: Path, convert: Convert, tmp_path: Path
) -> None:
    said = ("--activation", "relu6", "--padding", "same", "--batch-norm-epsilon", "0.001")
    assert convert(save(network, tmp_path, foreign=True), "--diagnose-images", images, *said) == 0


def test_weights_without_statistics_are_refused(
    network: Recorded, images: Path, convert: Convert, tmp_path: Path, capsys: Capture
) -> None:
    folded = Recorded(network.module, network.matched)
    source = save(folded, tmp_path, foreign=True)
    tensors = torch.load(source, weights_only=True)
    for key, tensor in tensors.items():
        if key.endswith("running_mean"):
            tensor.zero_()
        if key.endswith("running_var"):
            tensor.fill_(1.0)
    torch.save(tensors, source)
    assert convert(source, "--diagnose-images", images) == 1
    assert "got no recorded statistics" in capsys.readouterr().err
