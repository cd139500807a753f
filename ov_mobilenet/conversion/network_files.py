"""The framework of a source network by its file name; no file is opened."""

from __future__ import annotations

from pathlib import PurePath

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


def network_ending(path: PurePath) -> str | None:
    """The key of FRAMEWORKS that the file name ends with, ignoring case; None if it ends with none of them."""
    return next((ending for ending in FRAMEWORKS if path.name.lower().endswith(ending)), None)
