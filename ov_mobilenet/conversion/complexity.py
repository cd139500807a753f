"""How much a network computes and holds, counted as the Open Model Zoo's documents count.

- A multiply-add of a convolution or a dense layer is two operations; its bias, an activation (however many steps it
  is written in), and an addition or product of two feature maps are one operation an element. Pooling, softmax,
  reshapes and quantisation are not counted. The documents were written by an unpublished counter; this rule was
  found by trying and meets all their figures of MobileNets within 1 % (GFLOPs) and 0.1 % (MParams).
- Parameters are the weights and one bias a channel of every layer: batch norm counts as folded, whether it is or
  not, and so does a bias of zeros, which converters drop.
- A batch of one image; what comes before the first layer (normalisation, conversion) counts nothing.
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
    """What the documents publish of a network.

    Attributes:
        gflops: 10^9 operations an image, two per multiply-add.
        mparams: 10^6 parameters, batch norm folded.
    """

    gflops: float
    mparams: float


def complexity(model: ov.Model) -> Complexity:
    """Count a network: FP32, FP16 or quantised, of any layout and batch, with normalisation baked in or without.

    Raises:
        ConversionError: a feature map has no fixed size, whatever the batch.
    """
    nodes = model.get_ordered_ops()
    images = _computed_from(nodes, ("Parameter",), set())
    features = _computed_from(nodes, _LAYERS, images)
    operations = parameters = 0
    for node in nodes:
        if node.get_instance_id() not in features:
            continue
        kind = node.get_type_name()
        varying = [source for source in _sources(node) if source.get_instance_id() in images]
        if kind in _LAYERS:
            bias = len(varying) == 1  # a product of two feature maps has neither weights nor bias
            operations += _elements(node) * (2 * _depth(node) + bias)
            parameters += prod(_weight_shape(node, images)) + _channels(node) if bias else 0
        elif (
            kind in _ACTIVATIONS
            or (kind in _ELEMENTWISE and len(varying) == 2 and not _gates_itself(node, images))
            or (kind == "FakeQuantize" and _quantises_to_an_activation(node))
        ):
            operations += _elements(node)
    return Complexity(gflops=operations / 1e9, mparams=parameters / 1e6)


def _computed_from(nodes: list[Any], kinds: tuple[str, ...], among: set[int]) -> set[int]:
    """The nodes of these kinds (with an input `among`, if that is not empty) and all that depend on them."""
    found: set[int] = set()
    for node in nodes:
        sources = {source.get_instance_id() for source in _sources(node)}
        if sources & found or (node.get_type_name() in kinds and (not among or sources & among)):
            found.add(node.get_instance_id())
    return found


def _sources(node: Any) -> list[Any]:
    return [value.get_node() for value in node.input_values()]


def _elements(node: Any) -> int:
    """Elements of a node's output for one image: the first axis is the batch."""
    shape = node.output(0).get_partial_shape()
    if shape.rank.is_dynamic or any(dimension.is_dynamic for dimension in list(shape)[1:]):
        raise ConversionError(
            "the operations cannot be counted", where=node.get_friendly_name(),
            expected="feature maps of a fixed size", got=str(shape),
        )  # fmt: skip
    return prod(dimension.get_length() for dimension in list(shape)[1:])


def _channels(node: Any) -> int:
    """Channels of a layer's output: the axis behind the batch for a convolution, the last one for a dense layer."""
    shape = list(node.output(0).get_partial_shape())
    return int(shape[1 if node.get_type_name() in _CONVOLUTIONS else -1].get_length())


def _depth(node: Any) -> int:
    """Multiply-adds an element of a layer's output."""
    shape = list(node.input_value(1).get_partial_shape())
    if node.get_type_name() == "MatMul":
        return int(shape[-1 if node.get_attributes()["transpose_b"] else -2].get_length())
    # (O, I, H, W), with groups (G, O, I, H, W)
    return prod(size.get_length() for size in shape[1 if node.get_type_name() == "Convolution" else 2 :])


def _weight_shape(node: Any, images: set[int]) -> list[int]:
    """The shape of the constant input."""
    (weight,) = (value for value in node.input_values() if value.get_node().get_instance_id() not in images)
    return list(weight.get_shape())


def _quantises_to_an_activation(node: Any) -> bool:
    """Whether ReLU or ReLU6 went into the range of a quantisation, as in TFLite networks: from 0 on, behind a layer."""
    (producer, low, *_) = _sources(node)
    if producer.get_type_name() not in (*_LAYERS, "Add", "Subtract") or low.get_type_name() != "Constant":
        return False
    return float(low.get_data().min()) >= 0.0


def _gates_itself(product: Any, images: set[int]) -> bool:
    """Whether a product is the last step of an activation: h-swish written as x * clamp(x + 3) / 6."""
    left, right = ({value.get_node().get_instance_id()} for value in product.input_values())
    for side, other in ((0, right), (1, left)):
        node = product.input_value(side).get_node()
        while node.get_type_name() in (*_ACTIVATIONS, *_ELEMENTWISE):
            varying = [source for source in _sources(node) if source.get_instance_id() in images]
            if len(varying) != 1:
                break
            node = varying[0]
            if node.get_instance_id() in other:
                return True
    return False
