"""The sample network as a TensorFlow frozen graph and as TFLite: NHWC, one image, probabilities."""

from pathlib import Path
from typing import Any

import numpy as np
from signs import INPUT_SIZE

from sample_export.layers import Convolution, Layers

INPUT_NAME = "input"
OUTPUT_NAME = "MobilenetV1/Predictions/Reshape_1"


def write_frozen_graph(layers: Layers, path: Path) -> None:
    """Write a frozen graph with the names of Google's MobileNet V1 graphs.

    As in those graphs, the softmax is followed by a reshape whose constant shape contains the batch size, 1.
    """
    graph_def = _graph(layers).as_graph_def(add_shapes=False)
    path.write_bytes(graph_def.SerializeToString(deterministic=True))


def write_tflite(layers: Layers, path: Path) -> None:
    """Convert the same graph to a float TFLite model."""
    import tensorflow as tf

    graph_def = _graph(layers).as_graph_def(add_shapes=False)

    def imported() -> None:
        tf.graph_util.import_graph_def(graph_def, name="")

    wrapped = tf.compat.v1.wrap_function(imported, [])
    function = wrapped.prune(f"{INPUT_NAME}:0", f"{OUTPUT_NAME}:0")
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    path.write_bytes(converter.convert())


def _graph(layers: Layers) -> Any:
    import tensorflow as tf

    v1 = tf.compat.v1
    graph = tf.Graph()
    with graph.as_default():
        current = v1.placeholder(tf.float32, [1, INPUT_SIZE, INPUT_SIZE, 3], name=INPUT_NAME)
        for convolution in layers.convolutions:
            current = _convolution(tf, current, convolution)
        scope = "MobilenetV1/Logits"
        size = int(current.shape[1])
        pooled = tf.nn.avg_pool2d(current, size, 1, "VALID", name=f"{scope}/AvgPool_1a/AvgPool")
        weight = tf.constant(layers.weight.T[None, None], name=f"{scope}/Conv2d_1c_1x1/weights")
        bias = tf.constant(layers.bias, name=f"{scope}/Conv2d_1c_1x1/biases")
        convolved = v1.nn.conv2d(pooled, weight, [1, 1, 1, 1], "SAME", name=f"{scope}/Conv2d_1c_1x1/Conv2D")
        logits = v1.nn.bias_add(convolved, bias, name=f"{scope}/Conv2d_1c_1x1/BiasAdd")
        squeezed = v1.squeeze(logits, [1, 2], name=f"{scope}/SpatialSqueeze")
        scope = "MobilenetV1/Predictions"
        classes = len(layers.bias)
        flat = v1.reshape(squeezed, tf.constant([-1, classes], name=f"{scope}/Reshape/shape"), f"{scope}/Reshape")
        softmax = v1.nn.softmax(flat, name=f"{scope}/Softmax")
        v1.reshape(softmax, tf.constant([1, classes], name=f"{scope}/Shape"), OUTPUT_NAME)
    return graph


def _convolution(tf: Any, current: Any, convolution: Convolution) -> Any:
    scope = f"MobilenetV1/MobilenetV1/{convolution.name}"
    strides = [1, convolution.stride, convolution.stride, 1]
    # To (height, width, inputs, outputs); of a depthwise convolution, (height, width, channels, 1).
    axes = (2, 3, 0, 1) if convolution.depthwise else (2, 3, 1, 0)
    name = "depthwise_weights" if convolution.depthwise else "weights"
    weight = tf.constant(np.ascontiguousarray(convolution.weight.transpose(axes)), name=f"{scope}/{name}")
    v1 = tf.compat.v1
    if convolution.depthwise:
        convolved = v1.nn.depthwise_conv2d_native(current, weight, strides, "SAME", name=f"{scope}/depthwise")
    else:
        convolved = v1.nn.conv2d(current, weight, strides, "SAME", name=f"{scope}/Conv2D")
    bias = tf.constant(convolution.bias, name=f"{scope}/biases")
    return tf.nn.relu6(v1.nn.bias_add(convolved, bias, name=f"{scope}/BiasAdd"), name=f"{scope}/Relu6")
