"""Real quantised networks: right IRs are verified, wrong ones are refused. Skipped without ../shared."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import small_networks as small

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main

pytestmark = [pytest.mark.shared, pytest.mark.full]
pytest.importorskip("ai_edge_litert")

ATU = "outside/v3-small-atu/Mobilenet_v3_small_quant.tflite"
CORAL = "outside/coral-inat/mobilenet_v2_1.0_224_inat_bird_quant.tflite"
NETWORKS: dict[str, list[str]] = {
    ATU: ["--scale-values", "255"],
    CORAL: [],
    "outside/vww/vww_96_int8.tflite": [],
    "zoo/mobilenet-v1-0.25-128-quant-tflite/mobilenet_v1_0.25_128_quant_coral.tflite": [],
}
V2 = "zoo/mobilenet-v2-onnx-real/mobilenetv2_real.onnx"
V2_GEOMETRY = "resize 256 greater pillow, crop 224"


@pytest.fixture(scope="module")
def some_images(images: tuple[list[Path], np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 40 of the images."""
    folder = tmp_path_factory.mktemp("some")
    for file in images[0][::5]:
        (folder / file.name).symlink_to(file.resolve())
    return folder


def convert(network: Path, out: Path, *options: str) -> int:
    where = ["--name", "mine", "-o", str(out), "--precisions", "FP32", "--format", "json"]
    return main(["convert", "--source", str(network), *where, *options])


@pytest.mark.parametrize("network", NETWORKS)
def test_a_real_quantised_network_is_verified(
    network: str, shared: Path, some_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(shared / network, tmp_path, *NETWORKS[network], "--verify-images", str(some_images)) == 0
    streams = capsys.readouterr()
    (row,) = json.loads(streams.out)
    found = row["verification"]
    assert found["quantised"]
    assert 0 < found["mean_difference"] < 0.055
    assert found["near_agreement"] >= 0.875
    # XNNPACK cannot build the graph of one network: the child process that runs LiteRT reports it.
    assert ("LiteRT runs without its XNNPACK delegate" in streams.err) == (network == ATU)


@pytest.mark.parametrize("network", [ATU, CORAL])
def test_swapped_channels_of_a_real_network_are_refused(
    network: str, shared: Path, some_images: Path, tmp_path: Path
) -> None:
    options = NETWORKS[network]
    assert convert(shared / network, tmp_path / "right", *options) == 0
    assert convert(shared / network, tmp_path / "wrong", *options, "--no-reverse-input-channels") == 0
    right = tmp_path / "right" / "public" / "mine" / "model.yml"
    wrong = tmp_path / "wrong" / "public" / "mine" / "FP32" / "mine.xml"
    result = ovm.verify(right, wrong, sorted(some_images.iterdir()), cache_dir=tmp_path / "cache", offline=True)
    assert not result.is_within_tolerance


@pytest.mark.parametrize("per_channel", [False, True])
def test_a_real_network_quantised_by_onnxruntime(
    per_channel: bool, shared: Path, some_images: Path, images: tuple[list[Path], np.ndarray], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    onnx = pytest.importorskip("onnx")
    quantization = pytest.importorskip("onnxruntime.quantization")
    from ov_mobilenet.images.decode import read_image
    from ov_mobilenet.images.geometry import apply_geometry
    from ov_mobilenet.zoo.geometry import parse_geometry

    geometry = parse_geometry(V2_GEOMETRY)
    frames = [apply_geometry(geometry, read_image(file, geometry.reader)) for file in images[0][1::20]]
    batches = iter([{"data": batch[None]} for batch in small.normalised(np.stack(frames))])

    class Reader:
        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(batches, None)

    model = onnx.version_converter.convert_version(onnx.load(shared / V2), 13)
    batches = iter([{model.graph.input[0].name: batch["data"]} for batch in batches])
    onnx.save(model, tmp_path / "v2.onnx")
    quantization.quantize_static(tmp_path / "v2.onnx", tmp_path / "int8.onnx", Reader(), per_channel=per_channel)
    options = ["--preset", "torchvision", "--geometry", V2_GEOMETRY, "--verify-images", str(some_images)]
    assert convert(tmp_path / "int8.onnx", tmp_path / "out", *options) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["verification"]["max_difference"] > 0.1  # the limit that refused it
    assert row["verification"]["mean_difference"] < 0.08
