"""Export the sample model to the formats that the toolkit reads, and compare the output of each file with torch.

    python tools/export_sample_model.py --weights road-signs.pth --output-dir sample_model

Needs torch, onnx, onnxruntime, tensorflow-cpu and ai-edge-litert. The same weights and package versions give the same
bytes.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sample_network import load_network, normalised, probabilities
from signs import held_out, network_images

from ov_mobilenet.conversion.architectures.mobilenet_v1 import MobileNetV1

#: Maximum difference of a probability: rounding errors only.
_TOLERANCE = 3e-5


def main() -> int:
    """Write the files, run each one, print the differences; exit code 3 if one exceeds the tolerance."""
    arguments = _arguments()
    # Suppresses TensorFlow's start-up messages on stderr; must be set before it is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from sample_export import comparison
    from sample_export.layers import layers_of
    from sample_export.onnx_file import write_onnx
    from sample_export.tensorflow_files import write_frozen_graph, write_tflite

    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    network = load_network(arguments.weights)
    layers = layers_of(network)
    images = network_images(frame for frame, _ in held_out(arguments.seed, arguments.drawings))
    inputs = normalised(images)
    expected = probabilities(network, inputs)

    def path(suffix: str) -> Path:
        file: Path = arguments.output_dir / f"{arguments.name}{suffix}"
        return file

    _write_pth(network, path(".pth"))
    write_onnx(layers, path(".onnx"))
    write_frozen_graph(layers, path(".pb"))
    write_tflite(layers, path(".tflite"))

    runs: dict[str, Callable[[Path], np.ndarray]] = {
        ".pth": lambda file: probabilities(load_network(file), inputs),
        ".onnx": lambda file: comparison.run_onnx(file, inputs.numpy()),
        ".pb": lambda file: comparison.run_frozen_graph(file, inputs.numpy()),
        ".tflite": lambda file: comparison.run_tflite(file, inputs.numpy()),
    }
    passed = True
    for suffix, run in runs.items():
        difference = float(np.abs(run(path(suffix)) - expected).max())
        passed &= difference < _TOLERANCE
        size = path(suffix).stat().st_size
        sys.stdout.write(f"{path(suffix).name}: {size} bytes, largest difference of a probability {difference:.1e}\n")
    return 0 if passed else 3


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Write the sample model as .pth, .onnx, .pb and .tflite.")
    parser.add_argument("--weights", type=Path, required=True, help="the .pth written by train_sample_model.py")
    parser.add_argument("--output-dir", type=Path, required=True)
    parser.add_argument("--name", default="road-signs", help="name of the files, without suffix")
    parser.add_argument("--drawings", type=int, default=50, help="number of held-out drawings to compare on")
    parser.add_argument("--seed", type=int, default=1, help="seed of the drawings")
    return parser.parse_args()


def _write_pth(network: MobileNetV1, path: Path) -> None:
    torch.save({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, path)


if __name__ == "__main__":
    sys.exit(main())
