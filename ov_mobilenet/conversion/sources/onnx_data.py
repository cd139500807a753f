"""Find the external data files in which an ONNX network may store large tensors.

An ONNX file is a protobuf message; only the fields that lead to a tensor's `external_data` are read:

    ModelProto             graph 7, training_info 20, functions 25
    TrainingInfoProto      initialization 1, algorithm 2
    FunctionProto          node 7, attribute_proto 11
    GraphProto             node 1, initializer 5, sparse_initializer 15
    NodeProto              attribute 5
    AttributeProto         t 5, g 6, tensors 10, graphs 11, sparse_tensor 22, sparse_tensors 23
    SparseTensorProto      values 1, indices 2
    TensorProto            external_data 13
    StringStringEntryProto key 1, value 2

Parsers join a field that occurs twice, or keep the last one. Here all of them are read, also where a tensor's
`data_location` says that it has no external data: a file that no parser opens is checked too, but none is overlooked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from ov_mobilenet.conversion.sources.protobuf import MalformedMessageError, length_delimited_fields
from ov_mobilenet.errors import ConversionError

# For each type of message: the fields to follow, and the type of message in them.
_FIELDS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
_MAX_NODES = 20_000  # a MobileNet has 100 to 400; OpenVINO takes minutes for 50,000 operations in a row
_MAX_DEPTH = 64  # of nested messages; parsers stop at 100
# OpenVINO and onnxruntime read `*/_ORT_MEM_ADDR_/*` as an address in memory, not as a file.
_NO_FILE_NAME = re.compile(r"[*?<>|\"\x00-\x1f\x7f]|_ORT_MEM_ADDR_")


def data_files(network: Path) -> tuple[str, ...]:
    """The external data files of an ONNX network, relative to its folder, sorted.

    Raises:
        ConversionError: one of them is outside the network's folder, is not a plain path, or does not exist; the
            network file is not a message that all parsers read in the same way, so that a name could be overlooked;
            or it has far too many operations.
    """
    counted = Counter[str]()
    try:
        names = sorted(set(_locations(memoryview(network.read_bytes()), "model", 0, counted)))
    except (MalformedMessageError, UnicodeDecodeError) as error:
        reason = "a name is not UTF-8" if isinstance(error, UnicodeDecodeError) else error
        raise ConversionError(
            f"the file is damaged or not an ONNX network ({reason})", where=network,
            fix="Download or export the network again",
        ) from error  # fmt: skip
    if counted["node"] > _MAX_NODES:
        raise ConversionError(
            "the network has too many operations", where=network, expected=f"at most {_MAX_NODES}", got=counted["node"]
        )
    for name in names:
        path = PurePosixPath(name)
        leaves_folder = path.is_absolute() or ".." in path.parts or bool(PureWindowsPath(name).drive)
        if not name or leaves_folder or "\\" in name or str(path) != name or _NO_FILE_NAME.search(name):
            raise ConversionError(
                "an external data file is outside the network's folder, or its name is not a plain path",
                where=network, expected="files in the same folder", got=repr(name),
                fix="Save the network again with its data in one file beside it",
            )  # fmt: skip
        if not (network.parent / name).is_file():
            raise ConversionError("an external data file does not exist", where=network, expected=repr(name))
    return tuple(names)


def _locations(message: memoryview, kind: str, depth: int, counted: Counter[str]) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        raise MalformedMessageError(f"messages are nested more than {_MAX_DEPTH} times")
    counted[kind] += 1
    followed = _FIELDS[kind]
    for field, value in length_delimited_fields(message):
        inner = followed.get(field)
        if inner == "entry":
            yield from _location(value)
        elif inner is not None:
            yield from _locations(value, inner, depth + 1, counted)


def _location(entry: memoryview) -> Iterator[str]:
    """The value of an entry whose key is `location`; every value if the key or the value occurs twice."""
    fields = [(field, bytes(value)) for field, value in length_delimited_fields(entry)]
    if (1, b"location") in fields:
        values = [value.decode() for field, value in fields if field == 2]
        yield from values or [""]
