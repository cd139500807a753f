"""Run frozen graphs and SavedModels in TensorFlow, without its loaders.

`tf.saved_model.load` runs initialisers that the file names. Here only the operations between the signature's input and
output are imported, and those that restore the variables; see `tensorflow_operations`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ov_mobilenet.accuracy.tensorflow_operations import called_graph
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.arguments import ConversionPlan

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Runner = Callable[[NDArray[Any]], NDArray[np.float32]]

_NO_RESULTS = ("Placeholder", "Const", "NoOp", "Assert")


def open_saved_model(plan: ConversionPlan, path: Path) -> tuple[Runner, Any, Any]:
    """The serving signature of a SavedModel as a function, and the shape and type of its input.

    Raises:
        ConversionError: the signature has no such input or output, or an operation is not on the list.
        OSError, google.protobuf.message.DecodeError: the file cannot be read.
    """
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    served = [graph for graph in saved.meta_graphs if "serve" in graph.meta_info_def.tags]
    if len(served) != 1 or "serving_default" not in served[0].signature_def:
        raise ConversionError(
            "the SavedModel has no signature to run", where=path, expected="one graph tagged 'serve' with the "
            "signature 'serving_default'", got=f"{len(served)} graphs tagged 'serve'",
        )  # fmt: skip
    (meta,) = served
    signature = meta.signature_def["serving_default"]
    source = _tensor_name("input", signature.inputs, plan.input.name, path)
    target = _tensor_name("output", signature.outputs, plan.output, path)
    operations, checkpoint = [_operation(source), _operation(target)], path / "variables" / "variables"
    restores = checkpoint.with_name("variables.index").is_file() and bool(meta.saver_def.restore_op_name)
    filename = meta.saver_def.filename_tensor_name
    if restores:
        operations += [_operation(meta.saver_def.restore_op_name), _operation(filename)]
    part = called_graph(meta.graph_def, operations, path)
    restored = (meta.saver_def.restore_op_name, {filename: str(checkpoint)}) if restores else None
    return _runner(part, source, target, restored)


def open_frozen_graph(plan: ConversionPlan, path: Path) -> tuple[Runner, Any, Any]:
    """A frozen graph, from its input to the named output, as a function, and the shape and type of its input.

    Raises:
        ConversionError: there is no such input or output, or an operation is not on the list.
        OSError, google.protobuf.message.DecodeError: the file cannot be read.
    """
    import tensorflow as tf

    graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    inputs = [node.name for node in graph.node if node.op == "Placeholder"]
    source = _chosen(inputs, plan.input.name, path)
    results = [node.name for node in graph.node if node.op not in _NO_RESULTS]
    if plan.output is None:  # as OpenVINO does: the tensor that has no consumer
        consumed = {_operation(name) for node in graph.node for name in node.input if not name.startswith("^")}
        results = [name for name in results if name not in consumed]
    chosen = _chosen(results, plan.output, path)
    target = chosen if plan.output is None else plan.output
    part = called_graph(graph, [_operation(source), _operation(target)], path)
    return _runner(part, _tensor(source), _tensor(target), None)


def _runner(
    part: Any, source: str, target: str, restore: tuple[str, Mapping[str, str]] | None
) -> tuple[Runner, Any, Any]:
    import tensorflow as tf

    with tf.Graph().as_default() as imported:
        tf.graph_util.import_graph_def(part, name="")
    session = tf.compat.v1.Session(graph=imported)
    if restore is not None:
        session.run(restore[0], dict(restore[1]))
    port = imported.get_tensor_by_name(source)

    def run(frames: NDArray[Any]) -> NDArray[np.float32]:
        answer: NDArray[np.float32] = session.run(target, {source: frames})
        return answer

    return run, port.shape, port.dtype


def _tensor_name(kind: str, ports: Mapping[str, Any], name: str | None, path: Path) -> str:
    """The tensor of a signature's input or output (`kind`); the first one by its key if no name is given.

    OpenVINO uses the keys of the signature as names; for TensorFlow 1 the names of the tensors are accepted as well.
    """
    wanted = (name or "").removesuffix(":0")
    for key in sorted(ports):
        if ports[key].name and (not wanted or wanted in (key, ports[key].name.removesuffix(":0"))):
            return str(ports[key].name)
    raise ConversionError(
        f"the source network's signature has no such {kind}", where=path,
        expected=repr(name), got=", ".join(map(repr, sorted(ports)[:8])) or "none",
    )  # fmt: skip


def _chosen(names: list[str], name: str | None, path: Path) -> str:
    wanted = _operation(name) if name else None
    for found in names:
        if wanted in (None, found):
            return found
    raise ConversionError(
        "the source network has no such input or output", where=path,
        expected=repr(name), got=", ".join(map(repr, names[:8])) or "none",
    )  # fmt: skip


def _operation(tensor: str) -> str:
    return tensor.partition(":")[0]


def _tensor(name: str) -> str:
    return name if ":" in name else f"{name}:0"
