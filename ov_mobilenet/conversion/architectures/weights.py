"""The weights of each architecture, and the width multiplier that given shapes imply. Does not need torch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from ov_mobilenet.conversion.architectures.blocks import Block, backbone
from ov_mobilenet.conversion.architectures.replaced_head import ReplacedHead, linear_layers
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.layer_settings import LayerSettings

Shape = tuple[int, ...]
Channels = tuple[int, int]

# The published widths first: if several widths give the same channels, the published one is reported.
_WIDTHS = tuple(
    dict.fromkeys(
        (
            *(1.0, 0.75, 0.5, 0.35, 0.25, 1.3, 1.4),
            *(step / 20 for step in range(1, 41)),
            *(step / 100 for step in range(1, 401)),
            *(step / 1024 for step in range(1, 4097)),  # no finer: V1's last layers have 1024 channels
        )
    )
)
# By the name of the module inside a block, and the number of modules in `features`.
_BY_STRUCTURE = {
    ("conv", 14): "mobilenet_v1",
    ("conv", 19): "mobilenet_v2",
    ("block", 13): "mobilenet_v3_small",
    ("block", 17): "mobilenet_v3_large",
}
_STEM, _HIDDEN = "features.0.0.weight", "classifier.0.weight"
MAX_STEM = 256  # eight times the published width; memory grows with the square of the width
MAX_HIDDEN = 8192  # V3 is published with 1024 and 1280
MAX_CLASSES = 100_000


class MobileNetSpec(Struct, frozen=True, kw_only=True):
    """The parameters that define a MobileNet.

    Attributes:
        architecture: one of `ARCHITECTURES`.
        width: width multiplier.
        classes: number of classes.
        hidden: features of the first layer of V3's classifier; 0 for V1 and V2.
        head: the classifier, if it is not the published one.
        settings: the settings of the layers, which shapes do not tell.
    """

    architecture: str
    width: float
    classes: int
    hidden: int = 0
    head: ReplacedHead | None = None
    settings: LayerSettings = LayerSettings()


def identify(shapes: Mapping[str, Shape]) -> MobileNetSpec | None:
    """Find the MobileNet that a state dict belongs to.

    Args:
        shapes: shapes of all tensors by torchvision's keys.

    Returns:
        None if the keys belong to none of the architectures.

    Raises:
        ConversionError: see `spec_of`.
    """
    inside = [match for key in shapes if (match := re.match(r"features\.(\d{1,3})(?:\.(conv|block)\.)?", key))]
    names = {match[2] for match in inside if match[2]}
    architecture = _BY_STRUCTURE.get((names.pop() if len(names) == 1 else "", len({match[1] for match in inside})))
    if architecture is None:
        return None
    nearest, mismatch = _nearest(architecture, shapes)
    # Only convolutions and dense layers: old checkpoints lack the counters of batch norm.
    if weight_channels(nearest).keys() != {key for key, shape in shapes.items() if len(shape) in (2, 4)}:
        return None
    if mismatch is not None:
        raise mismatch
    return nearest


def spec_of(architecture: str, shapes: Mapping[str, Shape]) -> MobileNetSpec:
    """Find the width multiplier and the number of classes for the shapes of a checkpoint.

    Args:
        architecture: one of `ARCHITECTURES`.
        shapes: shapes of the checkpoint's tensors; a missing tensor is assumed to have the
            shape that it has in the published ImageNet network.

    Raises:
        ConversionError: no width gives these channels, or a layer is too large. The message names the first such
            tensor.
    """
    nearest, mismatch = _nearest(architecture, shapes)
    if mismatch is not None:
        raise mismatch
    return nearest


def networks_with_shapes(architecture: str, shapes: Iterable[Shape]) -> Iterator[MobileNetSpec]:
    """The MobileNets whose layers have these shapes, regardless of keys and order: at most one.

    Args:
        architecture: one of `ARCHITECTURES`.
        shapes: shapes of all tensors of a state dict; only those of two and four dimensions are used.
    """
    given = Counter((shape[0], shape[1]) for shape in shapes if len(shape) in (2, 4))
    for width in _WIDTHS:
        structure = backbone(architecture, width)
        network = MobileNetSpec(architecture=architecture, width=width, classes=1, hidden=structure.hidden)
        channels = weight_channels(network)
        if len(channels) != given.total():
            return
        (_, inputs) = channels.pop(_head(architecture))
        wanted = Counter(channels.values())
        rest = list((given - wanted).elements())
        if len(rest) == 1 and rest[0][1] == inputs and not wanted - given and rest[0][0] <= MAX_CLASSES:
            yield MobileNetSpec(architecture=architecture, width=width, classes=rest[0][0], hidden=structure.hidden)
            return


def replaced_head(
    architecture: str, shapes: Mapping[str, Shape], *, in_order: bool
) -> tuple[MobileNetSpec, tuple[str, ...]] | None:
    """The network of a state dict with torchvision's keys up to the classifier, and linear layers of any name after it.

    Args:
        architecture: one of `ARCHITECTURES`.
        shapes: shapes of all tensors.
        in_order: as for `linear_layers`.

    Returns:
        The network, without the activation of its classifier, and the names of the linear layers; None if the state
        dict does not belong to this architecture, or has other layers.
    """
    features = {key: shape for key, shape in shapes.items() if key.startswith("features.")}
    nearest, mismatch = _nearest(architecture, features)
    wanted = {key for key in weight_channels(nearest) if key.startswith("features.")}
    if mismatch is not None or wanted != {key for key, shape in features.items() if len(shape) in (2, 4)}:
        return None
    rest = {key: shape for key, shape in shapes.items() if key not in features}
    pooled = backbone(architecture, nearest.width).features
    modules = linear_layers(rest, pooled, in_order=in_order)
    if modules is None:
        return None
    sizes = [shapes[f"{module}.weight"][0] for module in modules]
    head = ReplacedHead(hidden=tuple(sizes[:-1]))
    spec = MobileNetSpec(architecture=architecture, width=nearest.width, classes=sizes[-1], head=head)
    return (spec, modules) if max(sizes) <= MAX_CLASSES and max((*head.hidden, 0)) <= MAX_HIDDEN else None


def has_backbone(architecture: str, convolutions: Iterable[Channels], widths: Iterable[float] | None = None) -> bool:
    """Whether the convolutions of an architecture, at one of its widths, are among given ones.

    Args:
        architecture: one of `ARCHITECTURES`.
        convolutions: output channels and input channels per group, of the classifier and other layers as well.
        widths: the widths to look for; None for all that are known.
    """
    given = Counter(convolutions)
    stems = {outputs for outputs, inputs in given if inputs == 3}
    for width in widths or _WIDTHS:
        structure = backbone(architecture, width)
        if structure.stem not in stems:
            continue
        network = MobileNetSpec(architecture=architecture, width=width, classes=1, hidden=structure.hidden)
        channels = weight_channels(network)
        channels.pop(_head(architecture))
        channels.pop(_HIDDEN, None)
        if not Counter(channels.values()) - given:
            return True
    return False


def weight_channels(network: MobileNetSpec) -> dict[str, Channels]:
    """Output and input channels (per group) of every convolution and dense layer, by weight key, in order."""
    architecture, structure = network.architecture, backbone(network.architecture, network.width)
    layers = {"mobilenet_v1": _v1_layers, "mobilenet_v2": _v2_layers}.get(architecture, _v3_layers)
    found: dict[str, Channels] = {_STEM: (structure.stem, 3)}
    for index, block in enumerate(structure.blocks, 1):
        found.update((f"features.{index}.{key}.weight", value) for key, value in layers(block))
    if structure.last:
        found[f"features.{len(structure.blocks) + 1}.0.weight"] = (structure.last, structure.blocks[-1].outputs)
    if network.hidden:
        found[_HIDDEN] = (network.hidden, structure.features)
    found[_head(architecture)] = (network.classes, network.hidden or structure.features)
    return found


def _head(architecture: str) -> str:
    return "classifier.3.weight" if "v3" in architecture else "classifier.1.weight"


def _v1_layers(block: Block) -> Iterator[tuple[str, Channels]]:
    yield "conv.0.0", (block.hidden, 1)
    yield "conv.1.0", (block.outputs, block.hidden)


def _v2_layers(block: Block) -> Iterator[tuple[str, Channels]]:
    if block.expands:
        yield "conv.0.0", (block.hidden, block.inputs)
    yield f"conv.{int(block.expands)}.0", (block.hidden, 1)
    yield f"conv.{int(block.expands) + 1}", (block.outputs, block.hidden)


def _v3_layers(block: Block) -> Iterator[tuple[str, Channels]]:
    place = int(block.expands)
    if block.expands:
        yield "block.0.0", (block.hidden, block.inputs)
    yield f"block.{place}.0", (block.hidden, 1)
    if block.squeeze:
        place += 1
        yield f"block.{place}.fc1", (block.squeeze, block.hidden)
        yield f"block.{place}.fc2", (block.hidden, block.squeeze)
    yield f"block.{place + 1}.0", (block.outputs, block.hidden)


def _nearest(architecture: str, shapes: Mapping[str, Shape]) -> tuple[MobileNetSpec, ConversionError | None]:
    """The width that matches the most leading weights, and the error for the first one that does not match."""
    head = shapes.get(_head(architecture), ())
    classes = head[0] if head else 1001 if architecture == "mobilenet_v1" else 1000
    hidden = shapes.get(_HIDDEN, ())[:1]
    for key, size, limit in (
        (_STEM, shapes.get(_STEM, (0,))[:1], MAX_STEM),
        (_HIDDEN, hidden, MAX_HIDDEN),
        (_head(architecture), head[:1], MAX_CLASSES),
    ):
        if size and size[0] > limit:
            raise ConversionError(f"{key} is too large", expected=f"at most {limit} channels", got=size[0])
    furthest = -1
    nearest, mismatch = None, None
    for width in _WIDTHS:
        own_hidden = backbone(architecture, width).hidden
        network = MobileNetSpec(
            architecture=architecture,
            width=width,
            classes=classes,
            hidden=(hidden[0] if hidden else own_hidden) if own_hidden else 0,
        )
        wrong = _first_mismatch(weight_channels(network), shapes)
        if wrong is None:
            return network, None
        place, key, expected = wrong
        if place > furthest:
            furthest, nearest = place, network
            mismatch = ConversionError(
                f"the shape of {key} matches no width of {architecture}",
                expected=f"[{expected[0]}, {expected[1]}, ...] at width {width:g}", got=list(shapes[key]),
                fix="Export a pruned or modified network to ONNX and convert that",
            )  # fmt: skip
    assert nearest is not None  # set by the first width
    return nearest, mismatch


def _first_mismatch(channels: Mapping[str, Channels], shapes: Mapping[str, Shape]) -> tuple[int, str, Channels] | None:
    for place, (key, expected) in enumerate(channels.items()):
        if key in shapes and shapes[key][:2] != expected:
            return place, key, expected
    return None
