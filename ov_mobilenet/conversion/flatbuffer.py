"""Read tables of a FlatBuffer file without its generated classes; every offset and count is checked.

The format: https://flatbuffers.dev/internals/. All numbers are little endian. A table begins with the distance to its
vtable, which lists where the fields are; strings, vectors and tables are referred to by unsigned forward distances.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

MAX_ITEMS = 100_000  # of a vector of tables or numbers; the longest in a MobileNet, its buffers, has about 300


class FlatBufferError(ValueError):
    """The bytes are not a valid FlatBuffer of the expected schema."""


@dataclass(frozen=True)
class FlatTable:
    """A table in the bytes of a FlatBuffer. All methods raise FlatBufferError for what lies outside the bytes.

    Attributes:
        data: the whole FlatBuffer.
        position: where the table begins.
    """

    data: memoryview
    position: int

    def number(self, field: int, kind: str, default: int = 0) -> int:
        """An integer field; `kind` is its code in `struct`, such as `I` or `b`."""
        place = self._place(field)
        return default if place is None else _unpack(self.data, kind, place)

    def table(self, field: int) -> FlatTable | None:
        """A field that is a table; None if it is missing."""
        place = self._place(field)
        return None if place is None else FlatTable(self.data, _target(self.data, place))

    def tables(self, field: int) -> list[FlatTable]:
        """A field that is a vector of tables; empty if it is missing."""
        start, count = self._vector(field, 4)
        return [FlatTable(self.data, _target(self.data, start + 4 * number)) for number in range(_limited(count))]

    def floats(self, field: int) -> tuple[float, ...]:
        """A field that is a vector of float32; empty if it is missing."""
        start, count = self._vector(field, 4)
        return struct.unpack_from(f"<{_limited(count)}f", self.data, start)

    def content(self, field: int) -> memoryview | None:
        """The bytes of a string, or of a vector of bytes; None if it is missing."""
        if self._place(field) is None:
            return None
        start, count = self._vector(field, 1)
        return self.data[start : start + count]

    def text(self, field: int) -> str | None:
        """A string; None if it is missing. Bytes that are not UTF-8 are replaced."""
        content = self.content(field)
        return None if content is None else bytes(content).decode("utf-8", "replace")

    def _place(self, field: int) -> int | None:
        """Where a field is; None if the table does not have it."""
        vtable = self.position - _unpack(self.data, "i", self.position)
        entry = 4 + 2 * field
        if entry + 2 > _unpack(self.data, "H", vtable):
            return None
        distance = _unpack(self.data, "H", vtable + entry)
        return self.position + distance if distance else None

    def _vector(self, field: int, item_bytes: int) -> tuple[int, int]:
        """Where the items of a vector begin, and how many there are."""
        place = self._place(field)
        if place is None:
            return 0, 0
        start = _target(self.data, place)
        count = _unpack(self.data, "I", start)
        if start + 4 + count * item_bytes > len(self.data):
            raise FlatBufferError(f"a vector of {count} items ends behind the end of the file")
        return start + 4, count


def root_table(data: memoryview, identifier: bytes) -> FlatTable:
    """The root table of a FlatBuffer with this identifier of four bytes. Raises: FlatBufferError."""
    found = bytes(data[4:8])
    if found != identifier:
        raise FlatBufferError(f"expected the identifier {identifier.decode()}, got {found!a}")
    return FlatTable(data, _target(data, 0))


def _limited(count: int) -> int:
    if count > MAX_ITEMS:
        raise FlatBufferError(f"expected a vector of at most {MAX_ITEMS} items, got {count}")
    return count


def _target(data: memoryview, place: int) -> int:
    return place + _unpack(data, "I", place)


def _unpack(data: memoryview, kind: str, place: int) -> int:
    if not 0 <= place <= len(data) - struct.calcsize(f"<{kind}"):
        raise FlatBufferError(f"an offset leads to byte {place} of {len(data)}")
    number: int = struct.unpack_from(f"<{kind}", data, place)[0]
    return number
