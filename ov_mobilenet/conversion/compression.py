"""Compress the weights of a network to FP16.

`openvino.save_model(compress_to_fp16=True)` rounds every constant, including mean and scale (123.675 becomes
123.6875). Here only the weights of convolutions and matrix products are rounded, which are 97 % of the bytes; biases,
batch norm and normalisation stay float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import openvino as ov

_WEIGHTED_OPERATIONS = ("Convolution", "GroupConvolution", "MatMul")
_LARGEST_F16 = 65504.0


def compress_weights(model: ov.Model) -> None:
    """Store float32 weights as float16 and convert them back in the graph; weights that would overflow stay float32."""
    import numpy as np
    import openvino as ov
    import openvino.opset13 as ops

    for operation in model.get_ordered_ops():
        if operation.get_type_name() not in _WEIGHTED_OPERATIONS:
            continue
        consumer = operation.input(1)
        while consumer.get_source_output().get_node().get_type_name() in ("Reshape", "Transpose"):
            consumer = consumer.get_source_output().get_node().input(0)
        constant = consumer.get_source_output().get_node()
        if constant.get_type_name() != "Constant" or constant.get_element_type() != ov.Type.f32:
            continue
        weights = constant.get_data()
        if np.abs(weights).max(initial=0.0) > _LARGEST_F16:
            continue
        compressed = ops.constant(weights.astype(np.float16), dtype=ov.Type.f16)
        compressed.set_friendly_name(constant.get_friendly_name())
        decompressed = ops.convert(compressed, "f32")
        for target in constant.output(0).get_target_inputs():
            target.replace_source_output(decompressed.output(0))
