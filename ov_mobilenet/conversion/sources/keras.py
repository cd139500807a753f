"""Read Keras files: weights of the MobileNets of `keras.applications`, and full models."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ov_mobilenet.conversion.sources.frontend import run_converter
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.arguments import ConversionPlan

if TYPE_CHECKING:
    import openvino as ov

# The tensor names that the Open Model Zoo documents: those of the network's SavedModel.
_INPUT = "input_1"
_OUTPUTS = {
    "MobileNetV3Small": "StatefulPartitionedCall/MobilenetV3small/Predictions/Softmax",
    "MobileNetV3Large": "StatefulPartitionedCall/MobilenetV3large/Predictions/Softmax",
}


def read_keras(plan: ConversionPlan, path: Path) -> ov.Model:
    """Read a `.keras` or `.h5` file: a full model or weights.

    Raises:
        ConversionError: the file is broken or unsafe, or holds the weights of an unknown network.
        MissingDependencyError: tensorflow is not installed.
    """
    with frozen_graph(plan, path) as graph:
        return graph.read()


@dataclass(frozen=True)
class FrozenGraph:
    """A Keras network as a TensorFlow graph in a temporary file.

    Attributes:
        path: the temporary file.
        source: the Keras file, for messages.
        input_name, output_name: the names that the converted network has.
    """

    path: Path
    source: Path
    input_name: str
    output_name: str

    def read(self) -> ov.Model:
        """Convert the graph. Raises: ConversionError."""
        try:
            model = run_converter(self.path, self.source)
        except ConversionError as error:
            raise ConversionError(error.what, where=self.source) from error
        _rename_operations(model)
        model.inputs[0].set_names({self.input_name})
        model.outputs[0].set_names({self.output_name})
        return model


@contextmanager
def frozen_graph(plan: ConversionPlan, path: Path) -> Iterator[FrozenGraph]:
    """The network of a Keras file as a graph. Raises: see `read_keras`."""
    from ov_mobilenet.conversion.keras_files.loading import keras_settings, load_network

    network, architecture = load_network(plan, path)
    if architecture is not None and architecture.name in _OUTPUTS:
        _check_not_normalised(plan, path)
    known = _OUTPUTS.get(architecture.name) if architecture is not None else None
    with keras_settings(path), tempfile.TemporaryDirectory() as folder:
        # Through a frozen graph: when OpenVINO converts a Keras model in memory, names depend on global counters.
        graph = Path(folder) / "network.pb"
        graph.write_bytes(_frozen(network, path))
        yield FrozenGraph(
            graph,
            path,
            plan.input.name or (_INPUT if known else network.inputs[0].name),
            plan.output or known or network.layers[-1].name,
        )


def _check_not_normalised(plan: ConversionPlan, path: Path) -> None:
    """Refuse mean and scale for a network that rescales its input itself. Raises: ConversionError."""
    given = plan.normalisation
    if any(given.mean) or any(value != 1.0 for value in given.scale):
        raise ConversionError(
            "Keras's MobileNetV3 rescales its input itself; mean and scale would be applied twice", where=path,
            expected="no mean_values and no scale_values", got=given,
            fix="Remove them; if the network was trained with include_preprocessing=False, convert the full model",
        )  # fmt: skip


def _frozen(network: Any, path: Path) -> bytes:
    """The network as a serialised frozen graph with dynamic batch size."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from ov_mobilenet.conversion.keras_files.loading import end_of_message

    signature = tf.TensorSpec(_input_shape(network, path), tf.float32, name="input")
    function = tf.function(lambda pixels: network(pixels, training=False), autograph=False)
    try:
        frozen = convert_variables_to_constants_v2(function.get_concrete_function(signature), lower_control_flow=False)
    except (ValueError, TypeError, RuntimeError, AttributeError, KeyError, tf.errors.OpError) as error:
        raise ConversionError(f"Keras cannot run the network ({end_of_message(error)})", where=path) from error
    graph: bytes = frozen.graph.as_graph_def().SerializeToString(deterministic=True)
    return graph


def _input_shape(network: Any, path: Path) -> tuple[int | None, ...]:
    """The input shape `(None, H, W, 3)`; H and W may be None. Raises: ConversionError for any other input."""
    try:
        inputs, outputs = list(network.inputs), list(network.outputs)
    except (AttributeError, TypeError, ValueError):
        inputs, outputs = [], []
    if len(inputs) != 1 or len(outputs) != 1:
        raise ConversionError(
            "the network must have one input and one output", where=path, got=f"{len(inputs)} and {len(outputs)}"
        )
    shape, kind = tuple(inputs[0].shape), str(inputs[0].dtype)
    if len(shape) != 4 or shape[3] != 3 or kind != "float32":
        raise ConversionError(
            "the input is not an image", where=path, expected="(N, H, W, 3) float32", got=f"{shape} {kind}"
        )
    return (None, *shape[1:])


def _rename_operations(model: ov.Model) -> None:
    """Name operations by type and number, and remove inner tensor names.

    Keras numbers layers per process (`re_lu_12`), so the original names differ from one conversion to the next.
    """
    ends = ("Parameter", "Result")
    inner = [operation for operation in model.get_ordered_ops() if operation.get_type_name() not in ends]
    for index, operation in enumerate(inner):
        operation.set_friendly_name(f"{operation.get_type_name()}_{index}")
        for port in operation.outputs():
            port.get_tensor().set_names(set())
