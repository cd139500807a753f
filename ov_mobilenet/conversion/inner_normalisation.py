"""Find the normalisation inside a graph: arithmetic with constants on the input, before the first convolution.

A network that normalises its input itself takes pixels 0..255. Mean and scale on top of that would normalise twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ov_mobilenet.zoo.normalisation import Normalisation

if TYPE_CHECKING:
    import openvino as ov

Numbers = tuple[float, ...]
_Values = tuple[list[float], list[float]]

# Networks are trained on values such as 0..1, -1..1 or -2.1..2.7.
_LEAST_SPREAD, _LIMIT = 0.9, 5.0
_TOLERANCE = 1e-3
# Operations that leave the values as they are; limits are not exceeded by the pixels that the network was trained on.
_MOVES = ("Convert", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Interpolate", "Identity", "Clamp")
_LIMITS = ("Maximum", "Minimum")
# Where the input ends: everything before it changes the pixels.
_ENDS = ("Convolution", "GroupConvolution", "Pad", "FakeQuantize")
_ARITHMETIC = ("Add", "Subtract", "Multiply", "Divide")
_CHANNELS = 3


@dataclass(frozen=True)
class InnerNormalisation:
    """What a graph does with its input before the first convolution: `multiplier` * x + `offset`.

    Attributes:
        multiplier, offset: one number each, or three in the channel order of the network.
        real_range: the least and the greatest value that the input's quantisation represents, at the graph's input;
            None for an input that is not quantised.
        unknown: an operation on the pixels that is none of the above, such as a permutation of the channels.
    """

    multiplier: Numbers = (1.0,)
    offset: Numbers = (0.0,)
    real_range: tuple[float, float] | None = None
    unknown: str | None = None

    def __bool__(self) -> bool:
        return any(abs(a - 1.0) > _TOLERANCE for a in self.multiplier) or any(abs(b) > _TOLERANCE for b in self.offset)

    def __str__(self) -> str:
        if len(self.multiplier) == len(self.offset) == 1:
            (a,), (b,) = self.multiplier, self.offset
            scaled = "x" if abs(a - 1.0) <= _TOLERANCE else f"x/{1.0 / a:.6g}" if abs(a) < 1.0 else f"x*{a:.6g}"
            return scaled if abs(b) <= _TOLERANCE else f"{scaled} {'-' if b < 0 else '+'} {abs(b):.6g}"
        pairs = list(zip(_repeat(self.multiplier, _CHANNELS), _repeat(self.offset, _CHANNELS), strict=True))
        mean = ", ".join(f"{-b / a + 0.0:.6g}" for a, b in pairs)
        return f"(x - [{mean}]) / [{', '.join(f'{1.0 / a:.6g}' for a, _ in pairs)}]"

    def values_of(self, outer: Normalisation) -> tuple[float, float]:
        """The least and the greatest value of pixels 0..255 after an outer normalisation and this one."""
        ends = []
        for channel in range(_CHANNELS):
            mean, scale, a, b = (
                _repeat(numbers, _CHANNELS)[channel]
                for numbers in (outer.mean or (0.0,), outer.scale or (1.0,), self.multiplier, self.offset)
            )
            ends += [a * (pixel - mean) / scale + b for pixel in (0.0, 255.0)]
        return min(ends), max(ends)

    def suits(self, outer: Normalisation) -> bool:
        """Whether pixels 0..255 become values that networks are trained on."""
        low, high = self.values_of(outer)
        return high - low >= _LEAST_SPREAD and low >= -_LIMIT and high <= _LIMIT

    def equals(self, other: Normalisation) -> bool:
        """Whether it is the same normalisation, within 2 % of the range of a pixel."""
        numbers = zip(
            _repeat(other.mean or (0.0,), _CHANNELS), _repeat(other.scale or (1.0,), _CHANNELS),
            _repeat(self.multiplier, _CHANNELS), _repeat(self.offset, _CHANNELS), strict=True,
        )  # fmt: skip
        return all(
            abs(((pixel - mean) / scale - a * pixel - b) * scale) <= 5.0
            for mean, scale, a, b in numbers
            for pixel in (0.0, 255.0)
        )


NO_NORMALISATION = InnerNormalisation()


def find_inner_normalisation(model: ov.Model) -> InnerNormalisation:
    """The normalisation inside a graph as a frontend reads it; an identity if there is none.

    Args:
        model: a graph with one input; it is changed in place.
    """
    from openvino.passes import ConstantFolding, Manager

    if len(model.inputs) != 1 or not model.inputs[0].get_element_type().is_real():
        return NO_NORMALISATION  # what an integer input represents is read by `integer_input`
    manager = Manager()
    manager.register_pass(ConstantFolding())
    manager.run_passes(model)
    port = model.inputs[0]
    values: _Values = ([1.0], [0.0])
    real_range: tuple[float, float] | None = None
    unknown: str | None = None
    while consumers := _consumers(port):
        node, index = consumers[0]
        kind = node.get_type_name()
        changed: _Values | None
        if len(consumers) > 1:
            changed = None
        elif kind == "FakeQuantize" and index == 0:
            ends = _quantised(node)
            if ends is None:
                break
            if real_range is None and len(values[0]) == len(values[1]) == 1:
                first, last = sorted((end - values[1][0]) / values[0][0] for end in ends[:2])
                real_range = first, last
            changed = _after_quantisation(values, ends)
        elif kind in _MOVES and index == 0:
            changed = values
        elif kind in _LIMITS:
            changed = values if _constant(node.input_value(1 - index)) is not None else None
        elif kind == "BatchNormInference" and index == 0:
            changed = _after_batch_norm(values, node)
        else:
            changed = _after_arithmetic(values, node, index)
        if changed is None:
            unknown = None if kind in _ENDS else kind
            break
        values, port = changed, node.output(0)
    return InnerNormalisation(_compact(values[0]), _compact(values[1]), real_range, unknown)


def _consumers(port: ov.Output) -> list[tuple[ov.Node, int]]:
    """The operations that take these values, and the number of the input that does."""
    found = [(target.get_node(), target.get_index()) for target in port.get_target_inputs()]
    return [(node, index) for node, index in found if node.get_type_name() not in ("ShapeOf", "Result")]


def _after_arithmetic(values: _Values, node: ov.Node, index: int) -> _Values | None:
    """The values after an Add, Subtract, Multiply or Divide by a constant; None for any other operation."""
    kind = node.get_type_name()
    constant = _constant(node.input_value(1 - index)) if kind in _ARITHMETIC and index < 2 else None
    if constant is None or (kind == "Divide" and (index == 1 or 0.0 in constant)):
        return None
    count = max(len(values[0]), len(values[1]), len(constant))
    result: _Values = ([], [])
    for a, b, c in zip(*(_repeat(v, count) for v in (values[0], values[1], constant)), strict=True):
        if kind == "Add":
            pair = a, b + c
        elif kind == "Subtract":
            pair = (a, b - c) if index == 0 else (-a, c - b)
        else:
            factor = c if kind == "Multiply" else 1.0 / c
            pair = a * factor, b * factor
        result[0].append(pair[0])
        result[1].append(pair[1])
    return result if all(result[0]) else None


def _after_batch_norm(values: _Values, node: ov.Node) -> _Values | None:
    """The values after a batch norm on the input: ONNX's, which OpenVINO keeps as one operation."""
    parts = [_constant(node.input_value(index)) for index in range(1, 5)]
    if any(part is None or len(part) not in (1, _CHANNELS) for part in parts):
        return None
    epsilon = float(node.get_attributes().get("epsilon", 0.0))
    result: _Values = ([], [])
    columns = [_repeat(part or (), _CHANNELS) for part in (*parts, values[0], values[1])]
    for gamma, beta, mean, variance, a, b in zip(*columns, strict=True):
        factor = gamma / (variance + epsilon) ** 0.5
        result[0].append(a * factor)
        result[1].append((b - mean) * factor + beta)
    return result if all(result[0]) else None


def _quantised(node: ov.Node) -> Numbers | None:
    """Input and output range of a FakeQuantize; None if they are not one number each."""
    ends = [_constant(node.input_value(index)) for index in range(1, 5)]
    if any(end is None or len(end) != 1 for end in ends):
        return None
    low, high, out_low, out_high = (end[0] for end in ends if end is not None)
    return (low, high, out_low, out_high) if high > low and out_high > out_low else None


def _after_quantisation(values: _Values, ends: Numbers) -> _Values:
    low, high, out_low, out_high = ends
    factor = (out_high - out_low) / (high - low)
    return [a * factor for a in values[0]], [(b - low) * factor + out_low for b in values[1]]


def _constant(port: ov.Output) -> Numbers | None:
    """One number or three out of a constant; None for anything else."""
    node = port.get_node()
    while node.get_type_name() in ("Convert", "Reshape", "Unsqueeze", "Squeeze"):
        node = node.input_value(0).get_node()
    if node.get_type_name() != "Constant" or port.get_element_type().to_string() == "string":
        return None
    numbers = node.get_data().reshape(-1)
    return _compact(numbers.astype("float64").tolist()) if numbers.size in (1, _CHANNELS) else None


def _compact(numbers: Sequence[float]) -> Numbers:
    """One number if all are the same."""
    return tuple(numbers[:1]) if len(set(numbers)) == 1 else tuple(numbers)


def _repeat(numbers: Sequence[float], count: int) -> tuple[float, ...]:
    return tuple(numbers) * (count if len(numbers) == 1 else 1)
