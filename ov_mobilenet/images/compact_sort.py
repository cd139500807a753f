"""`CompactSort`: sorts the names of millions of files in little memory."""

from __future__ import annotations

import heapq
import marshal
import zlib
from collections.abc import Iterator
from typing import Generic, TypeVar

Row = TypeVar("Row", bound="tuple[str | int | None, ...]")

RUN_ROWS, BLOCK_ROWS = 1 << 14, 1 << 8


class CompactSort(Generic[Row]):
    """Rows of text, numbers and None, to be read in their order.

    They are kept in sorted runs of compressed blocks: about 10 bytes for a path of a large folder, instead of about
    100. Only one block of each run is unpacked at a time.
    """

    def __init__(self) -> None:
        self._runs: list[list[bytes]] = []
        self._rows: list[Row] = []

    def add(self, row: Row) -> None:
        """Add a row."""
        self._rows.append(row)
        if len(self._rows) >= RUN_ROWS:
            self._pack()

    def __iter__(self) -> Iterator[Row]:
        """The rows in their order, once: each is forgotten when it was read."""
        self._pack()
        return heapq.merge(*map(self._unpacked, self._runs))

    def _pack(self) -> None:
        rows, self._rows = sorted(self._rows), []
        if rows:
            self._runs.append([
                zlib.compress(marshal.dumps(rows[begin : begin + BLOCK_ROWS]), 1)
                for begin in range(0, len(rows), BLOCK_ROWS)
            ])  # fmt: skip

    def _unpacked(self, blocks: list[bytes]) -> Iterator[Row]:
        blocks.reverse()
        while blocks:  # each block is released when it was read
            yield from marshal.loads(zlib.decompress(blocks.pop()))
