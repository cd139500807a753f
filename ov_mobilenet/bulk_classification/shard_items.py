"""The images of a shard, read one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from ov_mobilenet.bulk_classification.settings import BulkSettings
from ov_mobilenet.bulk_classification.shards import Shard
from ov_mobilenet.errors import ImageError
from ov_mobilenet.inputs.shards import read_shard
from ov_mobilenet.runtime.items import Item


class ShardReadError(Exception):
    """The images of a shard cannot be read now, as when a connection is lost: the shard is to be read again later.

    A file that is damaged or missing is not such an error: it gives a failure in the results.
    """


def read_items(shard: Shard, settings: BulkSettings) -> Iterator[Item]:
    """The images of a shard, with the same sources as `classify`. Raises: ShardReadError."""
    if shard.kind == "tar":
        yield from read_shard(shard.paths[0], lambda: True)
        return
    problems = dict(shard.problems)
    for place, path in enumerate(shard.paths):
        yield Item(ImageError(problems[place]) if place in problems else path, path)
