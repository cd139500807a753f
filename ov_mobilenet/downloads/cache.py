"""A content-addressed cache of source files, shared by all models.

    ROOT/files/sha384/ab/abcdef…            a verified file
    ROOT/files/sha384/ab/abcdef….part       what came in of an unfinished one, `.part.json` beside it
    ROOT/locks/…                            one lock a file, held while it is written

Only verified files are put in, and a file is verified again when it is taken out: a copy that rotted on disk is
dropped and fetched anew.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.errors import HashMismatchError
from ov_mobilenet.zoo.model import Checksum, ModelFile

if TYPE_CHECKING:
    import filelock

CHUNK_BYTES = 1 << 20


def default_root() -> Path:
    """The user's cache folder for this toolkit."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("ov-mobilenet", appauthor=False))


def entry(root: Path, checksum: Checksum) -> Path:
    """Where the file of this digest lies in the cache at `root`."""
    return root / "files" / checksum.algorithm / checksum.value[:2] / checksum.value


@contextmanager
def locked(root: Path, path: Path) -> Iterator[None]:
    """Hold the lock of a file between processes and threads; without a writable cache there is none to hold."""
    try:
        lock = _lock(root, path)
        lock.acquire()
    except OSError:
        yield
        return
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True)
class CacheEntry:
    """Something in the cache: a source file, an unfinished one, or the folder of a converted model.

    Attributes:
        size: bytes.
        age_days: since it was last written.
    """

    kind: str
    path: Path
    size: int
    age_days: float


def entries(root: Path) -> list[CacheEntry]:
    """What the cache at `root` holds, the oldest first."""
    found = []
    now = time.time()
    for path in (root / "files").glob("*/*/*"):
        if not path.name.endswith(".json"):
            with suppress(FileNotFoundError):  # another process has just finished or deleted it
                stat = path.stat()
                kind = "unfinished" if path.name.endswith(".part") else "file"
                found.append(CacheEntry(kind, path, stat.st_size, (now - stat.st_mtime) / 86_400))
    for folder in (root / "ir").glob("*"):
        files = [path.stat() for path in folder.rglob("*") if path.is_file()]
        size, latest = sum(stat.st_size for stat in files), max((stat.st_mtime for stat in files), default=now)
        found.append(CacheEntry("ir", folder, size, (now - latest) / 86_400))
    return sorted(found, key=lambda entry: (-entry.age_days, str(entry.path)))


def remove(root: Path, entry: CacheEntry) -> bool:
    """Delete an entry; False if another process holds it. Raises: OSError."""
    import filelock

    lock = _lock(root, entry.path.with_name(entry.path.name.removesuffix(".part")))
    if entry.kind == "ir":
        lock = filelock.FileLock(entry.path / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        return False
    try:
        if entry.kind == "ir":
            shutil.rmtree(entry.path)
        else:
            entry.path.unlink(missing_ok=True)
            entry.path.with_name(entry.path.name + ".json").unlink(missing_ok=True)
    finally:
        lock.release()
    return True


def _lock(root: Path, path: Path) -> filelock.BaseFileLock:
    import filelock

    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:32]
    (root / "locks").mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(root / "locks" / f"{name}.lock")


def digest(path: Path, algorithm: str) -> str:
    """Hexadecimal digest of a file. Raises: OSError."""
    hasher = hashlib.new(algorithm)
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            hasher.update(chunk)
    return hasher.hexdigest()


def is_valid(path: Path, file: ModelFile) -> bool:
    """Whether a file is there with the size and the digest of the description."""
    try:
        if path.stat().st_size != file.size:
            return False
        return file.checksum is None or digest(path, file.checksum.algorithm) == file.checksum.value
    except OSError:
        return False


def temporary_of(target: Path) -> Path:
    """Where a file is written before it takes its name.

    One name a target: whoever writes it holds its lock, and a run that was killed leaves nothing that stays.
    """
    return target.with_name(f".{target.name}.part")


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A path to write to, which becomes `target` if the block ends well and goes away if not. Raises: OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_of(target)
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_verified(
    chunks: Iterable[bytes],
    target: Path,
    file: ModelFile,
    *,
    on_size: Callable[[int], None] = lambda size: None,
) -> None:
    """Write chunks to `target`, which appears complete and verified or not at all.

    The bytes are hashed while they stream into a temporary file in the same folder; what was at `target` stays
    until the new file is known to be right.

    Args:
        on_size: called with the bytes written so far.

    Raises:
        HashMismatchError: more, fewer or other bytes than the description names.
        OSError: the disk is full, the folder read-only.
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
    """A hasher for the file's own digest; SHA-384 where the description has none."""
    return hashlib.new(file.checksum.algorithm if file.checksum is not None else "sha384")


def check_bytes(file: ModelFile, size: int, found: str) -> None:
    """Compare size and digest with the description. Raises: HashMismatchError."""
    if size != file.size:
        raise HashMismatchError("too few bytes", expected=file.size, got=size)
    if file.checksum is not None and found != file.checksum.value:
        raise HashMismatchError(f"{file.checksum.algorithm.upper()} differs", expected=file.checksum.value, got=found)


def read_chunks(path: Path) -> Iterable[bytes]:
    """The file in chunks. Raises: OSError."""
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk
