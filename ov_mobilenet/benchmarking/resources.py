"""CPU time, memory and energy used by a timed part; None for values that cannot be read."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from ov_mobilenet.benchmarking.measurement import Resources
from ov_mobilenet.operating_system.process_resources import peak_memory_bytes

# https://docs.kernel.org/power/powercap/powercap.html: one counter per CPU package, in microjoules, which wraps around
# at max_energy_range_uj. Often readable by root only, and missing in virtual machines.
POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True)
class _Energy:
    """Energy counter of a CPU package and the value at which it wraps around, in microjoules."""

    value: int
    wraps_at: int


class Meter:
    """Measures the resources used since it was created."""

    def __init__(self, *, clock: Callable[[], float] = perf_counter, powercap: Path = POWERCAP) -> None:
        self._clock, self._powercap = clock, powercap
        self._energy = _energy(powercap)
        self._cpu = _cpu_time_s()
        self._begun = clock()

    def read(self, images: int) -> Resources:
        """The resources used since the meter was created.

        Args:
            images: number of images that were completed since then.
        """
        elapsed, cpu, energy = self._clock() - self._begun, _cpu_time_s(), self._joules()
        used = None if cpu is None or self._cpu is None else cpu - self._cpu
        return Resources(
            cpu_time_s=used,
            cpu_cores=used / elapsed if used is not None and elapsed > 0 else None,
            peak_memory_mb=None if (peak := peak_memory_bytes()) is None else peak / 1e6,
            energy_j=energy,
            energy_per_image_j=energy / images if energy is not None and images else None,
        )

    def _joules(self) -> float | None:
        now = _energy(self._powercap)
        if not self._energy or now.keys() != self._energy.keys():
            return None
        # The counter can have wrapped around once at most: at full load 65 kJ last for minutes.
        return sum((now[name].value - was.value) % was.wraps_at for name, was in self._energy.items()) / 1e6


def _energy(powercap: Path) -> dict[str, _Energy]:
    """Energy counters of the CPU packages; empty if one cannot be read."""
    counters = {}
    for zone in sorted(powercap.glob("intel-rapl:*")):
        if zone.name.count(":") != 1:  # a subzone, such as intel-rapl:0:0, is part of its package
            continue
        try:
            if not (zone / "name").read_text().startswith("package"):
                continue
            value, wraps_at = (int((zone / name).read_text()) for name in ("energy_uj", "max_energy_range_uj"))
        except (OSError, ValueError):
            return {}
        counters[zone.name] = _Energy(value, wraps_at + 1)
    return counters


def _cpu_time_s() -> float | None:
    """User and system time of all threads of this process."""
    times = os.times()
    return times.user + times.system
