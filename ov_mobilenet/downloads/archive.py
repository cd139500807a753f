"""Unpack from an archive what a description refers to, and nothing else.

Archives come from the network. Members are written one by one, regular files only, to paths built here; links,
devices and permissions of the archive are never made, so no member can reach outside the folder through another.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ov_mobilenet.downloads.cache import replacing, temporary_of
from ov_mobilenet.errors import ArchiveError

MAX_MEMBERS = 10_000
MAX_TOTAL_BYTES = 4 << 30  # unpacked; the largest archive of the family (V2 1.4) unpacks to 0.3 GB
CHUNK_BYTES = 1 << 20
MAX_READ_BYTES = 4 << 20  # a name or a header; contents are read in chunks

# One member: its name, its declared size in bytes, whether it is a regular file (None: a folder), how to open it.
Member = tuple[str, int, bool | None, Callable[[], IO[bytes] | None]]


def unpack(archive: Path, format_name: str, wanted: str, folder: Path) -> list[Path]:
    """Unpack one file, or all files below one folder of the archive.

    Args:
        format_name: tar, gztar, bztar, xztar or zip.
        wanted: member name, or folder of members, with `/`.
        folder: where to; the file appears as `folder / name`, complete or not at all.

    Returns:
        The files written.

    Raises:
        ArchiveError: the archive is broken, not of that format, too large, names a path outside, has the wanted
            member as a link or device or twice, or not at all. Names the member.
    """
    written: dict[Path, None] = {}  # a set that keeps its order
    folders: set[Path] = set()
    total = 0
    try:
        with _members(archive, format_name) as members:
            for count, (raw_name, size, is_file, open_member) in enumerate(members, 1):
                total += size
                if count > MAX_MEMBERS or total > MAX_TOTAL_BYTES:
                    raise ArchiveError(
                        f"archive too large at member {raw_name!r}", where=archive,
                        expected=f"at most {MAX_MEMBERS} members and {MAX_TOTAL_BYTES} bytes",
                    )  # fmt: skip
                if is_file is None:
                    continue  # folders are made as files need them
                name = _safe_name(raw_name, archive)
                if name != wanted and not name.startswith(wanted + "/"):
                    continue
                if not is_file:
                    raise ArchiveError(f"member {raw_name!r} is not a regular file", where=archive)
                target = folder / name
                taken = (target, temporary_of(target), *target.parents)
                if target in folders or any(path in written for path in taken):
                    raise ArchiveError(f"member {raw_name!r} is there twice", where=archive)
                stream = open_member()
                assert stream is not None  # tarfile gives None for what is not a regular file
                with stream:
                    _write(stream, target, size, raw_name, archive)
                written[target] = None
                folders.update(target.parents)
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        EOFError,
        zlib.error,
        lzma.LZMAError,
        UnicodeError,
    ) as error:
        raise ArchiveError(f"broken archive ({error})", where=archive, expected=format_name) from error
    except OSError as error:
        # gzip.BadGzipFile and "Invalid data stream" of bz2 have no number, a place beyond a zip is EINVAL;
        # with another number it is the disk.
        if error.errno not in (None, errno.EINVAL):
            raise
        raise ArchiveError(f"broken archive ({error})", where=archive, expected=format_name) from error
    except (RuntimeError, NotImplementedError, ValueError) as error:
        # zipfile: a password, an unknown compression method; tarfile: a negative size
        raise ArchiveError(f"archive cannot be read ({error})", where=archive) from error
    if not written:
        raise ArchiveError("the archive lacks what the description refers to", where=archive, expected=wanted)
    return list(written)


@contextmanager
def _members(archive: Path, format_name: str) -> Iterator[Iterator[Member]]:
    if format_name == "zip":
        with zipfile.ZipFile(archive) as zipped:
            yield (_zip_member(zipped, info) for info in zipped.infolist())
        return
    opener: Callable[[Path], IO[bytes]] = _OPENERS[format_name]
    with opener(archive) as stream, tarfile.open(fileobj=_Limited(stream), mode="r:") as tar:  # type: ignore[call-overload]
        yield (_tar_member(tar, info) for info in tar)


_OPENERS: dict[str, Callable[[Path], Any]] = {
    "tar": lambda path: path.open("rb"),
    "gztar": gzip.open,
    "bztar": bz2.open,
    "xztar": lzma.open,
}


class _Limited:
    """A stream that refuses huge reads: tarfile takes a long name of any length into memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int) -> bytes:
        """At most MAX_READ_BYTES. Raises: tarfile.ReadError if more is asked for."""
        if size > MAX_READ_BYTES:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._stream.read(size)


def _zip_member(zipped: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    kind = stat.S_IFMT(info.external_attr >> 16)
    # Not is_dir(): a damaged archive has members without a name.
    is_file = None if info.filename.endswith("/") else kind in (0, stat.S_IFREG)
    return info.filename, info.file_size, is_file, lambda: zipped.open(info)


def _tar_member(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    # A sparse member declares a size that its data does not have; Google's archives have none.
    is_file = None if info.isdir() else info.isreg() and not info.issparse()
    return info.name, info.size, is_file, lambda: tar.extractfile(info)


def _safe_name(name: str, archive: Path) -> str:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or not parts or re.search(r"[\\:\x00-\x1f]", name):
        raise ArchiveError(f"member {name!r} does not stay inside the folder", where=archive)
    return "/".join(parts)


def _write(stream: IO[bytes], target: Path, size: int, name: str, archive: Path) -> None:
    with replacing(target) as temporary:
        with temporary.open("wb") as out:
            left = size
            while chunk := stream.read(min(CHUNK_BYTES, left + 1)):
                left -= len(chunk)
                if left < 0:
                    raise ArchiveError(f"member {name!r} is longer than it says", where=archive, expected=size)
                out.write(chunk)
        if left:
            raise ArchiveError(
                f"member {name!r} is shorter than it says", where=archive, expected=size, got=size - left
            )
