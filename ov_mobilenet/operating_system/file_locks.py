"""Locks of files between processes.

Linux and macOS lock the open file itself (flock): no other file is left behind, and the lock of a process that is
killed is gone. Windows lets nobody delete, rename or replace a file that is open, as a locked one is, and its locks
stop also those who only read. So a lock file beside the file is locked there; it is deleted afterwards. Some network
drives have no locks: nothing is locked on them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ov_mobilenet.operating_system import systems

if TYPE_CHECKING:
    import filelock

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# A file that is replaced by another process between opening and locking it is opened again.
ATTEMPTS = 10
LOCK_FILE_SUFFIX = ".ov-lock"


def lock_descriptor(descriptor: int, *, shared: bool = False) -> bool:
    """Lock an open file or folder without waiting; the lock ends when it is closed.

    Args:
        shared: allow other shared locks.

    Returns:
        Whether it is locked; False if the system or the file system has no such locks.

    Raises:
        BlockingIOError: another process, or another part of this one, holds the lock.
    """
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise BlockingIOError(error.errno, error.strerror) from error
        return False
    return True


class LockedPath(Protocol):
    """A locked file."""

    def replace_with(self, temporary: Path) -> None:
        """Rename `temporary` to the file, which stays locked. Raises: OSError."""

    def release(self, *, delete_empty: bool) -> None:
        """Unlock the file; further calls do nothing.

        Args:
            delete_empty: delete the file if it is empty.
        """


def lock_path(path: Path) -> LockedPath:
    """Lock a regular file, which is created if it is missing.

    Raises:
        BlockingIOError: another process, or another part of this one, holds the lock.
        OSError: the file cannot be opened.
    """
    return LockFileBeside(path) if systems.WINDOWS else FlockedFile(path)


class FlockedFile:
    """The lock on an open file; for Linux and macOS."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None
        for _ in range(ATTEMPTS):
            file = _open_locked(path)
            if self._is_current(file):
                self._file = file
                _held.add(self)
                return
            os.close(file)
        raise BlockingIOError(errno.EWOULDBLOCK, "replaced again and again by another process", str(path))

    def replace_with(self, temporary: Path) -> None:
        """See `LockedPath`; the new file is locked before it is renamed, so there is no gap."""
        file = None if self._file is None else _open_locked(temporary)
        try:
            temporary.replace(self.path)
        except BaseException:
            if file is not None:
                os.close(file)
            raise
        if self._file is not None:
            os.close(self._file)
        self._file = file

    def release(self, *, delete_empty: bool) -> None:
        """See `LockedPath`."""
        file, self._file = self._file, None
        if file is None:
            return
        _held.discard(self)
        with contextlib.suppress(OSError):
            if delete_empty and os.fstat(file).st_size == 0 and self._is_current(file):
                self.path.unlink()
        with contextlib.suppress(OSError):
            os.close(file)

    def close_in_child(self) -> None:
        """A forked child must not hold the lock after its parent has ended."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _is_current(self, file: int) -> bool:
        """Whether the path still leads to this open file."""
        try:
            return os.path.samestat(os.fstat(file), self.path.stat())
        except FileNotFoundError:
            return False


def _open_locked(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
    try:
        if stat.S_ISREG(os.fstat(file).st_mode):
            lock_descriptor(file)
    except BlockingIOError:
        os.close(file)
        raise
    return file


class LockFileBeside:
    """The lock on a file beside the file; for Windows. No descriptor of the file itself stays open."""

    def __init__(self, path: Path) -> None:
        import filelock

        self.path = path
        path.parent.stat()  # raises: filelock would make the folder
        # Not of one thread: another one may release it.
        self._lock: filelock.BaseFileLock | None = filelock.FileLock(
            path.with_name(f".{path.name}{LOCK_FILE_SUFFIX}"), thread_local=False
        )
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise BlockingIOError(errno.EWOULDBLOCK, "locked by another process", str(path)) from error
        try:
            with path.open("ab"):
                pass
        except BaseException:
            self._lock.release()
            raise

    def replace_with(self, temporary: Path) -> None:
        """See `LockedPath`."""
        from ov_mobilenet.operating_system.replacing import replace_file

        replace_file(temporary, self.path)

    def release(self, *, delete_empty: bool) -> None:
        """See `LockedPath`."""
        lock, self._lock = self._lock, None
        if lock is None:
            return
        with contextlib.suppress(OSError):
            if delete_empty and self.path.stat().st_size == 0:
                self.path.unlink()
        lock.release()


_held: weakref.WeakSet[FlockedFile] = weakref.WeakSet()


def _close_all_in_child() -> None:
    for lock in tuple(_held):
        lock.close_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_all_in_child)
