"""The cache of `huggingface_hub`, in its documented layout, so that other tools find our files and we find theirs.

CACHE/models--OWNER--NAME/blobs/DIGEST                 a file, named by its SHA-256 (LFS) or its git blob SHA-1
CACHE/models--OWNER--NAME/blobs/DIGEST.part            an unfinished file of ours, with its metadata in `.part.json`
CACHE/models--OWNER--NAME/snapshots/COMMIT/PATH        a link to the file
CACHE/models--OWNER--NAME/refs/REVISION                the commit of a branch or a tag
CACHE/.locks/models--OWNER--NAME/DIGEST.lock           held while the file is written
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ov_mobilenet.downloads.locks import acquire
from ov_mobilenet.operating_system.replacing import replace_file

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHORT_COMMIT = re.compile(r"[0-9a-f]{5,39}")
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
MAX_PATH_CHARACTERS = 500


@dataclass(frozen=True)
class RepositoryCache:
    """The part of the cache that belongs to one repository.

    Attributes:
        cache: the whole cache.
        name: OWNER/NAME.
    """

    cache: Path
    name: str

    @property
    def folder(self) -> Path:
        """The folder of the repository."""
        return self.cache / f"models--{self.name.replace('/', '--')}"

    def blob(self, digest: str) -> Path:
        """The path of a file with this digest."""
        return self.folder / "blobs" / digest

    def snapshot(self, commit: str) -> Path:
        """The folder with the files of a commit."""
        return self.folder / "snapshots" / commit

    def commit_of(self, revision: str) -> str | None:
        """The commit that a revision had when it was last resolved online; None if it is not known.

        Raises:
            OSError: the cache cannot be read.
        """
        if is_commit(revision):
            return revision
        if is_safe_path(revision) and (reference := self.folder / "refs" / revision).is_file():
            commit = reference.read_text("utf-8", errors="replace").strip()
            return commit if is_commit(commit) else None
        if _SHORT_COMMIT.fullmatch(revision) and (snapshots := self.folder / "snapshots").is_dir():
            found = [path.name for path in snapshots.iterdir() if path.name.startswith(revision)]
            return found[0] if len(found) == 1 and is_commit(found[0]) else None
        return None

    def remember(self, revision: str, commit: str) -> None:
        """Write down the commit of a revision. Raises: OSError."""
        reference = self.folder / "refs" / revision
        if revision == commit or (reference.is_file() and reference.read_text("utf-8", errors="replace") == commit):
            return
        reference.parent.mkdir(parents=True, exist_ok=True)
        temporary = reference.with_name(f"{reference.name}.{os.getpid()}.tmp")
        temporary.write_text(commit, "utf-8")
        replace_file(temporary, reference)

    def files(self, commit: str) -> Iterator[tuple[str, Path, str | None]]:
        """The files of a commit that are in the cache: path in the repository, path on disk, and digest.

        The digest is the name of the file that a link points to, None for a copy. Raises: OSError.
        """
        snapshot = self.snapshot(commit)
        for path in sorted(snapshot.rglob("*")):
            if path.is_file():
                # Not resolve(): a blob may itself be a link into a store that all repositories share.
                target = path.readlink().name if path.is_symlink() else ""
                yield path.relative_to(snapshot).as_posix(), path, target if _DIGEST.fullmatch(target) else None

    def link(self, pointer: Path, digest: str) -> None:
        """Make a file of a snapshot point to the file with a digest. Raises: OSError."""
        blob = self.blob(digest)
        pointer.parent.mkdir(parents=True, exist_ok=True)
        pointer.unlink(missing_ok=True)
        try:
            pointer.symlink_to(os.path.relpath(blob, pointer.parent))
        except OSError:  # Windows without the right to make links: as huggingface_hub does
            replace_file(blob, pointer)

    @contextmanager
    def locked(self, digest: str) -> Iterator[None]:
        """Hold the lock of a file; huggingface_hub uses the same one. Raises: OSError."""
        import filelock

        folder = self.cache / ".locks" / self.folder.name
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / f"{digest}.lock")
        acquire(lock)
        try:
            yield
        finally:
            lock.release()


def is_commit(text: object) -> bool:
    """Whether this is the name of a commit: 40 hexadecimal digits."""
    return isinstance(text, str) and _COMMIT.fullmatch(text) is not None


def is_safe_path(path: object) -> bool:
    """Whether a path of a repository, or the name of a revision, stays inside its folder on every system."""
    return (
        isinstance(path, str)
        and 0 < len(path) <= MAX_PATH_CHARACTERS
        and path.isprintable()
        and not re.search(r'[\\:*?"<>|]', path)
        and not {"", ".", ".."} & set(path.split("/"))
    )
