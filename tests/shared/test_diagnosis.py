"""Real source networks with their normalisation hidden: it is told from unlabelled photographs."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
from observed_evidence import observed_answers, observed_statistics, rankings_of_draws, told

from ov_mobilenet.diagnosis.ranking import rank
from ov_mobilenet.diagnosis.source_network import network_of_source
from ov_mobilenet.images.decode import read_image
from ov_mobilenet.images.geometry import apply_geometry
from ov_mobilenet.zoo.geometry import parse_geometry

pytestmark = pytest.mark.shared

V1, V2 = "crop 0.875, resize {side}", "resize 256 greater pillow, crop 224"
# File in ../shared/zoo, geometry, and the normalisation that its description bakes.
NETWORKS = {
    "tf": ("mobilenet-v1-0.25-128-tf2017/mobilenet_v1_0.25_128_frozen.tgz", V1.format(side=128), "tensorflow"),
    "quantised": (
        "mobilenet-v1-0.25-128-quant-tflite/mobilenet_v1_0.25_128_quant_coral.tflite", V1.format(side=128), "0..255",
    ),
    "tflite": (
        "mobilenet-v1-0.25-224-tflite/mobilenet_v1_0.25_224_1_default_1.tflite", V1.format(side=224), "tensorflow",
    ),
    # mobilenet-v2-pytorch-real has the same weights; test_deciding_images.py reads them from PyTorch's file.
    "onnx": ("mobilenet-v2-onnx-real/mobilenetv2_real.onnx", V2, "torchvision"),
}  # fmt: skip
SEEDS = range(5)


def unpacked(source: Path, folder: Path) -> Path:
    if source.suffix != ".tgz":
        return source
    with tarfile.open(source) as archive:
        member = next(name for name in archive.getnames() if name.endswith("/frozen_graph.pb"))
        content = archive.extractfile(member)
        assert content is not None
        (folder / "x.pb").write_bytes(content.read())
    return folder / "x.pb"


def frames_of(files: list[Path], words: str) -> np.ndarray:
    geometry = parse_geometry(words)
    return np.stack([apply_geometry(geometry, read_image(path, geometry.reader)) for path in files])


@pytest.mark.full
@pytest.mark.parametrize("kind", NETWORKS)
def test_the_hidden_normalisation_is_told(
    kind: str, shared: Path, images: tuple[list[Path], np.ndarray], tmp_path: Path
) -> None:
    """100 photographs: sure of the right one in each draw; 20: never sure of a wrong one. One scene: never sure."""
    file, words, right = NETWORKS[kind]
    frames = frames_of(images[0], words)
    network = network_of_source(unpacked(shared / "zoo" / file, tmp_path), parse_geometry(words))
    assert network.batch_norm is None, "batch norm is folded in all of these; or it must be tested here"
    evidence = observed_answers(network, frames)
    assert [told(one) for one in rankings_of_draws(evidence, frames, 100, SEEDS)] == [(right, "RGB", "sure")] * 5
    for few in rankings_of_draws(evidence, frames, 20, SEEDS):
        assert told(few)[2] != "sure" or told(few)[:2] == (right, "RGB"), few


@pytest.mark.full
@pytest.mark.parametrize("kind", ["tf", "tflite", "onnx"])
def test_images_that_tell_nothing_are_undecided(
    kind: str, shared: Path, images: tuple[list[Path], np.ndarray], tmp_path: Path
) -> None:
    """20 views of nearly the same image, crops of one image, and noise: the bootstrap alone is sure of wrong ones."""
    file, words, _ = NETWORKS[kind]
    frames = frames_of(images[0][:4], words)
    network = network_of_source(unpacked(shared / "zoo" / file, tmp_path), parse_geometry(words))
    rng = np.random.default_rng(0)
    sets = [np.stack([shifted(frame, rng) for _ in range(20)]) for frame in frames]
    sets.append(rng.integers(0, 256, (20, *frames.shape[1:]), dtype=np.uint8))
    sets.append(np.zeros((20, *frames.shape[1:]), np.uint8))
    for alike in sets:
        ranking = rank(observed_answers(network, alike), alike)
        assert ranking.verdict == "undecided"
        assert ranking.note is not None


def shifted(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Moved by up to 4 pixels, made up to 5 % brighter or darker, with noise of 3 grey levels."""
    height, width, _ = frame.shape
    y, x = rng.integers(0, 9, 2)
    part = np.pad(frame, ((4, 4), (4, 4), (0, 0)), mode="edge")[y : y + height, x : x + width]
    changed = part * rng.uniform(0.95, 1.05) + rng.normal(0, 3, part.shape)
    near: np.ndarray = np.clip(changed.round(), 0, 255).astype(np.uint8)
    return near


@pytest.mark.parametrize("file", ["vww/vww_96_float.tflite", "vww/vww_96_int8.tflite"])
def test_two_classes_are_undecided(file: str, shared: Path, images: tuple[list[Path], np.ndarray]) -> None:
    """Mutual information prefers Caffe's means, which saturate the network; it takes 0..1 (float) and 0..255 (int8)."""
    path = shared / "outside" / file
    if not path.is_file():
        pytest.skip("needs the networks in ../shared/outside")
    frames = frames_of(images[0][:40], "resize 96")
    ranking = rank(observed_answers(network_of_source(path), frames), frames)
    assert told(ranking)[:2] not in {("0..1", "RGB"), ("0..255", "RGB")}, "or the limit could be removed"
    assert ranking.verdict == "undecided"
    assert ranking.note is not None
    assert "2 classes" in ranking.note


@pytest.mark.full
def test_batch_norm_statistics_of_an_exported_network(shared: Path, images: tuple[list[Path], np.ndarray]) -> None:
    """A network of tf2onnx with batch norms that are not folded; it was trained with -1..1 in RGB."""
    path = shared / "outside" / "st" / "mobilenet_v2_128_0.5.onnx"
    if not path.is_file():
        pytest.skip("needs the networks in ../shared/outside")
    frames = frames_of(images[0], "resize 128")
    network = network_of_source(path)
    evidence = observed_statistics(network, frames)
    assert told(rank(evidence, frames)) == ("tensorflow", "RGB", "sure")
    for few in rankings_of_draws(evidence, frames, 20, range(20)):
        assert told(few)[2] != "sure" or told(few)[:2] == ("tensorflow", "RGB"), few
