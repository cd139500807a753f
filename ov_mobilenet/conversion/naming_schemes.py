"""Tell from the names and shapes of a network's tensors which library published networks of that kind.

A scheme is only found if the names of all blocks of an architecture are there and its convolutions have that
architecture's shapes. The name of the file, or of the model, is never used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.conversion.architectures.weights import has_backbone

if TYPE_CHECKING:
    import openvino as ov

Shape = tuple[int, int]


@dataclass(frozen=True)
class NamingScheme:
    """The library that published networks with these names.

    Attributes:
        preset: name of the library's preset.
        evidence: what the scheme was found by, in words.
        often_rescales: whether networks of this library often have a rescaling layer of their own, so that any usual
            normalisation inside the graph is complete.
        takes_pixels: whether networks of this library take 0..255, and those without a normalisation inside differ.
    """

    preset: str
    evidence: str
    often_rescales: bool = False
    takes_pixels: bool = False


@dataclass(frozen=True)
class _Pattern:
    """Names of the blocks of an architecture in one library; `blocks` are the numbers that must all occur."""

    regex: bytes
    blocks: int
    architecture: str
    scheme: NamingScheme


def _scheme(preset: str, names: str, architecture: str, **traits: bool) -> NamingScheme:
    return NamingScheme(preset, f"{names} and architecture {architecture}", **traits)


def torchvision_scheme(architecture: str) -> NamingScheme | None:
    """The scheme of torchvision's key names; None for an architecture that torchvision does not have."""
    if architecture == "mobilenet_v1":
        return None
    return _scheme("torchvision", "key names of torchvision", architecture)


def keras_scheme(architecture: str) -> NamingScheme:
    """The scheme of Keras's layer names; its MobileNetV3 rescales inside unless it was built without that."""
    is_v3 = architecture.startswith("mobilenet_v3")
    preset = "keras-v3" if is_v3 else "tensorflow"
    return _scheme(preset, "layer names of Keras", architecture, often_rescales=True, takes_pixels=is_v3)


def _slim(regex: bytes, blocks: int, architecture: str) -> _Pattern:
    scheme = _scheme("tensorflow", "tensor names of TensorFlow's slim networks", architecture)
    return _Pattern(regex, blocks, architecture, scheme)


def _torch(inner: bytes, blocks: int, architecture: str) -> _Pattern:
    # Initialisers have names such as features.1.conv.0.0.weight, nodes such as /features/features.1/conv/conv.0/Conv.
    return _Pattern(
        rb"features\.(\d+)[./]" + inner + rb"[./]",
        blocks,
        architecture,
        _scheme("torchvision", "tensor names of torchvision", architecture),
    )


def _keras(regex: bytes, blocks: int, architecture: str) -> _Pattern:
    return _Pattern(regex, blocks, architecture, keras_scheme(architecture))


# In this order: Keras's names of MobileNetV3 are part of slim's.
_PATTERNS = (
    _slim(rb"MobilenetV1/Conv2d_(\d+)_pointwise", 13, "mobilenet_v1"),
    _slim(rb"MobilenetV2/expanded_conv_(\d+)/", 16, "mobilenet_v2"),
    _slim(rb"MobilenetV3/expanded_conv_(\d+)/", 14, "mobilenet_v3_large"),
    _slim(rb"MobilenetV3/expanded_conv_(\d+)/", 10, "mobilenet_v3_small"),
    _torch(rb"conv", 17, "mobilenet_v2"),
    _torch(rb"block", 15, "mobilenet_v3_large"),
    _torch(rb"block", 11, "mobilenet_v3_small"),
    _keras(rb"conv_pw_(\d+)", 13, "mobilenet_v1"),
    _keras(rb"block_(\d+)_project", 16, "mobilenet_v2"),
    _keras(rb"expanded_conv_(\d+)[_/]project", 14, "mobilenet_v3_large"),
    _keras(rb"expanded_conv_(\d+)[_/]project", 10, "mobilenet_v3_small"),
    # Gluon numbers only some of its layers; the networks of the ONNX model zoo have its names.
    _Pattern(
        rb"mobilenetv20_(?:features|output)_",
        0,
        "mobilenet_v2",
        _scheme("torchvision", "tensor names of the ONNX model zoo", "mobilenet_v2"),
    ),
)


def find_scheme(names: bytes, convolutions: Iterable[Shape]) -> NamingScheme | None:
    """The scheme of a graph; None if it has none of the known ones.

    Args:
        names: the names of tensors, layers or operations; bytes between them do not matter.
        convolutions: output channels and input channels per group of each convolution.
    """
    shapes = list(convolutions)
    for pattern in _PATTERNS:
        found = re.findall(pattern.regex, names)
        complete = {int(number) for number in found} >= set(range(1, pattern.blocks + 1)) if pattern.blocks else found
        if complete and has_backbone(pattern.architecture, shapes):
            return pattern.scheme
    return None


def names_in_file(network: Path) -> bytes:
    """The bytes that hold the names of a network: its file, or that of a SavedModel. Raises: OSError."""
    return (network / "saved_model.pb" if network.is_dir() else network).read_bytes()


def convolution_shapes(model: ov.Model) -> list[Shape]:
    """Output channels and input channels per group of each convolution of a graph."""
    found = []
    for node in model.get_ops():
        kind = node.get_type_name()
        if kind not in ("Convolution", "GroupConvolution"):
            continue
        shape = node.input_value(1).get_partial_shape()
        if shape.is_static:
            sizes = list(shape.get_shape())
            found.append((sizes[0] * sizes[1], sizes[2]) if kind == "GroupConvolution" else (sizes[0], sizes[1]))
    return found
