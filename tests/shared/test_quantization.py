"""INT8 of real networks, calibrated on every second image and measured on the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nncf_for_tests import require_nncf

from ov_mobilenet.cli.main import main

require_nncf()
pytestmark = [pytest.mark.shared, pytest.mark.full]


@pytest.mark.parametrize(
    ("name", "drop", "agreement"),
    [
        ("mobilenet-v2-pytorch-real", 0.01, 0.96),
        ("mobilenet-v1-0.25-128-tf2017", 0.02, 0.90),
    ],
)
def test_int8_keeps_the_accuracy_at_about_a_quarter_of_the_size(
    name: str, drop: float, agreement: float, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yml, images = shared / "zoo" / name / "model.yml", shared / "imagenet200" / "images"
    rows = (shared / "imagenet200" / "val.txt").read_text().splitlines()
    seen = tmp_path / "seen.txt"
    seen.write_text("".join(f"{images / row.split()[0]}\n" for row in rows[::2]))
    unseen = tmp_path / "unseen"
    unseen.mkdir()
    (unseen / "images").symlink_to(images)
    (unseen / "val.txt").write_text("".join(f"{row}\n" for row in rows[1::2]))
    assert main(["convert", str(yml), "--precisions", "FP32", "-o", str(tmp_path), "--offline"]) == 0
    xml = tmp_path / "public" / name / "FP32" / f"{name}.xml"
    capsys.readouterr()
    assert main(["quantize", str(xml), "--calibration", f"@{seen}", "--dataset", str(unseen), "--format", "json"]) == 0
    made = json.loads(capsys.readouterr().out)
    found = made["accuracy"]
    assert found["images"] == made["calibration"]["images"] == 100
    assert found["top1"] >= found["float_top1"] - drop - 1e-9
    assert found["agreement"] >= agreement
    assert made["bytes_ratio"] <= 0.30
    # `accuracy` shares only the reading of the dataset with `quantize`.
    assert main(["accuracy", made["xml"], "--dataset", str(unseen), "-d", "CPU", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["top1"] == pytest.approx(found["top1"])
