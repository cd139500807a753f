"""What a timed part takes of the machine; what cannot be read is None."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from ov_mobilenet.benchmarking.measurement import Resources

# https://docs.kernel.org/power/powercap/powercap.html: a counter for each package, in microjoules, that begins again at
# max_energy_range_uj. Often for root alone, and missing in virtual machines.
POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True)
class _Energy:
    """A package's counter and where it begins again, in microjoules."""

    value: int
    wraps_at: int


class Meter:
    """Reads the counters when it is made, and what has come to them when it is asked."""

    def __init__(self, *, clock: Callable[[], float] = perf_counter, powercap: Path = POWERCAP) -> None:
        self._clock, self._powercap = clock, powercap
        self._energy = _energy(powercap)
        self._cpu = _cpu_time_s()
        self._begun = clock()

    def read(self, images: int) -> Resources:
        """Since it was made.

        Args:
            images: that were answered since.
        """
        elapsed, cpu, energy = self._clock() - self._begun, _cpu_time_s(), self._joules()
        used = None if cpu is None or self._cpu is None else cpu - self._cpu
        return Resources(
            cpu_time_s=used,
            cpu_cores=used / elapsed if used is not None and elapsed > 0 else None,
            peak_memory_mb=_peak_memory_mb(),
            energy_j=energy,
            energy_per_image_j=energy / images if energy is not None and images else None,
        )

    def _joules(self) -> float | None:
        now = _energy(self._powercap)
        if not self._energy or now.keys() != self._energy.keys():
            return None
        # Once around at most: a counter that holds 65 kJ takes minutes at full load.
        return sum((now[name].value - was.value) % was.wraps_at for name, was in self._energy.items()) / 1e6


def _energy(powercap: Path) -> dict[str, _Energy]:
    """Of each CPU package; empty where one cannot be read. Subzones (`intel-rapl:0:0`) are part of their package."""
    found = {}
    for zone in sorted(powercap.glob("intel-rapl:*")):
        if zone.name.count(":") != 1:
            continue
        try:
            if not (zone / "name").read_text().startswith("package"):
                continue
            value, wraps_at = (int((zone / name).read_text()) for name in ("energy_uj", "max_energy_range_uj"))
        except (OSError, ValueError):
            return {}
        found[zone.name] = _Energy(value, wraps_at + 1)
    return found


def _cpu_time_s() -> float | None:
    """User and system time of all threads of this process."""
    times = os.times()
    return times.user + times.system


def _peak_memory_mb() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
