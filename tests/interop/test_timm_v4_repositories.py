"""Repositories that timm saved, MobileNet V4: our pixels and probabilities against timm's."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_repositories import Answered, Request, check_oracle, check_whole_path

pytestmark = pytest.mark.hub

ARCHITECTURES = (
    "mobilenetv4_conv_small_035",
    "mobilenetv4_conv_small_050.e3000_r224_in1k",
    "mobilenetv4_conv_small.e2400_r224_in1k",
    "mobilenetv4_conv_medium.e500_r224_in1k",
    "mobilenetv4_conv_large.e600_r384_in1k",
    "mobilenetv4_hybrid_medium_075",
    "mobilenetv4_hybrid_medium.ix_e550_r256_in1k",
    "mobilenetv4_hybrid_large.ix_e600_r384_in1k",
)
BREADS = ("rye", "wheat", "spelt")
REQUESTS = (
    *(Request(name=architecture, architecture=architecture) for architecture in ARCHITECTURES),
    Request(
        name="test-size", architecture="mobilenetv4_conv_small.e3600_r256_in1k", create={"num_classes": 9},
        test_size=True,
    ),
    Request(
        name="fine-tuned", architecture="mobilenetv4_conv_small.e2400_r224_in1k",
        create={"num_classes": 3, "pretrained_cfg_overlay": {"input_size": (3, 160, 160)}},
        save={"model_config": {"label_names": BREADS}}, labels=BREADS,
    ),
    Request(
        name="fine-tuned-hybrid", architecture="mobilenetv4_hybrid_medium.e500_r224_in1k",
        create={"num_classes": 3, "pretrained_cfg_overlay": {"input_size": (3, 192, 192)}}, pickle=True,
        save={"model_config": {"label_names": BREADS}}, labels=BREADS,
    ),
)  # fmt: skip


@pytest.mark.parametrize("name", [request.name for request in REQUESTS])
def test_the_whole_path(
    name: str, answered: dict[str, Answered], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_oracle(answered[name])
    check_whole_path(answered[name], tmp_path, monkeypatch)
