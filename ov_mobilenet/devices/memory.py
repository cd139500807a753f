"""The memory that this process may use: the machine's, the limit of its control group, and RLIMIT_AS (`ulimit -v`)."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ov_mobilenet.devices.control_groups import PROC, group_folders
from ov_mobilenet.operating_system.process_resources import address_space_limit, physical_memory


def usable_memory(proc: Path = PROC) -> int | None:
    """The smallest of these limits, in bytes; None if the system tells none of them.

    Args:
        proc: see `group_folders`.
    """
    found = [physical_memory(), memory_limit(proc), address_space_limit()]
    return min((limit for limit in found if limit is not None), default=None)


def memory_limit(proc: Path = PROC) -> int | None:
    """The memory that the control groups of this process allow, in bytes; None without a limit.

    The lowest limit of the group and its parents counts.
    """
    machine = physical_memory()
    limits = [limit for folder in group_folders("memory", proc) if (limit := _limit(folder)) is not None]
    lowest = min(limits, default=None)
    # Version 1 writes a number near 2**63 for no limit.
    return lowest if lowest is not None and lowest < (machine or 1 << 60) else None


def _limit(folder: Path) -> int | None:
    for name in ("memory.max", "memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            return int((folder / name).read_text("ascii"))  # ValueError: `max`, no limit
    return None
