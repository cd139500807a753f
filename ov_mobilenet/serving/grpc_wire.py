"""The bytes of a `ModelInferRequest`, before protobuf reads them.

The tensors in `raw_input_contents` are cut out without a copy, so protobuf reads some hundred bytes. The rest is
checked first: a message of two-byte submessages would take 50 times its size in memory.
"""

from __future__ import annotations

from collections.abc import Iterator

from ov_mobilenet.serving.request_errors import RequestError

MAX_FIELDS = 4096
MAX_TYPED_BYTES = 8 << 20  # protobuf needs some 50 ms for it, in which the server does nothing else
TYPED_GROWTH = 16  # numbers of 64 bits in memory, against numbers below 128 in the message
_SMALL = 64 << 10  # of this size, no message is dangerous

_RAW_INPUT_CONTENTS = 7
# The numbers of the fields that hold repeated or nested fields: inputs {contents}, outputs.
_NESTED: dict[int, dict[int, dict[int, object]]] = {5: {5: {}}, 6: {}}

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


def split_request(data: bytes) -> tuple[bytes, list[memoryview]]:
    """A message without the field `raw_input_contents`, and the elements of this field.

    Raises:
        RequestError: the bytes are not a protobuf message, or it is too large or has too many fields.
    """
    view = memoryview(data)
    head, raw, kept_to = [], [], 0
    try:
        for count, (number, wire_type, start, value, end) in enumerate(_fields(data, 0, len(data))):
            if count >= MAX_FIELDS:
                raise _too_many_fields()
            if number == _RAW_INPUT_CONTENTS and wire_type == _LENGTH:
                head.append(view[kept_to:start])
                raw.append(view[value:end])
                kept_to = end
    except (IndexError, ValueError):
        raise bad_protobuf() from None
    head.append(view[kept_to:])
    rest = b"".join(head)
    if len(rest) > MAX_TYPED_BYTES:
        raise RequestError(
            "the request is too large without its raw_input_contents", reason="too-large",
            expected=f"at most {MAX_TYPED_BYTES} bytes", got=len(rest),
            fix="Send the tensor in raw_input_contents instead of contents",
        )  # fmt: skip
    if len(rest) > _SMALL:
        _check_number_of_fields(rest)
    return rest, raw


def bad_protobuf() -> RequestError:
    """The error for bytes that are not the message of the call."""
    return RequestError("the request is not a valid protobuf message")


def _check_number_of_fields(data: bytes) -> None:
    count = 0
    pending: list[tuple[int, int, dict[int, dict[int, dict[int, object]]]]] = [(0, len(data), _NESTED)]
    try:
        while pending:
            at, end, nested = pending.pop()
            for number, wire_type, _, value, value_end in _fields(data, at, end):
                count += 1
                if count > MAX_FIELDS:
                    raise _too_many_fields()
                if wire_type == _LENGTH and number in nested:
                    pending.append((value, value_end, nested[number]))  # type: ignore[arg-type]
    except (IndexError, ValueError):
        raise bad_protobuf() from None


def _too_many_fields() -> RequestError:
    return RequestError("the request has too many fields", expected=f"at most {MAX_FIELDS}")


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Number, wire type, start, start of the value and end of each field.

    Raises:
        IndexError, ValueError: the bytes are not fields. Groups are refused too; no message here has them.
    """
    while at < end:
        start = at
        tag, at = _read_varint(data, at)
        wire_type = tag & 7
        value = at
        if wire_type == _LENGTH:
            length, value = _read_varint(data, at)
            at = value + length
        elif wire_type == _VARINT:
            _, at = _read_varint(data, at)
        elif wire_type == _FIXED32:
            at += 4
        elif wire_type == _FIXED64:
            at += 8
        else:
            raise ValueError(wire_type)
        if at > end or tag < 8:
            raise ValueError(tag)
        yield tag >> 3, wire_type, start, value, at


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of up to 64 bits and the position after it."""
    result = data[at]
    if result < 0x80:
        return result, at + 1
    result &= 0x7F
    for shift in range(7, 70, 7):
        at += 1
        byte = data[at]
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at + 1
    raise ValueError(at)
