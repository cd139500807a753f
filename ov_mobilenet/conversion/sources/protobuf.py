"""Split a protobuf message into its fields, and refuse whatever another parser could read in another way.

Groups, numbers that are longer than necessary, field number 0 and fields that end after the message are refused.
Python's protobuf package is not used: it is not installed with ov-mobilenet.
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_MAX_FIELD = (1 << 29) - 1
_MAX_VARINT_BYTES = 10  # a negative number takes all of them


class MalformedMessageError(ValueError):
    """The bytes are not a message that all parsers read in the same way."""


def length_delimited_fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of each length-delimited field: messages, strings and packed numbers, in their order.

    A field that occurs several times is returned several times; parsers join or replace the earlier ones.

    Raises:
        MalformedMessageError: see above. It is raised when the field is reached.
    """
    at, end = 0, len(message)
    while at < end:
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if not 1 <= number <= _MAX_FIELD:
            raise MalformedMessageError(f"field number {number}")
        if wire == _LENGTH:
            length, at = _varint(message, at)
            if length > end - at:
                raise MalformedMessageError(f"field {number} ends after its message")
            yield number, message[at : at + length]
            at += length
        elif wire == _VARINT:
            _, at = _varint(message, at)
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            at += 8 if wire == _EIGHT_BYTES else 4
            if at > end:
                raise MalformedMessageError(f"field {number} ends after its message")
        else:
            raise MalformedMessageError(f"field {number} is a group" if wire in (3, 4) else f"wire type {wire}")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number, and the position after it. Raises: MalformedMessageError."""
    value = 0
    for count in range(_MAX_VARINT_BYTES):
        if at + count >= len(message):
            raise MalformedMessageError("a number ends after its message")
        byte = message[at + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            if count and not byte:
                raise MalformedMessageError("a number is longer than necessary")
            if value >= 1 << 64:
                break
            return value, at + count + 1
    raise MalformedMessageError("a number is longer than 64 bits")
