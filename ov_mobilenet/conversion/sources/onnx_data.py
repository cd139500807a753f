"""Find the external data files in which an ONNX network may store large tensors.

An ONNX file is a protobuf message; only the fields that lead to a tensor's `external_data` are read:

    ModelProto.graph 7            GraphProto.node 1, .initializer 5      NodeProto.attribute 5
    AttributeProto.t 5, .g 6, .tensors 10, .graphs 11                    TensorProto.external_data 13
    StringStringEntryProto.key 1, .value 2
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ov_mobilenet.errors import ConversionError

# For each type of message: the fields to follow, and the type of message in them.
_FIELDS = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
    "tensor": {13: "entry"},
}
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_MAX_DEPTH = 32  # of nested graphs


def data_files(network: Path) -> tuple[str, ...]:
    """The external data files of an ONNX network, relative to its folder, sorted; none for a broken network file.

    Raises:
        ConversionError: one of them is outside the network's folder, or does not exist.
    """
    try:
        names = sorted(set(_locations(memoryview(network.read_bytes()), "model", 0)))
    except (IndexError, ValueError):  # OpenVINO reports the error when it reads the network
        return ()
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or str(path) != name:
            raise ConversionError(
                "an external data file is outside the network's folder", where=network,
                expected="files in the same folder", got=repr(name),
                fix="Save the network again with its data in one file beside it",
            )  # fmt: skip
        if not (network.parent / name).is_file():
            raise ConversionError("an external data file does not exist", where=network, expected=repr(name))
    return tuple(names)


def _locations(message: memoryview, kind: str, depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        return
    for field, value in _fields(message):
        inner = _FIELDS[kind].get(field)
        if inner == "entry":
            entry = dict(_fields(value))
            if bytes(entry.get(1, b"")) == b"location":
                yield bytes(entry.get(2, b"")).decode()
        elif inner is not None:
            yield from _locations(value, inner, depth + 1)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of each length-delimited field. Raises: ValueError, IndexError."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        wire = tag & 7
        if wire == _VARINT:
            _, at = _varint(message, at)
        elif wire == _LENGTH:
            length, at = _varint(message, at)
            if length > len(message) - at:
                raise ValueError("the message ends early")
            yield tag >> 3, message[at : at + length]
            at += length
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            at += 8 if wire == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"wire type {wire}")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a number is too long")
