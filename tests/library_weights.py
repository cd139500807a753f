"""Weights and an input that every environment can rebuild: each tensor is a function of its key and its shape.

A program under `tools/` gives them to the networks of timm and transformers and records the answers; the tests give
them to the project's own modules. Only numpy is needed, so that both can import this module.
"""

from __future__ import annotations

import math
import zlib

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


def library_tensor(key: str, shape: tuple[int, ...], gain: float) -> npt.NDArray[np.generic]:
    """The values of one entry of a state dict.

    The statistics of batch norms differ per channel, so that a wrong epsilon, padding or activation changes the logits.

    Args:
        key: such as `blocks.1.0.bn1.running_var`; its last part and the number of dimensions decide the range.
        gain: of the weights of convolutions and linear layers. Which one keeps the scale of the activations from the
            first layer to the last differs between networks; the recorded answers name it.
    """
    # RandomState: numpy promises that its numbers never change, which it does not promise of default_rng.
    random = np.random.RandomState(zlib.crc32(key.encode()))
    name = key.rpartition(".")[2]
    if name == "num_batches_tracked":
        return np.array(1000, np.int64)
    if name == "running_var":
        values = random.uniform(0.5, 1.5, shape)
    elif name in ("running_mean", "bias"):
        values = random.normal(0.0, 0.1, shape)
    elif len(shape) < 2:  # the weights of norms and the factors of layer scale
        values = random.uniform(0.6, 1.1, shape)
    else:
        values = random.normal(0.0, gain / math.sqrt(math.prod(shape[1:])), shape)
    return values.astype(np.float32)


def library_state(shapes: dict[str, tuple[int, ...]], gain: float) -> dict[str, npt.NDArray[np.generic]]:
    """The whole state dict of a network, from the shape of every key."""
    return {key: library_tensor(key, shape, gain) for key, shape in shapes.items()}


def library_input(height: int, width: int) -> Array:
    """A normalised image (1, 3, height, width): a gradient, a checkerboard and noise, different in each channel."""
    random = np.random.RandomState(zlib.crc32(f"{height}x{width}".encode()))
    rows, columns = np.mgrid[0:height, 0:width]
    planes = [
        rows / height * 2 - columns / width,
        ((rows // 7 + columns // 5) % 2) * 1.6 - 0.8,
        np.sin(rows / 3.0) + np.cos(columns / 9.0),
    ]
    return (np.stack(planes) + random.normal(0.0, 0.3, (3, height, width)))[None].astype(np.float32)
