"""Find out from a graph what its output holds: scores or probabilities of classes, or features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.errors import ConversionError
from ov_mobilenet.ir.ports import static_sizes
from ov_mobilenet.zoo.output_kind import OutputContent

if TYPE_CHECKING:
    import openvino as ov

# Operations that change no value; many exports have them between the softmax and the output.
SHAPE_OPERATIONS = ("Reshape", "Squeeze", "Unsqueeze", "Transpose")
# Quantisation of the output in quantised networks; it would round probabilities to 1/256.
OUTPUT_QUANTISATION = ("FakeQuantize", "Convert")
# Operations that replace the scores with a class index.
_CLASS_SELECTION = ("TopK", "OneHot")
# What a network without a classifier ends in. A classifier ends in the layer that computes its scores.
_POOLING = ("AvgPool", "MaxPool", "AdaptiveAvgPool", "AdaptiveMaxPool", "ReduceMean", "ReduceMax", "NormalizeL2")
_ACTIVATIONS = ("Relu", "PRelu", "Clamp", "Elu", "Gelu", "HSigmoid", "HSwish", "Mish", "Selu", "SoftPlus", "Swish")
_ARITHMETIC = ("Add", "Subtract", "Multiply", "Divide")
_INTEGER_LAYERS = ("MatMul", "Convolution")
# What can be declared for a graph. A linear layer may give scores or features; the graph does not show which.
_POSSIBLE: dict[OutputContent, tuple[OutputContent, ...]] = {
    "logits": ("logits", "multilabel-logits", "features"),
    "features": ("features", "logits", "multilabel-logits"),
}


@dataclass(frozen=True)
class OutputFacts:
    """The output of a source network.

    Attributes:
        content: declared, otherwise found in the graph.
        values: number of values per image, or channels of a feature map.
        spatial_axes: axes of height and width of a feature map; empty for a vector.
        map_size: height and width of a feature map; None for a vector.
    """

    content: OutputContent
    values: int
    spatial_axes: tuple[int, ...] = ()
    map_size: tuple[int, int] | None = None

    @property
    def classes(self) -> int:
        """Number of classes of the IR, or of its features: two for a binary classifier."""
        return 2 if self.content in ("logit", "probability") else self.values


def output_facts(output: ov.Output, declared: OutputContent | None, layout: str, path: Path) -> OutputFacts:
    """What an output holds.

    Args:
        declared: the content according to the user or the description; None if neither states it.
        layout: layout of the network's input, which its feature maps have too.

    Raises:
        ConversionError: the graph contradicts the declared content; it ends in a class index; or the number of values
            per image is dynamic.
    """
    found = _found_content(output, layout, path)
    possible = (found.content,) if found.map_size is not None else _POSSIBLE.get(found.content, (found.content,))
    if declared is not None and declared not in possible:
        raise ConversionError(
            "the graph contradicts the description", where=path,
            expected=f"an output of {declared}", got=f"{found.content} ({output.get_node().get_type_name()})",
        )  # fmt: skip
    return found if declared is None else OutputFacts(declared, found.values, found.spatial_axes, found.map_size)


def last_operation(output: ov.Output, kind: str) -> ov.Output | None:
    """The output of the last operation if it is of this kind, before reshapes and the quantisation of the output."""
    port = output
    while (name := port.get_node().get_type_name()) != kind:
        if name not in SHAPE_OPERATIONS + OUTPUT_QUANTISATION:
            return None
        port = port.get_node().input_value(0)
    return port


def before_output_quantisation(output: ov.Output) -> ov.Output:
    """The float values before a quantised output; the integers themselves are multiples of the logits."""
    node = output.get_node()
    if node.get_type_name() != "Convert" or output.get_element_type().is_real():
        return output
    before = node.input_value(0).get_node()
    return before.input_value(0) if before.get_type_name() == "FakeQuantize" else output


def _found_content(output: ov.Output, layout: str, path: Path) -> OutputFacts:
    softmax, sigmoid = last_operation(output, "Softmax"), last_operation(output, "Sigmoid")
    port = softmax or sigmoid or before_output_quantisation(output)
    if port not in (softmax, sigmoid):
        _check_scores(port, path)
    values = _values_per_image(port, path)
    if softmax is not None:
        if values < 2:
            raise ConversionError(
                "the network has fewer than two classes", where=path, expected="at least 2 values per image",
                got=f"a softmax over {values}", fix="Export a binary classifier with one sigmoid, or with two classes",
            )  # fmt: skip
        return OutputFacts("probabilities", values)
    sizes = static_sizes(port)
    if len(sizes) == 4 and sum(size > 1 for size in sizes[1:]) > 1:
        axes = layout.index("H"), layout.index("W")
        return OutputFacts("features", sizes[layout.index("C")], axes, (sizes[axes[0]], sizes[axes[1]]))
    if values == 1:
        return OutputFacts("logit" if sigmoid is None else "probability", 1)
    if sigmoid is not None:
        return OutputFacts("multilabel-probabilities", values)
    return OutputFacts("features" if _ends_in_features(port) else "logits", values)


def _values_per_image(output: ov.Output, path: Path) -> int:
    shape = output.get_partial_shape()
    sizes = [] if shape.rank.is_dynamic else list(shape)[1:]
    if not sizes:
        raise ConversionError(
            "the network is not a classifier", where=path, expected="an output [N, classes]", got=shape
        )
    if any(size.is_dynamic for size in sizes):
        raise ConversionError(
            "the number of classes is dynamic", where=path, expected="a fixed number", got=shape,
            fix="Export the network with a fixed input size",
        )  # fmt: skip
    count = 1
    for size in sizes:
        count *= size.get_length()
    return count


def _ends_in_features(output: ov.Output) -> bool:
    """Whether pooling, an activation or a normalisation of the vector comes after the last layer with weights.

    A bias or a batch norm after it is skipped. False for operations that are not known.
    """
    port = output
    while True:
        node = port.get_node()
        kind = node.get_type_name()
        if kind in SHAPE_OPERATIONS + OUTPUT_QUANTISATION:
            port = node.input_value(0)
            continue
        if kind not in _ARITHMETIC:
            return kind in _POOLING + _ACTIVATIONS
        computed = [value for value in node.input_values() if not _is_constant(value)]
        if len(computed) != 1:
            products = [value for value in computed if _is_integer_product(value)]
            if kind == "Multiply" and products:
                port = products[0].get_node().input_value(0)
                continue
            # x * gate(x) and x / norm(x); exp(x) / sum(exp(x)) is a softmax in parts.
            return kind in ("Multiply", "Divide") and node.input_value(0).get_node().get_type_name() != "Exp"
        port = computed[0]


def _is_integer_product(value: ov.Output) -> bool:
    """Whether a value comes from a layer of dynamic quantisation: an integer product, which a computed step scales."""
    node = value.get_node()
    return node.get_type_name() == "Convert" and node.input_value(0).get_node().get_type_name() in _INTEGER_LAYERS


def _is_constant(value: ov.Output) -> bool:
    node = value.get_node()
    if node.get_type_name() == "Constant":
        return True
    return node.get_type_name() in ("Convert", "Reshape", "Unsqueeze", "FakeQuantize") and all(
        map(_is_constant, node.input_values())
    )


def _check_scores(output: ov.Output, path: Path) -> None:
    """Check that a float output holds a score per class. Raises: ConversionError."""
    port = output
    while port.get_node().get_type_name() in (*SHAPE_OPERATIONS, *OUTPUT_QUANTISATION, *_CLASS_SELECTION):
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
