"""The list of all shards of a run: a file in the output with one line per shard, of which each worker reads its own."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import IO, cast

from ov_mobilenet.bulk_classification.parts import temporary_file_error, write_from
from ov_mobilenet.bulk_classification.shards import DIGITS, PART_NAME, Shard, line_digest, parse_shard, part_name
from ov_mobilenet.bulk_classification.stores import Store

SHARD_LIST = "_shards.jsonl"
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class ShardPlace:
    """Where the line of a shard is in the list.

    Attributes:
        offset, length: in bytes.
        digest: of the shard.
    """

    index: int
    offset: int
    length: int
    digest: str

    @property
    def part_name(self) -> str:
        """The file name of the part."""
        return part_name(self.index)


class ShardList:
    """All shards of a run, in a temporary file of this machine: memory holds about 250 bytes per shard.

    Attributes:
        places: one per shard.
        digest: identity of all shards in their order.
        size: of the list, in bytes.
        images: number of images; None if it is not known before they are read.
        folder: current folder, if a path of a shard is relative to it; otherwise None.
        part_like: Parquet inputs with the name of a part.

    Raises:
        OutputError: the temporary file cannot be written.
    """

    def __init__(self, shards: Iterable[Shard]) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
        whole = hashlib.sha256()
        self.places: list[ShardPlace] = []
        self.size = 0
        self.folder: str | None = None
        self.part_like: list[str] = []
        images: int | None = 0
        try:
            for shard in shards:
                line = shard.line()
                whole.update(line)
                self._write(line)
                self.places.append(ShardPlace(shard.index, self.size, len(line), line_digest(line)))
                self.size += len(line)
                if self.folder is None and any(map(_is_relative, shard.paths)):
                    self.folder = os.getcwd()  # noqa: PTH109 (text)
                path = shard.paths[0] if shard.kind == "parquet" else ""
                if PART_NAME.fullmatch(os.path.basename(path)):  # noqa: PTH119 (may be a URL)
                    self.part_like.append(path)
                images = None if images is None or shard.images is None else images + shard.images
            self._write(b"")
        except BaseException:
            self._file.close()
            raise
        self.images = images
        self.digest = whole.hexdigest()[:DIGITS]

    def shard(self, place: ShardPlace) -> Shard:
        """Read one shard."""
        self._file.seek(place.offset)
        return parse_shard(self._file.read(place.length))

    def write_to(self, store: Store) -> None:
        """Write the list to the output, in bounded memory. Raises: OutputError."""
        write_from(store, SHARD_LIST, self._file, self.size)

    def is_in(self, store: Store, size: int | None) -> bool:
        """Whether the list in the output is this one.

        Args:
            size: of the list in the output; None if there is none.
        """
        if size != self.size:
            return False
        found = hashlib.sha256()
        with store.open(SHARD_LIST) as file:
            while chunk := file.read(CHUNK):
                found.update(chunk)
        return found.hexdigest()[:DIGITS] == self.digest

    def first_difference(self, store: Store) -> tuple[Shard | None, Shard | None] | None:
        """The first shard that differs from the list in the output: the one there, and the one of this list.

        None if there is no difference. A list that has ended has None for its shard.
        """
        self._file.seek(0)
        with store.open(SHARD_LIST) as file:
            stored = io.BufferedReader(cast("io.RawIOBase", file), CHUNK)
            for there, here in zip_longest(stored, self._file):
                if there != here:
                    return _parsed(there), _parsed(here)
        return None

    def close(self) -> None:
        """Delete the temporary file."""
        self._file.close()

    def _write(self, line: bytes) -> None:
        """Add a line; without one, write what is still in the buffer."""
        try:
            if line:
                self._file.write(line)
            else:
                self._file.flush()
        except OSError as error:
            temporary_file_error(error)


def _is_relative(path: str) -> bool:
    return not os.path.isabs(path) and "://" not in path  # noqa: PTH117 (text)


def _parsed(line: bytes | None) -> Shard | None:
    try:
        return None if line is None else parse_shard(line)
    except (ValueError, TypeError):  # the list in the output is damaged
        return None
