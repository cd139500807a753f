"""Find the input and the output of a network, and check that it is an image classifier."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.errors import ConversionError, IrError

if TYPE_CHECKING:
    import openvino as ov


def single_input(model: ov.Model, name: str, path: Path) -> ov.Output:
    """The only input of a network.

    Args:
        name: name that the input must have; empty for any.

    Raises:
        ConversionError: the network has several inputs, or its input has another name.
    """
    if len(model.inputs) != 1:
        raise ConversionError("the network must have one input", where=path, expected=1, got=len(model.inputs))
    port = model.inputs[0]
    names = {plain_name(n) for n in port.get_names()}
    if name and names and name not in names:
        raise ConversionError("the network has no such input", where=path, expected=repr(name), got=_quoted(names))
    return port


def find_output(model: ov.Model, name: str | None, path: Path) -> ov.Output:
    """The tensor to use as the output: the named one, or the network's only output.

    A name is compared without TensorFlow's `:0`. If no tensor has the name, the operation of this name is used.

    Args:
        name: name of a tensor or an operation; None for the network's only output.

    Raises:
        ConversionError: there is no such tensor, or no name is given and the network has several outputs.
    """
    if name is None:
        if len(model.outputs) != 1:
            names = {plain_name(n) for port in model.outputs for n in port.get_names()}
            raise ConversionError(
                "the network has several outputs",
                where=path,
                expected="the name of one of them in the description",
                got=_quoted(names),
            )
        return model.outputs[0].get_node().input_value(0)
    wanted = plain_name(name)
    by_operation = None
    for operation in model.get_ordered_ops():
        if operation.get_type_name() in ("Result", "Parameter", "Constant"):
            continue
        for port in operation.outputs():
            if wanted in {plain_name(n) for n in port.get_names()}:
                return port
        if plain_name(operation.get_friendly_name()) == wanted:
            by_operation = operation.output(0)
    if by_operation is not None:
        return by_operation
    names = {plain_name(n) for port in model.outputs for n in port.get_names()}
    raise ConversionError("the network has no such output", where=path, expected=repr(name), got=_quoted(names))


def plain_name(name: str) -> str:
    """A tensor name without TensorFlow's `:0`."""
    return name.removesuffix(":0")


def _quoted(names: set[str]) -> str:
    shown = sorted(names)[:8]
    return ", ".join(map(repr, shown)) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def check_classifier(network: ov.Model, xml: Path) -> None:
    """Check that a network is an image classifier: one input of four dimensions, one output `[N, classes]`.

    Raises:
        IrError: it is not.
    """
    check_input(network, xml)
    shapes = [port.get_partial_shape() for port in network.outputs]
    if len(shapes) != 1 or shapes[0].rank.is_dynamic or len(shapes[0]) != 2 or shapes[0][1].is_dynamic:
        raise IrError(
            "the network is not a classifier",
            where=xml,
            expected="one output [N, classes]",
            got=", ".join(map(str, shapes)) or "no output",
        )


def check_input(network: ov.Model, xml: Path) -> None:
    """Check that a network has one input of four dimensions.

    Raises:
        IrError: it does not.
    """
    shapes = [port.get_partial_shape() for port in network.inputs]
    if len(shapes) != 1 or shapes[0].rank.is_dynamic or len(shapes[0]) != 4:
        raise IrError(
            "the network does not take images",
            where=xml,
            expected="one input of four dimensions",
            got=", ".join(map(str, shapes)) or "no input",
        )


def static_sizes(port: ov.Output) -> tuple[int, ...]:
    """The sizes of an input or output, -1 for a dynamic dimension; empty if the rank is dynamic."""
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        return ()
    return tuple(-1 if size.is_dynamic else size.get_length() for size in shape)
