"""Real networks whose files do not tell the normalisation: 100 real images do. Skipped without ../shared."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

import ov_mobilenet as ovm
from ov_mobilenet.zoo.normalisation import Normalisation

pytestmark = pytest.mark.shared

TENSORFLOW = Normalisation(mean=(127.5,), scale=(127.5,), reverse_input_channels=True)
TORCHVISION = Normalisation(
    mean=(123.675, 116.28, 103.53), scale=(58.395, 57.12, 57.375), reverse_input_channels=True
)  # fmt: skip
# File in ../shared/zoo, words in its names and others of the same length, and what its folder documents.
NETWORKS = {
    "tf": ("mobilenet-v1-0.25-128-tf2017/mobilenet_v1_0.25_128_frozen.tgz", b"MobilenetV1", TENSORFLOW),
    "tflite": (
        "mobilenet-v1-0.25-224-tflite/mobilenet_v1_0.25_224_1_default_1.tflite", b"MobilenetV1", TENSORFLOW,
    ),
    "onnx": ("mobilenet-v2-onnx-real/mobilenetv2_real.onnx", b"mobilenetv20", TORCHVISION),
    "torch": ("mobilenet-v2-pytorch-real/mobilenet_v2_real.pth", b"", TORCHVISION),
}  # fmt: skip


def without_names(source: Path, word: bytes, target: Path) -> Path:
    """A copy whose names do not tell the library."""
    if source.suffix == ".tgz":
        with tarfile.open(source) as archive:
            member = next(name for name in archive.getnames() if name.endswith("/frozen_graph.pb"))
            file = archive.extractfile(member)
            assert file is not None
            content = file.read()
    else:
        content = source.read_bytes()
    target.write_bytes(content.replace(word, b"x" * len(word)) if word else content)
    return target


@pytest.mark.parametrize(
    "kind", ["tf", "tflite", *(pytest.param(kind, marks=pytest.mark.full) for kind in ("onnx", "torch"))]
)
def test_images_decide(kind: str, shared: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    if kind == "torch":
        pytest.importorskip("torch")
    file, word, expected = NETWORKS[kind]
    suffix = {"tf": ".pb", "torch": ".pth"}.get(kind, f".{kind}")
    source = without_names(shared / "zoo" / file, word, tmp_path / f"a{suffix}")
    if kind != "torch":  # the weights are recognised by their keys alone
        with pytest.raises(ovm.UsageError, match="the normalisation of the network is not known"):
            ovm.describe(source, name="x")
    described = ovm.describe(source, name="x", diagnose_images=shared / "imagenet200" / "images")
    assert described.draft.description.normalisation == expected
    guesses = {guess.name: str(guess) for guess in described.guesses}
    name = "torchvision" if expected == TORCHVISION else "tensorflow"
    assert guesses["normalisation"].startswith(f"normalisation: {name}, ")
    assert "mutual information " in guesses["normalisation"]
    assert ", sure with 100 images (" in guesses["normalisation"]
    assert guesses["channel order"].startswith("channel order: RGB, mutual information ")
    if kind != "torch":
        assert f"usual with the normalisation {name}" in guesses["geometry"]
    assert "contradict" not in caplog.text


@pytest.mark.full
def test_a_quantised_input_tells_all_but_the_order(shared: Path, tmp_path: Path) -> None:
    source = shared / "zoo" / "mobilenet-v1-0.25-128-quant-tflite" / "mobilenet_v1_0.25_128_quant_coral.tflite"
    images = shared / "imagenet200" / "images"
    bare = without_names(source, b"MobilenetV1", tmp_path / "named.tflite")
    without_names(bare, b"TFLITE_METADATA", tmp_path / "a.tflite")  # it declares the order
    described = ovm.describe(tmp_path / "a.tflite", name="x")
    assert "so BGR pixels are reversed" in str(described.guesses)
    described = ovm.describe(tmp_path / "a.tflite", name="x", diagnose_images=images)
    assert described.draft.description.normalisation == Normalisation(reverse_input_channels=True)
    guesses = {guess.name: str(guess) for guess in described.guesses}
    assert guesses["normalisation"].startswith("normalisation: none, the network takes 0..255: ")
    assert guesses["channel order"].startswith("channel order: RGB, mutual information ")
