"""The list of all shards of a run: a file in the output with one line per shard, of which each worker reads its own."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

from ov_mobilenet.bulk_classification.shards import DIGITS, Shard, parse_shard

SHARD_LIST = "_shards.jsonl"


@dataclass(frozen=True)
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


class ShardList:
    """All shards of a run, in a temporary file: memory holds about 200 bytes per shard.

    Attributes:
        places: one per shard.
        digest: identity of all shards in their order.
        images: number of images; None if it is not known before they are read.
    """

    def __init__(self, shards: Iterable[Shard]) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
        whole = hashlib.sha256()
        self.places: list[ShardPlace] = []
        images: int | None = 0
        offset = 0
        for shard in shards:
            line = shard.line()
            whole.update(line)
            self._file.write(line)
            self.places.append(ShardPlace(shard.index, offset, len(line), shard.digest))
            offset += len(line)
            images = None if images is None or shard.images is None else images + shard.images
        self.images = images
        self.digest = whole.hexdigest()[:DIGITS]

    def shard(self, place: ShardPlace) -> Shard:
        """Read one shard."""
        self._file.seek(place.offset)
        return parse_shard(self._file.read(place.length))

    def chunks(self) -> Iterator[bytes]:
        """The content of the list, in pieces of at most 1 MiB."""
        self._file.seek(0)
        while chunk := self._file.read(1 << 20):
            yield chunk

    def close(self) -> None:
        """Delete the temporary file."""
        self._file.close()
