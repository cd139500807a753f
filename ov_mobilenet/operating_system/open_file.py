"""Open a file that may be a pipe: a pipe into which no program writes is an error instead of a wait without end.

Windows has no pipes with a path in a folder.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from pathlib import Path
from typing import IO

from ov_mobilenet.operating_system import systems

# How long to wait until a program opens the pipe for writing. Once one has, reading waits for it.
PIPE_WAIT_S = 5.0


def open_file(path: Path) -> IO[bytes]:
    """Open a file for reading.

    Raises:
        OSError: it cannot be opened, or it is a pipe into which no program writes.
        ValueError: the path contains a NUL character.
    """
    if systems.WINDOWS:
        return path.open("rb")
    number = open_without_waiting(path)
    try:
        if stat.S_ISFIFO(os.fstat(number).st_mode):
            _wait_for_writer(number)
        os.set_blocking(number, True)
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


def open_without_waiting(path: Path) -> int:
    """The descriptor of a file opened for reading; a pipe without a writer, and a folder, can be opened too.

    Raises:
        IsADirectoryError: it is a folder, which Windows cannot open.
        OSError: it cannot be opened.
        ValueError: the path contains a NUL character.
    """
    if systems.WINDOWS:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        return os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0))
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def _wait_for_writer(number: int) -> None:
    poll = select.poll()
    poll.register(number, select.POLLIN)
    if poll.poll(PIPE_WAIT_S * 1e3):
        return
    try:
        os.read(number, 1)  # nothing to read: the end of the file without a writer, an error with one
    except BlockingIOError:
        return
    raise TimeoutError(errno.ETIMEDOUT, f"no program writes into the pipe within {PIPE_WAIT_S:g} s")
