"""Set the input shape and the batch of a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.errors import ConversionError

if TYPE_CHECKING:
    import openvino as ov


def free_batch(model: ov.Model) -> None:
    """Replace reshapes to a constant batch of 1 with reshapes that keep the batch of their input.

    TensorFlow and TFLite exports contain the constant `[1, classes]`; with it, batch 8 fails at conversion and a
    dynamic batch fails at inference. If the input of such a reshape has batch 1 too, 0 ("as in the input") is
    equivalent.
    """
    import numpy as np
    import openvino.opset13 as ops

    for operation in model.get_ordered_ops():
        if operation.get_type_name() != "Reshape":
            continue
        data, pattern = operation.input_value(0).get_partial_shape(), operation.input_value(1).get_node()
        if pattern.get_type_name() != "Constant" or data.rank.is_dynamic or len(data) == 0:
            continue
        target = np.array(pattern.get_data(), np.int64).reshape(-1)
        keeps_zeros = operation.get_attributes().get("special_zero", False)
        if len(target) < 2 or target[0] != 1 or data[0].is_dynamic or data[0].get_length() != 1:
            continue
        if 0 in target and not keeps_zeros:
            continue
        target[0] = 0
        replacement = ops.reshape(operation.input_value(0), target, special_zero=True)
        replacement.set_friendly_name(operation.get_friendly_name())
        port = operation.output(0)
        replacement.output(0).get_tensor().set_names(port.get_names())
        for consumer in port.get_target_inputs():
            consumer.replace_source_output(replacement.output(0))


def set_shape(model: ov.Model, shape: tuple[int, ...], path: Path) -> None:
    """Reshape the input.

    Args:
        shape: -1 for a dynamic dimension.

    Raises:
        ConversionError: the network does not support this shape, or its output has another batch size.
    """
    import openvino as ov

    if len(shape) != 4:
        raise ConversionError(
            "the network does not take images", where=path, expected="an input of four dimensions", got=list(shape)
        )
    try:
        model.reshape(ov.PartialShape(list(shape)))
        model.validate_nodes_and_infer_types()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1][:200]
        raise ConversionError(
            f"the network does not support this input shape ({reason})", where=path,
            expected=f"a shape like {model.inputs[0].get_partial_shape()}", got=list(shape),
        ) from error  # fmt: skip
    batch = model.outputs[0].get_partial_shape()[0]
    kept = batch.is_dynamic if shape[0] == -1 else batch.is_static and batch.get_length() == shape[0]
    if not kept:
        raise ConversionError(
            "the batch is fixed inside the network",
            where=path,
            expected=f"an output of batch {shape[0]}",
            got=batch,
        )
