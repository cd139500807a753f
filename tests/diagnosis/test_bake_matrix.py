"""Every named normalisation in the sample model and every network of ../shared/zoo: only the right one is accepted."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bakes_by_hand import named, with_pre_post_processor
from nncf_for_tests import require_nncf
from PIL import Image
from signs import held_out, network_images

import ov_mobilenet as ovm
from ov_mobilenet.cli.demo import SAMPLE
from ov_mobilenet.cli.main import main
from ov_mobilenet.diagnosis.candidates import named_candidates
from ov_mobilenet.diagnosis.diagnose import diagnose_network
from ov_mobilenet.diagnosis.evidence import Answers
from ov_mobilenet.diagnosis.ir_network import network_of_ir
from ov_mobilenet.diagnosis.network import NetworkUnderTest
from ov_mobilenet.diagnosis.ranking import SURE, rank
from ov_mobilenet.inputs.image_subset import PreparedImages, read_subset
from ov_mobilenet.ir.files import open_ir

IMAGES = 100
# What the first convolution takes; torchvision's numbers and those of caffe-0.017 are practically the same.
TORCHVISION, TENSORFLOW = {"torchvision", "caffe-0.017"}, {"tensorflow"}
REAL = {
    "mobilenet-v1-0.25-128-tf2017": TENSORFLOW,
    "mobilenet-v1-0.25-128-quant-tflite": {"0..255"},
    "mobilenet-v1-0.25-224-tflite": TENSORFLOW,
    "mobilenet-v2-onnx-real": TORCHVISION,  # mobilenet-v2-pytorch-real has the same weights
}
Convert = Callable[[Path], Path]


@pytest.fixture
def converted(tmp_path: Path) -> Convert:
    def convert(yml: Path) -> Path:
        config = ovm.load_config(yml)
        sources = ovm.download(config, tmp_path / "dl", cache_root=tmp_path / "cache", offline=True)
        return ovm.convert(sources, tmp_path / "ir", precisions=("FP32",))[0].xml

    return convert


def check_all_bakes(network: NetworkUnderTest, frames: np.ndarray, right: set[str]) -> None:
    """Whatever is baked is undone exactly, so one set of answers stands for all bakes."""
    evidence = {one: Answers(network.answers(one.apply(frames)).astype(np.float64)) for one in named_candidates()}
    for baked in evidence:
        ranking = rank(evidence, frames, baked=baked)
        is_right = baked.name in right and baked.channel_order == "RGB"
        best = {row.candidate.name for row in ranking.candidates if row.same_as_best}
        assert best == right, baked
        assert ranking.candidates[0].candidate.channel_order == "RGB", baked
        assert (ranking.better_than_baked is not None and ranking.better_than_baked >= SURE) != is_right, baked


@pytest.mark.full
def test_the_sample_model(converted: Convert) -> None:
    frames = network_images(frame for frame, _ in held_out(2, IMAGES))
    network = network_of_ir(open_ir(converted(ovm.find_config(SAMPLE).path)))
    check_all_bakes(network, frames, TENSORFLOW)


@pytest.mark.shared
@pytest.mark.full
@pytest.mark.parametrize("name", REAL)
def test_real_networks(name: str, shared: Path, converted: Convert) -> None:
    network = network_of_ir(open_ir(converted(shared / "zoo" / name / "model.yml")))
    check_all_bakes(
        network, read_subset(shared / "imagenet200" / "images", network.geometry, IMAGES, 0).pixels, REAL[name]
    )


@pytest.mark.shared
@pytest.mark.parametrize(
    ("bake", "order", "layout", "is_right"),
    [("tensorflow", "RGB", "NHWC", True), ("torchvision", "RGB", "NHWC", False), ("tensorflow", "BGR", "NCHW", False)],
)
def test_a_real_network_by_hand(
    bake: str, order: str, layout: str, is_right: bool, shared: Path, tmp_path: Path
) -> None:
    """The IR has no record."""
    (archive,) = (shared / "zoo" / "mobilenet-v1-0.25-128-tf2017").glob("*.tgz")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path, filter="data")
    (graph,) = tmp_path.rglob("*frozen_graph.pb")
    xml = with_pre_post_processor(
        graph, named(bake, order), tmp_path / "x.xml", own="NHWC", layout=layout, input_type="u8"
    )
    network = network_of_ir(open_ir(xml))
    images = read_subset(shared / "imagenet200" / "images", network.geometry, 60, 0)
    found = diagnose_network("x.xml", network, PreparedImages(images.pixels, images.sources))
    assert found.is_wrong != is_right
    assert (found.best.name, found.best.channel_order) == ("tensorflow", "RGB")
    assert found.baked is not None and (found.baked.name, found.baked.channel_order) == (bake, order)


@pytest.mark.full
@pytest.mark.parametrize(
    ("options", "code"),
    [(["--preset", "tensorflow"], 0), (["--mean-values", "0", "--scale-values", "255", "--reverse-input-channels"], 3)],
)
def test_an_int8_ir(options: list[str], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Calibrated with a wrong normalisation, it would limit the values inside to those of the wrong one."""
    require_nncf()
    for images, seed in (("calibration", 7), ("images", 2)):
        (tmp_path / images).mkdir()
        for number, (frame, _) in enumerate(held_out(seed, 60)):
            Image.fromarray(frame[..., ::-1]).save(tmp_path / images / f"{number:02}.png")
    network = ovm.find_config(SAMPLE).folder / "road-signs.onnx"
    source = ["convert", "--source", str(network), "--name", "mine", "--geometry", "crop 0.875, resize 128"]
    assert main([*source, *options, "-o", str(tmp_path), "-q"]) == 0
    folder = tmp_path / "public" / "mine"
    float_ir = str(folder / "FP16" / "mine.xml")
    assert main(["quantize", float_ir, "--calibration", str(tmp_path / "calibration"), "-o", str(tmp_path), "-q"]) == 0
    capsys.readouterr()
    xml = str(folder / "FP16-INT8" / "mine.xml")
    assert main(["diagnose", xml, "--images", str(tmp_path / "images"), "--format", "json", "-q"]) == code
    best = json.loads(capsys.readouterr().out)["best"]
    assert (best["normalisation"], best["channel_order"]) == ("tensorflow", "RGB")
