"""Networks with an integer input: the real values that the integers represent, and a float input that replaces them.

When the TFLite converter quantises a network, its input becomes quantised too: real value = (integer - zero point) *
step. OpenVINO keeps this as the ranges of the FakeQuantize after the input. In an int8 network the pixels 0..255 are
the integers -128..127.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.normalisation import Normalisation

if TYPE_CHECKING:
    import openvino as ov

log = logging.getLogger(__name__)

_LEVELS = 256
# Least overlap of the normalised range of 0..255 with the range of the quantised input; calibration clips some values.
LEAST_OVERLAP = 0.75


@dataclass(frozen=True)
class IntegerInput:
    """The integer input of a network.

    Attributes:
        lowest: the integer of a black pixel, 0 or -128.
        real_range: the real values of the lowest and the highest integer; None if the input is not quantised.
    """

    lowest: int
    real_range: tuple[float, float] | None

    @property
    def step(self) -> float:
        """The step of the quantisation; 0 if the input is not quantised."""
        return (self.real_range[1] - self.real_range[0]) / (_LEVELS - 1) if self.real_range else 0.0

    def __str__(self) -> str:
        if self.real_range is None:
            return f"0..255 are the integers {self.lowest}..{self.lowest + _LEVELS - 1}"
        return f"0..255 become {self.real_range[0]:.4g}..{self.real_range[1]:.4g}"


def read_integer_input(model: ov.Model, framework: str, path: Path) -> IntegerInput | None:
    """The integer input of a network; None if the input is float.

    Raises:
        ConversionError: the integer type cannot hold pixels.
    """
    import openvino as ov

    kind = model.inputs[0].get_element_type()
    if kind.is_real():
        return None
    if kind == ov.Type.i8 and framework == "tflite":
        return IntegerInput(-128, _real_range(model.inputs[0], -128))
    if kind == ov.Type.u8:
        return IntegerInput(0, _real_range(model.inputs[0], 0))
    raise ConversionError(
        "the network's input has an unsupported integer type",
        where=path,
        expected="float or uint8",
        got=kind.to_string(),
    )


def remaining_normalisation(integers: IntegerInput, documented: Normalisation, path: Path) -> Normalisation:
    """The documented normalisation without mean and scale if the quantisation of the input applies them.

    Raises:
        ConversionError: mean and scale contradict the quantisation of the input, or the input is not quantised.
    """
    if not documented.mean and not documented.scale:
        return documented
    normalised = _normalised_ranges(documented)
    if integers.real_range is None:
        raise ConversionError(
            "the network takes uint8 pixels without normalisation", where=path,
            expected="no mean_values and no scale_values", got=documented,
            fix="Omit them: the network normalises its input itself",
        )  # fmt: skip
    low, high = integers.real_range
    tolerance = integers.step * 1.001
    if all(abs(a - low) <= tolerance and abs(b - high) <= tolerance for a, b in normalised):
        return msgspec.structs.replace(documented, mean=(), scale=())
    if min(overlap(ends, (low, high)) for ends in normalised) < LEAST_OVERLAP:
        raise ConversionError(
            "mean and scale contradict the quantisation of the network's input", where=path,
            expected=f"{integers}, as in the file",
            got="0..255 become " + " and ".join(dict.fromkeys(f"{a:.4g}..{b:.4g}" for a, b in normalised)),
            fix="Omit them: the quantisation of the input normalises",
        )  # fmt: skip
    return documented


def overlap(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The part of two ranges that they have in common; not above 0 if it is empty."""
    return (min(one[1], other[1]) - max(one[0], other[0])) / (max(one[1], other[1]) - min(one[0], other[0]))


def accept_pixels(model: ov.Model, integers: IntegerInput, documented: Normalisation, path: Path) -> Normalisation:
    """Replace an integer input with a float32 one.

    The new input takes pixels 0..255, or normalised values if mean and scale remain to be baked.

    Returns:
        The normalisation that remains to be baked.

    Raises:
        ConversionError: see `remaining_normalisation`.
    """
    import numpy as np
    import openvino as ov
    import openvino.opset13 as ops

    remaining = remaining_normalisation(integers, documented, path)
    if remaining != documented:
        log.warning("%s: mean and scale are omitted: the quantisation of the input applies them (%s)", path, integers)
    (parameter,) = model.get_parameters()
    consumers = parameter.output(0).get_target_inputs()
    kind = parameter.get_element_type()
    parameter.set_element_type(ov.Type.f32)
    parameter.validate_and_infer_types()
    values = parameter.output(0)
    if (remaining.mean or remaining.scale) and integers.real_range is not None:
        # The input holds real values; the FakeQuantize after it rounds and clips.
        offset = integers.lowest - integers.real_range[0] / integers.step
        values = ops.divide(values, ops.constant(np.float32(integers.step))).output(0)
        values = ops.add(values, ops.constant(np.float32(offset))).output(0)
    elif integers.lowest:
        values = ops.add(values, ops.constant(np.float32(integers.lowest))).output(0)
    if integers.real_range is None:
        values = ops.convert(values, kind).output(0)  # the next operation may require integers
    if values.get_node().get_type_name() != "Parameter":
        for consumer in consumers:
            consumer.replace_source_output(values)
    model.validate_nodes_and_infer_types()
    return remaining


def _normalised_ranges(normalisation: Normalisation) -> list[tuple[float, float]]:
    """The normalised values of 0 and of 255, per channel."""
    mean, scale = normalisation.mean or (0.0,), normalisation.scale or (1.0,)
    count = max(len(mean), len(scale))
    triples = zip(mean * (count // len(mean)), scale * (count // len(scale)), strict=True)
    return [((0.0 - m) / s, (255.0 - m) / s) for m, s in triples]


def _real_range(port: ov.Output, lowest: int) -> tuple[float, float] | None:
    """The real values of the lowest and the highest integer, from the FakeQuantize that alone consumes the input."""
    while True:
        consumers = list(port.get_target_inputs())
        if len(consumers) != 1:
            return None
        node = consumers[0].get_node()
        kind = node.get_type_name()
        if kind == "FakeQuantize":
            break
        if kind not in ("Convert", "Transpose", "Reshape"):
            return None
        port = node.output(0)
    ranges = [node.input_value(index).get_node() for index in range(1, 5)]
    if any(r.get_type_name() != "Constant" or r.get_data().size != 1 for r in ranges):
        return None
    first, last, low, high = (float(r.get_data().reshape(-1)[0]) for r in ranges)
    return (low, high) if (first, last) == (lowest, lowest + _LEVELS - 1) and high > low else None
