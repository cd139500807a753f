"""The CPUs that this process may use: its affinity mask and the CPU quota of its control group, as of a container."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


def usable_cpus(mounts: Path = CGROUPS, own: Path = OWN_CGROUP) -> int:
    """The number of CPUs in the affinity mask; the CPU quota, rounded up, if that is lower. At least 1.

    Args:
        mounts: where control groups are mounted.
        own: file that names the control groups of this process.
    """
    quota = cpu_quota(mounts, own)
    return cpus_in_mask() if quota is None else max(1, min(cpus_in_mask(), math.ceil(quota)))


def cpus_in_mask() -> int:
    """The number of CPUs that the scheduler may run this process on."""
    if hasattr(os, "process_cpu_count"):  # Python 3.13; also PYTHON_CPU_COUNT
        return os.process_cpu_count() or 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_quota(mounts: Path = CGROUPS, own: Path = OWN_CGROUP) -> float | None:
    """The CPU time that the control groups of this process allow, in CPUs; None without a limit.

    The lowest quota of the group and its parents counts. Inside a container the path in `own` is often that of the
    host, which is not mounted; the container's own limit is then at the root of the mount.
    """
    quotas = [quota for folder in _folders(mounts, own) if (quota := _quota(folder)) is not None]
    return min(quotas, default=None)


def _folders(mounts: Path, own: Path) -> Iterator[Path]:
    """The folders of the group of this process and of its parents, in version 2 or 1 of control groups."""
    try:
        lines = own.read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        for mount in (mounts / controllers, mounts / "cpu") if controllers else (mounts, mounts / "unified"):
            relative = PurePosixPath(path.lstrip("/"))
            for part in (relative, *relative.parents):
                if ".." not in part.parts:  # a group outside of the namespace of this process
                    yield mount / part


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
