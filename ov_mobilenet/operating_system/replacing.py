"""Rename and delete files that may be open.

Linux and macOS rename over an open file, and whoever has it open keeps the old content. Windows refuses that while any
program has the file open or mapped to memory, as OpenVINO maps the weights of a model; a virus scanner opens each new
file for a moment. So Windows tries again for `WAIT_S` seconds.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ov_mobilenet.operating_system import systems

WAIT_S = 2.0
_POLL_S = 0.05
# ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION, ERROR_USER_MAPPED_FILE
_IN_USE = (5, 32, 33, 1224)


class FileInUseError(PermissionError):
    """Windows: a file cannot be replaced or deleted, because a program has it open."""


def replace_file(source: Path, target: Path) -> None:
    """Rename a file or folder; an existing file `target` is replaced.

    Raises:
        FileInUseError: a program has one of them open (Windows only).
        OSError: it cannot be renamed.
    """
    _retried(lambda: source.replace(target), target)


def delete_file(path: Path) -> None:
    """Delete a file; a missing one is no error.

    Raises:
        FileInUseError: a program has it open (Windows only).
        OSError: it cannot be deleted.
    """
    _retried(lambda: path.unlink(missing_ok=True), path)


def sync_folder(folder: Path) -> None:
    """Force a new name in a folder to the disk; Windows, and some network drives, cannot."""
    if systems.WINDOWS:
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _retried(
    act: Callable[[], object],
    path: Path,
) -> None:
    if not systems.WINDOWS:
        act()
        return
    end = time.monotonic() + WAIT_S
    while True:
        try:
            act()
            return
        except OSError as error:
            if getattr(error, "winerror", None) not in _IN_USE:
                raise
            if time.monotonic() >= end:
                reason = "another program has the file open, or it is write-protected: end that program and try again"
                raise FileInUseError(errno.EACCES, reason, str(path)) from error
        time.sleep(_POLL_S)
