"""End a network in probabilities, whatever its exporter ended it in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ov_mobilenet.errors import ConversionError
from ov_mobilenet.ir.ports import plain_name

if TYPE_CHECKING:
    import openvino as ov

# Operations that keep every value: what stands between a softmax and the output of many exports.
_SHAPE_ONLY = ("Reshape", "Squeeze", "Unsqueeze", "Transpose")
# What makes one class of the scores.
_CHOOSING = ("TopK", "OneHot")
# What quantised networks do to their last tensor; it would round probabilities to 1/256.
_LAST_QUANTISATION = ("FakeQuantize", "Convert")


def end_in_probabilities(
    output: ov.Output, parameter: ov.Node, declared: Literal["logits", "probabilities"] | None, path: Path
) -> ov.Model:
    """A model whose one output is float32 `[N, classes]`, in [0, 1], summing to 1.

    A network that ends in softmax is cut right behind it: reshapes that fix the batch and the last quantisation
    go. The output carries the names of all tensors from the softmax on, so that a program finds it under each.
    Another network gets a softmax over its last values and the output keeps its name.

    Args:
        output: where the network ends.
        declared: what the description says of it.

    Raises:
        ConversionError: the graph contradicts the description, ends in a sigmoid or in a choice of its own, or has
            no fixed number of classes of at least 2.
    """
    import openvino as ov
    import openvino.opset13 as ops

    names, port = _back_to_softmax(output)
    found = "probabilities" if port is not None else "logits"
    if declared is not None and declared != found:
        raise ConversionError(
            "the graph contradicts the description", where=path,
            expected=f"an output of {declared}", got=f"{found} ({output.get_node().get_type_name()})",
        )  # fmt: skip
    if port is None:
        port = _without_codes(output)
        _check_scores(port, path)
        if port.get_node().get_type_name() == "Sigmoid":
            raise ConversionError(
                "the network ends in a sigmoid: its classes do not exclude each other",
                where=path,
                expected="logits",
            )
        flat = _flat(port, path)
        port.get_tensor().set_names(set())
        port = ops.softmax(flat, 1).output(0)
    else:
        port = _flat(port, path)
    check_classes(port, path)
    port.get_tensor().set_names(names)
    return ov.Model([ops.result(port)], [parameter], "model")


def check_classes(output: ov.Output, path: Path) -> int:
    """The number of values for an image. Raises: ConversionError if it is not fixed, or below 2."""
    shape = output.get_partial_shape()
    sizes = [] if shape.rank.is_dynamic else list(shape)[1:]
    if not sizes or any(size.is_dynamic for size in sizes):
        raise ConversionError("the number of classes is not fixed", where=path, got=shape)
    count = 1
    for size in sizes:
        count *= size.get_length()
    if count < 2:
        raise ConversionError(
            "the network is no classifier of several classes", where=path, expected="at least 2 values an image",
            got=f"{count}", fix="A single score needs a second one for the other class, such as its negative",
        )  # fmt: skip
    return count


def check_end(output: ov.Output, path: Path) -> None:
    """Check that a network ends in a score for each class. Raises: ConversionError."""
    if not ends_in_softmax(output):
        _check_scores(_without_codes(output), path)


def ends_in_softmax(output: ov.Output) -> bool:
    """Whether a network that ends at this output gives probabilities by itself."""
    return _back_to_softmax(output)[1] is not None


def _back_to_softmax(output: ov.Output) -> tuple[set[str], ov.Output | None]:
    """Names from the output back to the softmax, and the softmax; only the output's names if there is none.

    The tensor before a last quantisation holds other values than the output, so its names are not taken over.
    """
    names = {plain_name(name) for name in output.get_names()}
    seen, port, quantised = set(names), output, False
    while True:
        node = port.get_node()
        kind = node.get_type_name()
        if kind == "Softmax":
            return seen, port
        if kind not in _SHAPE_ONLY + _LAST_QUANTISATION:
            return names, None
        quantised = quantised or kind in _LAST_QUANTISATION
        port = node.input_value(0)
        if not quantised:
            seen |= {plain_name(name) for name in port.get_names()}


def _without_codes(output: ov.Output) -> ov.Output:
    """The values before a quantised network makes codes of them; codes are no logits, but some multiple of them."""
    node = output.get_node()
    if node.get_type_name() != "Convert" or output.get_element_type().is_real():
        return output
    before = node.input_value(0).get_node()
    return before.input_value(0) if before.get_type_name() == "FakeQuantize" else output


def _check_scores(output: ov.Output, path: Path) -> None:
    """Refuse what is no score for each class. Raises: ConversionError."""
    port = output
    while port.get_node().get_type_name() in (*_SHAPE_ONLY, *_LAST_QUANTISATION, *_CHOOSING):
        kind = port.get_node().get_type_name()
        if kind in _CHOOSING:
            raise ConversionError(
                f"the network chooses the class itself ({kind}), so there are no probabilities", where=path,
                expected="a score for each class", fix="Name the tensor before it with --output",
            )  # fmt: skip
        port = port.get_node().input_value(0)
    if not output.get_element_type().is_real():
        raise ConversionError(
            "the network ends in integers", where=path, expected="a score for each class",
            got=output.get_element_type().to_string(), fix="Name a tensor of floats with --output",
        )  # fmt: skip


def _flat(port: ov.Output, path: Path) -> ov.Output:
    """The values as `[N, classes]`. Raises: ConversionError."""
    import numpy as np
    import openvino.opset13 as ops

    shape = port.get_partial_shape()
    if shape.rank.is_dynamic or len(shape) < 2:
        raise ConversionError("the network is no classifier", where=path, expected="an output [N, classes]", got=shape)
    if len(shape) == 2:
        return port
    return ops.reshape(port, np.array([0, -1], np.int64), special_zero=True).output(0)
