"""Wall time and CPU time of a command or of a part of this process, and ratios of two ways that are run in turn.

CPU time is user and system time of a process, its threads and the children that it has waited for. On a machine that
others use as well, it tells the work that is done; wall time also counts waiting for a core.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Used:
    """Wall time and CPU time in seconds; of a whole run, or of one image."""

    wall_s: float
    cpu_s: float

    def __sub__(self, other: Used) -> Used:
        return Used(self.wall_s - other.wall_s, self.cpu_s - other.cpu_s)

    def __truediv__(self, count: float) -> Used:
        return Used(self.wall_s / count, self.cpu_s / count)


@dataclass(frozen=True)
class Compared:
    """One way against another, as medians of pairs that ran in turn.

    Attributes:
        ours, other: for one image.
        wall: throughput of ours relative to the other; 2 is twice as fast.
        cpu: CPU time of ours relative to the other's; 0.5 is half of the work.
        walls, cpus: the ratios of the single pairs.
    """

    ours: Used
    other: Used
    wall: float
    cpu: float
    walls: tuple[float, ...]
    cpus: tuple[float, ...]

    def __str__(self) -> str:
        return (
            f"{1 / self.ours.wall_s:.0f}/s against {1 / self.other.wall_s:.0f}/s: {self.wall:.2f}x by wall time"
            f" ({min(self.walls):.2f} to {max(self.walls):.2f}); CPU time an image"
            f" {self.ours.cpu_s * 1e3:.3f} ms against"
            f" {self.other.cpu_s * 1e3:.3f} ms: {self.cpu:.2f} ({min(self.cpus):.2f} to {max(self.cpus):.2f})"
        )

    def figures(self) -> dict[str, object]:
        """The figures for `report.Report.add`."""
        return {
            "wall_ratio": self.wall,
            "cpu_ratio": self.cpu,
            "images_per_s": 1 / self.ours.wall_s,
            "other_images_per_s": 1 / self.other.wall_s,
            "cpu_ms_per_image": self.ours.cpu_s * 1e3,
            "other_cpu_ms_per_image": self.other.cpu_s * 1e3,
            "wall_ratios": list(self.walls),
            "cpu_ratios": list(self.cpus),
        }


def used_by(work: Callable[[], object]) -> Used:
    """What a function uses in all threads of this process; not in its children."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Used(time.perf_counter() - wall, time.process_time() - cpu)


def used_by_command(command: Sequence[str], environment: Mapping[str, str]) -> tuple[Used, str]:
    """Run a command to its end: what it and its children used, and its standard output.

    Raises:
        SystemExit: it failed; with its messages.
    """
    with tempfile.TemporaryFile() as messages, tempfile.TemporaryFile() as output:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=messages, env=dict(environment))
        _, status, usage = os.wait4(process.pid, 0)
        elapsed = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        messages.seek(0)
        output.seek(0)
        if process.returncode != 0:
            raise SystemExit(f"{' '.join(command)}: exit {process.returncode}\n{messages.read().decode()}")
        return Used(elapsed, usage.ru_utime + usage.ru_stime), output.read().decode()


def without_start_up(used: Callable[[int], Used], count: int) -> Used:
    """What one image uses, without the start-up of the process: the run of one image is taken off.

    Args:
        used: runs the whole process on this number of images.

    Raises:
        SystemExit: all images took no longer than one.
    """
    one = used(1)
    rest = used(count) - one
    if rest.wall_s <= 0 or rest.cpu_s <= 0:
        raise SystemExit(f"{count} images took no longer than one image: use more images, or an idle machine")
    return rest / (count - 1)


def compared(pairs: int, ours: Callable[[], Used], other: Callable[[], Used], *, show: bool = True) -> Compared:
    """Run both in turn, in alternating order; each returns what one image uses.

    Args:
        show: print each pair.
    """
    found: list[tuple[Used, Used]] = []
    for turn in range(pairs):
        a, b = (ours(), other()) if turn % 2 else (other(), ours())[::-1]
        found.append((a, b))
        if show:
            print(
                f"    {1 / a.wall_s:.0f}/s, {1 / b.wall_s:.0f}/s: {b.wall_s / a.wall_s:.2f}; CPU time"
                f" {a.cpu_s * 1e3:.3f} ms, {b.cpu_s * 1e3:.3f} ms: {a.cpu_s / b.cpu_s:.2f}",
                flush=True,
            )
    return compared_runs(found)


def compared_runs(found: Sequence[tuple[Used, Used]]) -> Compared:
    """The medians of pairs that were run already, ours first."""
    walls = tuple(b.wall_s / a.wall_s for a, b in found)
    cpus = tuple(a.cpu_s / b.cpu_s for a, b in found)
    ours, other = (median_of([pair[side] for pair in found]) for side in (0, 1))
    return Compared(ours, other, statistics.median(walls), statistics.median(cpus), walls, cpus)


def median_of(runs: Sequence[Used]) -> Used:
    """The medians of wall time and of CPU time."""
    return Used(statistics.median(run.wall_s for run in runs), statistics.median(run.cpu_s for run in runs))
