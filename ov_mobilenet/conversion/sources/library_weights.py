"""Load the weights of a network of timm or transformers with `strict=True`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.conversion.sources.checkpoint import read_state_dicts
from ov_mobilenet.conversion.sources.module_state import load_state
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.library_network import LibraryNetwork

if TYPE_CHECKING:
    import torch

_WRAPPER = "timm_model."


def load_library_module(network: LibraryNetwork, size: tuple[int, int], path: Path) -> torch.nn.Module:
    """The module with its weights, in evaluation mode.

    Args:
        size: height and width of the input in pixels.
        path: a safetensors file, or a pickle that holds only tensors.

    Raises:
        ConversionError: the architecture or an argument is unknown; or the keys, shapes or types of the weights differ,
            or the number of classes does.
        MissingDependencyError: torch or safetensors is not installed.
    """
    from ov_mobilenet.conversion.library_networks import build_library_network, check_architecture

    check_architecture(network, path)
    entries = read_state_dicts(path)
    if len(entries) != 1:
        raise ConversionError(
            "several entries of the checkpoint hold weights", where=path, expected="one state dict",
            got=", ".join(repr(entry.where) for entry in entries),
        )  # fmt: skip
    tensors = entries[0].tensors
    # transformers' wrapper of timm's networks writes timm's keys with its own name in front, or without.
    if network.library == "timm" and all(key.startswith(_WRAPPER) for key in tensors):
        tensors = {key.removeprefix(_WRAPPER): tensor for key, tensor in tensors.items()}
    rows = getattr(tensors.get("classifier.weight"), "shape", ())[:1]
    if rows and rows[0] != network.classes:
        raise ConversionError(
            "the classifier has another number of classes than the configuration", where=path,
            expected=network.classes, got=rows[0],
        )  # fmt: skip
    return load_state(lambda: build_library_network(network, size), tensors, path, network.name)
