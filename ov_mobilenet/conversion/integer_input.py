"""Networks whose input is integers: what their codes stand for, and how pixels become codes.

A TFLite converter that makes a network INT8 makes its input the codes of a quantisation: a real value is
(code - zero point) * step. OpenVINO keeps that as the ranges of the FakeQuantize behind the input. In an int8 network
the codes of pixels 0..255 are -128..127.
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

_CODES = 256
# Of what mean and scale make of 0..255, the part that the input must be able to hold; calibration cuts some off.
_LEAST_OVERLAP = 0.75


@dataclass(frozen=True)
class Codes:
    """The integers that a network takes.

    Attributes:
        lowest: the code of a black pixel, 0 or -128.
        values: the real values of the lowest and the highest code; None where the graph does not say.
    """

    lowest: int
    values: tuple[float, float] | None

    @property
    def step(self) -> float:
        """How much of a real value one code is; 0 where the graph does not say."""
        return (self.values[1] - self.values[0]) / (_CODES - 1) if self.values else 0.0

    def __str__(self) -> str:
        if self.values is None:
            return f"0..255 are its codes {self.lowest}..{self.lowest + _CODES - 1}"
        return f"0..255 become {self.values[0]:.4g}..{self.values[1]:.4g}"


def input_codes(model: ov.Model, framework: str, path: Path) -> Codes | None:
    """What the integers of the input stand for; None for an input of floats.

    Raises:
        ConversionError: integers that cannot be pixels.
    """
    import openvino as ov

    kind = model.inputs[0].get_element_type()
    if kind.is_real():
        return None
    if kind == ov.Type.i8 and framework == "tflite":
        return Codes(-128, _range(model.inputs[0], -128))
    if kind == ov.Type.u8:
        return Codes(0, _range(model.inputs[0], 0))
    raise ConversionError(
        "the network takes integers that are no pixels", where=path, expected="floats or uint8", got=kind.to_string()
    )


def left_to_bake(codes: Codes, given: Normalisation, path: Path) -> Normalisation:
    """The normalisation without a mean and scale that the codes hold already.

    Raises:
        ConversionError: mean and scale contradict the quantisation of the input, or it has none.
    """
    if not given.mean and not given.scale:
        return given
    made = _channels(given)
    if codes.values is None:
        raise ConversionError(
            "the network takes uint8 pixels as they are", where=path, expected="no mean_values and no scale_values",
            got=given, fix="Leave them out: what they do is inside the network",
        )  # fmt: skip
    low, high = codes.values
    one = codes.step * 1.001
    if all(abs(a - low) <= one and abs(b - high) <= one for a, b in made):
        return msgspec.structs.replace(given, mean=(), scale=())
    held = [(min(b, high) - max(a, low)) / (max(b, high) - min(a, low)) for a, b in made]
    if min(held) < _LEAST_OVERLAP:
        raise ConversionError(
            "mean and scale contradict the quantisation of the network's input", where=path,
            expected=f"{codes}, as the file says",
            got="0..255 become " + " and ".join(dict.fromkeys(f"{a:.4g}..{b:.4g}" for a, b in made)),
            fix="Leave them out: the input's quantisation normalises",
        )  # fmt: skip
    return given


def take_pixels(model: ov.Model, codes: Codes, given: Normalisation, path: Path) -> Normalisation:
    """Make the input float32: pixels 0..255, or what mean and scale make of them where these are left.

    Returns:
        What is left to bake in front.

    Raises:
        ConversionError: as `left_to_bake`.
    """
    import numpy as np
    import openvino as ov
    import openvino.opset13 as ops

    left = left_to_bake(codes, given, path)
    if left != given:
        log.warning("%s: mean and scale are left out: the input's quantisation does this already (%s)", path, codes)
    (parameter,) = model.get_parameters()
    consumers = parameter.output(0).get_target_inputs()
    kind = parameter.get_element_type()
    parameter.set_element_type(ov.Type.f32)
    parameter.validate_and_infer_types()
    values = parameter.output(0)
    if (left.mean or left.scale) and codes.values is not None:
        # Real values come in; the FakeQuantize behind rounds and limits them.
        values = ops.divide(values, ops.constant(np.float32(codes.step))).output(0)
        values = ops.add(values, ops.constant(np.float32(codes.lowest - codes.values[0] / codes.step))).output(0)
    elif codes.lowest:
        values = ops.add(values, ops.constant(np.float32(codes.lowest))).output(0)
    if codes.values is None:
        values = ops.convert(values, kind).output(0)  # what follows may want integers
    if values.get_node().get_type_name() != "Parameter":
        for consumer in consumers:
            consumer.replace_source_output(values)
    model.validate_nodes_and_infer_types()
    return left


def _channels(given: Normalisation) -> list[tuple[float, float]]:
    """What becomes of 0 and of 255, for each channel."""
    mean, scale = given.mean or (0.0,), given.scale or (1.0,)
    count = max(len(mean), len(scale))
    triples = zip(mean * (count // len(mean)), scale * (count // len(scale)), strict=True)
    return [((0.0 - m) / s, (255.0 - m) / s) for m, s in triples]


def _range(port: ov.Output, lowest: int) -> tuple[float, float] | None:
    """The real values of the lowest and the highest code, from the FakeQuantize that the input leads to alone."""
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
    return (low, high) if (first, last) == (lowest, lowest + _CODES - 1) and high > low else None
