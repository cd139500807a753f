"""Keras networks whose results differ from image to image, in the file layouts that exist in practice."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np

DESCRIPTION = """\
description: a Keras network for tests
task_type: classification
files:
  - name: {file}
    size: {size}
    checksum: {{$type: sha256, value: {digest}}}
    source: {{$type: file, path: {file}}}
framework: {framework}
{input_info}model_optimizer_args:
  - --reverse_input_channels
{arguments}license: https://www.apache.org/licenses/LICENSE-2.0
"""
HALVES = "  - --mean_values=[127.5,127.5,127.5]\n  - --scale_values=[127.5]\n"


def build(name: str, side: int, *, seed: int = 11, **options: Any) -> Any:
    """A network of keras.applications with confident results (above 0.5) that differ from image to image."""
    import keras

    keras.utils.set_random_seed(seed)
    network = getattr(keras.applications, name)(input_shape=(side, side, 3), weights=None, **options)
    liven(network, side, halves=not name.startswith("MobileNetV3"), seed=seed)
    return network


def frames(count: int, side: int, seed: int) -> np.ndarray:
    """Gradients between two strong colours with little noise, so that averages over the image differ."""
    rng = np.random.default_rng(seed)
    ends = rng.integers(0, 256, (2, count, 1, 1, 3))
    way = np.linspace(0, 1, side)[None, :, None, None]
    blend = ends[0] * (1 - way) + ends[1] * way
    made: np.ndarray = np.clip(blend + rng.integers(-5, 6, (count, side, side, 3)), 0, 255).astype(np.uint8)
    return made


def liven(network: Any, side: int, *, halves: bool, seed: int = 11) -> None:
    """Set the statistics of batch norm near those of the images, then centre and scale the classifier."""
    import keras

    rng = np.random.default_rng(seed)
    images = as_input(frames(24, side, seed=5), halves=halves)
    norms = [layer for layer in _all_layers(network) if type(layer).__name__ == "BatchNormalization"]
    for norm in norms:
        norm.momentum = 0.0
        gamma, beta, *statistics = norm.get_weights()
        # Mostly above zero: each batch norm with a ReLU around zero multiplies float32's rounding by 1.2, and there are
        # up to fifty in a row; trained networks do not.
        drawn = rng.uniform(0.5, 0.8, gamma.shape), rng.normal(0.9, 0.3, beta.shape)
        norm.set_weights([*drawn, *statistics])
    network(images, training=True)
    for norm in norms:
        gamma, beta, mean, variance = norm.get_weights()
        mean = mean + rng.normal(0, 0.1, mean.shape) * np.sqrt(variance)
        norm.set_weights([gamma, beta, mean, variance * rng.uniform(0.8, 1.2, variance.shape)])
    last = network.get_layer("predictions")
    head = next(layer for layer in reversed(network.layers) if layer.weights)
    softmax, last.activation = last.activation, keras.activations.linear
    kernel = rng.normal(0, 1, head.get_weights()[0].shape)
    head.set_weights([kernel, np.zeros(kernel.shape[-1])])
    scores = np.asarray(network(images, training=False))
    last.activation = softmax
    # Of a thousand classes a few are likely at all, as in trained networks; the others stay far below them.
    likely = np.isin(np.arange(scores.shape[1]), rng.choice(scores.shape[1], min(8, scores.shape[1]), replace=False))
    for sharpness in (1.2, 1.5, 2.0, 3.0, 4.5):
        factor = sharpness / scores.std(axis=0) * np.where(likely, 1.0, 0.3)
        head.set_weights([kernel * factor, np.where(likely, 0.0, -8.0) - scores.mean(axis=0) * factor])
        if np.median(np.asarray(network(images, training=False)).max(axis=1)) > 0.5:
            return
    raise AssertionError("the head never grew sure")


def _all_layers(network: Any) -> list[Any]:
    found = []
    for layer in network.layers:
        found += _all_layers(layer) if hasattr(layer, "layers") else [layer]
    return found


def as_input(frames: np.ndarray, *, halves: bool) -> np.ndarray:
    """Convert uint8 (N, H, W, 3) BGR to the network's input: RGB, 0..255 or -1..1."""
    x = frames[..., ::-1].astype(np.float32)
    return (x - np.float32(127.5)) / np.float32(127.5) if halves else np.ascontiguousarray(x)


def published_name(layer: str) -> str:
    """The name of a MobileNetV3 layer in Keras of 2020, such as `expanded_conv_1/expand/BatchNorm`."""
    if match := re.fullmatch(r"(expanded_conv(?:_\d+)?)_(\w+)", layer):
        block, rest = match.groups()
        rest = rest.replace("squeeze_excite_conv", "squeeze_excite/Conv").replace("_bn", "/BatchNorm")
        return f"{block}/{rest}"
    if re.fullmatch(r"conv(_\d)?(_bn)?|logits", layer):
        return layer.capitalize().replace("_bn", "/BatchNorm")
    return layer


def write_published(network: Any, path: Path, *, rename: Any = published_name) -> Path:
    """Save weights in the layout of the published files, which Keras 3 reads but does not write."""
    import h5py

    with h5py.File(path, "w") as file:
        names = []
        for layer in network.layers:
            name = rename(layer.name)
            names.append(name.encode())
            group = file.require_group(name)
            weight_names = []
            for variable in layer.weights:
                kernel = "depthwise_kernel" if type(layer).__name__ == "DepthwiseConv2D" else variable.name
                weight_names.append(f"{name}/{kernel}:0".encode())
                group.create_dataset(weight_names[-1].decode(), data=variable.numpy())
            group.attrs["weight_names"] = np.asarray(weight_names, "S")
        file.attrs["layer_names"] = np.asarray(names, "S")
        file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", b"2.3.0-tf"
    return path


def describe(
    path: Path,
    *,
    side: int | None = None,
    halves: bool = False,
    framework: str = "keras",
    network: str | None = None,
) -> Path:
    """Write a model.yml beside the file."""
    data = path.read_bytes()
    info = f"input_info:\n  - name: input_1\n    shape: [1, {side}, {side}, 3]\n    layout: NHWC\n" if side else ""
    text = DESCRIPTION.format(
        file=path.name,
        size=len(data),
        digest=hashlib.sha256(data).hexdigest(),
        framework=framework,
        input_info=info,
        arguments=(HALVES if halves else "") + f"  - {network or f'--input_model=$dl_dir/{path.name}'}\n",
    )
    yml = path.with_name("model.yml")
    yml.write_text(text, "utf-8")
    return yml
