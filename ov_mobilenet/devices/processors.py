"""The CPUs that this process may use: its affinity mask and the CPU quota of its control group, as of a container."""

from __future__ import annotations

import math
import os
from pathlib import Path

from ov_mobilenet.devices.control_groups import PROC, group_folders


def usable_cpus(proc: Path = PROC) -> int:
    """The number of CPUs in the affinity mask; the CPU quota, rounded up, or PYTHON_CPU_COUNT, if that is lower.

    Read anew at each call, because both may change while the process runs. At least 1.

    Args:
        proc: see `group_folders`.
    """
    limits = [cpus_in_mask()]
    if (quota := cpu_quota(proc)) is not None:
        limits.append(math.ceil(quota))
    asked = os.environ.get("PYTHON_CPU_COUNT", "")  # of Python 3.13; here for every version
    if asked.isascii() and asked.isdecimal() and int(asked):
        limits.append(int(asked))
    return min(limits)


def cpus_in_mask() -> int:
    """The number of CPUs that the scheduler may run this process on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_quota(proc: Path = PROC) -> float | None:
    """The CPU time that the control groups of this process allow, in CPUs; None without a limit.

    The lowest quota of the group and its parents counts.
    """
    quotas = [quota for folder in group_folders("cpu", proc) if (quota := _quota(folder)) is not None]
    return min(quotas, default=None)


def _quota(folder: Path) -> float | None:
    try:
        if (folder / "cpu.max").exists():
            allowed, period = (folder / "cpu.max").read_text("ascii").split()
        else:
            allowed = (folder / "cpu.cfs_quota_us").read_text("ascii").strip()
            period = (folder / "cpu.cfs_period_us").read_text("ascii").strip()
        quota = math.inf if allowed == "max" else int(allowed) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None
    return quota if 0 < quota < math.inf else None  # version 1 writes -1 for no limit
