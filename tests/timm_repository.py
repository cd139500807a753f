"""The files that timm's `save_for_hf` writes for a network fine-tuned on the drawn flowers; made without timm."""

from __future__ import annotations

import json
from pathlib import Path

from flowers import CLASSES, drawings
from flowers.fitting import as_input, fit, residual_ends

from ov_mobilenet.conversion.library_networks import build_library_network
from ov_mobilenet.images.geometry import apply_geometry
from ov_mobilenet.zoo.geometry import parse_geometry
from ov_mobilenet.zoo.library_network import LibraryNetwork

ARCHITECTURE, SIDE = "mobilenetv3_small_050", 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def write_repository(folder: Path) -> None:
    """Write config.json and model.safetensors of a network that tells the flowers apart."""
    from safetensors.torch import save_file

    frames, classes = zip(*drawings(200, seed=1), strict=True)
    geometry = parse_geometry("resize 256 greater bicubic pillow, crop 224")
    images = as_input([apply_geometry(geometry, frame) for frame in frames], MEAN, STD)
    network = build_library_network(
        LibraryNetwork(library="timm", architecture=ARCHITECTURE, classes=len(CLASSES)), (SIDE, SIDE)
    )
    head = network.get_submodule("classifier")
    fit(network, head, images, classes, branches=residual_ends(network))
    folder.mkdir()
    save_file({key: tensor.contiguous() for key, tensor in network.state_dict().items()}, folder / "model.safetensors")
    pretrained = {
        "input_size": [3, SIDE, SIDE], "fixed_input_size": False, "interpolation": "bicubic", "crop_pct": 0.875,
        "crop_mode": "center", "mean": MEAN, "std": STD, "num_classes": len(CLASSES), "pool_size": [7, 7],
        "first_conv": "conv_stem", "classifier": "classifier",
    }  # fmt: skip
    config = {
        "architecture": ARCHITECTURE, "num_classes": len(CLASSES), "num_features": 1024, "global_pool": "avg",
        "model_args": {"num_classes": len(CLASSES)}, "label_names": CLASSES, "pretrained_cfg": pretrained,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config, indent=2), "utf-8")
