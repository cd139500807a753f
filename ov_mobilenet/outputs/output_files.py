"""Write text files: record by record without losing a complete one, or as a whole and atomically."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import NoReturn

from ov_mobilenet.errors import OutputError
from ov_mobilenet.operating_system.replacing import FileInUseError, replace_file

DISK_FULL_ERRORS = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
CONTINUE_FILE = (
    "Results written so far are kept. Free disk space; if they go to a file (-o FILE), continue with --resume"
)


def raise_write_error(
    where: object, error: OSError, *, fix: str = "Select another file with -o FILE", fix_full: str = CONTINUE_FILE
) -> NoReturn:
    """Raise the error for an output that cannot be written.

    Args:
        fix: what to do.
        fix_full: what to do if the disk is full.

    Raises:
        BrokenPipeError: `error` itself, if it is one: the reader of the output has closed it.
        OutputError: otherwise.
    """
    if isinstance(error, BrokenPipeError):
        raise error
    own_words = isinstance(error, FileInUseError) or not error.errno
    reason = str(error.strerror or error) if own_words else os.strerror(error.errno or 0)
    advice = fix_full if error.errno in DISK_FULL_ERRORS else fix
    raise OutputError(f"the results cannot be written ({reason})", where=where, fix=advice) from error


def write_atomically(path: Path, text: str) -> None:
    """Write a UTF-8 text file under a temporary name and rename it; an existing file is replaced.

    Raises:
        OutputError: it cannot be written; an existing file is kept.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        temporary.write_text(text, "utf-8", newline="\n")
        replace_file(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise_write_error(path, error)


class OutputFile:
    """Appends records to a file without a buffer: a process that is killed loses nothing that was written.

    A record that does not fit, or whose writing is interrupted, is removed, so that the file ends with a complete
    record. Only a kill during a write can leave an incomplete one; `existing_results.py` detects it.

    Attributes:
        is_regular: whether it is a regular file, not a pipe or a device.

    Raises:
        OutputError: the file cannot be opened for writing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise_write_error(path, error)
        self.is_regular = stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
        self._size = os.fstat(self._file.fileno()).st_size

    def truncate(self, size: int) -> None:
        """Keep only the first `size` bytes; a pipe or a device is left unchanged."""
        if self.is_regular:
            self._file.truncate(size)
            self._size = size

    def write(self, text: str, /) -> None:
        """Append one record.

        Raises:
            OutputError: the record does not fit; the file is as it was before.
            BrokenPipeError: the file is a pipe without a reader.
        """
        data = memoryview(text.encode("utf-8", "backslashreplace"))
        try:
            rest = data
            while rest:
                rest = rest[self._file.write(rest) :]
        except BaseException as error:
            self.truncate(self._size)
            if isinstance(error, OSError):
                raise_write_error(self._path, error)
            raise
        self._size += len(data)

    def flush(self) -> None:
        """Do nothing: there is no buffer."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()
