"""Small networks made with tensorflow, and tensorflow's results for them."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import small_networks as small


def answers(graph: Path, rgb: np.ndarray, *, source: str, target: str) -> np.ndarray:
    """The results of a frozen graph, one image at a time.

    Args:
        rgb: float32 (N, H, W, 3), normalised.
        source, target: names of the input and of the output tensor, with `:0`.
    """
    import tensorflow as tf

    with tf.Graph().as_default() as session_graph:
        tf.graph_util.import_graph_def(tf.compat.v1.GraphDef.FromString(graph.read_bytes()), name="")
        with tf.compat.v1.Session(graph=session_graph) as session:
            return np.concatenate([session.run(target, {source: image[None]}) for image in rgb])


def rgb(frames: np.ndarray, mean: Iterable[float] = small.MEAN, scale: Iterable[float] = small.SCALE) -> np.ndarray:
    """uint8 (N, H, W, 3) BGR to float32 RGB, (x - mean) / scale."""
    x = frames[..., ::-1].astype(np.float32)
    return (x - np.array(mean, np.float32)) / np.array(scale, np.float32)


def write_small_graph(
    path: Path, *, batch: int = 1, afterthought: bool = False, end: str = "logits", classes: int = small.CLASSES
) -> None:
    """The network of `small_networks` as a frozen graph: `data` to `scores`, logits.

    Args:
        batch: fixed, by the input and by a reshape.
        afterthought: a constant comes last in the file, so that the output is no longer the last node.
        end: `logits`, `sigmoid`, or without the dense layer `pooled` or `map`.
    """
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        data = tf.compat.v1.placeholder(tf.float32, [batch, small.SIDE, small.SIDE, 3], name="data")
        _small(tf, data, small.weights(classes=classes), batch, end)
        if afterthought:
            tf.constant([1.0, 2.0], name="left_over")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(graph.as_graph_def().SerializeToString())


def write_small_saved_model(
    folder: Path,
    *,
    batch: int | None = None,
    features: bool = False,
    end: str = "logits",
    classes: int = small.CLASSES,
) -> None:
    """The same network as a SavedModel with variables.

    Args:
        batch: fixed in the signature; None for any.
        features: a second output of that name, which comes before `scores` in the alphabet.
        end: as in `write_small_graph`.
    """
    import tensorflow as tf

    module = tf.Module()
    module.weights = {name: tf.Variable(value) for name, value in small.weights(classes=classes).items()}

    def serve(data: Any) -> dict[str, Any]:
        outputs = {"scores": _small(tf, data, module.weights, -1, end)}
        return {**outputs, "features": tf.reduce_mean(data, [1, 2])} if features else outputs

    signature = [tf.TensorSpec([batch, small.SIDE, small.SIDE, 3], name="data")]
    module.serve = tf.function(serve, input_signature=signature)
    tf.saved_model.save(module, str(folder), signatures=module.serve)


def write_small_tflite(path: Path, *, end: str, classes: int, frames: np.ndarray | None = None) -> None:
    """The same network as TFLite.

    Args:
        end: as in `write_small_graph`.
        frames: quantise to int8, calibrated on these, uint8 (N, SIDE, SIDE, 3) BGR; None for float32.
    """
    import tensorflow as tf

    weights = small.weights(classes=classes)
    signature = [tf.TensorSpec([1, small.SIDE, small.SIDE, 3], name="data")]
    function = tf.function(lambda data: _small(tf, data, weights, 1, end), input_signature=signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    if frames is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[None]] for image in rgb(frames))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    path.write_bytes(converter.convert())


def _small(tf: Any, data: Any, weights: dict[str, Any], batch: int, end: str = "logits") -> Any:
    kernel = tf.transpose(weights["conv"], [2, 3, 1, 0])
    filtered = tf.nn.conv2d(data, kernel, 2, [[0, 0], [1, 1], [1, 1], [0, 0]]) + weights["bias"]
    active = tf.nn.relu(filtered)
    if end == "map":
        return tf.identity(active, name="scores")
    pooled = tf.reshape(tf.reduce_mean(active, [1, 2], keepdims=True), [batch, 8])
    if end == "pooled":
        return tf.identity(pooled, name="scores")
    product = tf.matmul(pooled, weights["dense"], transpose_b=True)
    if end == "sigmoid":
        return tf.sigmoid(product + weights["offset"], name="scores")
    return tf.add(product, weights["offset"], name="scores")


def write_imagenet_graph(path: Path, frames: np.ndarray, output: str) -> None:
    """A small graph of 1001 classes with the tensor names of Google's frozen MobileNets: `input` to `output`.

    The classifier is centred on the frames and scaled, so that the results differ from image to image.

    Args:
        frames: uint8 (N, SIDE, SIDE, 3) BGR at the size that the network is to take.
        output: name of the last tensor; the softmax stands before it, and its reshape holds a batch of 1.
    """
    import tensorflow as tf

    rng = np.random.default_rng(11)
    kernel = rng.normal(0, 0.5, (8, 8, 3, 24)).astype(np.float32)
    images = rgb(frames, [127.5], [127.5])
    features = tf.reduce_mean(tf.nn.relu6(tf.nn.conv2d(images, kernel, 8, "SAME")), [1, 2]).numpy()
    head = rng.normal(0, 1, (24, 1001)).astype(np.float32)
    head *= 12 / np.std(features @ head, axis=0)
    bias = -(features @ head).mean(axis=0)
    with tf.Graph().as_default() as graph:
        current = tf.compat.v1.placeholder(tf.float32, [1, *frames.shape[1:]], name="input")
        current = tf.reduce_mean(tf.nn.relu6(tf.nn.conv2d(current, kernel, 8, "SAME")), [1, 2])
        scope = output.rpartition("/")[0]
        softmax = tf.nn.softmax(tf.matmul(current, head) + bias, name=f"{scope}/Softmax")
        tf.reshape(softmax, [1, 1001], name=output)
    path.write_bytes(graph.as_graph_def().SerializeToString())


def pack(archive: Path, content: Path, name: str) -> None:
    """Write a `.tar.gz` with one file or folder under a name."""
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(content, name)
