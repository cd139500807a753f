"""Images out of tar shards, as WebDataset lays them out: read from front to back, one member in memory at a time.

Nothing is written to disk, and a member's name is only what its result is called.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

from ov_mobilenet.errors import ImageError
from ov_mobilenet.images.image_files import IMAGE_SUFFIXES, MAX_FILE_BYTES
from ov_mobilenet.runtime.items import Item

_GZIP = b"\x1f\x8b"
_DAMAGE = (tarfile.TarError, OSError, EOFError, ValueError, zlib.error, OverflowError, MemoryError)


def read_shard(path: str, wanted: Callable[[], bool]) -> Iterator[Item]:
    """The images of a shard, each called `shard/member`; other members are passed over.

    A shard that is damaged or ends too early gives what was read before, and then one failure.

    Args:
        wanted: asked once for each image, in their order; those that are not wanted are not read.
    """
    found = False
    try:
        with Path(path).open("rb") as file, _unpacked(file) as stream:
            archive = tarfile.TarFile(
                path, "r", cast("IO[bytes]", _Bounded(stream)), tarinfo=_Member, errors="backslashreplace"
            )
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined] # tarfile keeps them all
                if not member.isreg() or PurePosixPath(member.name).suffix.lower() not in IMAGE_SUFFIXES:
                    continue
                found = True
                if wanted():
                    yield Item(_content(archive, member), f"{path}/{member.name}")
    except _DAMAGE as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        yield Item(ImageError(f"the shard cannot be read to its end ({reason or type(error).__name__})"), path)
    else:
        if not found:
            expected = "members with the suffixes of images, such as 000001.jpg"
            yield Item(ImageError("no images in the shard", expected=expected), path)


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    packed = file.read(2) == _GZIP
    file.seek(0)
    return cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if packed else file


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes | ImageError:
    if member.size > MAX_FILE_BYTES:
        return ImageError("file too large", expected=f"at most {MAX_FILE_BYTES} bytes", got=member.size)
    stream = archive.extractfile(member)
    return b"" if stream is None else stream.read()


class _Member(tarfile.TarInfo):
    """A header that is none is an error; tarfile takes it for the end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> _Member:
        """The next member. Raises: tarfile.ReadError; at a proper end what tarfile wants there."""
        begin = archive.offset
        try:
            member = super().fromtarfile(archive)
        except _END:
            raise
        except tarfile.HeaderError as error:
            reason = "it is cut off" if isinstance(error, _CUT) else str(error)
            raise tarfile.ReadError(f"{reason}, at byte {begin}") from error
        if member.size < 0 or archive.offset <= begin:  # an endless loop, where Python does not look
            raise tarfile.ReadError(f"bad size in the header at byte {begin}")
        return member


_END = tarfile.EOFHeaderError  # type: ignore[attr-defined]
_CUT = (tarfile.EmptyHeaderError, tarfile.TruncatedHeaderError)  # type: ignore[attr-defined]


class _Bounded:
    """A stream of which nobody reads more at once than an image may hold: headers can claim any length."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.tell, self.seek = stream.tell, stream.seek

    def read(self, count: int) -> bytes:
        """So many bytes. Raises: tarfile.ReadError."""
        if not 0 <= count <= MAX_FILE_BYTES:
            raise tarfile.ReadError(f"a header that claims {count} bytes")
        return self._stream.read(count)
