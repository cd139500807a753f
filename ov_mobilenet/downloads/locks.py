"""Wait for locks of other processes, and say so: the process that holds a lock may be stopped."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from os import O_RDONLY, close
from os import open as open_descriptor
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.operating_system.file_locks import lock_descriptor

if TYPE_CHECKING:
    import filelock

log = logging.getLogger(__name__)

NOTICE_S = 3.0
_POLL_S = 0.05


def acquire(lock: filelock.BaseFileLock) -> None:
    """Acquire a file lock; after `NOTICE_S` seconds log a warning that names the process that holds it."""
    import filelock

    try:
        lock.acquire(timeout=NOTICE_S)
    except filelock.Timeout:
        _warn(Path(lock.lock_file))
        lock.acquire()


@contextmanager
def folder_locked(folder: Path, *, shared: bool = False, limit_s: float = 120.0) -> Iterator[bool]:
    """Lock a folder itself, across processes and threads, with no lock file in it.

    Args:
        shared: allow other shared locks.

    Yields:
        Whether the folder is locked: some file systems, and Windows, have no such locks, and the folder may not be
            readable.

    Raises:
        TimeoutError: another process still holds the lock after `limit_s` seconds.
    """
    try:
        descriptor = open_descriptor(folder, O_RDONLY)
    except OSError:  # Windows; a folder that may be written but not listed
        yield False
        return
    try:
        start, warned = time.monotonic(), False
        while True:
            try:
                locked = lock_descriptor(descriptor, shared=shared)  # False on a network file system without locks
                break
            except BlockingIOError as error:
                waited_s = time.monotonic() - start
                if waited_s >= limit_s:
                    raise TimeoutError(
                        f"{folder}: locked by {holder(folder)} for more than {limit_s:g} s. End or resume that process"
                    ) from error
                if waited_s >= NOTICE_S and not warned:
                    _warn(folder)
                    warned = True
                time.sleep(_POLL_S)
        yield locked
    finally:
        close(descriptor)


def _warn(path: Path) -> None:
    log.warning("%s: waiting for the lock that %s holds; Ctrl-C to give up", path, holder(path))


def holder(path: Path) -> str:
    """The process that holds the lock of a file or a folder, as far as Linux tells it."""
    try:
        inode = str(path.stat().st_ino)
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()  # 1: FLOCK ADVISORY WRITE 1234 fe:00:5678 0 EOF
            if len(fields) >= 6 and fields[5].rpartition(":")[2] == inode and fields[4] != "-1":
                # The name of the program stands in parentheses and may contain spaces.
                state = Path(f"/proc/{fields[4]}/stat").read_text(errors="replace").rpartition(") ")[2][:1]
                return f"process {fields[4]}" + (" (it is stopped)" if state in "Tt" else "")
    except (OSError, ValueError):
        pass
    return "another process"
