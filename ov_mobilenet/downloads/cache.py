"""A content-addressed cache of source files, shared by all models.

    ROOT/files/sha384/ab/abcdef…            a verified file
    ROOT/files/sha384/ab/abcdef….part       an unfinished file, with its metadata in `.part.json`
    ROOT/ir/…                               the folder of a converted model
    ROOT/hub/OWNER--NAME/COMMIT-…/          the description of a network of a Hugging Face repository
    ROOT/accepted/…                         the digests of IRs that were read without a crash, see `ir.trial_reading`
    ROOT/locks/…                            one lock per file or folder, held while it is written; holds its path

Only verified files are added, and a file is verified again when it is used: a corrupt file is fetched again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.downloads.locks import acquire
from ov_mobilenet.errors import HashMismatchError
from ov_mobilenet.operating_system.replacing import replace_file
from ov_mobilenet.zoo.model import Checksum, ModelFile

if TYPE_CHECKING:
    import filelock

CHUNK_BYTES = 1 << 20


def default_root() -> Path:
    """The user's cache folder of this toolkit."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("ov-mobilenet", appauthor=False))


def entry(root: Path, checksum: Checksum) -> Path:
    """The path of the file with this digest in the cache at `root`."""
    return root / "files" / checksum.algorithm / checksum.value[:2] / checksum.value


@contextmanager
def locked(root: Path, path: Path) -> Iterator[None]:
    """Hold the lock of a file, across processes and threads. Without a writable cache there is no lock."""
    try:
        lock = _lock(root, path)
        acquire(lock)
    except OSError:
        yield
        return
    with suppress(OSError):  # Windows locks the content too
        Path(lock.lock_file).write_text(f"{path}\n", "utf-8", errors="surrogateescape")
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True)
class CacheEntry:
    """An entry of the cache: a source file, an unfinished file, or the folder of a converted model.

    Attributes:
        kind: `file`, `unfinished`, `ir` or `hub`.
        size: size in bytes.
        age_days: days since the last write.
    """

    kind: str
    path: Path
    size: int
    age_days: float


def entries(root: Path) -> list[CacheEntry]:
    """The entries of the cache at `root`, the oldest first."""
    found = []
    now = time.time()
    for path in (root / "files").glob("*/*/*"):
        if not path.name.endswith(".json"):
            with suppress(FileNotFoundError):  # another process has just renamed or deleted it
                stat = path.stat()
                kind = "unfinished" if path.name.endswith(".part") else "file"
                found.append(CacheEntry(kind, path, stat.st_size, (now - stat.st_mtime) / 86_400))
    folders = [("ir", folder) for folder in (root / "ir").glob("*")]
    folders += [("hub", folder) for folder in (root / "hub").glob("*/*")]
    for kind, folder in folders:
        files = [path.stat() for path in folder.rglob("*") if path.is_file()]
        size, latest = sum(stat.st_size for stat in files), max((stat.st_mtime for stat in files), default=now)
        found.append(CacheEntry(kind, folder, size, (now - latest) / 86_400))
    return sorted(found, key=lambda entry: (-entry.age_days, str(entry.path)))


def remove(root: Path, entry: CacheEntry) -> bool:
    """Delete an entry; False if another process holds its lock. Raises: OSError."""
    import filelock

    lock = _lock(root, entry.path.with_name(entry.path.name.removesuffix(".part")))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        return False
    try:
        if entry.kind in ("ir", "hub"):
            shutil.rmtree(entry.path)
            with suppress(OSError):  # other commits of the repository are there
                if entry.kind == "hub":
                    entry.path.parent.rmdir()
        else:
            entry.path.unlink(missing_ok=True)
            entry.path.with_name(entry.path.name + ".json").unlink(missing_ok=True)
    finally:
        lock.release()
    return True


def _lock(root: Path, path: Path) -> filelock.BaseFileLock:
    import filelock

    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    (root / "locks").mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(root / "locks" / f"{name}.lock")


def digest(path: Path, algorithm: str) -> str:
    """The hexadecimal digest of a file. Raises: OSError."""
    hasher = _hasher(algorithm, path.stat().st_size)
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            hasher.update(chunk)
    return hasher.hexdigest()


def is_valid(path: Path, file: ModelFile) -> bool:
    """Whether the file exists and has the size and the digest of the description."""
    try:
        if path.stat().st_size != file.size:
            return False
        return file.checksum is None or digest(path, file.checksum.algorithm) == file.checksum.value
    except OSError:
        return False


def temporary_of(target: Path) -> Path:
    """The path to which a file is written before it is renamed to `target`.

    There is one temporary name per target: the writer holds the lock of the target, and the next run overwrites the
    remains of a killed one.
    """
    return target.with_name(f".{target.name}.part")


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A path to write to. It replaces `target` when the block ends, and is deleted on an exception. Raises: OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_of(target)
    try:
        yield temporary
        replace_file(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_verified(
    chunks: Iterable[bytes],
    target: Path,
    file: ModelFile,
    *,
    on_size: Callable[[int], None] = lambda size: None,
) -> None:
    """Write chunks to `target`, which appears only once it is complete and verified.

    The bytes are hashed while they are written to a temporary file in the same folder. An existing `target` is
    replaced only once the new file is verified.

    Args:
        on_size: called with the number of bytes written so far.

    Raises:
        HashMismatchError: the size or the digest differs from the description.
        OSError: the disk is full, or the folder is read-only.
    """
    hasher = new_hasher(file)
    size = 0
    with replacing(target) as temporary:
        with temporary.open("wb") as stream:
            for chunk in chunks:
                size += len(chunk)
                if size > file.size:
                    raise HashMismatchError("too many bytes", expected=file.size, got="more")
                hasher.update(chunk)
                stream.write(chunk)
                on_size(size)
        check_bytes(file, size, hasher.hexdigest())


def new_hasher(file: ModelFile) -> hashlib._Hash:
    """A hasher for the digest algorithm of the file; SHA-384 if the description has no digest."""
    return _hasher(file.checksum.algorithm if file.checksum is not None else "sha384", file.size)


def _hasher(algorithm: str, size: int) -> hashlib._Hash:
    if algorithm == "git-sha1":  # git's name for a file of this size
        return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    return hashlib.new(algorithm)


def check_bytes(file: ModelFile, size: int, found: str) -> None:
    """Compare size and digest with the description. Raises: HashMismatchError."""
    if size != file.size:
        raise HashMismatchError("too few bytes", expected=file.size, got=size)
    if file.checksum is not None and found != file.checksum.value:
        raise HashMismatchError(f"{file.checksum.algorithm.upper()} differs", expected=file.checksum.value, got=found)


def read_chunks(path: Path) -> Iterable[bytes]:
    """Read a file in chunks. Raises: OSError."""
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk
