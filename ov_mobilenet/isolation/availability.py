"""Whether files of unknown origin can be read in a child process."""

from __future__ import annotations

import sys

from ov_mobilenet.errors import UsageError
from ov_mobilenet.operating_system import systems


def can_isolate() -> bool:
    """Whether this system can start the child process: Windows cannot fork, and libraries of macOS crash after it."""
    return systems.LINUX and bool(sys.executable)


def reads_apart(isolate: bool | None) -> bool:
    """Whether a file of unknown origin is read in a child process.

    Args:
        isolate: as the user asked; None for where the system can.

    Raises:
        UsageError: the user asked for it, but the system cannot.
    """
    if isolate and not can_isolate():
        raise UsageError(
            "files cannot be read in a child process on this system", expected="Linux", got="--isolate (isolate=True)"
        )
    return can_isolate() and isolate is not False
