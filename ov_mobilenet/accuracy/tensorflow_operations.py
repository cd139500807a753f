"""The TensorFlow operations that a verification runs: those that compute, and change nothing outside the process.

A list of what is allowed, because TensorFlow has more than a thousand operations and anyone can register more: some
write files (`WriteFile`, `SaveV2`), call Python (`PyFunc`) or open connections. Loops are left out too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ov_mobilenet.errors import ConversionError

_NAMES = """
Abs Add AddN AddV2 All Any ArgMax ArgMin Assert AvgPool BatchMatMul BatchMatMulV2 BatchNormWithGlobalNormalization
BatchToSpaceND BiasAdd BiasAddV1 BroadcastTo Cast Ceil CheckNumerics ClipByValue Concat ConcatV2 Const Conv2D
DepthToSpace DepthwiseConv2dNative Dequantize Div DivNoNan Einsum Elu EnsureShape Equal Erf Exp ExpandDims
FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel Fill Floor FloorDiv FloorMod
FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 Gather GatherNd GatherV2 Greater GreaterEqual HardSwish Identity
IdentityN Inv L2Loss LRN LeakyRelu Less LessEqual Log Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr MatMul Max
MaxPool MaxPoolV2 Maximum Mean Min Minimum MirrorPad Mul MulNoNan Neg NoOp NotEqual OneHot OnesLike Pack Pad PadV2
Placeholder PlaceholderWithDefault Pow PreventGradient Prod QuantizeAndDequantize QuantizeAndDequantizeV2
QuantizeAndDequantizeV3 QuantizeAndDequantizeV4 QuantizeV2 Range Rank RealDiv Reciprocal Relu Relu6 Reshape
ResizeBicubic ResizeBilinear ResizeNearestNeighbor Reverse ReverseV2 Rint Round Rsqrt Select SelectV2 Selu Shape
ShapeN Sigmoid Sign Size Slice Snapshot Softmax Softplus Softsign SpaceToBatchND SpaceToDepth Split SplitV Sqrt
Square SquaredDifference Squeeze StopGradient StridedSlice Sub Sum Tanh Tile TopK TopKV2 Transpose TruncateDiv
Unpack Where Xdivy Xlogy ZerosLike
If Merge PartitionedCall StatefulPartitionedCall StatelessIf Switch
DisableCopyOnRead ReadVariableOp VarHandleOp VarIsInitializedOp Variable VariableV2
"""
ALLOWED_OPERATIONS = frozenset(_NAMES.split())
# They change variables of the process only, and read the checkpoint.
RESTORING_OPERATIONS = frozenset(("Assign", "AssignVariableOp", "RestoreV2"))


def called_graph(graph: Any, names: Iterable[str], path: Path) -> Any:
    """The part of a GraphDef that running some operations runs, with the functions that it calls and no others.

    Args:
        graph: a GraphDef.
        names: names of operations.

    Raises:
        ConversionError: the graph has no such operation; or the part has an operation that is not on the list.
    """
    nodes = {node.name: node for node in graph.node}
    wanted = list(dict.fromkeys(names))
    if missing := [name for name in wanted if name not in nodes]:
        raise ConversionError("the source network has no such operation", where=path, expected=repr(missing[0]))
    needed = set(wanted)
    while wanted:
        for source in nodes[wanted.pop()].input:  # control inputs too, which begin with ^
            name = source.removeprefix("^").partition(":")[0]
            if name in nodes and name not in needed:
                needed.add(name)
                wanted.append(name)
    functions = {function.signature.name: function for function in graph.library.function}
    part = type(graph)(versions=graph.versions)
    part.node.extend(node for node in graph.node if node.name in needed)
    called: dict[str, Any] = {}
    waiting = list(part.node)
    while waiting:
        for name in _functions_of(waiting.pop()):
            if name in functions and name not in called:
                called[name] = functions[name]
                waiting.extend(functions[name].node_def)
    part.library.function.extend(called.values())
    _check(part, set(called), path)
    return part


def _check(graph: Any, functions: set[str], path: Path) -> None:
    kinds = {node.op for node in graph.node}.union(
        *({node.op for node in function.node_def} for function in graph.library.function)
    )
    # A function with the name of an operation could be run in its place.
    refused = (kinds - ALLOWED_OPERATIONS - RESTORING_OPERATIONS - functions) | (functions & ALLOWED_OPERATIONS)
    if refused:
        raise ConversionError(
            "the source network is not run: it has operations that a verification does not need, and that may write "
            "files or run code",
            where=path, expected="operations of an image classifier", got=", ".join(sorted(refused)[:8]),
            fix="Convert it without --verify, or export it for inference only",
        )  # fmt: skip


def _functions_of(node: Any) -> Iterator[str]:
    """Names of functions that an operation may call: its own type, and all of its attributes."""
    yield node.op
    for value in node.attr.values():
        yield from _functions_in(value)


def _functions_in(value: Any) -> Iterator[str]:
    for function in (value.func, *value.list.func):
        if function.name:
            yield function.name
        for inner in function.attr.values():
            yield from _functions_in(inner)
