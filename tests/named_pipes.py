"""Wait at a named pipe for the other program, but not without end if that has ended."""

from __future__ import annotations

import errno
import os
import subprocess
import time
from pathlib import Path

WAIT_S = 120.0


def open_for_writing(pipe: Path, process: subprocess.Popen[str]) -> int:
    """Open the pipe as soon as the process has opened its end; returns the file descriptor."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:  # no program has opened the pipe for reading
                raise
        else:
            os.set_blocking(descriptor, True)
            return descriptor
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the program does not open the pipe"
        time.sleep(0.005)
