"""Activation, padding and epsilon of PyTorch weights: given, recorded, and refused to be guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_networks as small

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main

torch = pytest.importorskip("torch")

import foreign_torch as foreign  # noqa: E402 (imports torch)

SIDE = 64
ARCHITECTURES = tuple(foreign.TABLES)
SETTINGS = ["--activation", "leaky-relu-0.1", "--padding", "same", "--batch-norm-epsilon", "0.001"]
Capture = pytest.CaptureFixture[str]


def saved(folder: Path, architecture: str, **settings: Any) -> tuple[Path, np.ndarray, np.ndarray]:
    """A checkpoint, frames, and torch's probabilities."""
    frames = small.frames(12, SIDE)
    network = foreign.untrained(architecture, small.normalised(frames), **settings)
    with torch.inference_mode():
        answers = torch.softmax(network(torch.from_numpy(small.normalised(frames))), 1).numpy()
    path = folder / "foreign.pth"
    torch.save(network.state_dict(), path)
    return path, frames, answers


def arguments(path: Path, out: Path, *more: str) -> list[str]:
    return [
        "convert", "--source", str(path), "--name", "mine", "--preset", "torchvision", "--geometry", f"resize {SIDE}",
        "--input-shape", f"1,3,{SIDE},{SIDE}", "--precisions", "FP32", "-o", str(out), *more,
    ]  # fmt: skip


def difference(folder: Path, frames: np.ndarray, answers: np.ndarray) -> float:
    xml = folder / "public" / "mine" / "FP32" / "mine.xml"
    classifier = ovm.load_classifier(xml, device="CPU", inference_precision="f32")
    return float(np.abs(classifier.probabilities(frames) - answers).max())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_foreign_network_is_converted_with_its_settings_only(
    architecture: str, tmp_path: Path, capsys: Capture
) -> None:
    path, frames, answers = saved(tmp_path, architecture)
    assert answers.max() > 0.4
    out = tmp_path / "out"
    for guess in ([], ["--architecture", architecture, "--padding", "same", "--batch-norm-epsilon", "0.001"]):
        assert main(arguments(path, out, *guess)) == 2
        err = " ".join(capsys.readouterr().err.split())
        assert f"match {architecture} only by shape and order" in err
        assert "stem.kernel.weight as features.0.0.weight" in err
        assert f"--diagnose-images DIR; or insist with --architecture {architecture} --activation" in err
        assert not out.exists()
    with pytest.raises(ovm.UsageError, match=r"only by shape and order.*--diagnose-images"):
        ovm.describe(path, name="mine", preset="torchvision")

    assert main(arguments(path, out, *SETTINGS)) == 0
    err = capsys.readouterr().err
    assert "guess: padding" not in err
    assert "matched by shape and order" in err
    assert difference(out, frames, answers) < 1e-4


def test_the_published_settings_give_other_answers(tmp_path: Path, capsys: Capture) -> None:
    """Or the test above would prove nothing: each setting alone changes them."""
    path, frames, answers = saved(tmp_path, "mobilenet_v2")
    network = foreign.untrained("mobilenet_v2", small.normalised(frames))
    pixels = torch.from_numpy(small.normalised(frames))
    for changed in ({"act": torch.nn.functional.relu6}, {"same": False}, {"eps": 1e-5}):
        settings: dict[str, Any] = {"act": foreign.leaky, "same": True, "eps": 1e-3, **changed}
        other = foreign.Foreign("mobilenet_v2", **settings).eval()
        other.load_state_dict(network.state_dict())
        with torch.inference_mode():
            assert np.abs(torch.softmax(other(pixels), 1).numpy() - answers).max() > 1e-3, changed
    assert main(arguments(path, tmp_path, "--activation", "relu6", "--dry-run")) == 0
    err = capsys.readouterr().err
    assert "guess: padding: torch, published for mobilenet_v2 (--padding)" in err
    assert "guess: batch-norm epsilon: 1e-05, published for mobilenet_v2 (--batch-norm-epsilon)" in err


def test_describe_descriptions_and_verifications_use_the_settings(tmp_path: Path, capsys: Capture) -> None:
    path, _, _ = saved(tmp_path, "mobilenet_v1", same=False)
    wrong = tmp_path / "wrong"
    assert main(arguments(path, wrong, "--activation", "relu6")) == 0
    options: dict[str, Any] = {"preset": "torchvision", "geometry": f"resize {SIDE}", "shape": (1, 3, SIDE, SIDE)}
    described = ovm.describe(
        path, name="mine", activation="leaky-relu-0.1", padding="torch", batch_norm_epsilon=1e-3, **options
    )
    assert "padding" not in [guess.name for guess in described.guesses]
    right = tmp_path / "right" / "public" / "mine"
    (ir,) = ovm.convert(described, right, precisions=("FP32",))
    settings = ["--activation", "leaky-relu-0.1", "--padding", "torch", "--batch-norm-epsilon", "1e-3"]
    assert main(arguments(path, tmp_path / "cli", *settings, "--dry-run")) == 0
    assert described.model_yml in capsys.readouterr().out
    (again,) = ovm.convert(right / "model.yml", tmp_path / "again", precisions=("FP32",))
    for suffix in (".xml", ".bin"):
        assert again.xml.with_suffix(suffix).read_bytes() == ir.xml.with_suffix(suffix).read_bytes()
    result = ovm.verify(right / "model.yml", ir)
    assert result.holds
    assert "padding, activations" in (result.not_covered or "")
    assert not ovm.verify(right / "model.yml", wrong / "public" / "mine" / "FP32" / "mine.xml").holds


def test_a_description_without_the_activation_is_refused(tmp_path: Path, capsys: Capture) -> None:
    path, _, _ = saved(tmp_path, "mobilenet_v1")
    assert main(arguments(path, tmp_path, *SETTINGS)) == 0
    yml = tmp_path / "public" / "mine" / "model.yml"
    assert "  activation: leaky-relu-0.1\n  padding: same\n  batch_norm_epsilon: 0.001\n" in yml.read_text()
    yml.write_text(yml.read_text().replace("  activation: leaky-relu-0.1\n", ""))
    again = tmp_path / "again"
    capsys.readouterr()
    assert main(["convert", str(yml), "-o", str(again), "-d", str(again)]) == 1
    err = " ".join(capsys.readouterr().err.split())
    assert "match mobilenet_v1 only by shape and order" in err
    assert "Add `activation: NAME` to the block ov_mobilenet: of the model.yml" in err
    assert not list(again.rglob("*.xml"))
    with pytest.raises(ovm.ConversionError, match="only by shape and order"):
        ovm.verify(yml, tmp_path / "public" / "mine" / "FP32" / "mine.xml")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("activation: swish", "ov_mobilenet.activation"),
        ("padding: valid", "ov_mobilenet.padding"),
        ("batch_norm_epsilon: 1.0", "ov_mobilenet.batch_norm_epsilon"),
        ("batch_norm_epsilon: 0", "ov_mobilenet.batch_norm_epsilon"),
    ],
)
def test_invalid_settings_in_a_description(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "net.pth").write_bytes(b"")
    onnx_args = small.ONNX_ARGS.format(architecture="mobilenet_v2", file="net.pth")
    yml = small.describe(tmp_path / "net" / "net.pth", framework="pytorch", onnx_args=onnx_args)
    yml.write_text(f"{yml.read_text()}ov_mobilenet:\n  {line}\n")
    with pytest.raises(ovm.ConfigError, match=message):
        ovm.load_config(yml)


def test_settings_are_for_pytorch_weights_only(tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("onnx")
    yml = small.write_onnx(tmp_path / "net")
    network = yml.with_name("small.onnx")
    for option, value in zip(SETTINGS[::2], SETTINGS[1::2], strict=True):
        command = ["convert", "--source", str(network), "--name", "x", "--assume", "none", option, value]
        assert main([*command, "-o", str(tmp_path / "out")]) == 2
        assert f"{option} can only be used with PyTorch checkpoints" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    path, _, _ = saved(tmp_path, "mobilenet_v1")
    for value in ("0", "1", "-0.1", "nan", "inf", "x"):
        assert main(arguments(path, tmp_path / "out", "--batch-norm-epsilon", value)) == 2
        err = capsys.readouterr().err
        assert "epsilon" in err, value
    yml.write_text(f"{yml.read_text()}ov_mobilenet:\n  activation: relu\n")
    with pytest.raises(ovm.ConfigError, match=r"ov_mobilenet\.activation.*only allowed for pytorch.*onnx"):
        ovm.load_config(yml)


def test_same_padding_is_refused_where_it_is_not_exact(tmp_path: Path, capsys: Capture) -> None:
    """V1 is published with SAME; V2 has it only if it is given."""
    from ov_mobilenet.conversion.architectures import MobileNetSpec, build

    for architecture, width in (("mobilenet_v1", 0.25), ("mobilenet_v2", 0.35)):
        path = tmp_path / f"{architecture}.pth"
        torch.save(build(MobileNetSpec(architecture=architecture, width=width, classes=5)).state_dict(), path)
    odd = ["--preset", "tensorflow", "--input-shape", "1,3,64,80", "--precisions", "FP32", "-o", str(tmp_path)]
    v1, v2 = (["convert", "--source", str(tmp_path / f"mobilenet_{v}.pth"), "--name", v, *odd] for v in ("v1", "v2"))
    message = "is not exact for this input size: expected height and width that are multiples of 32, got [1, 3, 64, 80]"
    for command in (v1, [*v1, "--dry-run"], [*v2, "--padding", "same"]):
        assert main(command) == 2
        assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "public").exists()
    assert main([*v1, "--padding", "torch", "--dry-run"]) == main([*v2, "--dry-run"]) == 0
    # A shape that is given for a description, and one that is written in it.
    assert main([*v1, "--input-shape", "1,3,64,64"]) == 0
    yml = tmp_path / "public" / "v1" / "model.yml"
    again = ["convert", str(yml), "-d", str(tmp_path / "again"), "-o", str(tmp_path / "again")]
    assert main([*again, "--input-shape", "1,3,64,80", "--geometry", "resize 80x64"]) != 0
    assert "is not exact for this input size" in capsys.readouterr().err
    yml.write_text(yml.read_text().replace("1,3,64,64", "1,3,64,80").replace("- 64\n  layout", "- 80\n  layout"))
    assert main(again) == 1
    assert "is not exact for this input size" in capsys.readouterr().err
    assert not (tmp_path / "again" / "public" / "v1" / "FP32").exists()


@pytest.mark.parametrize("kernel", [3, 5])
def test_same_padding_at_stride_2_by_hand(kernel: int) -> None:
    """TensorFlow's definition, summed in loops: `total` rows of zeros, `total // 2` of them before the image."""
    from ov_mobilenet.conversion.architectures.same_convolution import SameConv2d

    rng = np.random.default_rng(kernel)
    image, weights = rng.normal(size=(8, 8)), rng.normal(size=(kernel, kernel))
    before = ((8 // 2 - 1) * 2 + kernel - 8) // 2
    expected = np.zeros((4, 4))
    for y, x, i, j in np.ndindex(4, 4, kernel, kernel):
        row, column = 2 * y + i - before, 2 * x + j - before
        if 0 <= row < 8 and 0 <= column < 8:
            expected[y, x] += image[row, column] * weights[i, j]
    layer = SameConv2d(1, 1, kernel=kernel, stride=2)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights))
        found = layer(torch.from_numpy(image).float()[None, None])[0, 0].numpy()
    assert np.abs(found - expected).max() < 1e-5
    half = torch.nn.functional.conv2d(
        torch.from_numpy(image)[None, None], torch.from_numpy(weights)[None, None], stride=2, padding=kernel // 2
    )
    assert np.abs(half[0, 0].numpy() - expected).max() > 0.1, "torch's padding is another one"


def test_the_published_settings_give_the_same_module() -> None:
    """Values that are those of the architecture change nothing, so recording them keeps the bytes."""
    from ov_mobilenet.conversion.architectures import MobileNetSpec, build, complete_settings
    from ov_mobilenet.zoo.layer_settings import LayerSettings

    for architecture, hidden in (("mobilenet_v1", 0), ("mobilenet_v2", 0), ("mobilenet_v3_small", 512)):
        spec: dict[str, Any] = {"architecture": architecture, "width": 0.5, "classes": 5, "hidden": hidden}
        published = build(MobileNetSpec(**spec)).eval()
        stated = build(MobileNetSpec(**spec, settings=complete_settings(architecture, LayerSettings()))).eval()
        stated.load_state_dict(published.state_dict(), strict=True)
        with torch.inference_mode():
            image = torch.rand(1, 3, 64, 64)
            assert torch.equal(stated(image), published(image))


@pytest.mark.full
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("side", [8, 14, 224])
def test_same_padding_at_stride_2_as_in_tensorflow(kernel: int, side: int) -> None:
    tf = pytest.importorskip("tensorflow")
    from ov_mobilenet.conversion.architectures.same_convolution import SameConv2d

    layer = SameConv2d(3, 4, kernel=kernel, stride=2)
    image = torch.rand(1, 3, side, side)
    weights = layer.weight.detach().permute(2, 3, 1, 0).numpy()
    expected = tf.nn.conv2d(image.permute(0, 2, 3, 1).numpy(), weights, strides=2, padding="SAME").numpy()
    with torch.no_grad():
        found = layer(image).permute(0, 2, 3, 1).numpy()
    assert np.abs(found - expected).max() < 1e-5
