"""TensorFlow graphs that would write files while they are loaded or run: `convert --verify` runs no such operation."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_networks as small
import tensorflow_networks as networks
from attacks.loopback_server import WATCHDOG_S

from ov_mobilenet.accuracy.tensorflow_operations import ALLOWED_OPERATIONS, RESTORING_OPERATIONS
from ov_mobilenet.cli.main import main

WRITING = ("WriteFile", "SaveV2", "Save", "SaveSlices", "MergeV2Checkpoints", "PrintV2", "Print", "TensorSummary")
CALLING = (
    "PyFunc",
    "PyFuncStateless",
    "EagerPyFunc",
    "XlaHostCompute",
    "RemoteCall",
    "SymbolicGradient",
    "DynamicStitch",
)
READING = ("ReadFile", "MatchingFiles", "FixedLengthRecordReader", "InitializeTableFromTextFileV2", "RpcClient", "Recv")
ENDLESS = ("While", "StatelessWhile", "Enter", "NextIteration", "LoopCond")


@pytest.mark.parametrize("name", [*WRITING, *CALLING, *READING, *ENDLESS])
def test_operations_with_side_effects_are_not_allowed(name: str) -> None:
    assert name not in ALLOWED_OPERATIONS | RESTORING_OPERATIONS


def _serve(tf: Any, weights: Any, extra: Callable[[Any], None] = lambda data: None) -> Any:
    def serve(data: Any) -> dict[str, Any]:
        extra(data)
        return {"scores": networks._small(tf, data, weights, -1)}

    return tf.function(serve, input_signature=[tf.TensorSpec([1, small.SIDE, small.SIDE, 3], name="data")])


def _module(tf: Any, folder: Path, extra: Callable[[Any], None] = lambda data: None, **objects: Any) -> Path:
    module = tf.Module()
    module.weights = {name: tf.Variable(value) for name, value in small.weights().items()}
    for name, value in objects.items():
        setattr(module, name, value)
    tf.saved_model.save(module, str(folder), signatures=_serve(tf, module.weights, extra))
    return folder


def resource_initialiser(tf: Any, folder: Path, victim: str) -> Path:
    class Resource(tf.saved_model.experimental.TrackableResource):  # type: ignore[misc]
        def _create_resource(self) -> Any:
            return tf.constant(1)

        def _initialize(self) -> None:
            tf.io.write_file(victim, "owned")

    return _module(tf, folder, resource=Resource())


def initialising_operation(tf: Any, folder: Path, victim: str) -> Path:
    """TensorFlow 1: `main_op`, with one variable of each kind."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        data = v1.placeholder(tf.float32, [1, small.SIDE, small.SIDE, 3], name="data")
        weights = {
            name: v1.get_variable(name, initializer=value, use_resource=name in ("conv", "dense"))
            for name, value in small.weights().items()
        }
        scores = networks._small(tf, data, weights, -1)
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(folder))
        signature = v1.saved_model.predict_signature_def({"data": data}, {"scores": scores})
        main_op = tf.raw_ops.WriteFile(filename=victim, contents="owned")
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, main_op=main_op)
        builder.save()
    return folder


def in_the_signature(tf: Any, folder: Path, victim: str) -> Path:
    return _module(tf, folder, lambda data: tf.io.write_file(victim, "owned"))


def in_a_branch(tf: Any, folder: Path, victim: str) -> Path:
    def branch(data: Any) -> None:
        @tf.function  # type: ignore[untyped-decorator]
        def write() -> Any:
            tf.io.write_file(victim, "owned")
            return tf.constant(1.0)

        tf.cond(tf.reduce_mean(data) < 1e9, write, lambda: tf.constant(0.0))

    return _module(tf, folder, branch)


def _frozen(tf: Any, folder: Path, effect: Callable[[], Any]) -> Path:
    folder.mkdir(parents=True)
    networks.write_small_graph(folder / "graph.pb")
    graph = tf.compat.v1.GraphDef.FromString((folder / "graph.pb").read_bytes())
    with tf.Graph().as_default() as extra:
        effect()
    added = extra.as_graph_def().node
    for node in added:
        node.name = f"added/{node.name}"
        node.input[:] = [f"added/{name}" for name in node.input]
    graph.node.extend(added)
    (end,) = (node for node in graph.node if node.name == "scores")
    end.input.append(f"^{added[-1].name}")
    (folder / "graph.pb").write_bytes(graph.SerializeToString())
    return folder / "graph.pb"


def control_input(tf: Any, folder: Path, victim: str) -> Path:
    def save() -> None:
        tf.raw_ops.SaveV2(prefix=victim, tensor_names=["x"], shape_and_slices=[""], tensors=[tf.constant(1.0)])

    return _frozen(tf, folder, save)


def python_function(tf: Any, folder: Path, victim: str) -> Path:
    return _frozen(tf, folder, lambda: tf.compat.v1.py_func(lambda: np.float32(1), [], tf.float32))


NOT_RUN = (resource_initialiser, initialising_operation)  # nothing between input and output needs them
REFUSED = (in_the_signature, in_a_branch, control_input, python_function)


@pytest.mark.full
@pytest.mark.parametrize("make", [*NOT_RUN, *REFUSED], ids=lambda make: str(make.__name__))
def test_graphs_that_write_files(
    make: Callable[[Any, Path, str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tf = pytest.importorskip("tensorflow")
    signal.alarm(5 * WATCHDOG_S)  # the child process imports tensorflow again
    victim = tmp_path / "victim"
    source = make(tf, tmp_path / "source" / "net", str(victim))
    for path in tmp_path.glob("victim*"):
        path.unlink()
    capsys.readouterr()
    options = ["--name", "net", "--preset", "torchvision", "--output", "scores", "--precisions", "FP32", "--verify"]
    code = main(["convert", "--source", str(source), *options, "-o", str(tmp_path / "out")])
    err = capsys.readouterr().err
    assert list(tmp_path.glob("victim*")) == []
    assert "Traceback" not in err
    if make in NOT_RUN:
        assert code == 0, err
        assert "verified net FP32 on 16 noise images" in err
    else:
        assert code == 1, err
        assert "the source network is not run" in err or "OpenVINO cannot read" in err
