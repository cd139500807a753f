"""MobileNets as torch modules with the state-dict keys of timm and of transformers.

An architecture is chosen by the name that the library's config.json gives, never by shapes. Padding, epsilon,
activation and head are written out for each family. No code of a repository is run.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import TYPE_CHECKING

from ov_mobilenet.conversion.library_networks.timm_tables import TIMM_ARCHITECTURES
from ov_mobilenet.conversion.library_networks.transformers_arguments import TRANSFORMERS_ARCHITECTURES
from ov_mobilenet.conversion.library_networks.transformers_networks import build_transformers_network
from ov_mobilenet.conversion.library_networks.v4_tables import V4_ARCHITECTURES
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.library_network import Library, LibraryNetwork

if TYPE_CHECKING:
    import torch

    Builder = Callable[[LibraryNetwork, tuple[int, int]], torch.nn.Module]


def _build_timm(network: LibraryNetwork, size: tuple[int, int]) -> torch.nn.Module:
    from ov_mobilenet.conversion.library_networks.timm_networks import build_timm_network

    return build_timm_network(network, size)


def _build_v4(network: LibraryNetwork, size: tuple[int, int]) -> torch.nn.Module:
    from ov_mobilenet.conversion.library_networks.v4_network import build_v4_network

    return build_v4_network(network, size)


# The builders import torch only when they are called.
_BUILDERS: dict[Library, dict[str, Builder]] = {
    "timm": dict.fromkeys(TIMM_ARCHITECTURES, _build_timm) | dict.fromkeys(V4_ARCHITECTURES, _build_v4),
    "transformers": dict.fromkeys(TRANSFORMERS_ARCHITECTURES, build_transformers_network),
}


def architectures(library: Library) -> tuple[str, ...]:
    """The names of the architectures of a library that `build_library_network` knows, in the order of the alphabet."""
    return tuple(sorted(_BUILDERS[library]))


def check_architecture(network: LibraryNetwork, where: object) -> None:
    """Check that the architecture is known; torch is not needed.

    Args:
        where: the file that names the architecture, or the weights.

    Raises:
        ConversionError: it is not.
    """
    known = architectures(network.library)
    if network.architecture in known:
        return
    close = difflib.get_close_matches(network.architecture, known, n=3, cutoff=0.8)
    raise ConversionError(
        f"unknown architecture of {network.library}", where=where, expected=", ".join(close or known) or "none",
        got=network.architecture, fix="Export the network to ONNX, and convert the ONNX file",
    )  # fmt: skip


def build_library_network(network: LibraryNetwork, size: tuple[int, int]) -> torch.nn.Module:
    """Build the torch module with untrained weights: from normalised RGB (N, 3, height, width) to logits (N, classes).

    Args:
        size: height and width of the input in pixels; TensorFlow's SAME padding depends on them.

    Raises:
        ConversionError: the architecture, or an argument, is unknown; the message names it.
    """
    check_architecture(network, network.name)
    if min(size) < 1:
        raise ConversionError(
            f"a network of {network.library} needs an input of a fixed size", where=network.name,
            expected="height and width above 0", got=f"{size[0]}x{size[1]}",
        )  # fmt: skip
    return _BUILDERS[network.library][network.architecture](network, size)
