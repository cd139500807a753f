"""Inputs and outputs of the benches of `bulk`: small JPEGs in folders and tars, the command, the times of its parts."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import openvino as ov
from images import ROOT, drawings

from ov_mobilenet.cli.demo import SAMPLE
from ov_mobilenet.devices.processors import usable_cpus

DIFFERENT = 200
ENVIRONMENT = {
    **os.environ,
    "CI": "true",
    "PYTHONPATH": str(ROOT),
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
}


class Ran(NamedTuple):
    """A finished process: wall time, CPU time, and peak of its resident memory."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def versions() -> str:
    """CPU, cores and versions, for the first line of a bench."""
    import pyarrow as pa

    texts = [f"{ov.Core().get_property('CPU', 'FULL_DEVICE_NAME')}, {usable_cpus()} cores"]
    texts += [f"Python {sys.version.split()[0]}, OpenVINO {ov.get_version()}, pyarrow {pa.__version__}"]
    try:
        import ray
    except ImportError:
        texts.append("without Ray")
    else:
        texts.append(f"Ray {ray.__version__}")
    return f"{', '.join(texts)}, load {os.getloadavg()[0]:.1f}"


def small_jpegs(count: int) -> Iterator[bytes]:
    """JPEGs of 160x120 to 256x256, 4 to 15 kB each; `DIFFERENT` of them are repeated."""
    rng = np.random.default_rng(0)
    made = []
    for data in drawings(1, min(count, DIFFERENT)):
        frame = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        size = int(rng.integers(160, 257)), int(rng.integers(120, 257))
        made.append(cv2.imencode(".jpg", cv2.resize(frame, size, interpolation=cv2.INTER_AREA))[1].tobytes())
    for number in range(count):
        yield made[number % len(made)]


def write_files(folder: Path, count: int) -> None:
    """A folder of small JPEGs."""
    folder.mkdir(parents=True)
    for number, data in enumerate(small_jpegs(count)):
        (folder / f"{number:06}.jpg").write_bytes(data)


def write_links(folder: Path, count: int) -> None:
    """Like `write_files`, as hard links to `DIFFERENT` files."""
    folder.mkdir(parents=True)
    for number, data in enumerate(small_jpegs(min(count, DIFFERENT))):
        (folder / f"{number:06}.jpg").write_bytes(data)
    for number in range(DIFFERENT, count):
        os.link(folder / f"{number % DIFFERENT:06}.jpg", folder / f"{number:06}.jpg")


def write_tars(folder: Path, count: int, per_tar: int) -> None:
    """Tars of small JPEGs."""
    folder.mkdir(parents=True)
    images = enumerate(small_jpegs(count))
    for begin in range(0, count, per_tar):
        with tarfile.open(folder / f"{begin // per_tar:06}.tar", "w") as tar:
            for number, data in (next(images) for _ in range(min(per_tar, count - begin))):
                member = tarfile.TarInfo(f"{number:06}.jpg")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


# Starts a program and waits for it. Linux counts the memory of the process that starts a program as the first peak of
# the program, and a bench with its packages has more than some programs that it measures.
STARTER = """
import os, sys
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
_, status, usage = os.wait4(os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet), 0)
print(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
"""


def run(command: Sequence[str], *, code: int = 0) -> Ran:
    """Run a program to its end. Raises: SystemExit, with its messages, if it ends with another exit code."""
    begun = time.perf_counter()
    started = subprocess.run(
        [sys.executable, "-I", "-S", "-c", STARTER, *command], capture_output=True, check=True, env=ENVIRONMENT
    )
    ended, cpu_seconds, peak_mb = started.stdout.split()
    if int(ended) != code:
        raise SystemExit(f"{' '.join(command)}: exit {int(ended)}\n{started.stderr.decode()}")
    return Ran(time.perf_counter() - begun, float(cpu_seconds), float(peak_mb))


def command(name: str, inputs: Sequence[str], output: Path, *more: str) -> list[str]:
    """A command of this project with the sample model on the CPU."""
    return [sys.executable, "-m", "ov_mobilenet", name, SAMPLE, *inputs, "-o", str(output), "-d", "CPU", "-q", *more]


def images_in(part: Path) -> int:
    """The number of images of a part."""
    import pyarrow.parquet as pq

    ranks = pq.ParquetFile(part).read(["rank"])["rank"].to_pylist()
    return sum(rank in (None, 1) for rank in ranks)


def rate_of_parts(output: Path, skipped: int) -> float:
    """Images per second between two moments: when the first `skipped` parts were written, and the last one."""
    parts = sorted(output.glob("part-*.parquet"), key=lambda part: part.stat().st_mtime_ns)
    begun, ended = (part.stat().st_mtime_ns for part in (parts[skipped - 1], parts[-1]))
    return sum(map(images_in, parts[skipped:])) / ((ended - begun) / 1e9)
