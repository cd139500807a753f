"""The MobileNets of transformers by their `model_type`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ov_mobilenet.conversion.library_networks.transformers_arguments import read_transformers_settings
from ov_mobilenet.zoo.library_network import LibraryNetwork

if TYPE_CHECKING:
    import torch


def build_transformers_network(network: LibraryNetwork, size: tuple[int, int]) -> torch.nn.Module:
    """Build `transformers/mobilenet_v1` or `transformers/mobilenet_v2`; see `build_library_network`.

    Args:
        size: height and width of the input in pixels.

    Raises:
        ConversionError: see `read_transformers_settings`.
    """
    settings = read_transformers_settings(network)
    if network.architecture == "mobilenet_v1":
        from ov_mobilenet.conversion.library_networks.transformers_v1 import TransformersMobileNetV1

        return TransformersMobileNetV1(settings, size, network.classes)
    from ov_mobilenet.conversion.library_networks.transformers_v2 import TransformersMobileNetV2

    return TransformersMobileNetV2(settings, size, network.classes)
