"""`FailedShard`: a shard whose part could not be written."""

from __future__ import annotations

from msgspec import Struct

from ov_mobilenet.bulk_classification.shards import Shard
from ov_mobilenet.errors import printable

# How often a shard is begun before it has failed.
ATTEMPTS = 5
MAX_REASON = 500


class FailedShard(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A shard without a part; all other shards are not affected.

    Attributes:
        index: of the shard.
        part: name of the part that is missing.
        shard: digest of the shard.
        source: its first image, or the file that holds its images.
        reason: why its images could not be read, or what ended the worker.
        again: whether the shard will be begun again in this run.
    """

    index: int
    part: str
    shard: str
    source: str
    reason: str
    again: bool = False


def failed_shard(shard: Shard, reason: str) -> FailedShard:
    """The failure of a shard; `reason` becomes one line of printable characters, at most `MAX_REASON`."""
    return FailedShard(
        index=shard.index, part=shard.part_name, shard=shard.digest,
        source=printable(shard.paths[0])[:MAX_REASON] if shard.paths else "", reason=printable(reason)[:MAX_REASON],
    )  # fmt: skip
