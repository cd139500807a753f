"""Which framework a source network is of, as its file name tells; nothing is opened."""

from __future__ import annotations

from pathlib import Path

FRAMEWORKS = {
    ".onnx": "onnx",
    ".pb": "tf",
    ".tflite": "tflite",
    ".pth": "pytorch",
    ".pt": "pytorch",
    ".ckpt": "pytorch",
    ".pth.tar": "pytorch",
    ".safetensors": "pytorch",
    ".h5": "keras",
    ".keras": "keras",
}


def network_ending(path: Path) -> str | None:
    """The key of FRAMEWORKS that a file name ends with, in capitals or not; None for what is no source network."""
    return next((ending for ending in FRAMEWORKS if path.name.lower().endswith(ending)), None)
