"""The limit of open files, which includes connections."""

from __future__ import annotations

from ov_mobilenet.operating_system.process_resources import raise_open_file_limit

RESERVED = 256  # files of the models, the libraries and the log


def reserve_open_files(connections: int) -> None:
    """Raise the soft limit of this process for so many connections, as far as its hard limit allows.

    The usual soft limit of 1024 is there for programs that use select().
    """
    raise_open_file_limit(connections + RESERVED)
