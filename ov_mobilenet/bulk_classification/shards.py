"""`Shard`: the images of one part, and its form as a line of JSON; `FailedShard`: a shard whose part is missing."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, fields, replace
from typing import Literal

from msgspec import Struct

from ov_mobilenet.bulk_classification.remote_files import name_of
from ov_mobilenet.errors import printable

ShardKind = Literal["images", "tar", "parquet"]
DIGITS = 16
PART_NAME = re.compile(r"part-\d{5,}\.parquet")
# How often a shard is begun before it has failed.
ATTEMPTS = 5
MAX_REASON = 500


class ShardReadError(Exception):
    """The images of a shard cannot be read now, as when a connection is lost: the shard is to be read again later.

    A file that is damaged or missing is not such an error: it gives a failure in the results.
    """


@dataclass(frozen=True)
class Shard:
    """The images of one part, in order.

    Attributes:
        index: place in the run, from 0.
        kind: `images` has image files, `tar` a WebDataset shard, `parquet` row groups of one Parquet file.
        paths: the image files, or the one file that holds the images; local paths or s3:// and gs:// URLs.
        size: bytes of the file that holds the images; None for `images`.
        row_groups: first row group and the one after the last, for `parquet`.
        images: number of images; None if it is not known before they are read (`tar`).
        problems: for `images`, why a file cannot be read, by its place in `paths`.
    """

    index: int
    kind: ShardKind
    paths: tuple[str, ...]
    size: int | None = None
    row_groups: tuple[int, int] | None = None
    images: int | None = None
    problems: tuple[tuple[int, str], ...] = ()

    @property
    def digest(self) -> str:
        """The identity of the shard: the first `DIGITS` hexadecimal digits of the SHA-256 of its line."""
        return line_digest(self.line())

    @property
    def part_name(self) -> str:
        """The file name of its part."""
        return part_name(self.index)

    def line(self) -> bytes:
        """The shard as one line of JSON in ASCII, which also keeps file names that are not UTF-8."""
        values = {name: getattr(self, name) for name in _NAMES if getattr(self, name) not in (None, ())}
        return json.dumps(values, separators=(",", ":")).encode() + b"\n"


_NAMES = tuple(field.name for field in fields(Shard))


def line_digest(line: bytes) -> str:
    """The digest of a shard, from its line."""
    return hashlib.sha256(line).hexdigest()[:DIGITS]


def part_name(index: int) -> str:
    """The file name of the part of a shard: with 5 digits, from 100,000 shards on with more."""
    return f"part-{index:05}.parquet"


def parse_shard(line: bytes) -> Shard:
    """The inverse of `Shard.line`."""
    shard = Shard(**json.loads(line))
    return replace(
        shard,
        paths=tuple(shard.paths),
        row_groups=None if shard.row_groups is None else (shard.row_groups[0], shard.row_groups[1]),
        problems=tuple((place, problem) for place, problem in shard.problems),
    )


class FailedShard(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A shard without a part; all other shards are not affected.

    Attributes:
        index: of the shard.
        part: name of the part that is missing.
        shard: digest of the shard.
        source: its first image, or the file that holds its images; a URL without its options.
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
    source = name_of(shard.paths[0]) if shard.paths else ""
    return FailedShard(
        index=shard.index, part=shard.part_name, shard=shard.digest,
        source=printable(source)[:MAX_REASON], reason=printable(reason)[:MAX_REASON],
    )  # fmt: skip
