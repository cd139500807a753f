"""Make the output of an IR: probabilities of classes, or a vector of features, whatever the source network ends in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.errors import ConversionError
from ov_mobilenet.ir.output_content import (
    OUTPUT_QUANTISATION,
    SHAPE_OPERATIONS,
    OutputFacts,
    before_output_quantisation,
    last_operation,
    output_facts,
)
from ov_mobilenet.ir.ports import plain_name
from ov_mobilenet.zoo.output_kind import OutputContent, OutputKind, kind_of

if TYPE_CHECKING:
    import openvino as ov


def finish_output(
    output: ov.Output, parameter: ov.Node, declared: OutputContent | None, layout: str, path: Path
) -> tuple[ov.Model, OutputKind]:
    """A model with one float32 output `[N, values]`, and the kind of that output.

    Classes: probabilities that sum to 1. A network that ends in softmax is cut after the softmax, which removes
    reshapes that fix the batch and the quantisation of the output; the output gets the names of all tensors from the
    softmax to the original output. Logits get a softmax. A binary classifier gets a softmax over [0, x], which is
    [1 - sigmoid(x), sigmoid(x)]: readers that look for a softmax at the end find one.

    Multi-label: sigmoids, which do not sum to 1, cut or added in the same way. Features: the values as they are; a
    feature map is averaged over height and width.

    Args:
        output: the output of the source network.
        parameter: the input of the source network.
        declared: content of the output according to the description; None if the description does not state it.
        layout: layout of the network's input.

    Raises:
        ConversionError: as `output_facts`.
    """
    import openvino as ov
    import openvino.opset13 as ops

    facts = output_facts(output, declared, layout, path)
    names, port = _values_before_activation(output, facts)
    if facts.map_size is not None:
        port.get_tensor().set_names(set())
        port = ops.reduce_mean(port, ops.constant(list(facts.spatial_axes), ov.Type.i64), False).output(0)
    port = _as_matrix(port, path)
    if facts.content in ("logits", "logit", "multilabel-logits", "probability"):
        port.get_tensor().set_names(set())
        port = _activated(port, facts)
    port.get_tensor().set_names(names)
    return ov.Model([ops.result(port)], [parameter], "model"), kind_of(facts.content)


def ends_in_softmax(output: ov.Output) -> bool:
    """Whether the values of an output come from a softmax."""
    return last_operation(output, "Softmax") is not None


def _values_before_activation(output: ov.Output, facts: OutputFacts) -> tuple[set[str], ov.Output]:
    """The names of the finished output, and the tensor to make it from: before reshapes and output quantisation."""
    found = None
    if facts.content == "probabilities":
        found = last_operation(output, "Softmax")
    elif facts.content in ("probability", "multilabel-probabilities"):
        found = last_operation(output, "Sigmoid")
    if found is None:
        return {plain_name(name) for name in output.get_names()}, before_output_quantisation(output)
    names = _names_back_to(output, found)
    if facts.content == "probability":
        found.get_tensor().set_names(set())
        return names, found.get_node().input_value(0)  # the logit
    return names, found


def _names_back_to(output: ov.Output, activation: ov.Output) -> set[str]:
    """The names of the tensors from the output back to an activation.

    Names before a quantisation of the output are left out: those tensors hold other values than the output.
    """
    seen, port, quantised = {plain_name(name) for name in output.get_names()}, output, False
    while port.get_node().get_type_name() in SHAPE_OPERATIONS + OUTPUT_QUANTISATION and port != activation:
        quantised = quantised or port.get_node().get_type_name() in OUTPUT_QUANTISATION
        port = port.get_node().input_value(0)
        if not quantised:
            seen |= {plain_name(name) for name in port.get_names()}
    return seen


def _activated(scores: ov.Output, facts: OutputFacts) -> ov.Output:
    """The probabilities of a matrix of scores."""
    import numpy as np
    import openvino.opset13 as ops

    if facts.content == "multilabel-logits":
        return ops.sigmoid(scores).output(0)
    if facts.content != "logits":
        # Not with Pad: after a FakeQuantize, OpenVINO 2026.4 pads with another value than 0 on the CPU.
        scores = ops.multiply(scores, np.array([[0, 1]], np.float32)).output(0)
    return ops.softmax(scores, 1).output(0)


def _as_matrix(port: ov.Output, path: Path) -> ov.Output:
    """The values reshaped to `[N, values]`. Raises: ConversionError."""
    import numpy as np
    import openvino.opset13 as ops

    shape = port.get_partial_shape()
    if shape.rank.is_dynamic or len(shape) < 2:
        raise ConversionError(
            "the network is not a classifier", where=path, expected="an output [N, classes]", got=shape
        )
    if len(shape) == 2:
        return port
    return ops.reshape(port, np.array([0, -1], np.int64), special_zero=True).output(0)
