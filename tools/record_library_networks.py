"""Record the logits of timm's networks for weights and inputs that the tests rebuild: `tests/library_weights.py`.

It runs in an environment of its own, with timm:

python tools/record_library_networks.py --match 'mobilenetv1*' 'mobilenetv2*' '*mobilenetv3*' \
    --target tests/data/library_networks/timm.json
"""

from __future__ import annotations

import argparse
import json
import sys
import types
import zlib
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from library_weights import library_input, library_state

CLASSES = 10
# Small sizes keep the tests fast; odd and unequal sides show the padding.
SIZES = ((64, 64), (65, 71))
# Below 1.2 the image is lost in the biases; above 2.2 the logits of every network overflow.
GAINS = [round(1.2 + 0.05 * step, 2) for step in range(21)]


def main() -> None:
    """Write one row for each architecture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--match", nargs="+", required=True, help="patterns of timm's names")
    parser.add_argument("--sizes", nargs="+", help="HEIGHTxWIDTH")
    parser.add_argument("--target", type=Path, required=True)
    arguments = parser.parse_args()
    # timm needs torchvision for data sets only, and torchvision may have been built for another torch.
    sys.modules.setdefault("torchvision._meta_registrations", types.ModuleType("torchvision._meta_registrations"))
    timm = import_module("timm")  # no stubs: it is not in the environment of the type checker

    sizes = [tuple(map(int, size.split("x"))) for size in arguments.sizes] if arguments.sizes else SIZES
    names = [name for name in timm.list_models() if any(fnmatch(name, pattern) for pattern in arguments.match)]
    rows = {name: _row(timm.create_model(name, num_classes=CLASSES).eval(), sizes) for name in names}
    lines = [f"{json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items()]
    text = json.dumps({"library": f"timm {timm.__version__}", "classes": CLASSES})[:-1]
    arguments.target.parent.mkdir(parents=True, exist_ok=True)
    arguments.target.write_text(text + ', "networks": {\n' + ",\n".join(lines) + "\n}}\n", "utf-8")


def _row(module: Any, sizes: Any) -> dict[str, Any]:
    import torch

    shapes = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    for gain in GAINS:
        state = library_state(shapes, gain)
        module.load_state_dict({key: torch.from_numpy(np.asarray(values)) for key, values in state.items()})
        answers = {f"{height}x{width}": _logits(module, library_input(height, width)) for height, width in sizes}
        first = sizes[0]
        swapped = _logits(module, np.ascontiguousarray(library_input(*first)[:, ::-1]))
        straight = answers[f"{first[0]}x{first[1]}"]
        # The image decides the logits, not the biases; and they are far from an overflow.
        if np.abs(swapped - straight).max() > 0.5 and np.ptp(straight) > 2:
            break
    else:
        raise SystemExit("no gain makes the logits depend on the image")
    keys = "\n".join(f"{key} {list(shapes[key])}" for key in sorted(shapes))
    return {
        "gain": gain,
        "keys": len(shapes),
        "keys_crc32": zlib.crc32(keys.encode()),
        "logits": {size: [float(f"{value:.7g}") for value in logits] for size, logits in answers.items()},
    }


def _logits(module: Any, image: np.ndarray) -> np.ndarray:
    import torch

    with torch.no_grad():
        return np.asarray(module(torch.from_numpy(image))[0].numpy())


if __name__ == "__main__":
    main()
