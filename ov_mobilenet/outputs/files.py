"""A text file that grows by whole records, whatever happens to the disk or to the process."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from ov_mobilenet.errors import OutputError

FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


def cannot_write(where: object, error: OSError) -> Exception:
    """The one message for an output that takes no more; a reader that has gone is not told, as everywhere."""
    if isinstance(error, BrokenPipeError):
        return error
    reason = os.strerror(error.errno) if error.errno else str(error)
    fix = "Choose another place with -o FILE"
    if error.errno in FULL:
        fix = "What was written is kept: make room, then --resume goes on from a FILE given with -o"
    return OutputError("the results cannot be written", where=where, got=reason, fix=fix)


class OutputFile:
    """Appends to a file without any buffer of its own: a killed process has lost nothing that it wrote.

    A record that did not fit, or was interrupted half-way, is taken back, so that the file ends in a whole one. Only a
    kill in the middle of a write can leave a torn record behind; `done.py` finds it.

    Raises:
        OutputError: the file cannot be opened for writing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise cannot_write(path, error) from error
        self._regular = stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
        self._size = os.fstat(self._file.fileno()).st_size

    def cut(self, size: int) -> None:
        """Keep only the first `size` bytes; a pipe or a device stays as it is."""
        if self._regular:
            self._file.truncate(size)
            self._size = size

    def write(self, text: str, /) -> None:
        """Append one record.

        Raises:
            OutputError: it does not fit; the file is as it was before.
            BrokenPipeError: the file is a pipe that nobody reads any more.
        """
        data = memoryview(text.encode("utf-8", "backslashreplace"))
        try:
            left = data
            while left:
                left = left[self._file.write(left) :]
        except BaseException as error:
            self.cut(self._size)
            if isinstance(error, OSError):
                raise cannot_write(self._path, error) from error
            raise
        self._size += len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()
