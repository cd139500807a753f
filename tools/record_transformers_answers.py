"""Record what transformers' MobileNets answer, for tests/conversion/test_transformers_networks.py.

    make venv-hub && .venv-hub/bin/python tools/record_transformers_answers.py

Weights and input come from tests/library_weights.py, so that only the logits are stored.
"""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
# torchvision registers its compiled operators here, which do not fit torch's CPU build; nothing below uses them.
sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")

import torch  # noqa: E402
from library_weights import library_input, library_state  # noqa: E402
from transformers import (  # noqa: E402
    MobileNetV1Config,
    MobileNetV1ForImageClassification,
    MobileNetV2Config,
    MobileNetV2ForImageClassification,
)

ANSWERS = ROOT / "tests" / "data" / "library_networks" / "transformers.json"
GAINS = {"mobilenet_v1": 2.0, "mobilenet_v2": 1.5}
CLASSES = {
    "mobilenet_v1": (MobileNetV1Config, MobileNetV1ForImageClassification),
    "mobilenet_v2": (MobileNetV2Config, MobileNetV2ForImageClassification),
}
# The architecture, the number of classes, height and width, and the arguments of the configuration.
CASES: tuple[tuple[str, int, tuple[int, int], dict[str, Any]], ...] = (
    ("mobilenet_v1", 1001, (64, 64), {}),
    ("mobilenet_v1", 38, (97, 66), {"depth_multiplier": 0.25, "min_depth": 16}),
    ("mobilenet_v1", 5, (66, 97), {"depth_multiplier": 0.25, "tf_padding": False, "hidden_act": "relu"}),
    ("mobilenet_v2", 1001, (64, 64), {"depth_multiplier": 0.35}),
    ("mobilenet_v2", 38, (97, 66), {"depth_multiplier": 0.75, "finegrained_output": False}),
    ("mobilenet_v2", 5, (65, 65), {"depth_multiplier": 1.4, "layer_norm_eps": 1e-5}),
    ("mobilenet_v2", 5, (66, 97), {"depth_multiplier": 0.35, "tf_padding": False, "hidden_act": "silu"}),
    ("mobilenet_v2", 5, (75, 64), {"depth_multiplier": 0.35, "output_stride": 8, "first_layer_is_expansion": False}),
    (
        "mobilenet_v2",
        5,
        (64, 64),
        {"depth_multiplier": 0.3, "min_depth": 12, "depth_divisible_by": 4, "expand_ratio": 3.3, "hidden_act": "gelu"},
    ),
)


def main() -> None:
    """Write the answers."""
    recorded = []
    for architecture, classes, size, arguments in CASES:
        config, network = CLASSES[architecture]
        module = network(config(num_labels=classes, **arguments)).eval()
        shapes = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
        state = {key: torch.from_numpy(value) for key, value in library_state(shapes, GAINS[architecture]).items()}
        module.load_state_dict(state, strict=True)
        with torch.no_grad():
            logits = module(torch.from_numpy(library_input(*size))).logits[0]
        recorded.append(
            {
                "architecture": architecture,
                "classes": classes,
                "arguments": arguments,
                "size": size,
                "gain": GAINS[architecture],
                "logits": [float(f"{value:.8g}") for value in logits.tolist()],
            }
        )
        print(f"{architecture} {arguments}: logits from {logits.min():.3g} to {logits.max():.3g}")
    ANSWERS.parent.mkdir(parents=True, exist_ok=True)
    ANSWERS.write_text("[\n" + ",\n".join(json.dumps(entry) for entry in recorded) + "\n]\n")


if __name__ == "__main__":
    main()
