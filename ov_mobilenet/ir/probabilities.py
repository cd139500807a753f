"""Turn the output of a classifier into probabilities, whether the source network ends in softmax or in logits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ov_mobilenet.errors import ConversionError
from ov_mobilenet.ir.ports import plain_name

if TYPE_CHECKING:
    import openvino as ov

# Operations that change no value; many exports have them between the softmax and the output.
_SHAPE_OPERATIONS = ("Reshape", "Squeeze", "Unsqueeze", "Transpose")
# Operations that replace the scores with a class index.
_CLASS_SELECTION = ("TopK", "OneHot")
# Quantisation of the output in quantised networks; it would round probabilities to 1/256.
_OUTPUT_QUANTISATION = ("FakeQuantize", "Convert")


def end_in_probabilities(
    output: ov.Output, parameter: ov.Node, declared: Literal["logits", "probabilities"] | None, path: Path
) -> ov.Model:
    """A model with one output: probabilities, float32 `[N, classes]`, that sum to 1.

    A network that ends in softmax is cut after the softmax, which removes reshapes that fix the batch and the
    quantisation of the output. The output gets the names of all tensors from the softmax to the original output.
    Any other network gets a softmax, and the output keeps its names.

    Args:
        output: the output of the source network.
        parameter: the input of the source network.
        declared: content of the output according to the description; None if the description does not state it.

    Raises:
        ConversionError: the graph contradicts the description, ends in a sigmoid or in a class index, or its
            number of classes is dynamic or less than 2.
    """
    import openvino as ov
    import openvino.opset13 as ops

    names, port = _find_softmax(output)
    found = "probabilities" if port is not None else "logits"
    if declared is not None and declared != found:
        raise ConversionError(
            "the graph contradicts the description", where=path,
            expected=f"an output of {declared}", got=f"{found} ({output.get_node().get_type_name()})",
        )  # fmt: skip
    if port is None:
        port = _before_output_quantisation(output)
        _check_scores(port, path)
        if port.get_node().get_type_name() == "Sigmoid":
            raise ConversionError(
                "the network ends in a sigmoid, so its outputs are not the probabilities of exclusive classes",
                where=path,
                expected="logits or a softmax",
            )
        scores = _as_matrix(port, path)
        port.get_tensor().set_names(set())
        port = ops.softmax(scores, 1).output(0)
    else:
        port = _as_matrix(port, path)
    check_classes(port, path)
    port.get_tensor().set_names(names)
    return ov.Model([ops.result(port)], [parameter], "model")


def check_classes(output: ov.Output, path: Path) -> int:
    """The number of classes: values per image.

    Raises:
        ConversionError: the number is dynamic, or less than 2.
    """
    shape = output.get_partial_shape()
    sizes = [] if shape.rank.is_dynamic else list(shape)[1:]
    if not sizes or any(size.is_dynamic for size in sizes):
        raise ConversionError("the number of classes is dynamic", where=path, expected="a fixed number", got=shape)
    count = 1
    for size in sizes:
        count *= size.get_length()
    if count < 2:
        raise ConversionError(
            "the network has fewer than two classes", where=path, expected="at least 2 values per image",
            got=f"{count}", fix="Export a binary classifier with one score per class, such as a score and its negative",
        )  # fmt: skip
    return count


def check_class_scores(output: ov.Output, path: Path) -> None:
    """Check that an output holds a score per class.

    Raises:
        ConversionError: it holds a class index, or other integers.
    """
    if not ends_in_softmax(output):
        _check_scores(_before_output_quantisation(output), path)


def ends_in_softmax(output: ov.Output) -> bool:
    """Whether the values of an output come from a softmax."""
    return _find_softmax(output)[1] is not None


def _find_softmax(output: ov.Output) -> tuple[set[str], ov.Output | None]:
    """The names of the tensors from the output back to the softmax, and the softmax.

    Names before a quantisation of the output are left out: those tensors hold other values than the output.

    Returns:
        Only the names of the output, and None, if the output does not come from a softmax.
    """
    names = {plain_name(name) for name in output.get_names()}
    seen, port, quantised = set(names), output, False
    while True:
        node = port.get_node()
        kind = node.get_type_name()
        if kind == "Softmax":
            return seen, port
        if kind not in _SHAPE_OPERATIONS + _OUTPUT_QUANTISATION:
            return names, None
        quantised = quantised or kind in _OUTPUT_QUANTISATION
        port = node.input_value(0)
        if not quantised:
            seen |= {plain_name(name) for name in port.get_names()}


def _before_output_quantisation(output: ov.Output) -> ov.Output:
    """The float values before a quantised output; the integers themselves are multiples of the logits."""
    node = output.get_node()
    if node.get_type_name() != "Convert" or output.get_element_type().is_real():
        return output
    before = node.input_value(0).get_node()
    return before.input_value(0) if before.get_type_name() == "FakeQuantize" else output


def _check_scores(output: ov.Output, path: Path) -> None:
    """Check that a float output holds a score per class. Raises: ConversionError."""
    port = output
    while port.get_node().get_type_name() in (*_SHAPE_OPERATIONS, *_OUTPUT_QUANTISATION, *_CLASS_SELECTION):
        kind = port.get_node().get_type_name()
        if kind in _CLASS_SELECTION:
            raise ConversionError(
                f"the network ends in the index of the best class ({kind})", where=path,
                expected="a score per class", fix="Name the tensor before it with --output",
            )  # fmt: skip
        port = port.get_node().input_value(0)
    if not output.get_element_type().is_real():
        raise ConversionError(
            "the output holds integers", where=path, expected="a float score per class",
            got=output.get_element_type().to_string(), fix="Name a float tensor with --output",
        )  # fmt: skip


def _as_matrix(port: ov.Output, path: Path) -> ov.Output:
    """The values reshaped to `[N, classes]`. Raises: ConversionError."""
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
