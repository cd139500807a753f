"""Only one process at a time writes to a file.

The operating system locks the file itself (flock), so no other file is left behind, and the lock of a process that is
killed is gone. Where there is no flock (Windows, some network drives), nothing is locked.
"""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import stat
import weakref
from pathlib import Path

from ov_mobilenet.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# A file that is replaced by another process between opening and locking it is opened again.
ATTEMPTS = 10
_TEMPORARY_SUFFIX = ".ov-partial"
_TOKEN_PATTERN = "[0-9a-f]" * 16


class WriterLock:
    """The lock of this process on an output file; pipes and devices are not locked.

    The file is created if it is missing, and removed by `release` if it is still empty and nothing was written.

    Raises:
        OutputError: another process, or another part of this one, is writing to the file.
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None
        self._created = not path.exists()
        if fcntl is None or not (self._created or path.is_file()):
            return
        for _ in range(ATTEMPTS):
            self._file = _open_locked(path)
            if self._is_current(self._file):
                break
            os.close(self._file)
        _held.add(self)

    def temporary_path(self) -> Path:
        """A hidden name beside the file that no file has; temporary files of runs that were killed are deleted.

        Raises:
            OSError: they cannot be deleted.
        """
        for stale in self.path.parent.glob(f".{glob.escape(self.path.name)}.{_TOKEN_PATTERN}{_TEMPORARY_SUFFIX}"):
            stale.unlink(missing_ok=True)
        return self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}{_TEMPORARY_SUFFIX}")

    def replace_with(self, temporary: Path) -> None:
        """Rename `temporary` to the file; it is locked before, so the lock is held without a gap."""
        file = None if self._file is None else _open_locked(temporary)
        try:
            temporary.replace(self.path)
        except BaseException:
            if file is not None:
                os.close(file)
            raise
        self._created = False
        if self._file is not None:
            os.close(self._file)
        self._file = file

    def release(self) -> None:
        """Unlock the file. Further calls do nothing."""
        file, self._file = self._file, None
        if file is None:
            return
        _held.discard(self)
        with contextlib.suppress(OSError):
            if self._created and os.fstat(file).st_size == 0 and self._is_current(file):
                self.path.unlink()
        with contextlib.suppress(OSError):
            os.close(file)

    def keep_file(self) -> None:
        """From now on the file stays, even if it is empty."""
        self._created = False

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
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise OutputError(
            "another process is writing to this file", where=path, fix="Wait until it ends, or select another file"
        ) from None
    except OSError:  # the file system cannot lock
        pass
    return file


_held: weakref.WeakSet[WriterLock] = weakref.WeakSet()


def _close_all_in_child() -> None:
    for lock in tuple(_held):
        lock.close_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_all_in_child)
