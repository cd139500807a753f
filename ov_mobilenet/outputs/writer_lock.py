"""Only one process at a time writes to a file; see `file_locks` for what the operating systems can."""

from __future__ import annotations

import glob
import secrets
from pathlib import Path

from ov_mobilenet.errors import OutputError
from ov_mobilenet.operating_system.file_locks import LockedPath, lock_path
from ov_mobilenet.operating_system.replacing import delete_file, replace_file

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
        self._created = not path.exists()
        self._locked: LockedPath | None = None
        if not (self._created or path.is_file()):
            return
        try:
            self._locked = lock_path(path)
        except BlockingIOError:
            raise OutputError(
                "another process is writing to this file", where=path, fix="Wait until it ends, or select another file"
            ) from None

    def temporary_path(self) -> Path:
        """A hidden name beside the file that no file has; temporary files of runs that were killed are deleted.

        Raises:
            OSError: they cannot be deleted.
        """
        for stale in self.path.parent.glob(f".{glob.escape(self.path.name)}.{_TOKEN_PATTERN}{_TEMPORARY_SUFFIX}"):
            delete_file(stale)
        return self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}{_TEMPORARY_SUFFIX}")

    def replace_with(self, temporary: Path) -> None:
        """Rename `temporary` to the file; the lock is held without a gap."""
        if self._locked is None:
            replace_file(temporary, self.path)
        else:
            self._locked.replace_with(temporary)
        self._created = False

    def release(self) -> None:
        """Unlock the file. Further calls do nothing."""
        if self._locked is not None:
            self._locked.release(delete_empty=self._created)

    def keep_file(self) -> None:
        """From now on the file stays, even if it is empty."""
        self._created = False
