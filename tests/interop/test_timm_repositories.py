"""Repositories that timm saved, MobileNet V1 to V3: our pixels and probabilities against timm's."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_repositories import Answered, Request, check_oracle, check_whole_path

pytestmark = pytest.mark.hub

ARCHITECTURES = (
    "mobilenetv1_100.ra4_e3600_r224_in1k",
    "mobilenetv1_100h.ra4_e3600_r224_in1k",
    "mobilenetv1_125.ra4_e3600_r224_in1k",
    "mobilenetv2_035",
    "mobilenetv2_050.lamb_in1k",
    "mobilenetv2_075",
    "mobilenetv2_100.ra_in1k",
    "mobilenetv2_110d.ra_in1k",
    "mobilenetv2_120d.ra_in1k",
    "mobilenetv2_140.ra_in1k",
    "mobilenetv3_small_050.lamb_in1k",
    "mobilenetv3_small_075.lamb_in1k",
    "mobilenetv3_small_100.lamb_in1k",
    "mobilenetv3_large_075",
    "mobilenetv3_large_100.ra_in1k",
    "mobilenetv3_large_100.miil_in21k_ft_in1k",
    "mobilenetv3_large_150d.ra4_e3600_r256_in1k",
    "mobilenetv3_rw.rmsp_in1k",
    "tf_mobilenetv3_small_075.in1k",
    "tf_mobilenetv3_small_100.in1k",
    "tf_mobilenetv3_small_minimal_100.in1k",
    "tf_mobilenetv3_large_075.in1k",
    "tf_mobilenetv3_large_100.in1k",
    "tf_mobilenetv3_large_minimal_100.in1k",
)
PLANTS = ("rose", "oak tree", "fern", "moss", "dandelion")
REQUESTS = (
    *(Request(name=architecture, architecture=architecture) for architecture in ARCHITECTURES),
    Request(
        name="test-size", architecture="mobilenetv3_large_100.ra4_e3600_r224_in1k", create={"num_classes": 9},
        test_size=True,
    ),
    Request(
        name="five-classes", architecture="mobilenetv3_small_100.lamb_in1k",
        create={"num_classes": 5, "drop_rate": 0.2}, save={"model_config": {"label_names": PLANTS}}, labels=PLANTS,
    ),
    Request(
        name="other-size", architecture="mobilenetv2_050.lamb_in1k",
        create={
            "num_classes": 5,
            "pretrained_cfg_overlay": {
                "input_size": (3, 192, 192), "crop_pct": 0.9, "interpolation": "bilinear", "mean": (0.4, 0.5, 0.6),
                "std": (0.2, 0.25, 0.3),
            },
        },
        save={"model_config": {"label_names": {str(index): name for index, name in enumerate(PLANTS)}}}, labels=PLANTS,
    ),
    Request(
        name="odd-size", architecture="tf_mobilenetv3_small_100.in1k",
        create={"num_classes": 6, "pretrained_cfg_overlay": {"input_size": (3, 161, 161), "crop_pct": 1.0}},
    ),
    Request(
        name="squash", architecture="mobilenetv1_100.ra4_e3600_r224_in1k",
        create={"num_classes": 6, "pretrained_cfg_overlay": {"crop_mode": "squash", "crop_pct": 1.0}},
    ),
    Request(
        name="flat", architecture="mobilenetv2_050.lamb_in1k", create={"num_classes": 5}, flat=True, pickle=True,
        save={"model_config": {"label_names": PLANTS}}, labels=PLANTS,
    ),
    Request(
        name="wrapped", kind="timm_wrapper", architecture="mobilenetv3_small_050.lamb_in1k", create={"num_classes": 5},
        labels=PLANTS,
    ),
    Request(
        name="wrapped-from-config", kind="timm_wrapper", architecture="mobilenetv3_small_050.lamb_in1k",
        create={"num_classes": 5}, labels=PLANTS, from_config=True,
    ),
)  # fmt: skip


@pytest.mark.parametrize("name", [request.name for request in REQUESTS])
def test_the_whole_path(
    name: str, answered: dict[str, Answered], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_oracle(answered[name])
    check_whole_path(answered[name], tmp_path, monkeypatch)
