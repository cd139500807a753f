"""Calibration images: the model's own crop, the random subset, and warnings about poor images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from inputs.media import shard
from signs import training

import ov_mobilenet as ovm
from ov_mobilenet.inputs.image_subset import read_subset
from ov_mobilenet.zoo.geometry import Geometry


def geometry_of(xml: Path) -> Geometry:
    geometry = ovm.load_classifier(xml, device="CPU").geometry
    assert geometry is not None
    return geometry


def test_pixels_outside_the_crop_do_not_matter(xml: Path, images: list[Path], tmp_path: Path) -> None:
    frames = []
    for name, colour in (("a", 0), ("b", 255)):
        folder = tmp_path / name
        folder.mkdir()
        for path in images[:12]:
            inner = cv2.resize(cv2.imread(str(path)), (280, 280))
            sides = cv2.copyMakeBorder(inner, 0, 0, 100, 100, cv2.BORDER_REPLICATE)
            sides[:, :6] = sides[:, -6:] = sides[:6] = sides[-6:] = colour
            cv2.imwrite(str(folder / path.name), sides)
        frames.append(read_subset(folder, geometry_of(xml), 12, 0).pixels)
    assert np.array_equal(frames[0], frames[1])


@pytest.mark.parametrize("seed", [0, 1])
def test_the_subset_depends_on_the_seed_and_not_on_the_order_of_a_shard(
    xml: Path, images: list[Path], tmp_path: Path, seed: int
) -> None:
    members = {path.name: path.read_bytes() for path in images[:30]}
    geometry = geometry_of(xml)
    found = []
    for order in (members, dict(reversed(members.items()))):
        packed = shard(tmp_path / "a.tar", order)
        found.append(read_subset(packed, geometry, 12, seed).sources)
    other = read_subset(packed, geometry, 12, seed + 5).sources
    assert found[0] == found[1] != other
    assert len(found[0]) == len(set(found[0])) == 12


def test_a_negative_seed_is_an_error(images: list[Path], xml: Path) -> None:
    with pytest.raises(ovm.UsageError, match="invalid seed: expected at least 0, got -1"):
        read_subset(images, geometry_of(xml), 12, -1)


def test_calibration_images_of_one_class_are_warned_about(
    xml: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frames = [frame for frame, label in training(8, 160) if label == 2][:12]
    paths = []
    for index, frame in enumerate(frames):
        paths.append(tmp_path / f"{index}.png")
        cv2.imwrite(str(paths[-1]), frame)
    ovm.quantize(xml, paths, tmp_path / "out.xml", settings=ovm.QuantizeSettings(fast_bias_correction=True))
    assert "predicts one class for all" in caplog.text
