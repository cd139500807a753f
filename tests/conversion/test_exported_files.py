"""Networks in zip archives and folders, and the structure of Teachable Machine's networks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_networks as small

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.conversion.exported_files import find_exported
from ov_mobilenet.conversion.teachable_machine import is_teachable_machine, teachable_machine_input
from ov_mobilenet.errors import ConfigError, UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a network and its labels."""
    pytest.importorskip("onnx")
    made = tmp_path / "export"
    made.mkdir()
    small.write_onnx(tmp_path / "net").with_name("small.onnx").rename(made / "small.onnx")
    (made / "labels.txt").write_text("".join(f"{index} class {index}\n" for index in range(small.CLASSES)))
    return made


def test_a_folder_and_an_archive_of_it_give_the_same_files_as_the_network(folder: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "export"), "zip", tmp_path, "export"))  # in a folder of its own
    options = ["--name", "x", "--preset", "tensorflow", "--labels", str(folder / "labels.txt"), "--precisions", "FP32"]
    written = []
    for number, source in enumerate((folder / "small.onnx", folder, archive)):
        assert main(["convert", "--source", str(source), *options, "-o", str(tmp_path / f"out{number}")]) == 0
        out = tmp_path / f"out{number}" / "public" / "x"
        written.append({path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()})
    assert written[0] == written[1] == written[2]
    assert {str(path) for path in written[0]} == {
        "FP32/x.xml", "FP32/x.bin", "model.yml", "accuracy-check.yml", "labels.txt", "small.onnx",
    }  # fmt: skip
    # Numbers in front of the labels are gone, also those of a file given with --labels.
    names = tuple(f"class {index}" for index in range(small.CLASSES))
    xml = tmp_path / "out2" / "public" / "x" / "FP32" / "x.xml"
    assert ovm.load_classifier(xml, device="CPU").labels == names


def test_describe_takes_an_archive_and_its_files_stay_until_they_are_converted(folder: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "export"), "zip", folder))
    described = ovm.describe(archive, name="x", assume="none")
    (model,) = ovm.convert(described, tmp_path / "x", precisions=("FP32",))
    assert model.xml.is_file() and (tmp_path / "x" / "small.onnx").read_bytes() == (folder / "small.onnx").read_bytes()


def test_labels_alone_say_nothing_of_another_network(folder: Path) -> None:
    with pytest.raises(UsageError, match="the normalisation of the network is not known"):
        ovm.describe(folder, name="x")


def test_the_files_of_saved_models_are_no_networks(tmp_path: Path) -> None:
    saved = tmp_path / "a" / "model.savedmodel"
    (saved / "variables").mkdir(parents=True)
    for name in ("saved_model.pb", "keras_metadata.pb", "fingerprint.pb", "variables/variables.index"):
        (saved / name).write_bytes(b"x")
    (tmp_path / "a" / "labels.txt").write_text("0 a\n1 b\n")
    archive = Path(shutil.make_archive(str(tmp_path / "a"), "zip", tmp_path / "a"))
    for source in (tmp_path / "a", saved, archive):
        found = find_exported(source)
        assert found.network.name == "model.savedmodel" and found.labels is not None
        inside = {path.relative_to(found.network).as_posix() for path in found.network.rglob("*") if path.is_file()}
        assert inside == {"saved_model.pb", "keras_metadata.pb", "fingerprint.pb", "variables/variables.index"}
        assert found.labels.read_text() == "0 a\n1 b\n"


# Channels of the stem and of each block of MobileNet V2, as Keras prints them in model.summary(), typed in.
CHANNELS = {
    0.35: (16, (8, 8, 8, 16, 16, 16, 24, 24, 24, 24, 32, 32, 32, 56, 56, 56, 112)),
    0.5: (16, (8, 16, 16, 16, 16, 16, 32, 32, 32, 32, 48, 48, 48, 80, 80, 80, 160)),
}


def network(width: float = 0.35, hidden: int = 100, classes: int = 3, side: int = 224) -> Any:
    """A graph with the convolutions of a MobileNet V2 and two dense layers."""
    import openvino as ov
    import openvino.opset13 as ops

    def convolution(pixels: Any, outputs: int, kernel: int = 1) -> Any:
        weights = np.zeros((outputs, pixels.get_output_shape(0)[1], kernel, kernel), np.float32)
        return ops.convolution(pixels, ops.constant(weights), [2, 2] if kernel == 3 else [1, 1], [1, 1], [1, 1], [1, 1])

    def depthwise(pixels: Any) -> Any:
        weights = np.zeros((pixels.get_output_shape(0)[1], 1, 1, 3, 3), np.float32)
        return ops.group_convolution(pixels, ops.constant(weights), [1, 1], [1, 1], [1, 1], [1, 1])

    stem, blocks = CHANNELS[width]
    given = ops.parameter([1, 3, side, side], ov.Type.f32)
    x = depthwise(convolution(given, stem, 3))
    for number, channels in enumerate(blocks):
        x = x if number == 0 else depthwise(convolution(x, 6 * x.get_output_shape(0)[1]))
        x = convolution(x, channels)
    x = ops.reduce_mean(convolution(x, 1280), ops.constant([2, 3]))
    for outputs in (hidden, classes):
        weights = np.zeros((x.get_output_shape(0)[1], outputs), np.float32)
        x = ops.relu(ops.matmul(x, ops.constant(weights), False, False))
    return ov.Model([ops.softmax(x, 1)], [given])


def test_teachable_machine_is_recognised_by_its_structure() -> None:
    graph = network()
    assert is_teachable_machine(graph, 3)
    assert not is_teachable_machine(graph, 4)


@pytest.mark.parametrize("changed", [{"width": 0.5}, {"hidden": 101}, {"side": 192}])
def test_networks_that_differ_from_teachable_machine(changed: dict[str, Any]) -> None:
    assert not is_teachable_machine(network(**changed), 3)


def test_the_protocol_of_teachable_machine(tmp_path: Path) -> None:
    from PIL import Image, ImageOps

    from ov_mobilenet.images.geometry import apply_geometry

    (tmp_path / "labels.txt").write_text("0 Cereal Box\n1 Rice\n")
    declared = teachable_machine_input(tmp_path / "labels.txt")
    assert declared.labels == ("Cereal Box", "Rice")
    assert declared.normalisation == ovm.Normalisation(mean=(127.5,), scale=(127.5,), reverse_input_channels=True)
    # What the code shown by Teachable Machine does; the two differ by their filters and by parts of a pixel.
    assert declared.geometry is not None
    rng = np.random.default_rng(4)
    for size in ((640, 480), (300, 500), (224, 224), (100, 80)):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8), "RGB").resize(
            size, Image.Resampling.BICUBIC
        )
        expected = np.asarray(ImageOps.fit(coarse, (224, 224), Image.Resampling.LANCZOS))
        ours = apply_geometry(declared.geometry, coarse)[..., ::-1]
        difference = np.abs(ours.astype(int) - expected)
        assert difference.mean() < 1.5 and difference.max() <= 8
    (tmp_path / "labels.txt").write_text("")
    with pytest.raises(ConfigError, match="is empty"):
        teachable_machine_input(tmp_path / "labels.txt")
