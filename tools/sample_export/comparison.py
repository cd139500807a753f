"""Run each exported file in its own framework."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from ai_edge_litert.interpreter import Interpreter

from sample_export.tensorflow_files import INPUT_NAME, OUTPUT_NAME

Arrays = npt.NDArray[np.float32]
#: Runs a file on normalised float32 (N, 3, 128, 128) and returns probabilities, float32 (N, classes).
Runner = Callable[[Path, Arrays], Arrays]


def run_onnx(path: Path, inputs: Arrays) -> Arrays:
    """Run all images as one batch in onnxruntime."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    logits = np.asarray(session.run(["logits"], {"input": inputs})[0], np.float64)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), np.float32)


def run_frozen_graph(path: Path, inputs: Arrays) -> Arrays:
    """Run one image at a time in TensorFlow: the graph has a fixed batch size of 1."""
    import tensorflow as tf

    graph_def = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        with tf.compat.v1.Session(graph=graph) as session:
            outputs = [session.run(f"{OUTPUT_NAME}:0", {f"{INPUT_NAME}:0": image[None]}) for image in _nhwc(inputs)]
    return np.concatenate(outputs)


def run_tflite(path: Path, inputs: Arrays) -> Arrays:
    """Run one image at a time in LiteRT."""
    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    input_index = interpreter.get_input_details()[0]["index"]
    output_index = interpreter.get_output_details()[0]["index"]
    outputs = []
    for image in _nhwc(inputs):
        interpreter.set_tensor(input_index, image[None])
        interpreter.invoke()
        outputs.append(np.array(interpreter.get_tensor(output_index)))
    return np.concatenate(outputs)


def _nhwc(inputs: Arrays) -> Arrays:
    return np.ascontiguousarray(inputs.transpose(0, 2, 3, 1))
