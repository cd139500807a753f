"""Small networks whose first batch norm recorded images under a known normalisation; the statistics are from numpy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

SIDE = 32
Normalise = Callable[[np.ndarray], np.ndarray]
Step = tuple[str, list[str], str, dict[str, Any]]

MEAN, STD = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
# What the network takes, from BGR frames of float64.
TRAINED: dict[str, Normalise] = {
    "tensorflow RGB": lambda bgr: bgr[..., ::-1] / 127.5 - 1,
    "tensorflow BGR": lambda bgr: bgr / 127.5 - 1,
    "torchvision RGB": lambda bgr: (bgr[..., ::-1] - MEAN) / STD,
    "torchvision BGR": lambda bgr: (bgr - MEAN[::-1]) / STD[::-1],
    "0..1 RGB": lambda bgr: bgr[..., ::-1] / 255,
    "0..255 BGR": lambda bgr: bgr,
    "caffe BGR": lambda bgr: bgr - [103.939, 116.779, 123.68],
    "other RGB": lambda bgr: (bgr[..., ::-1] - [60.0, 120.0, 180.0]) / 30,
}


def colour_images(count: int = 20, seed: int = 3) -> np.ndarray:
    """Images with more red than blue, uint8 (count, 32, 32, 3) BGR."""
    rng = np.random.default_rng(seed)
    levels = rng.uniform([30, 70, 110], [90, 160, 220], (count, 1, 1, 3))
    noise = rng.normal(0, 40, (count, SIDE, SIDE, 3))
    return (levels + noise).clip(0, 255).astype(np.uint8)


def save_images(folder: Path, frames: np.ndarray) -> Path:
    """Write images of the network's input size, which no resize changes."""
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{number:02}.png"), frame)
    return folder


def write_network(
    path: Path, normalise: Normalise, frames: np.ndarray, *, inside: str | None = None, batch_norm: bool = True
) -> Path:
    """A 1x1 convolution, batch norm, ReLU, average pool and a dense layer, in ONNX.

    Args:
        normalise: the normalisation of the training, from BGR frames.
        frames: the images that the batch norm recorded.
        inside: `float` for a graph that computes x/127.5 - 1 itself, `uint8` for one that takes bytes too.
        batch_norm: False to leave it out.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(5)
    filters, dense = rng.normal(0, 1, (8, 3)), rng.normal(0, 1, (5, 8))
    flow = normalise(frames.astype(np.float64)) @ filters.T
    mean, variance = flow.mean((0, 1, 2)), flow.var((0, 1, 2))
    constants: dict[str, Any] = {
        "filters": filters.reshape(8, 3, 1, 1), "dense": dense, "gamma": np.ones(8), "beta": np.zeros(8),
        "mean": mean, "variance": variance, "half": np.array(127.5), "one": np.array(1.0),
    }  # fmt: skip
    steps: dict[str | None, list[Step]] = {
        None: [],
        "float": [("Div", ["data", "half"], "scaled", {}), ("Sub", ["scaled", "one"], "ready", {})],
        "uint8": [
            ("Cast", ["data"], "floats", {"to": TensorProto.FLOAT}), ("Div", ["floats", "half"], "scaled", {}),
            ("Sub", ["scaled", "one"], "ready", {}),
        ],
    }  # fmt: skip
    middle: list[Step] = [
        ("BatchNormalization", ["filtered", "gamma", "beta", "mean", "variance"], "normal", {"epsilon": 1e-5})
    ]
    nodes: list[Step] = [
        *steps[inside],
        ("Conv", ["ready" if inside else "data", "filters"], "filtered", {}),
        *(middle if batch_norm else []),
        ("Relu", ["normal" if batch_norm else "filtered"], "active", {}),
        ("GlobalAveragePool", ["active"], "pooled", {}),
        ("Flatten", ["pooled"], "flat", {}),
        ("Gemm", ["flat", "dense"], "scores", {"transB": 1}),
    ]
    used = {name for _, inputs, _, _ in nodes for name in inputs}
    kind = TensorProto.UINT8 if inside == "uint8" else TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node(operation, inputs, [output], **more) for operation, inputs, output, more in nodes],
        "network",
        [helper.make_tensor_value_info("data", kind, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 5])],
        [numpy_helper.from_array(np.asarray(v, np.float32), name) for name, v in constants.items() if name in used],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path
