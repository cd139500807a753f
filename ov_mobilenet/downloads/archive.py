"""Unpack the members of an archive that a description refers to, and nothing else.

Archives come from the network. Only regular files are written, one by one, to paths that are checked here. Links,
devices and permissions of the archive are never applied, so no member can lead outside the folder.
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
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from ov_mobilenet.downloads.cache import replacing, temporary_of
from ov_mobilenet.errors import ArchiveError

MAX_MEMBERS = 10_000
MAX_TOTAL_BYTES = 4 << 30  # unpacked; the largest archive of a MobileNet (V2 1.4) unpacks to 0.3 GB
CHUNK_BYTES = 1 << 20
MAX_READ_BYTES = 4 << 20  # a name or a header; contents are read in chunks

# One member: name, declared size in bytes, whether it is a regular file (None for a folder), and a function to open it.
Member = tuple[str, int, bool | None, Callable[[], IO[bytes] | None]]


def unpack(archive: Path, format_name: str, wanted: str, folder: Path) -> list[Path]:
    """Unpack one file, or all files of one folder of the archive.

    Args:
        format_name: tar, gztar, bztar, xztar or zip.
        wanted: name of a member or of a folder of members, with `/`.
        folder: where to write; the files appear as `folder / name` once all of them are complete. After an error the
            folder is as it was.

    Returns:
        The written files.

    Raises:
        ArchiveError: the archive is broken, of another format, or too large; a name leads outside the folder; or the
            wanted member is missing, not a regular file, or a duplicate. The message names the member.
    """
    written: list[Path] = []
    used: set[Path] = set()  # of the written files: their names and those of the temporary files
    folders: set[Path] = set()
    total = 0
    try:
        with _new_folders() as created, ExitStack() as complete, _members(archive, format_name) as members:
            for count, (raw_name, size, is_file, open_member) in enumerate(members, 1):
                total += size
                if count > MAX_MEMBERS or total > MAX_TOTAL_BYTES:
                    raise ArchiveError(
                        f"archive too large at member {raw_name!r}", where=archive,
                        expected=f"at most {MAX_MEMBERS} members and {MAX_TOTAL_BYTES} bytes",
                    )  # fmt: skip
                if is_file is None:
                    continue  # folders are created as needed
                name = _safe_name(raw_name, archive)
                if name != wanted and not name.startswith(wanted + "/"):
                    continue
                if not is_file:
                    raise ArchiveError(f"member {raw_name!r} is not a regular file", where=archive)
                target = folder / name
                taken = (target, temporary_of(target), *target.parents)
                if target in folders or any(path in used for path in taken):
                    raise ArchiveError(f"duplicate member {raw_name!r}", where=archive)
                stream = open_member()
                assert stream is not None  # tarfile returns None only for members that are not regular files
                created += (parent for parent in target.parents if parent not in folders and not parent.exists())
                temporary = complete.enter_context(replacing(target))
                with stream:
                    _write(stream, temporary, size, raw_name, archive)
                written.append(target)
                used |= {target, temporary}
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
        # gzip.BadGzipFile and bz2's "Invalid data stream" have no errno, and an offset beyond the end of a zip is
        # EINVAL. Any other errno is an error of the disk.
        if error.errno not in (None, errno.EINVAL):
            raise
        raise ArchiveError(f"broken archive ({error})", where=archive, expected=format_name) from error
    except (RuntimeError, NotImplementedError, ValueError) as error:
        # zipfile: a password, or an unknown compression method; tarfile: a negative size
        raise ArchiveError(f"archive cannot be read ({error})", where=archive) from error
    if not written:
        raise ArchiveError("the archive lacks a file that the description refers to", where=archive, expected=wanted)
    return written


@contextmanager
def _new_folders() -> Iterator[list[Path]]:
    """A list of folders to be created, which are deleted on an exception if they are empty."""
    created: list[Path] = []
    try:
        yield created
    except BaseException:
        for folder in sorted(created, reverse=True):  # the deepest first
            with suppress(OSError):
                folder.rmdir()
        raise


@contextmanager
def _members(archive: Path, format_name: str) -> Iterator[Iterator[Member]]:
    if format_name == "zip":
        with zipfile.ZipFile(archive) as zipped:
            yield (_zip_member(zipped, info) for info in zipped.infolist())
        return
    opener: Callable[[Path], IO[bytes]] = _OPENERS[format_name]
    with opener(archive) as stream, tarfile.open(fileobj=_Limited(stream), mode="r:") as tar:  # type: ignore[call-overload]
        yield (_tar_member(tar, info) for info in tar)
        # To the end, where gzip and xz have their checksums: a tar ends before.
        if len(stream.read(MAX_READ_BYTES + 1)) > MAX_READ_BYTES:
            raise ArchiveError(
                "more data after the last member", where=archive, expected=f"at most {MAX_READ_BYTES} bytes"
            )


_OPENERS: dict[str, Callable[[Path], Any]] = {
    "tar": lambda path: path.open("rb"),
    "gztar": gzip.open,
    "bztar": bz2.open,
    "xztar": lzma.open,
}


class _Limited:
    """A stream that refuses large reads: tarfile reads a member name of any length into memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int) -> bytes:
        """Read at most MAX_READ_BYTES. Raises: tarfile.ReadError if more is requested."""
        if size > MAX_READ_BYTES:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._stream.read(size)


def _zip_member(zipped: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    kind = stat.S_IFMT(info.external_attr >> 16)
    # Not is_dir(), which fails for the members without a name of a damaged archive.
    is_file = None if info.filename.endswith("/") else kind in (0, stat.S_IFREG)
    return info.filename, info.file_size, is_file, lambda: zipped.open(info)


def _tar_member(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    # Sparse members declare a size that is larger than their data. The archives of the zoo have none.
    is_file = None if info.isdir() else info.isreg() and not info.issparse()
    return info.name, info.size, is_file, lambda: tar.extractfile(info)


def _safe_name(name: str, archive: Path) -> str:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or not parts or re.search(r"[\\:\x00-\x1f]", name):
        raise ArchiveError(f"the path of member {name!r} leads outside the folder", where=archive)
    return "/".join(parts)


def _write(stream: IO[bytes], path: Path, size: int, name: str, archive: Path) -> None:
    with path.open("wb") as out:
        left = size
        while chunk := stream.read(min(CHUNK_BYTES, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise ArchiveError(f"member {name!r} is longer than declared", where=archive, expected=size)
            out.write(chunk)
    if left:
        raise ArchiveError(f"member {name!r} is shorter than declared", where=archive, expected=size, got=size - left)
