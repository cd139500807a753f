"""The limit of open files, which includes connections."""

from __future__ import annotations

import resource

RESERVED = 256  # files of the models, the libraries and the log


def reserve_open_files(connections: int) -> None:
    """Raise the soft limit of this process for so many connections, as far as its hard limit allows.

    The usual soft limit of 1024 is there for programs that use select().
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + RESERVED
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
    )  # fmt: skip
