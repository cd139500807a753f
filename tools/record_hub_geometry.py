"""Record what timm's and transformers' own image transforms make of generated drawings, for tests/hub/test_geometry.py.

Run it in an environment with timm, transformers and torch, which needs neither ov_mobilenet nor openvino:

    python tools/record_hub_geometry.py tests/data/hub_geometry.json

Each entry holds a configuration, and the SHA-256 of the pixels (uint8, height x width x RGB) of each drawing. For
transformers it also holds the largest difference, in grey levels, of the default backend from that of Pillow.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from hub_drawings import SHAPES, drawing

TIMM: tuple[dict[str, Any], ...] = (
    {"input_size": [3, 224, 224], "crop_pct": 0.875, "interpolation": "bicubic", "crop_mode": "center"},
    {"input_size": [3, 224, 224], "crop_pct": 0.875, "interpolation": "bilinear", "crop_mode": "center"},
    {"input_size": [3, 224, 224], "crop_pct": 0.9, "interpolation": "bicubic"},
    {"input_size": [3, 256, 256], "crop_pct": 0.95, "test_input_size": [3, 320, 320], "test_crop_pct": 1.0},
    {"input_size": [3, 224, 224], "test_input_size": [3, 256, 256], "test_crop_pct": 0.95},
    {"input_size": [3, 224, 224], "crop_pct": 0.9, "test_crop_pct": 1.0},
    {"input_size": [3, 192, 192], "crop_pct": 1.0, "crop_mode": "squash"},
    {"input_size": [3, 224, 224], "crop_pct": 0.875, "crop_mode": "squash", "interpolation": "bilinear"},
    {"input_size": [3, 160, 224], "crop_pct": 0.9, "crop_mode": "squash"},
    {"input_size": [3, 32, 32], "crop_pct": 0.1},
    {"tag": "defaults"},
)
TRANSFORMERS: tuple[dict[str, Any], ...] = (
    {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}},
    {"size": 224, "crop_size": 192},
    {"size": {"shortest_edge": 192}, "crop_size": {"height": 160, "width": 160}, "resample": 3},
    {"size": {"height": 250, "width": 231}, "crop_size": {"height": 224, "width": 224}},
    {"size": {"height": 224, "width": 192}, "do_center_crop": False},
    {"size": {"shortest_edge": 225}, "crop_size": {"height": 192, "width": 160}},
    {},
)


def _digest(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> str:
    if pixels.dtype != np.uint8 or pixels.shape[-1] != 3:
        raise TypeError(f"not pixels: {pixels.dtype} {pixels.shape}")
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def _timm(config: dict[str, Any], *, use_test_size: bool) -> list[str]:
    from PIL import Image

    timm = importlib.import_module("timm.data")
    data = timm.resolve_data_config(pretrained_cfg=config, use_test_size=use_test_size)
    transform = timm.create_transform(**data, is_training=False, normalize=False)
    pixels = [transform(Image.fromarray(drawing(number))).numpy().transpose(1, 2, 0) for number in range(len(SHAPES))]
    return [_digest(one) for one in pixels]


def _transformers(name: str, config: dict[str, Any]) -> tuple[list[str], int]:
    from PIL import Image

    transformers = importlib.import_module("transformers")
    found = []
    for suffix in ("Pil", ""):
        processor = getattr(transformers, name + suffix)(**config, do_rescale=False, do_normalize=False)
        found.append(
            [
                np.asarray(processor(images=Image.fromarray(drawing(number)), return_tensors="np")["pixel_values"][0])
                .transpose(1, 2, 0)
                .astype(np.uint8)
                for number in range(len(SHAPES))
            ]
        )
    ours, default = found
    difference = max(int(np.abs(a.astype(int) - b.astype(int)).max()) for a, b in zip(ours, default, strict=True))
    return [_digest(one) for one in ours], difference


def main(target: Path) -> None:
    """Write the file."""
    # PyPI's torchvision refuses to be imported beside a CPU build of torch without this module.
    sys.modules.setdefault("torchvision._meta_registrations", types.ModuleType("torchvision._meta_registrations"))
    entries: list[dict[str, Any]] = []
    for config in TIMM:
        for size in ("train", "test"):
            digests = _timm(config, use_test_size=size == "test")
            entries.append({"library": "timm", "config": config, "size": size, "digests": digests})
    for name in ("MobileNetV1ImageProcessor", "MobileNetV2ImageProcessor"):
        for config in TRANSFORMERS:
            digests, difference = _transformers(name, config)
            entries.append(
                {"library": "transformers", "config": {"image_processor_type": name, **config}, "digests": digests,
                 "default_backend_differs_by": difference}
            )  # fmt: skip
    packages = ("timm", "transformers", "torch", "pillow")
    versions = {package: importlib.metadata.version(package) for package in packages}
    target.write_text(json.dumps({"versions": versions, "entries": entries}, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
