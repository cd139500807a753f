"""The machine that measurements run on, and its load before they start."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from time import sleep

from ov_mobilenet._version import __version__
from ov_mobilenet.benchmarking.report import Load, MachineFacts
from ov_mobilenet.devices.machine import cpu_flags
from ov_mobilenet.devices.processors import usable_cpus
from ov_mobilenet.operating_system.process_resources import load_average as system_load_average

SAMPLE_S = 0.1
# A higher CPU load from other processes than this fraction of all cores distorts the figures.
BUSY_CPU = 0.15
# The load average covers a minute, so it includes processes that have just ended: it is used only where the system does
# not report CPU times.
BUSY_AVERAGE = 0.5

PROC_STAT = Path("/proc/stat")
CPUS = Path("/sys/devices/system/cpu")


def conditions(load: Load) -> MachineFacts:
    """Hardware, system and versions of this machine, with the given load."""
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
    """The present load of the machine; takes a tenth of a second."""
    load_average = (average or system_load_average)()
    before = _jiffies(stat)
    if before is not None:
        pause(SAMPLE_S)
    after = _jiffies(stat)
    busy = None
    if before is not None and after is not None and after[1] > before[1]:
        busy = 1 - (after[0] - before[0]) / (after[1] - before[1])
    too_busy = (
        busy > BUSY_CPU if busy is not None else load_average is not None and load_average > BUSY_AVERAGE * cores()
    )
    return Load(load_average, busy, too_busy)


def governor(cpus: Path = CPUS) -> str | None:
    """Frequency governor of the CPU, such as performance or powersave; None if the system does not report it."""
    names = set()
    for file in cpus.glob("cpu[0-9]*/cpufreq/scaling_governor"):
        try:
            names.add(file.read_text().strip())
        except OSError:
            return None
    return ", ".join(sorted(names)) or None


def cores() -> int:
    """Number of CPU cores that this process may use; see `usable_cpus`."""
    return usable_cpus()


def _jiffies(stat: Path) -> tuple[int, int] | None:
    """Idle time (including waits for disks) and total time of all cores; None if the system does not report them."""
    try:
        first = stat.read_text().splitlines()[0].split()
        times = [
            int(word) for word in first[1:9]
        ]  # the columns after these hold guest time, which is part of user time
    except (OSError, ValueError, IndexError):
        return None
    return (times[3] + times[4], sum(times)) if first[0] == "cpu" and len(times) == 8 else None
