"""stdin, stdout and stderr of the process, also if it was started with some of them closed."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress

from ov_mobilenet.errors import OutputError


def prepare_standard_streams() -> None:
    """Make the standard streams safe to use; called once, before anything is opened.

    The numbers 0 to 2 are taken by /dev/null if they are closed: otherwise the next file that is opened, such as the
    results, gets the number, and a library that prints to stderr writes into it. Results for a closed stdout are an
    error; messages for a stderr that is closed, full or broken are dropped, so that they do not end the command.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest number that is free
        pass
    os.close(number)
    sys.stdout = sys.stdout or _ClosedOutput()
    with suppress(AttributeError, OSError, ValueError):
        sys.stderr.flush()
    encoding = sys.stderr.encoding if sys.stderr is not None else "utf-8"
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(_LossyFile(2, "wb", closefd=False)),
        encoding=encoding, errors="backslashreplace", line_buffering=True,
    )  # fmt: skip


class _LossyFile(io.FileIO):
    """A file whose write errors are ignored."""

    def write(self, data: object, /) -> int:
        with suppress(OSError):
            return super().write(data)  # type: ignore[arg-type]
        return len(memoryview(data))  # type: ignore[arg-type]


class _ClosedOutput(io.TextIOBase):
    """A stdout that the process was started without. Raises: OutputError, when something is written."""

    encoding = "utf-8"

    def write(self, text: str, /) -> int:
        raise OutputError("stdout is closed: the results cannot be written", fix="Open it, or use -o FILE")
