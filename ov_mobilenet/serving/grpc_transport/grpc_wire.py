"""The bytes of a `ModelInferRequest`, before protobuf reads them.

The tensors are cut out without a copy, so protobuf reads some hundred bytes. For eight million numbers in `contents` it
would need a second, in which nothing else runs, and up to 16 times their size. What is left is checked first: a message
of two-byte submessages would take 50 times its size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ov_mobilenet.serving.request_errors import RequestError

MAX_FIELDS = 4096
MAX_HEAD_BYTES = 1 << 20  # names, shapes and parameters
_SMALL = 64 << 10  # of this size, no message is dangerous

_INPUTS, _RAW_INPUT_CONTENTS = 5, 7  # fields of the request
_CONTENTS = 5  # field of an input
# The numbers of the fields that hold repeated or nested fields: inputs {contents}, outputs.
_NESTED: dict[int, dict[int, dict[int, object]]] = {_INPUTS: {_CONTENTS: {}}, 6: {}}

# Fields of `contents` by number.
CONTENTS_FIELDS = {
    1: "bool_contents", 2: "int_contents", 3: "int64_contents", 4: "uint_contents", 5: "uint64_contents",
    6: "fp32_contents", 7: "fp64_contents", 8: "bytes_contents",
}  # fmt: skip

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class SplitRequest:
    """A `ModelInferRequest` in parts.

    Attributes:
        head: the message without the other parts.
        raw: the elements of `raw_input_contents`.
        contents: messages `contents` above 64 KiB, by the index of their input.
    """

    head: bytes
    raw: list[memoryview]
    contents: dict[int, memoryview]


def split_request(data: bytes) -> SplitRequest:
    """Cut the tensors out of a message.

    Raises:
        RequestError: the bytes are not a protobuf message, or it is too large or has too many fields.
    """
    view = memoryview(data)
    head: list[bytes | memoryview] = []
    raw, contents, kept_to, inputs = [], {}, 0, 0
    for number, wire_type, start, value, end in read_fields(view):
        if wire_type != _LENGTH:
            continue
        if number == _RAW_INPUT_CONTENTS:
            head.append(view[kept_to:start])
            raw.append(view[value:end])
            kept_to = end
        elif number == _INPUTS:
            if end - value > _SMALL:
                rest, found = _split_input(view[value:end])
                if found is not None:
                    contents[inputs] = found
                    head += [view[kept_to:start], bytes([_INPUTS << 3 | _LENGTH]), _varint(len(rest)), rest]
                    kept_to = end
            inputs += 1
    head.append(view[kept_to:])
    joined = b"".join(head)
    if len(joined) > MAX_HEAD_BYTES:
        raise RequestError(
            "the request is too large without its tensors", reason="too-large",
            expected=f"at most {MAX_HEAD_BYTES} bytes", got=len(joined),
        )  # fmt: skip
    if len(joined) > _SMALL:
        _check_number_of_fields(joined)
    return SplitRequest(joined, raw, contents)


def _split_input(data: memoryview) -> tuple[bytes, memoryview | None]:
    """An input without its contents, and these if they are large."""
    rest, found, kept_to = [], None, 0
    for number, wire_type, start, value, end in read_fields(data):
        if number == _CONTENTS and wire_type == _LENGTH and end - value > _SMALL:
            if found is not None:
                raise RequestError("an input has contents twice")
            found = data[value:end]
            rest.append(data[kept_to:start])
            kept_to = end
    return b"".join([*rest, data[kept_to:]]), found


def bad_protobuf() -> RequestError:
    """The error for bytes that are not the message of the call."""
    return RequestError("the request is not a valid protobuf message")


def _check_number_of_fields(data: bytes) -> None:
    """Check the number of all fields together. Raises: RequestError."""
    count = 0
    pending: list[tuple[memoryview, dict[int, dict[int, dict[int, object]]]]] = [(memoryview(data), _NESTED)]
    while pending:
        message, nested = pending.pop()
        for number, wire_type, _, value, end in read_fields(message):
            count += 1
            if count > MAX_FIELDS:
                raise _too_many_fields()
            if wire_type == _LENGTH and number in nested:
                pending.append((message[value:end], nested[number]))  # type: ignore[arg-type]


def _too_many_fields() -> RequestError:
    return RequestError("the request has too many fields", expected=f"at most {MAX_FIELDS}")


def read_fields(data: memoryview) -> Iterator[tuple[int, int, int, int, int]]:
    """Number, wire type, start, start of the value and end of each field.

    Raises:
        RequestError: the bytes are not fields, or there are too many. Groups are refused too; no message here has them.
    """
    at, count = 0, 0
    try:
        while at < len(data):
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
            if at > len(data) or tag < 8:
                raise ValueError(tag)
            count += 1
            if count > MAX_FIELDS:
                raise _too_many_fields()
            yield tag >> 3, wire_type, start, value, at
    except (IndexError, ValueError):
        raise bad_protobuf() from None


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
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


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
