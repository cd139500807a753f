"""Repositories that transformers saved: our pixels and probabilities against those of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hub_repositories import Answered, Request, check_oracle, check_whole_path

pytestmark = pytest.mark.hub

LEAVES = tuple(f"plant {index // 4}, disease {index % 4}" for index in range(38))
HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}


def published(architecture: str, multiplier: float, side: int) -> Request:
    """As Google's repositories are."""
    return Request(
        name=f"{architecture}_{multiplier}_{side}", kind="transformers", architecture=architecture,
        create={"depth_multiplier": multiplier, "image_size": side, "num_labels": 1001},
        processor={
            "size": {"shortest_edge": side + 32}, "crop_size": {"height": side, "width": side}, **HALF,
        },
    )  # fmt: skip


def fine_tuned(name: str, architecture: str = "mobilenet_v2", **settings: Any) -> Request:
    create = {"depth_multiplier": 0.35, "num_labels": 5, **settings.pop("create", {})}
    return Request(name=name, kind="transformers", architecture=architecture, create=create, **settings)


REQUESTS = (
    published("mobilenet_v1", 1.0, 224),
    published("mobilenet_v1", 0.75, 192),
    published("mobilenet_v2", 1.0, 224),
    published("mobilenet_v2", 1.4, 224),
    published("mobilenet_v2", 0.75, 160),
    published("mobilenet_v2", 0.35, 96),
    fine_tuned(
        "leaves", create={"depth_multiplier": 1.0, "num_labels": 38, "id2label": dict(enumerate(LEAVES))}, labels=LEAVES
    ),
    fine_tuned("torchvision-v1", "mobilenet_v1", backend="torchvision"),
    fine_tuned("torchvision-v2", backend="torchvision", processor=HALF),
    fine_tuned(
        "other-structure",
        create={
            "first_layer_is_expansion": False, "finegrained_output": False, "tf_padding": False, "hidden_act": "relu",
        },
    ),
    fine_tuned("dilated", create={"output_stride": 16, "layer_norm_eps": 1e-5, "expand_ratio": 4, "min_depth": 16}),
    fine_tuned(
        "odd-size",
        processor={"size": {"shortest_edge": 140}, "crop_size": {"height": 129, "width": 129}, "resample": 3},
    ),
    fine_tuned(
        "not-square", "mobilenet_v1", backend="torchvision",
        processor={"size": {"shortest_edge": 140}, "crop_size": {"height": 96, "width": 129}},
    ),
    fine_tuned("without-crop", processor={"do_center_crop": False, "size": {"height": 128, "width": 128}}),
    fine_tuned(
        "multilabel", config={"problem_type": "multi_label_classification"}, output="multilabel", processor=HALF
    ),
    fine_tuned(
        "old-files", pickle=True,
        legacy_processor={
            "feature_extractor_type": "MobileNetV2FeatureExtractor", "image_processor_type": None, "size": 256,
            "crop_size": 224,
        },
    ),
    fine_tuned("old-name", "mobilenet_v1", legacy_processor={"image_processor_type": "ImageFeatureExtractor"}),
)  # fmt: skip


@pytest.mark.parametrize("name", [request.name for request in REQUESTS])
def test_the_whole_path(
    name: str, answered: dict[str, Answered], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_oracle(answered[name])
    check_whole_path(answered[name], tmp_path, monkeypatch)
