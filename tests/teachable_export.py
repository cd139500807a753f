"""What Teachable Machine exports as "TensorFlow Lite, floating point", for the drawn flowers; made without TensorFlow.

The structure is Teachable Machine's: a MobileNet V2 of width 0.35 with its batch norms folded, two dense layers and a
softmax, and labels with numbers in front. The weights are fitted to the drawings by `flowers.fitting`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flowers import drawings
from flowers.fitting import as_input, fit, residual_ends
from tflite_files import Number, flatbuffer
from torch import nn

from ov_mobilenet.conversion.architectures.mobilenet_v2 import InvertedResidualV2, MobileNetV2
from ov_mobilenet.conversion.architectures.same_convolution import SameConv2d
from ov_mobilenet.images.geometry import apply_geometry
from ov_mobilenet.zoo.geometry import parse_geometry

LABELS = ("Poppy", "Cornflower", "Daisy")
_FLOWERS = {5: 0, 1: 1, 2: 2}  # of the class of a drawing, the class here
_ADD, _CONVOLUTION, _DEPTHWISE, _DENSE, _SOFTMAX, _MEAN = 0, 3, 4, 9, 25, 40
_CODES = (_ADD, _CONVOLUTION, _DEPTHWISE, _DENSE, _SOFTMAX, _MEAN)
_OPTIONS = {_ADD: 11, _CONVOLUTION: 1, _DEPTHWISE: 2, _DENSE: 8, _SOFTMAX: 9, _MEAN: 27}
_NONE, _RELU, _RELU6 = 0, 1, 3


def write_export(path: Path) -> None:
    """Write the archive that the button "Download my model" gives."""
    labels = "".join(f"{number} {label}\n" for number, label in enumerate(LABELS))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model_unquant.tflite", tflite(fitted_network()))
        archive.writestr("labels.txt", labels)


def fitted_network() -> MobileNetV2:
    """The network, which tells three of the flowers apart."""
    geometry = parse_geometry("resize 224 greater bicubic pillow, crop 224")
    drawn = [(frame, _FLOWERS[number]) for frame, number in drawings(300, seed=1) if number in _FLOWERS]
    frames = [apply_geometry(geometry, frame) for frame, _ in drawn]
    network = MobileNetV2(classes=len(LABELS), width=0.35)
    network.classifier = nn.Sequential(nn.Linear(1280, 100), nn.ReLU(), nn.Linear(100, len(LABELS), bias=False))
    for layer in list(network.modules()):
        for name, child in layer.named_children():
            if isinstance(child, nn.Conv2d) and child.stride == (2, 2):  # TensorFlow pads at the other side
                same = SameConv2d(child.in_channels, child.out_channels, kernel=3, stride=2, groups=child.groups)
                setattr(layer, name, same)
    images = as_input(frames, (0.5,) * 3, (0.5,) * 3)
    fit(network, network.classifier, images, [number for _, number in drawn], branches=residual_ends(network))
    return network


def tflite(network: MobileNetV2) -> bytes:
    """The network as a TFLite file, from normalised RGB (1, 224, 224, 3) to probabilities."""
    graph = _Graph()
    x = graph.tensor("input", (1, 224, 224, 3))
    for block in network.features:
        if isinstance(block, InvertedResidualV2):
            inner, given = x, x
            for part in _units(block.conv):
                inner = graph.convolution(inner, *part)
            x = graph.add(inner, given) if block.residual else inner
        else:
            x = graph.convolution(x, block[0], block[1], _RELU6)
    x = graph.mean(x)
    x = graph.dense(x, network.classifier[0], _RELU)
    x = graph.dense(x, network.classifier[2], _NONE)
    return graph.file(graph.softmax(x))


def _units(layers: nn.Sequential) -> list[tuple[nn.Conv2d, nn.BatchNorm2d, int]]:
    found = [(layer[0], layer[1], _RELU6) for layer in layers if isinstance(layer, nn.Sequential)]
    return [*found, (layers[-2], layers[-1], _NONE)]


class _Graph:
    """Tensors, buffers and operators of a TFLite file, as tables of its schema."""

    def __init__(self) -> None:
        self.tensors: list[Mapping[int, object]] = []
        self.shapes: list[tuple[int, ...]] = []
        self.buffers: list[Mapping[int, object]] = [{}]
        self.operators: list[Mapping[int, object]] = []

    def tensor(self, name: str, shape: tuple[int, ...], values: np.ndarray[Any, Any] | None = None) -> int:
        """Add a tensor; without values it is a result of an operator. Returns: its number."""
        buffer = 0
        if values is not None:
            buffer = len(self.buffers)
            self.buffers.append({0: values.tobytes()})
        kind = 2 if values is not None and values.dtype == np.int32 else 0
        self.tensors.append({0: shape, 1: Number(kind, "b"), 2: Number(buffer), 3: name})
        self.shapes.append(shape)
        return len(self.tensors) - 1

    def convolution(self, x: int, layer: nn.Conv2d, norm: nn.BatchNorm2d, activation: int) -> int:
        """Add a convolution with its batch norm folded."""
        weight, bias = _folded(layer, norm)
        stride = layer.stride[0]
        _, height, width, _ = self.shapes[x]
        shape = (1, height // stride, width // stride, layer.out_channels)
        strides: dict[int, object] = {0: Number(0, "b"), 1: Number(stride, "i"), 2: Number(stride, "i")}
        if layer.groups > 1:
            rest = {3: Number(1, "i"), 4: Number(activation, "b"), 5: Number(1, "i"), 6: Number(1, "i")}
            return self._with_weights(_DEPTHWISE, x, weight.transpose(1, 2, 3, 0), bias, shape, {**strides, **rest})
        rest = {3: Number(activation, "b"), 4: Number(1, "i"), 5: Number(1, "i")}
        return self._with_weights(_CONVOLUTION, x, weight.transpose(0, 2, 3, 1), bias, shape, {**strides, **rest})

    def dense(self, x: int, layer: nn.Linear, activation: int) -> int:
        """Add a dense layer."""
        weight = layer.weight.detach().numpy()
        bias = np.zeros(len(weight), np.float32) if layer.bias is None else layer.bias.detach().numpy()
        return self._with_weights(_DENSE, x, weight, bias, (1, len(weight)), {0: Number(activation, "b")})

    def add(self, x: int, y: int) -> int:
        """Add two results."""
        return self._operator(_ADD, (x, y), self.shapes[x], {0: Number(_NONE, "b")})

    def mean(self, x: int) -> int:
        """Average over height and width."""
        axes = self.tensor("axes", (2,), np.array([1, 2], np.int32))
        return self._operator(_MEAN, (x, axes), (1, self.shapes[x][3]), {0: Number(0, "B")})

    def softmax(self, x: int) -> int:
        """Add the softmax."""
        return self._operator(_SOFTMAX, (x,), self.shapes[x], {0: Number(1.0, "f")})

    def file(self, output: int) -> bytes:
        """The whole file."""
        codes = [{0: Number(code, "b"), 2: Number(1, "i"), 3: Number(code, "i")} for code in _CODES]
        subgraph = {0: list(self.tensors), 1: (0,), 2: (output,), 3: list(self.operators), 4: "main"}
        root = {0: Number(3), 1: list(codes), 2: [subgraph], 3: "flowers", 4: list(self.buffers)}
        return flatbuffer(root, b"TFL3")

    def _with_weights(
        self,
        code: int,
        x: int,
        weight: np.ndarray[Any, Any],
        bias: np.ndarray[Any, Any],
        shape: tuple[int, ...],
        options: Mapping[int, object],
    ) -> int:
        number = len(self.operators)
        weights = self.tensor(f"weight{number}", weight.shape, np.ascontiguousarray(weight, np.float32))
        biases = self.tensor(f"bias{number}", bias.shape, np.ascontiguousarray(bias, np.float32))
        return self._operator(code, (x, weights, biases), shape, options)

    def _operator(
        self, code: int, inputs: tuple[int, ...], shape: tuple[int, ...], options: Mapping[int, object]
    ) -> int:
        output = self.tensor(f"result{len(self.operators)}", shape)
        self.operators.append(
            {0: Number(_CODES.index(code)), 1: inputs, 2: (output,), 3: Number(_OPTIONS[code], "B"), 4: options}
        )
        return output


def _folded(layer: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The weights (out, in, height, width) and the bias of a convolution with its batch norm."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None
    with torch.no_grad():
        factor = norm.weight / torch.sqrt(variance + norm.eps)
        return (layer.weight * factor[:, None, None, None]).numpy(), (norm.bias - mean * factor).numpy()
