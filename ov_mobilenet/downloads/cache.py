"""A content-addressed cache of source files, shared by all models.

    ROOT/files/sha384/ab/abcdef…

Only verified files are put in, and a file is verified again when it is taken out: a copy that rotted on disk is
dropped and fetched anew.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

from ov_mobilenet.errors import HashMismatchError
from ov_mobilenet.zoo.model import Checksum, ModelFile

CHUNK_BYTES = 1 << 20


def default_root() -> Path:
    """The user's cache folder for this toolkit."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("ov-mobilenet", appauthor=False))


def entry(root: Path, checksum: Checksum) -> Path:
    """Where the file of this digest lies in the cache at `root`."""
    return root / "files" / checksum.algorithm / checksum.value[:2] / checksum.value


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
        return path.stat().st_size == file.size and digest(path, file.checksum.algorithm) == file.checksum.value
    except OSError:
        return False


def write_verified(
    chunks: Iterable[bytes],
    target: Path,
    file: ModelFile,
    *,
    on_bytes: Callable[[int], None] = lambda count: None,
) -> None:
    """Write chunks to `target`, which appears complete and verified or not at all.

    The bytes are hashed while they stream into a temporary file in the same folder; what was at `target` stays
    until the new file is known to be right.

    Args:
        on_bytes: called with the size of each chunk.

    Raises:
        HashMismatchError: more, fewer or other bytes than the description names.
        OSError: the disk is full, the folder read-only.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    hasher = hashlib.new(file.checksum.algorithm)
    size = 0
    try:
        with temporary.open("wb") as stream:
            for chunk in chunks:
                size += len(chunk)
                if size > file.size:
                    raise HashMismatchError("too many bytes", expected=file.size, got="more")
                hasher.update(chunk)
                stream.write(chunk)
                on_bytes(len(chunk))
        if size != file.size:
            raise HashMismatchError("too few bytes", expected=file.size, got=size)
        if hasher.hexdigest() != file.checksum.value:
            raise HashMismatchError(
                f"{file.checksum.algorithm.upper()} differs",
                expected=file.checksum.value,
                got=hasher.hexdigest(),
            )
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def read_chunks(path: Path) -> Iterable[bytes]:
    """The file in chunks. Raises: OSError."""
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk
