"""Operations and parameters of a network, counted as in the Open Model Zoo's documentation.

- A multiply-add of a convolution or a dense layer counts as two operations. A bias, an activation (regardless of the
  number of operations that implement it) and the sum or product of two feature maps count as one operation per
  element. Pooling, softmax, reshapes and quantisation are not counted. The tool that produced the documented figures is
  unpublished; these rules were found by experiment and reproduce all figures of MobileNets within 1 % (GFLOPs) and
  0.1 % (MParams).
- Parameters are the weights and one bias per channel of every layer. Batch norm counts as folded, even if it is not;
  a bias of zeros, which converters drop, is counted too.
- The batch is one image. Operations before the first layer (normalisation, type conversion) are not counted.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ov_mobilenet.errors import ConversionError

if TYPE_CHECKING:
    import openvino as ov

_CONVOLUTIONS = ("Convolution", "GroupConvolution")
_LAYERS = (*_CONVOLUTIONS, "MatMul")
_ACTIVATIONS = ("Relu", "Clamp", "PRelu", "HSwish", "HSigmoid", "HardSigmoid", "Sigmoid", "Swish", "Tanh", "Elu")
_ELEMENTWISE = ("Add", "Subtract", "Multiply", "Divide")


class Complexity(Struct, frozen=True, kw_only=True):
    """Operations and parameters of a network.

    Attributes:
        gflops: 10^9 operations per image, two per multiply-add.
        mparams: 10^6 parameters, with batch norm folded.
    """

    gflops: float
    mparams: float


def complexity(model: ov.Model) -> Complexity:
    """Count the operations and parameters of a network.

    The result does not depend on weight precision, quantisation, layout, batch or a baked normalisation.

    Raises:
        ConversionError: a feature map has a dynamic size other than the batch.
    """
    nodes = model.get_ordered_ops()
    image_dependent = _dependents(nodes, ("Parameter",), set())
    features = _dependents(nodes, _LAYERS, image_dependent)
    operations = parameters = 0
    for node in nodes:
        if node.get_instance_id() not in features:
            continue
        kind = node.get_type_name()
        varying = [source for source in _sources(node) if source.get_instance_id() in image_dependent]
        if kind in _LAYERS:
            bias = len(varying) == 1  # a product of two feature maps has neither weights nor bias
            operations += _elements(node) * (2 * _depth(node) + bias)
            parameters += prod(_weight_shape(node, image_dependent)) + _channels(node) if bias else 0
        elif (
            kind in _ACTIVATIONS
            or (kind in _ELEMENTWISE and len(varying) == 2 and not _is_activation_product(node, image_dependent))
            or (kind == "FakeQuantize" and _quantises_to_an_activation(node))
        ):
            operations += _elements(node)
    return Complexity(gflops=operations / 1e9, mparams=parameters / 1e6)


def _dependents(nodes: list[Any], kinds: tuple[str, ...], among: set[int]) -> set[int]:
    """The nodes of the given kinds and all nodes that depend on them.

    Args:
        among: if not empty, only nodes with an input in this set are taken as a start.
    """
    found: set[int] = set()
    for node in nodes:
        sources = {source.get_instance_id() for source in _sources(node)}
        if sources & found or (node.get_type_name() in kinds and (not among or sources & among)):
            found.add(node.get_instance_id())
    return found


def _sources(node: Any) -> list[Any]:
    return [value.get_node() for value in node.input_values()]


def _elements(node: Any) -> int:
    """Elements of a node's output per image; the first dimension is the batch."""
    shape = node.output(0).get_partial_shape()
    if shape.rank.is_dynamic or any(dimension.is_dynamic for dimension in list(shape)[1:]):
        raise ConversionError(
            "the operations cannot be counted", where=node.get_friendly_name(),
            expected="feature maps of fixed size", got=str(shape),
        )  # fmt: skip
    return prod(dimension.get_length() for dimension in list(shape)[1:])


def _channels(node: Any) -> int:
    """Channels of a layer's output: dimension 1 of a convolution's, the last one of a dense layer's."""
    shape = list(node.output(0).get_partial_shape())
    return int(shape[1 if node.get_type_name() in _CONVOLUTIONS else -1].get_length())


def _depth(node: Any) -> int:
    """Multiply-adds per element of a layer's output."""
    shape = list(node.input_value(1).get_partial_shape())
    if node.get_type_name() == "MatMul":
        return int(shape[-1 if node.get_attributes()["transpose_b"] else -2].get_length())
    # (O, I, H, W), with groups (G, O, I, H, W)
    return prod(size.get_length() for size in shape[1 if node.get_type_name() == "Convolution" else 2 :])


def _weight_shape(node: Any, image_dependent: set[int]) -> list[int]:
    """The shape of the constant input of a layer."""
    (weight,) = (value for value in node.input_values() if value.get_node().get_instance_id() not in image_dependent)
    return list(weight.get_shape())


def _quantises_to_an_activation(node: Any) -> bool:
    """Whether a quantisation after a layer includes ReLU or ReLU6: its range begins at 0, as in TFLite networks."""
    (producer, low, *_) = _sources(node)
    if producer.get_type_name() not in (*_LAYERS, "Add", "Subtract") or low.get_type_name() != "Constant":
        return False
    return float(low.get_data().min()) >= 0.0


def _is_activation_product(product: Any, image_dependent: set[int]) -> bool:
    """Whether a product is part of an activation, such as h-swish written as x * clamp(x + 3) / 6."""
    left, right = ({value.get_node().get_instance_id()} for value in product.input_values())
    for side, other in ((0, right), (1, left)):
        node = product.input_value(side).get_node()
        while node.get_type_name() in (*_ACTIVATIONS, *_ELEMENTWISE):
            varying = [source for source in _sources(node) if source.get_instance_id() in image_dependent]
            if len(varying) != 1:
                break
            node = varying[0]
            if node.get_instance_id() in other:
                return True
    return False
