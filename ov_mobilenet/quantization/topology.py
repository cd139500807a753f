"""Choose how a network is quantised by its topology, never by its name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import openvino as ov

Preset = Literal["performance", "mixed"]

_CONVOLUTIONS = ("Convolution", "GroupConvolution")
_ELEMENTWISE = ("Add", "Subtract", "Multiply", "Divide")


@dataclass(frozen=True)
class QuantisationScheme:
    """How a network is quantised.

    Attributes:
        preset: `performance` quantises signed activations symmetrically, `mixed` with a zero point.
        ranges: how the range of an activation is estimated: the `largest` value over all calibration images, or the
            `mean` of the largest value of each image.
        in_float: names of operations that stay in float.
        reason: the property of the network that decided the scheme.
    """

    preset: Preset
    ranges: Literal["largest", "mean"]
    in_float: tuple[str, ...]
    reason: str


def choose_scheme(model: ov.Model) -> QuantisationScheme:
    """Return the scheme that was measured best for networks of this kind; for MobileNet V3, the Open Model Zoo's.

    Networks with residual additions (V2) are most accurate with the mean of the images' largest values, networks
    without (V1) with the largest value of all.
    """
    gates = squeeze_and_excite(model)
    swishes = hard_swishes(model)
    normalisation = tuple(node.get_friendly_name() for node in before_first_convolution(model))
    if gates or swishes:
        names = tuple(dict.fromkeys((*normalisation, *gates, *swishes, *first_block(model))))
        return QuantisationScheme("mixed", "mean", names, "hard-swish or squeeze-and-excite")
    if any(True for _ in residual_additions(model)):
        return QuantisationScheme("performance", "mean", normalisation, "ReLU with residual additions")
    return QuantisationScheme("performance", "largest", normalisation, "ReLU without residual additions")


def before_first_convolution(model: ov.Model) -> list[ov.Node]:
    """Return the normalisation: it is not quantised, because the input of the first convolution is."""
    found, ports = [], [parameter.output(0) for parameter in model.get_parameters()]
    while ports:
        for target in ports.pop().get_target_inputs():
            node = target.get_node()
            kind = node.get_type_name()
            if kind in (*_ELEMENTWISE, "Reshape", "Transpose", "Convert", "Gather"):
                if kind in _ELEMENTWISE:
                    found.append(node)
                ports.append(node.output(0))
    return found


def residual_additions(model: ov.Model) -> Iterator[ov.Node]:
    """Yield additions of two activations of the same shape."""
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Add" or _has_constant(node):
            continue
        if node.input(0).get_partial_shape() == node.input(1).get_partial_shape():
            yield node


def squeeze_and_excite(model: ov.Model) -> tuple[str, ...]:
    """Return all operations of the gates, from the mean over the image to the multiplication by a value per channel."""
    names: list[str] = []
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Multiply" or _has_constant(node):
            continue
        small = [index for index in (0, 1) if _is_one_pixel(node.input_value(index))]
        if len(small) != 1 or _is_one_pixel(node.output(0)):
            continue
        names.append(node.get_friendly_name())
        ports = [node.input_value(small[0])]
        while ports:
            source = ports.pop().get_node()
            if source.get_type_name() == "Constant" or source.get_friendly_name() in names:
                continue
            names.append(source.get_friendly_name())
            inputs = [source.input_value(index) for index in range(source.get_input_size())]
            ports += [port for port in inputs if _is_one_pixel(port)]
    return tuple(names)


def hard_swishes(model: ov.Model) -> tuple[str, ...]:
    """Return the operations of the activations `x relu6(x + 3) / 6`, given as one operation or as its parts."""
    names: list[str] = []
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        if kind in ("HSwish", "HSigmoid", "Swish"):
            names.append(node.get_friendly_name())
        elif kind == "Multiply" and not _has_constant(node):
            for value, gate in ((0, 1), (1, 0)):
                path = _path_back(node.input_value(gate), node.input_value(value))
                if path:
                    names += [node.get_friendly_name(), *path]
    return tuple(dict.fromkeys(names))


def first_block(model: ov.Model) -> tuple[str, ...]:
    """Return the first depthwise convolution and residual addition, which the Open Model Zoo left in float."""
    depthwise = (node for node in model.get_ordered_ops() if node.get_type_name() == "GroupConvolution")
    firsts = (next(depthwise, None), next(residual_additions(model), None))
    return tuple(node.get_friendly_name() for node in firsts if node is not None)


def _path_back(port: ov.Output, goal: ov.Output, limit: int = 6) -> list[str]:
    """Return the names of the elementwise operations from `port` back to `goal`; empty if they do not lead there."""
    names: list[str] = []
    for _ in range(limit):
        node = port.get_node()
        if node.get_type_name() not in (*_ELEMENTWISE, "Clamp", "Relu", "HSigmoid", "Minimum", "Maximum"):
            return []
        names.append(node.get_friendly_name())
        inputs = [node.input_value(index) for index in range(node.get_input_size())]
        activations = [source for source in inputs if source.get_node().get_type_name() != "Constant"]
        if len(activations) != 1:
            return []
        port = activations[0]
        if port == goal:
            return names
    return []


def _has_constant(node: ov.Node) -> bool:
    return any(_is_constant(node.input_value(index)) for index in range(node.get_input_size()))


def _is_constant(port: ov.Output) -> bool:
    node = port.get_node()
    while node.get_type_name() in ("Convert", "Reshape"):
        node = node.input_value(0).get_node()
    return bool(node.get_type_name() == "Constant")


def _is_one_pixel(port: ov.Output) -> bool:
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic or len(shape) != 4:
        return False
    return all(size.is_static and size.get_length() == 1 for size in list(shape)[2:])
