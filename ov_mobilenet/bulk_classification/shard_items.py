"""The images of a shard, read one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from io import BufferedReader
from typing import NamedTuple

from ov_mobilenet.bulk_classification.parquet_images import name_of, read_parquet
from ov_mobilenet.bulk_classification.remote_files import RemoteUrl, is_remote, parse_url
from ov_mobilenet.bulk_classification.remote_reading import (
    BLOCK_BYTES,
    MAX_AHEAD_BYTES,
    AccessDeniedError,
    in_order,
    is_readable,
    open_remote,
    read_image,
)
from ov_mobilenet.bulk_classification.settings import BulkSettings
from ov_mobilenet.bulk_classification.shards import Shard
from ov_mobilenet.bulk_classification.shards import ShardReadError as ShardReadError
from ov_mobilenet.errors import ImageError, UsageError
from ov_mobilenet.images.image_files import MAX_FILE_BYTES
from ov_mobilenet.inputs.shards import read_shard, read_tar
from ov_mobilenet.inputs.sources import masked
from ov_mobilenet.runtime.items import Item

# Other files of the shard that are tried if access to one is denied.
PROBES = 8


def read_items(shard: Shard, settings: BulkSettings) -> Iterator[Item]:
    """The images of a shard, with the same sources as `classify`. Raises: ShardReadError."""
    if shard.kind == "tar":
        yield from _tar(shard.paths[0])
    elif shard.kind == "parquet":
        assert shard.row_groups is not None
        cells = read_parquet(shard.paths[0], shard.row_groups, settings.image_column, settings.source_column)
        yield from _fetched(_wanted(cell.image, cell.source) for cell in cells)
    else:
        problems = dict(shard.problems)
        probes = tuple(parse_url(path) for path in shard.paths[: PROBES + 1] if is_remote(path))
        yield from _fetched(
            (
                _wanted(ImageError(problems[place]) if place in problems else path, name_of(path))
                for place, path in enumerate(shard.paths)
            ),
            probes,
        )


def _tar(path: str) -> Iterator[Item]:
    if not is_remote(path):
        return read_shard(path, lambda: True)
    url = parse_url(path)
    return read_tar(lambda: BufferedReader(open_remote(url, read_ahead=True), BLOCK_BYTES), url.name, lambda: True)


class _Wanted(NamedTuple):
    """An image of a shard; a URL is one that was not read yet."""

    image: bytes | str | ImageError | RemoteUrl
    source: str


def _wanted(image: bytes | str | ImageError, source: str) -> _Wanted:
    if not isinstance(image, str) or "://" not in image:
        return _Wanted(image, source)
    shown = masked(image) if source == image else source
    if not is_remote(image):
        return _Wanted(ImageError("not a path", expected="a path, or a URL that begins with s3:// or gs://"), shown)
    try:
        url = parse_url(image)
    except UsageError as error:  # of one row in a Parquet file
        return _Wanted(ImageError(error.what), shown)
    return _Wanted(url, url.name if source == image else source)


def _fetched(wanted: Iterator[_Wanted], probes: tuple[RemoteUrl, ...] = ()) -> Iterator[Item]:
    """The images as items; remote ones are read, many at a time. Raises: ShardReadError."""
    reader = _Reader(probes)
    with closing(in_order(wanted, reader.read_ahead, _is_unread)) as read:
        for done in read:
            image = reader.read(done.image, MAX_FILE_BYTES) if isinstance(done.image, RemoteUrl) else done.image
            assert image is not None
            yield Item(image, done.source)


def _is_unread(wanted: _Wanted) -> bool:
    return isinstance(wanted.image, RemoteUrl)


class _Reader:
    """Reads the remote images of a shard.

    Access can be denied to one file, which is a failure, or to all because the credentials have expired: then the
    shard is to be read again later. Another file tells which.

    Args:
        probes: files of the shard that may be readable.
    """

    def __init__(self, probes: tuple[RemoteUrl, ...]) -> None:
        self._probes = probes

    def read_ahead(self, wanted: _Wanted) -> _Wanted:
        """Read an image, unless it is large. Thread-safe."""
        if not isinstance(wanted.image, RemoteUrl):
            return wanted
        image = self.read(wanted.image, MAX_AHEAD_BYTES)
        return wanted if image is None else wanted._replace(image=image)

    def read(self, url: RemoteUrl, max_bytes: int) -> bytes | ImageError | None:
        """See `read_image`. Thread-safe."""
        try:
            image = read_image(url, max_bytes)
        except AccessDeniedError as error:
            if any(is_readable(probe) for probe in self._probes if probe != url):
                return ImageError(f"cannot be read ({error})")
            raise
        if isinstance(image, bytes):
            self._probes = (url, *self._probes[: PROBES - 1])
        return image
