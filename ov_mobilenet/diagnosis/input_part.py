"""Split a network before its first convolution, and find out what the part before it makes of the pixels.

The part is run on single-coloured frames, and a factor and an offset per channel are fitted to what comes out. So it
does not matter which operations a tool uses: arithmetic, transpositions, a reversal by Gather or Split, or a resize.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ov_mobilenet.devices.quota_settings import cpu_settings

if TYPE_CHECKING:
    import openvino as ov
    from numpy.typing import NDArray

_CONVOLUTIONS = ("Convolution", "GroupConvolution")
_CHANNELS = 3
_TOLERANCE = 1e-4  # of the range of the values; float32 alone is off by 1e-6
# PrePostProcessor moves the reversal of the channels and, in layout NCHW, the division by the scale into the weights of
# the first convolution. The weights are then called after the operation that was computed (OpenVINO 2025.2 to 2026.4).
_REVERSED_WEIGHTS = re.compile(r"Gather_\d+(_compressed)?")
_SCALED_WEIGHTS = re.compile(r"(Gather|Constant|Multiply)_\d+(_compressed)?")


@dataclass(frozen=True)
class ChannelMap:
    """What a part of a graph makes of pixels: channel k is `multiplier[k]` * x + `offset[k]`.

    Attributes:
        is_reversed: whether x is channel 2 - k of the pixels instead of channel k.
        multiplier, offset: three numbers each.
    """

    is_reversed: bool
    multiplier: NDArray[np.float64]
    offset: NDArray[np.float64]

    def apply(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """The values that pixels (N, H, W, 3) become, of the same shape."""
        ordered = pixels[..., ::-1] if self.is_reversed else pixels
        result: NDArray[np.float32] = ordered * self.multiplier.astype(np.float32) + self.offset.astype(np.float32)
        return result


@dataclass(frozen=True)
class SplitNetwork:
    """A network without the part before its first convolution, and what that part does.

    Attributes:
        rest: takes what the first convolution takes, float32 NCHW. No quantisation of the input limits the values.
        to_rest: what the input part makes of the pixels.
        to_quantisation: the same up to the quantisation in which the input of a quantised source network ends; equal to
            `to_rest` without one. What comes after is the source network's own.
        weights_reversed: whether the weights of the first convolution tell that their channels were reversed.
        weights_scaled: whether the weights may have been divided by the scale.
    """

    rest: ov.Model
    to_rest: ChannelMap
    to_quantisation: ChannelMap
    weights_reversed: bool
    weights_scaled: bool


def split_network(model: ov.Model, layout: str, *, was_float: bool = False) -> SplitNetwork | None:
    """Split a network; None if it cannot be split, or if what its input part does cannot be fitted.

    Args:
        model: a network with one input; it is not changed.
        layout: layout of the input.
        was_float: whether the network was quantised after a float training. The quantisation of all its activations is
            then removed: it was calibrated with the baked normalisation, and limits the flow of any other.
    """
    import openvino as ov
    import openvino.opset13 as ops

    model = model.clone()
    convolution = next((node for node in model.get_ordered_ops() if node.get_type_name() in _CONVOLUTIONS), None)
    if convolution is None:
        return None
    weights = _weights_names(convolution.input_value(1))
    try:
        quantised = _remove_limits(model, None if was_float else convolution)
        port = _before_padding(convolution.input_value(0))
        shape = port.get_partial_shape()
        if shape.rank.is_dynamic or len(shape) != 4 or str(shape[1]) != str(_CHANNELS):
            return None
        ends = [port, port if quantised is None else quantised]
        part = ov.Model([ops.result(end) for end in ends], model.get_parameters(), "input").clone()
        maps = [_fit(*samples) for samples in _run(part, layout)]
        parameter = ops.parameter(shape, ov.Type.f32)
        parameter.layout = ov.Layout("NCHW")
        for target in port.get_target_inputs():
            if target.get_node().get_type_name() != "Result":
                target.replace_source_output(parameter.output(0))
        rest = ov.Model(model.get_results(), [parameter], "rest")
    except RuntimeError:  # the graph is not valid in this form, or the rest uses the input too
        return None
    if maps[0] is None or maps[1] is None:
        return None
    reads_input_directly = layout == "NCHW" and not maps[0].is_reversed and quantised is None
    return SplitNetwork(
        rest, maps[0], maps[1],
        weights_reversed=any(map(_REVERSED_WEIGHTS.fullmatch, weights)),
        weights_scaled=reads_input_directly
        and bool(np.allclose(maps[0].multiplier, 1, atol=1e-3))
        and any(map(_SCALED_WEIGHTS.fullmatch, weights)),
    )  # fmt: skip


def _weights_names(port: ov.Output) -> list[str]:
    """The names of the operations that make the weights."""
    node = port.get_node()
    names = [node.get_friendly_name()]
    for value in node.input_values():
        names += _weights_names(value)
    return names


def _remove_limits(model: ov.Model, end: ov.Node | None) -> ov.Output | None:
    """Replace what rounds or limits the values before an operation by the arithmetic in it: any value passes then.

    Args:
        end: the operation; None for the whole network.

    Returns:
        The input of the first quantisation that changes the range of the values: in a quantised source network, the
        end of what was added to it. None without one.
    """
    import openvino as ov
    import openvino.opset13 as ops

    (parameter,) = model.get_parameters()
    parameter.set_element_type(ov.Type.f32)
    parameter.validate_and_infer_types()
    nodes = model.get_ordered_ops()
    if end is not None:
        upstream = _names_before(end.input_value(0))
        nodes = [node for node in nodes if node.get_name() in upstream]
    first: ov.Output | None = None
    for node in nodes:
        kind = node.get_type_name()
        replacement: ov.Output | None = None
        if kind == "Convert" and node.get_output_element_type(0) in (ov.Type.u8, ov.Type.i8):
            replacement = ops.convert(node.input_value(0), "f32").output(0)
        elif kind == "FakeQuantize" and constant_values(node.input_value(0)) is None:
            value, low, high, new_low, new_high = node.input_values()
            factor = ops.divide(ops.subtract(new_high, new_low), ops.subtract(high, low))
            replacement = ops.add(ops.multiply(ops.subtract(value, low), factor), new_low).output(0)
            if end is not None and first is None and not (_same(low, new_low) and _same(high, new_high)):
                first = value
        if replacement is not None:
            for target in node.output(0).get_target_inputs():
                target.replace_source_output(replacement)
    model.validate_nodes_and_infer_types()
    return first


def _names_before(port: ov.Output) -> set[str]:
    """The unique names of the operations from the input to a port."""
    waiting, names = [port.get_node()], set()
    while waiting:
        node = waiting.pop()
        if node.get_name() not in names:
            names.add(node.get_name())
            waiting += [value.get_node() for value in node.input_values()]
    return names


def _same(one: ov.Output, other: ov.Output) -> bool:
    first, second = constant_values(one), constant_values(other)
    if first is None or second is None:
        return bool(one == other)
    return bool(np.allclose(first, second, rtol=1e-3, atol=1e-6))


def constant_values(port: ov.Output) -> NDArray[np.float64] | None:
    """The values of a constant, of whatever type; None for anything else."""
    node = port.get_node()
    while node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return np.array(node.get_data(), np.float64) if node.get_type_name() == "Constant" else None


def _before_padding(port: ov.Output) -> ov.Output:
    """The port before a padding: the padding belongs to the convolution."""
    while port.get_node().get_type_name() == "Pad":
        port = port.get_node().input_value(0)
    return port


def _run(part: ov.Model, layout: str) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Colours (K, 3), and for each output of an input part what it makes of single-coloured frames, (K, 3).

    Raises:
        RuntimeError: the part cannot be run.
    """
    import openvino as ov

    defaults = {"N": 1, "C": _CHANNELS, "H": 256, "W": 256}
    shape = part.inputs[0].get_partial_shape()
    sizes = [
        defaults[letter] if size.is_dynamic else size.get_length() for letter, size in zip(layout, shape, strict=True)
    ]
    part.reshape(sizes)
    request = ov.Core().compile_model(part, "CPU", {"INFERENCE_PRECISION_HINT": "f32", **cpu_settings()})
    corners = np.stack(np.meshgrid([0, 255], [0, 255], [0, 255]), -1).reshape(-1, _CHANNELS)
    colours = np.concatenate([corners, np.random.default_rng(0).integers(1, 255, (8, _CHANNELS))]).astype(np.float32)
    axes = ["NHWC".index(letter) for letter in layout]
    found: list[list[NDArray[np.float64]]] = [[] for _ in request.outputs]
    for colour in colours:
        by_letter = [sizes[layout.index(letter)] for letter in "NHWC"]
        frame = np.ascontiguousarray(np.broadcast_to(colour, by_letter).transpose(axes))
        outputs = request([frame])
        for number, values in enumerate(found):
            values.append(_centre(np.array(outputs[number], np.float64)))
    return [(colours.astype(np.float64), np.stack(values)) for values in found]


def _centre(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The channels in the middle of NCHW or NHWC values."""
    if values.ndim != 4 or _CHANNELS not in (values.shape[1], values.shape[3]):
        return np.full(_CHANNELS, np.nan)
    ordered = values if values.shape[1] == _CHANNELS else values.transpose(0, 3, 1, 2)
    middle: NDArray[np.float64] = ordered[0, :, ordered.shape[2] // 2, ordered.shape[3] // 2]
    return middle


def _fit(colours: NDArray[np.float64], values: NDArray[np.float64]) -> ChannelMap | None:
    """The map from colours to values, (K, 3) each; None if it is not a `ChannelMap`."""
    if not np.isfinite(values).all():
        return None
    for is_reversed in (False, True):
        x = colours[:, ::-1] if is_reversed else colours
        centred = x - x.mean(0)
        multiplier = (centred * values).sum(0) / (centred**2).sum(0)
        offset = (values - multiplier * x).mean(0)
        limit = _TOLERANCE * np.abs(multiplier) * 255
        if (limit > 0).all() and (np.abs(multiplier * x + offset - values) <= limit).all():
            return ChannelMap(is_reversed, multiplier, offset)
    return None
