"""Large `contents` of an input, read from their protobuf bytes."""

from __future__ import annotations

from ov_mobilenet.serving.grpc_transport.grpc_wire import CONTENTS_FIELDS, bad_protobuf, read_fields
from ov_mobilenet.serving.request_errors import RequestError

# The field of `contents` for each data type.
FIELD_OF = {"UINT8": "uint_contents", "FP32": "fp32_contents", "BYTES": "bytes_contents"}

_LENGTH = 2  # wire type of a packed field


def large_contents(contents: memoryview, datatype: str, where: str) -> list[memoryview]:
    """The bytes of the field for a data type.

    Args:
        contents: a message `InferTensorContents`.
        where: the input, for messages.

    Returns:
        For numbers one item, in little-endian order; for BYTES one for each element.

    Raises:
        RequestError: the message is invalid, or has another field.
    """
    parts = []
    for number, wire_type, _, value, end in read_fields(contents):
        if CONTENTS_FIELDS.get(number) != FIELD_OF[datatype]:
            raise wrong_field(datatype, [CONTENTS_FIELDS.get(number, f"field {number}")], where)
        if wire_type != _LENGTH:
            raise RequestError("the numbers in contents are not packed", where=where, expected="a packed field")
        parts.append(contents[value:end])
    if datatype == "BYTES":
        return parts
    joined = parts[0] if len(parts) == 1 else memoryview(b"".join(parts))
    return [joined if datatype == "FP32" else _unpack(joined, where)]


def wrong_field(datatype: str, found: list[str], where: str) -> RequestError:
    """The error for a field of `contents` that is not the one of the data type."""
    return RequestError(
        "the field of contents does not match the datatype", where=where,
        expected=f"{FIELD_OF[datatype]} for {datatype}", got=", ".join(found),
    )  # fmt: skip


def _unpack(packed: memoryview, where: str) -> memoryview:
    """Numbers from 0 to 255 as bytes.

    Those below 128 are one byte of the message; for the others, their own byte is followed by a 1.
    """
    import numpy as np

    data = np.frombuffer(packed, np.uint8)
    is_long = data >= 0x80
    if not is_long.any():
        return packed
    if is_long[-1]:
        raise bad_protobuf()
    second = np.flatnonzero(is_long) + 1
    if (data[second] != 1).any():
        raise RequestError("invalid UINT8 value", where=where, expected="0..255", got="a larger number")
    keep = np.ones(len(data), np.bool_)
    keep[second] = False
    return memoryview(data[keep].tobytes())
