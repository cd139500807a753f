"""A MobileNet V2 fine-tuned on drawings and converted from every file format in which it can be saved."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main

torch = pytest.importorskip("torch")

RED, BLUE, GREEN = (30, 30, 220), (220, 30, 30), (40, 200, 40)  # BGR; swapping channels turns red into blue
CLASSES = (("disc", RED), ("disc", BLUE), ("square", RED), ("square", BLUE), ("ring", GREEN))
SIDE, STEPS = 48, 50
MEAN, SCALE = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


class FineTuned(NamedTuple):
    network: Any
    folder: Path
    frames: np.ndarray  # uint8 (N, 48, 48, 3) BGR
    truth: np.ndarray
    expected: np.ndarray  # torch's probabilities


def drawn(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames uint8 (count, 48, 48, 3) BGR with one shape each, and the class of each: form and colour."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(60, 190, (count, 1, 1, 3)) + rng.integers(-30, 31, (count, SIDE, SIDE, 3))
    truth = rng.integers(0, len(CLASSES), count)
    frames = np.clip(frames, 0, 255).astype(np.uint8)
    for frame, index in zip(frames, truth, strict=True):
        form, colour = CLASSES[index]
        x, y = map(int, rng.integers(16, 33, 2))
        r = int(rng.integers(9, 15))
        if form == "disc":
            cv2.circle(frame, (x, y), r, colour, -1)
        elif form == "ring":
            cv2.circle(frame, (x, y), r, colour, 4)
        else:
            cv2.rectangle(frame, (x - r, y - r), (x + r, y + r), colour, -1)
    return frames, truth


def tensor(frames: np.ndarray) -> Any:
    mean, scale = np.array(MEAN, np.float32), np.array(SCALE, np.float32)
    pixels = (frames[..., ::-1].astype(np.float32) - mean) / scale
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))


def probabilities(network: Any, frames: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return np.asarray(torch.softmax(network(tensor(frames)), 1))


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> FineTuned:
    from ov_mobilenet.conversion.architectures.mobilenet_v2 import MobileNetV2

    folder = tmp_path_factory.mktemp("tuned")
    frames, truth = drawn(1, 640)
    torch.manual_seed(3)
    network = MobileNetV2(classes=5, width=0.5)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3)
    order = np.random.default_rng(3)
    for _ in range(STEPS):
        batch = order.choice(len(frames), 32, replace=False)
        loss = torch.nn.functional.cross_entropy(network(tensor(frames[batch])), torch.from_numpy(truth[batch]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for (
        norm
    ) in norms:  # the steps are too few for running averages, so the statistics are computed once over all frames
        norm.reset_running_stats()
        norm.momentum = None
    with torch.no_grad():
        for start in range(0, len(frames), 64):
            network(tensor(frames[start : start + 64]))
    network.eval()
    frames, truth = drawn(2, 120)
    (folder / "labels.txt").write_text("red disc\nblue disc\nred square\nblue square\ngreen ring\n")
    torch.save(network.state_dict(), folder / "tuned.pth")
    torch.save(
        {"epoch": STEPS, "state_dict": {f"module.{key}": value for key, value in network.state_dict().items()}},
        folder / "wrapped.pt",
    )
    return FineTuned(network, folder, frames, truth, probabilities(network, frames))


def export(tuned: FineTuned, name: str) -> Path:
    path = tuned.folder / name
    if path.suffix == ".safetensors":
        save_file = pytest.importorskip("safetensors.torch").save_file
        save_file({key: value.clone() for key, value in tuned.network.state_dict().items()}, path)
    elif path.suffix == ".onnx":
        pytest.importorskip("onnx")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                tuned.network, torch.zeros(1, 3, SIDE, SIDE), path, input_names=["pixels"], output_names=["scores"],
                dynamo=False,
            )  # fmt: skip
    return path


def test_the_network_is_trained_and_depends_on_colour(tuned: FineTuned) -> None:
    # Otherwise the comparisons below would prove nothing. By chance it would be 0.2; CPUs train to 0.57 and more.
    assert (tuned.expected.argmax(1) == tuned.truth).mean() > 0.4
    swapped = probabilities(tuned.network, tuned.frames[..., ::-1])
    assert (swapped.argmax(1) != tuned.expected.argmax(1)).mean() > 0.2


@pytest.mark.parametrize("name", ["tuned.pth", "wrapped.pt", "tuned.safetensors", "tuned.onnx"])
def test_the_ir_gives_the_same_answers_as_torch(
    name: str, tuned: FineTuned, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = export(tuned, name)
    shape = [] if name.endswith(".onnx") else ["--input-shape", f"1,3,{SIDE},{SIDE}"]
    code = main([
        "convert", "--source", str(source), "--name", "mine", "-o", str(tmp_path),
        "--labels", str(tuned.folder / "labels.txt"), "--geometry", f"resize {SIDE}", *shape,
    ])  # fmt: skip
    err = capsys.readouterr().err
    assert code == 0, err
    evidence = "tensor names" if name.endswith(".onnx") else "key names"
    assert f"guess: normalisation: torchvision, {evidence} of torchvision and architecture mobilenet_v2" in err
    if not name.endswith(".onnx"):
        assert "guess: architecture: mobilenet_v2, width 0.5 (--architecture, --width)" in err
    xml = tmp_path / "public" / "mine" / "FP32" / "mine.xml"
    classifier = ovm.load_classifier(xml, device="CPU", inference_precision="f32")
    answer = classifier.probabilities(tuned.frames)
    assert np.abs(answer - tuned.expected).max() < 3e-5
    assert (answer.argmax(1) == tuned.expected.argmax(1)).all()
    assert classifier.labels is not None
    assert classifier.labels[4] == "green ring"

    # The description beside the IR gives the same IR.
    assert main(["convert", str(tmp_path / "public" / "mine" / "model.yml"), "-o", str(tmp_path / "again"),
                 "-d", str(tmp_path / "again")]) == 0  # fmt: skip
    for suffix in ("FP32/mine.xml", "FP32/mine.bin", "FP16/mine.xml", "FP16/mine.bin"):
        there, again = (base / "public" / "mine" / suffix for base in (tmp_path, tmp_path / "again"))
        assert there.read_bytes() == again.read_bytes()


def test_width_and_classes_are_checked_against_the_weights(
    tuned: FineTuned, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["convert", "--source", str(tuned.folder / "tuned.pth"), "--name", "mine", "-o", str(tmp_path)]
    for extra, message in (
        (["--classes", "6"], "--classes does not match the network: expected 6, got 5"),
        (["--width", "1.0"], "--width does not match the network: expected 1, got 0.5"),
        (["--architecture", "mobilenet_v1"], "matches no width of mobilenet_v1"),
    ):
        assert main([*arguments, *extra]) != 0
        assert message in capsys.readouterr().err
    assert not (tmp_path / "public").exists()
