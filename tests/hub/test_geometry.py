"""Crop and resize of a repository's network, against the pixels that timm and transformers themselves produced.

`tools/record_hub_geometry.py` made tests/data/hub_geometry.json in an environment with both libraries.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import hub_drawings
import numpy as np
import PIL
import pytest
from PIL import Image

from ov_mobilenet.hub.documents import JsonDocument
from ov_mobilenet.hub.preprocessor import read_preprocessor
from ov_mobilenet.hub.timm_config import declared_timm_input
from ov_mobilenet.images.geometry import apply_geometry
from ov_mobilenet.zoo.geometry import Geometry, check_size

RECORDED = json.loads((Path(__file__).parents[1] / "data" / "hub_geometry.json").read_text())


def _geometry(entry: dict[str, Any]) -> tuple[Geometry, tuple[int, int]]:
    if entry["library"] == "timm":
        data = {"architecture": "mobilenetv2_100", "num_classes": 5, "pretrained_cfg": entry["config"]}
        declared = declared_timm_input(JsonDocument(Path("config.json"), data), 5, entry["size"])
        assert declared.geometry is not None and declared.size is not None
        return declared.geometry, declared.size
    document = JsonDocument(Path("preprocessor_config.json"), entry["config"])
    _, geometry, size = read_preprocessor(document)
    assert geometry is not None and size is not None
    return geometry, size


@pytest.mark.parametrize("entry", RECORDED["entries"], ids=lambda e: f"{e['config']}-{e.get('size', '')}")
def test_the_pixels_are_those_of_the_library(entry: dict[str, Any]) -> None:
    major = int(PIL.__version__.split(".")[0])
    if major != int(RECORDED["versions"]["pillow"].split(".")[0]):
        pytest.skip("other versions of Pillow round its resize differently")
    geometry, size = _geometry(entry)
    check_size(geometry, *size)
    for number, expected in enumerate(entry["digests"]):
        image = Image.fromarray(hub_drawings.drawing(number))
        ours = apply_geometry(geometry, image)[..., ::-1]  # BGR for a Pillow image
        assert hashlib.sha256(np.ascontiguousarray(ours).tobytes()).hexdigest() == expected, geometry


def test_the_default_backend_of_transformers_differs_by_at_most_two_grey_levels() -> None:
    found = [entry["default_backend_differs_by"] for entry in RECORDED["entries"] if entry["library"] != "timm"]
    assert len(found) == 14 and max(found) <= 2
