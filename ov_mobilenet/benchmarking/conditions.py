"""On what machine something is measured, and how busy that is before it begins."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path
from time import sleep

from ov_mobilenet._version import __version__
from ov_mobilenet.benchmarking.measurement import Load, MachineFacts
from ov_mobilenet.devices.machine import cpu_flags

SAMPLE_S = 0.1
# More of all cores' time than this, taken by others, shows in the figures.
BUSY_CPU = 0.15
# The average over a minute lags, and knows of what has just ended: it is asked only where nothing better is told.
BUSY_AVERAGE = 0.5

PROC_STAT = Path("/proc/stat")
CPUS = Path("/sys/devices/system/cpu")


def conditions(load: Load) -> MachineFacts:
    """This machine, with the load that it had."""
    import cv2
    import numpy as np
    import openvino as ov

    core = ov.Core()
    cpu = str(core.get_property("CPU", "FULL_DEVICE_NAME")) if "CPU" in core.available_devices else platform.machine()
    return MachineFacts(
        cpu=cpu,
        cpu_flags=cpu_flags(),
        cores=cores(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        governor=governor(),
        load=load,
        versions={
            "ov_mobilenet": __version__,
            "openvino": ov.get_version(),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            "python": platform.python_version(),
        },
    )


def current_load(
    *, stat: Path = PROC_STAT, pause: Callable[[float], None] = sleep, average: Callable[[], float | None] | None = None
) -> Load:
    """How busy the machine is; takes a tenth of a second."""
    of_minute = (average or _average)()
    before = _jiffies(stat)
    if before is not None:
        pause(SAMPLE_S)
    after = _jiffies(stat)
    busy = None
    if before is not None and after is not None and after[1] > before[1]:
        busy = 1 - (after[0] - before[0]) / (after[1] - before[1])
    doubt = busy > BUSY_CPU if busy is not None else of_minute is not None and of_minute > BUSY_AVERAGE * cores()
    return Load(of_minute, busy, doubt)


def governor(cpus: Path = CPUS) -> str | None:
    """Of the CPU's frequency: performance, powersave, …; None where the system does not say."""
    found = set()
    for file in cpus.glob("cpu[0-9]*/cpufreq/scaling_governor"):
        try:
            found.add(file.read_text().strip())
        except OSError:
            return None
    return ", ".join(sorted(found)) or None


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _average() -> float | None:
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):  # Windows
        return None


def _jiffies(stat: Path) -> tuple[int, int] | None:
    """Idle (waits for disks included) and all time of all cores; None where the system does not say."""
    try:
        first = stat.read_text().splitlines()[0].split()
        times = [int(word) for word in first[1:9]]  # guest time, behind these, is part of user time
    except (OSError, ValueError, IndexError):
        return None
    return (times[3] + times[4], sum(times)) if first[0] == "cpu" and len(times) == 8 else None
