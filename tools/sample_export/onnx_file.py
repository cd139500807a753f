"""The sample network as ONNX: NCHW, dynamic batch size, logits."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from signs import INPUT_SIZE

from sample_export.layers import Layers, Weights

# Old enough for every tool in use, new enough for Clip with its limits as inputs.
_OPSET = 13
_IR_VERSION = 7


def write_onnx(layers: Layers, path: Path) -> None:
    """Write `input` float32 (N, 3, 128, 128) to `logits` float32 (N, classes).

    The graph is built node by node, because torch's exporter writes paths of source files into the graph.
    """
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(name: str, value: Weights) -> str:
        constants.append(numpy_helper.from_array(value, name))
        return name

    low = constant("relu6/low", np.asarray(0, np.float32))
    high = constant("relu6/high", np.asarray(6, np.float32))
    current = "input"
    for convolution in layers.convolutions:
        name = convolution.name
        before, after = convolution.padding
        inputs = [
            current,
            constant(f"{name}/weight", convolution.weight),
            constant(f"{name}/bias", convolution.bias),
        ]
        nodes.append(
            helper.make_node(
                "Conv",
                inputs,
                [f"{name}/convolved"],
                name=f"{name}/Conv",
                group=convolution.weight.shape[0] if convolution.depthwise else 1,
                kernel_shape=convolution.weight.shape[2:],
                pads=[before, before, after, after],
                strides=[convolution.stride] * 2,
            )
        )
        current = f"{name}/activated"
        nodes.append(helper.make_node("Clip", [f"{name}/convolved", low, high], [current], name=f"{name}/Clip"))
    nodes += [
        helper.make_node("GlobalAveragePool", [current], ["pooled"], name="GlobalAveragePool"),
        helper.make_node("Flatten", ["pooled"], ["features"], name="Flatten", axis=1),
        helper.make_node(
            "Gemm",
            [
                "features",
                constant("classifier/weight", layers.weight),
                constant("classifier/bias", layers.bias),
            ],
            ["logits"],
            name="classifier",
            transB=1,
        ),
    ]
    shape: list[str | int | None] = ["batch", 3, INPUT_SIZE, INPUT_SIZE]
    graph = helper.make_graph(
        nodes,
        "road-signs",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(layers.bias)])],
        constants,
    )
    model = helper.make_model(
        graph,
        producer_name="ov-mobilenet",
        ir_version=_IR_VERSION,
        opset_imports=[helper.make_opsetid("", _OPSET)],
    )
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
