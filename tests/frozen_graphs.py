"""The network of `small_networks` as a frozen TensorFlow graph: a protobuf writer of a few lines, for GraphDef."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import small_networks as small

FLOAT, INT32 = 1, 3  # DataType


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _shape(sizes: tuple[int, ...]) -> bytes:
    return b"".join(_field(2, _field(1, size)) for size in sizes)  # TensorShapeProto.dim.size


def _tensor(value: np.ndarray) -> bytes:
    kind = INT32 if value.dtype == np.int32 else FLOAT
    return _field(1, kind) + _field(2, _shape(value.shape)) + _field(4, value.tobytes())


def _node(name: str, operation: str, inputs: tuple[str, ...], attributes: Mapping[str, bytes]) -> bytes:
    """A NodeDef as a field of a GraphDef; attributes are encoded values of an AttrValue."""
    content = _field(1, name) + _field(2, operation) + b"".join(_field(3, source) for source in inputs)
    for key, value in attributes.items():
        content += _field(5, _field(1, key) + _field(2, value))
    return _field(1, content)


def write_frozen_graph(path: Path) -> None:
    """Write the graph: `data` (1, 32, 32, 3) to `scores`, which are logits."""
    weights = small.weights()
    of_float = {"T": _field(6, FLOAT)}
    constants = {
        "conv": weights["conv"].transpose(2, 3, 1, 0),
        "bias": weights["bias"],
        "dense": weights["dense"].T,
        "offset": weights["offset"],
    }
    nodes = [_node("data", "Placeholder", (), {
        "dtype": _field(6, FLOAT), "shape": _field(7, _shape((1, small.SIDE, small.SIDE, 3))),
    })]  # fmt: skip
    arrays: dict[str, np.ndarray] = {name: np.ascontiguousarray(value) for name, value in constants.items()}
    arrays |= {"axes": np.array([1, 2], np.int32), "edges": np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)}
    for name, value in arrays.items():
        kind = INT32 if value.dtype == np.int32 else FLOAT
        nodes.append(_node(name, "Const", (), {"dtype": _field(6, kind), "value": _field(8, _tensor(value))}))
    strides = _field(1, _field(3, b"\1\2\2\1"))  # AttrValue.list.i
    nodes += [
        _node("padded", "Pad", ("data", "edges"), {**of_float, "Tpaddings": _field(6, INT32)}),
        _node("filtered", "Conv2D", ("padded", "conv"), {
            **of_float, "strides": strides, "padding": _field(2, "VALID"), "data_format": _field(2, "NHWC"),
        }),
        _node("shifted", "BiasAdd", ("filtered", "bias"), of_float),
        _node("active", "Relu", ("shifted",), of_float),
        _node("pooled", "Mean", ("active", "axes"), {**of_float, "Tidx": _field(6, INT32), "keep_dims": _field(5, 0)}),
        _node("flat", "MatMul", ("pooled", "dense"), of_float),
        _node("scores", "BiasAdd", ("flat", "offset"), of_float),
    ]  # fmt: skip
    path.write_bytes(b"".join(nodes))
