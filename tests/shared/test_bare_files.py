"""Real networks given as bare files under other names: the right preset, or a refusal. Skipped without ../shared."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.images.decode import read_image
from ov_mobilenet.images.geometry import apply_geometry

pytestmark = pytest.mark.shared

# File in ../shared/zoo, name of the copy, normalisation that is baked, and the top-1 of the source network fed by hand
# (README of ../shared/zoo; the quantised one has ties in its uint8 output).
NETWORKS = {
    "torch": ("mobilenet-v2-pytorch-real/mobilenet_v2_real.pth", "a.pth", "123.675", (0.855, 0.865)),
    "onnx": ("mobilenet-v2-onnx-real/mobilenetv2_real.onnx", "b.onnx", "123.675", (0.855, 0.865)),
    "tf": ("mobilenet-v1-0.25-128-tf2017/mobilenet_v1_0.25_128_frozen.tgz", "c.pb", "127.5", (0.455, 0.465)),
    "tflite": (
        "mobilenet-v1-0.25-224-tflite/mobilenet_v1_0.25_224_1_default_1.tflite", "d.tflite", "127.5", (0.59, 0.60),
    ),
    "quantised": (
        "mobilenet-v1-0.25-128-quant-tflite/mobilenet_v1_0.25_128_quant_coral.tflite", "e.tflite", None, (0.48, 0.52),
    ),
}  # fmt: skip


def copied(source: Path, target: Path) -> Path:
    if source.suffix != ".tgz":
        return Path(shutil.copyfile(source, target))
    with tarfile.open(source) as archive:
        member = next(name for name in archive.getnames() if name.endswith("/frozen_graph.pb"))
        content = archive.extractfile(member)
        assert content is not None
        target.write_bytes(content.read())
    return target


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_bare_file_has_the_accuracy_of_its_network(
    kind: str, shared: Path, images: tuple[list[Path], np.ndarray], tmp_path: Path
) -> None:
    if kind == "torch":
        pytest.importorskip("torch")
    file, name, mean, (least, most) = NETWORKS[kind]
    source = copied(shared / "zoo" / file, tmp_path / name)
    assert main(["convert", "--source", str(source), "--name", "x", "-o", str(tmp_path), "--precisions", "FP32"]) == 0
    xml = tmp_path / "public" / "x" / "FP32" / "x.xml"
    baked = ovm.load_config(xml.parents[1]).model_optimizer_args
    assert any(argument.startswith(f"--mean_values=[{mean}") for argument in baked) == (mean is not None)
    classifier = ovm.load_classifier(xml, device="CPU", inference_precision="f32")
    geometry = classifier.geometry
    assert geometry is not None
    files, truth = images
    frames = np.stack([apply_geometry(geometry, read_image(path, geometry.reader)) for path in files])
    answer = classifier.probabilities(frames)
    top1 = float((answer.argmax(1) == truth + (answer.shape[1] == 1001)).mean())
    assert least <= top1 <= most


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("vww/vww_96_float.tflite", "the normalisation of the network is not known"),
    ],
)
def test_a_network_that_does_not_tell_is_refused(
    file: str, why: str, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not (shared / "outside" / file).is_file():
        pytest.skip("needs the networks in ../shared/outside")
    source = copied(shared / "outside" / file, tmp_path / f"a{Path(file).suffix}")
    assert main(["convert", "--source", str(source), "--name", "x", "-o", str(tmp_path / "out")]) == 2
    assert why in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
