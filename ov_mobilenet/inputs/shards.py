"""Read the images of tar shards in WebDataset's format, from front to back with one member in memory at a time.

Nothing is extracted to disk; the name of a member is only used as the source of its result. `tarfile.TarFile` is not
used: it keeps every header in memory, takes a damaged header for the end of the archive, and reads as many bytes as a
header declares. Only its header parser, `TarInfo.frombuf`, is used.
"""

from __future__ import annotations

import gzip
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from ov_mobilenet.errors import ImageError
from ov_mobilenet.images.image_files import IMAGE_SUFFIXES, MAX_FILE_BYTES
from ov_mobilenet.operating_system.open_file import open_file
from ov_mobilenet.runtime.items import Item

BLOCK_BYTES = 512
# Limit for a header that extends the next one: a long name, or pax records with extended attributes.
MAX_EXTENSION_BYTES = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"
LONG_NAME, LONG_LINK = b"L", b"K"
PAX_HEADERS, PAX_GLOBAL_HEADER = (b"x", b"X"), b"g"
TYPES_WITHOUT_DATA = (
    tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE
)  # fmt: skip
# Offsets of the flag "one more block follows": in an old GNU header of a sparse file, and in its further blocks.
SPARSE_FLAG, SPARSE_BLOCK_FLAG = 482, 504
DAMAGE_ERRORS = (tarfile.TarError, OSError, EOFError, ValueError, zlib.error, OverflowError, MemoryError)

_PAX_RECORD = re.compile(rb"(\d{1,9}) ([^=]+)=")


@dataclass
class _Extension:
    """The properties that a long-name or pax header sets for the member after it."""

    name: str | None = None
    size: int | None = None
    is_sparse: bool = False


def read_shard(path: str, wanted: Callable[[], bool]) -> Iterator[Item]:
    """The images of a shard, with `shard/member` as source; other members are skipped.

    For a shard that is damaged see `read_tar`.

    Args:
        wanted: called once per image, in order; an image is read only if it returns True.
    """
    return read_tar(lambda: open_file(Path(path)), path, wanted)


def read_tar(open_stream: Callable[[], IO[bytes]], name: str, wanted: Callable[[], bool]) -> Iterator[Item]:
    """The images of a shard that is not necessarily a local file.

    A shard that is damaged or truncated gives the images before the damage, and then one failure. Errors of the stream
    other than OSError are not caught.

    Args:
        open_stream: opens the shard; an OSError is a failure.
        name: of the shard in the results.
        wanted: as for `read_shard`.
    """
    has_images = False
    try:
        with open_stream() as file, _decompressed(file) as stream:
            for member in _members(stream):
                if not member.isreg() or PurePosixPath(member.name).suffix.lower() not in IMAGE_SUFFIXES:
                    continue
                has_images = True
                if wanted():
                    yield Item(_content(stream, member), f"{name}/{member.name}")
    except DAMAGE_ERRORS as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        yield Item(ImageError(f"the shard cannot be read to its end ({reason or type(error).__name__})"), name)
    else:
        if not has_images:
            expected = "members with image suffixes, such as 000001.jpg"
            yield Item(ImageError("no images in the shard", expected=expected), name)


def _decompressed(file: IO[bytes]) -> IO[bytes]:
    is_gzip = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    file.seek(0)
    return cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if is_gzip else file


def _members(stream: IO[bytes]) -> Iterator[tarfile.TarInfo]:
    """The members; when one is yielded, the stream is at the beginning of its data.

    Raises:
        tarfile.ReadError: a header is damaged, or the archive does not end with a block of zeros.
    """
    extension = _Extension()
    while True:
        begin = stream.tell()
        block = _read(stream, BLOCK_BYTES, "header")
        if block == bytes(BLOCK_BYTES):
            return
        try:
            member = tarfile.TarInfo.frombuf(block, "utf-8", "backslashreplace")
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"{error} at byte {begin}") from error
        if member.type in (LONG_NAME, LONG_LINK, PAX_GLOBAL_HEADER, *PAX_HEADERS):
            _extend(extension, member, _extension_data(stream, member, begin))
            continue
        if member.type == tarfile.GNUTYPE_SPARSE:
            extension.is_sparse = True
            has_more = block[SPARSE_FLAG]
            while has_more:
                has_more = _read(stream, BLOCK_BYTES, "header")[SPARSE_BLOCK_FLAG]
        member.name = member.name if extension.name is None else extension.name
        member.size = member.size if extension.size is None else extension.size
        if member.size < 0:
            raise tarfile.ReadError(f"negative size in the header at byte {begin}")
        if extension.is_sparse:
            member.type = tarfile.GNUTYPE_SPARSE
        extension = _Extension()
        end = stream.tell() + (0 if member.type in TYPES_WITHOUT_DATA else _padded(member.size))
        yield member
        stream.seek(end)


def _content(stream: IO[bytes], member: tarfile.TarInfo) -> bytes | ImageError:
    if member.type == tarfile.GNUTYPE_SPARSE:
        return ImageError("the member is stored as a sparse file, which is not supported")
    if member.size > MAX_FILE_BYTES:
        return ImageError("file too large", expected=f"at most {MAX_FILE_BYTES} bytes", got=member.size)
    return _read(stream, member.size, "data")


def _extension_data(stream: IO[bytes], header: tarfile.TarInfo, begin: int) -> bytes:
    if not 0 <= header.size <= MAX_EXTENSION_BYTES:
        raise tarfile.ReadError(
            f"the header at byte {begin} declares {header.size} bytes, more than {MAX_EXTENSION_BYTES}"
        )
    return _read(stream, _padded(header.size), "header")[: header.size]


def _extend(extension: _Extension, header: tarfile.TarInfo, data: bytes) -> None:
    if header.type == LONG_NAME:
        extension.name = data.partition(b"\0")[0].decode("utf-8", "backslashreplace")
    elif header.type in PAX_HEADERS:
        for key, value in _pax_records(data):
            if key == b"path":
                extension.name = value.decode("utf-8", "backslashreplace").rstrip("/")
            elif key == b"size":
                extension.size = int(value)
            elif key.startswith(b"GNU.sparse."):
                extension.is_sparse = True


def _pax_records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Records are "LENGTH KEY=VALUE\\n"; LENGTH counts the whole record. Raises: tarfile.ReadError."""
    position = 0
    while position < len(data) and data[position]:  # some writers pad with zeros
        match = _PAX_RECORD.match(data, position)
        end = position + int(match[1]) if match is not None else 0
        if match is None or not match.end() < end <= len(data):
            raise tarfile.ReadError("damaged pax header")
        yield match[2], data[match.end() : end - 1]
        position = end


def _padded(size: int) -> int:
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES


def _read(stream: IO[bytes], count: int, what: str) -> bytes:
    begin = stream.tell()
    data = stream.read(count)
    if len(data) < count:
        raise tarfile.ReadError(f"truncated {what} at byte {begin}")
    return data
