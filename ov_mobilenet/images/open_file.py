"""Open a file that may be a pipe: a pipe into which no program writes is an error instead of a wait without end."""

from __future__ import annotations

import errno
import os
import select
import stat
from pathlib import Path
from typing import IO

# How long to wait until a program opens the pipe for writing. Once one has, reading waits for it.
PIPE_WAIT_S = 5.0


def open_file(path: Path) -> IO[bytes]:
    """Open a file for reading.

    Raises:
        OSError: it cannot be opened, or it is a pipe into which no program writes.
        ValueError: the path contains a NUL character.
    """
    if not hasattr(os, "O_NONBLOCK") or not hasattr(select, "poll"):  # Windows
        return path.open("rb")
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if stat.S_ISFIFO(os.fstat(number).st_mode):
            _wait_for_writer(number)
        os.set_blocking(number, True)
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


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
