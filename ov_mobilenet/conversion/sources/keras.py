"""Keras networks: weights of `keras.applications`' MobileNets, and full models."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ov_mobilenet.conversion.sources.frontend import run_converter
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.arguments import ConversionPlan

if TYPE_CHECKING:
    import openvino as ov

# The tensor names that the Open Model Zoo documents, which TensorFlow's SavedModel of the network had.
_INPUT = "input_1"
_OUTPUTS = {
    "MobileNetV3Small": "StatefulPartitionedCall/MobilenetV3small/Predictions/Softmax",
    "MobileNetV3Large": "StatefulPartitionedCall/MobilenetV3large/Predictions/Softmax",
}


def read_keras(plan: ConversionPlan, path: Path) -> ov.Model:
    """Read a `.keras` or `.h5` file, full model or weights alone.

    Raises:
        ConversionError: the file is broken or hostile, or of no network that is known.
        MissingDependencyError: tensorflow is not installed.
    """
    from ov_mobilenet.conversion.keras_files.loading import keras_settings, load_network

    network, architecture = load_network(plan, path)
    if architecture is not None and architecture.name in _OUTPUTS:
        _check_not_normalised(plan, path)
    with keras_settings(path), tempfile.TemporaryDirectory() as folder:
        # A frozen graph, read as any other: OpenVINO's conversion of a live Keras model names by Python's counters.
        graph = Path(folder) / "network.pb"
        graph.write_bytes(_frozen(network, path))
        try:
            model = run_converter(graph, path)
        except ConversionError as error:
            raise ConversionError(error.what, where=path) from error
    _rename_operations(model)
    known = _OUTPUTS.get(architecture.name) if architecture is not None else None
    name = plan.input.name or (_INPUT if known else network.inputs[0].name)
    model.inputs[0].set_names({name})
    model.outputs[0].set_names({plan.output or known or network.layers[-1].name})
    return model


def _check_not_normalised(plan: ConversionPlan, path: Path) -> None:
    """Refuse mean and scale in front of a network that rescales by itself. Raises: ConversionError."""
    given = plan.normalisation
    if any(given.mean) or any(value != 1.0 for value in given.scale):
        raise ConversionError(
            "Keras's MobileNetV3 rescales its input inside; mean and scale would do it twice", where=path,
            expected="no mean_values and no scale_values", got=given,
            fix="Leave them out; if the network was trained with include_preprocessing=False, convert the whole model",
        )  # fmt: skip


def _frozen(network: Any, path: Path) -> bytes:
    """The network as a frozen graph for any batch."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    signature = tf.TensorSpec(_input_shape(network, path), tf.float32, name="input")
    function = tf.function(lambda pixels: network(pixels, training=False), autograph=False)
    try:
        frozen = convert_variables_to_constants_v2(function.get_concrete_function(signature), lower_control_flow=False)
    except (ValueError, TypeError, RuntimeError, AttributeError, KeyError, tf.errors.OpError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ConversionError(f"Keras cannot run the network ({reason})", where=path) from error
    graph: bytes = frozen.graph.as_graph_def().SerializeToString(deterministic=True)
    return graph


def _input_shape(network: Any, path: Path) -> tuple[int | None, ...]:
    """`(None, H, W, 3)`; height and width may be None. Raises: ConversionError if the input is another."""
    try:
        inputs, outputs = list(network.inputs), list(network.outputs)
    except (AttributeError, TypeError, ValueError):
        inputs, outputs = [], []
    if len(inputs) != 1 or len(outputs) != 1:
        raise ConversionError(
            "a classifier has one input and one output", where=path, got=f"{len(inputs)} and {len(outputs)}"
        )
    shape, kind = tuple(inputs[0].shape), str(inputs[0].dtype)
    if len(shape) != 4 or shape[3] != 3 or kind != "float32":
        raise ConversionError(
            "the network takes no images", where=path, expected="(N, H, W, 3) float32", got=f"{shape} {kind}"
        )
    return (None, *shape[1:])


def _rename_operations(model: ov.Model) -> None:
    """Number operations by their kind and drop inner tensor names.

    Keras counts layers over the whole process (`re_lu_12`), so these names differ from one conversion to the next.
    """
    ends = ("Parameter", "Result")
    inner = [operation for operation in model.get_ordered_ops() if operation.get_type_name() not in ends]
    for index, operation in enumerate(inner):
        operation.set_friendly_name(f"{operation.get_type_name()}_{index}")
        for port in operation.outputs():
            port.get_tensor().set_names(set())
