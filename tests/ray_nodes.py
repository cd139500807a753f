"""Ray clusters on this machine, and `ov-mobilenet bulk` as a process, for the tests with the marker `bulk`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
MODEL = "mobilenet-v1-0.25-128-signs"
TIMEOUT_S = 240.0
# As in the parts, without the timings.
COLUMNS = ("source", "frame", "time_s", "rank", "class_id", "label", "probability", "error")


def environment(*folders: Path) -> dict[str, str]:
    """The environment of the processes: this checkout, and before it some folders."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*folders, ROOT))), "OMP_NUM_THREADS": "1"}


class Nodes:
    """A cluster on this machine: its head has no CPUs, so that every worker is on a node that may be killed."""

    def __init__(self, *folders: Path) -> None:
        from ray.cluster_utils import Cluster

        self._environment = environment(*folders)
        with self._entered():
            self.cluster = Cluster(
                initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 100 << 20}
            )
        self.address: str = self.cluster.address

    def add(self, cpus: int = 1, **options: Any) -> Any:
        """Start a node; only from the main thread."""
        with self._entered():
            return self.cluster.add_node(num_cpus=cpus, object_store_memory=100 << 20, **options)

    def kill(self, node: Any) -> None:
        """Kill the processes of a node."""
        self.cluster.remove_node(node, allow_graceful=False)

    def workers(self) -> list[int]:
        """The process ids of the workers that have a classifier or load one, on all nodes."""
        raylets = {
            info.process.pid
            for node in (self.cluster.head_node, *self.cluster.worker_nodes)
            for info in node.all_processes.get("raylet", ())
        }
        return [pid for pid, parent, title in processes() if parent in raylets and "MapWorker" in title]

    def close(self) -> None:
        self.cluster.shutdown()

    @contextmanager
    def _entered(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self._environment.items():
                patch.setenv(name, value)
            yield


@contextmanager
def nodes(*cpus: int, folders: tuple[Path, ...] = ()) -> Iterator[Nodes]:
    """A cluster with a node for each number of CPUs."""
    pytest.importorskip("ray")
    started = Nodes(*folders)
    try:
        for count in cpus:
            started.add(count)
        yield started
    finally:
        started.close()


def processes() -> Iterator[tuple[int, int, str]]:
    """Process id, parent's id and command line of all processes of Linux."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                stat = (folder / "stat").read_text()
                title = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            state, parent = stat.rpartition(")")[2].split()[:2]
            if state != "Z":
                yield int(folder.name), int(parent), title


def start_bulk(images: Path, output: Path, *options: str, **kwargs: Any) -> subprocess.Popen[str]:
    """Start `ov-mobilenet bulk` at f32."""
    command = (
        sys.executable, "-m", "ov_mobilenet", "bulk", MODEL, str(images), "-o", str(output),
        "--inference-precision", "f32", *options,
    )  # fmt: skip
    return subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for the end of a process: its exit code, stdout and stderr."""
    try:
        out, err = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail(f"bulk does not end: {process.communicate()}")
    return process.returncode, out, err


def wait_for(what: str, event: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    """Wait for an event; fails if it does not come, or a process ends before."""
    deadline = time.monotonic() + TIMEOUT_S
    while not event():
        if process is not None and process.poll() is not None:
            pytest.fail(f"bulk ended before {what}: {process.communicate()}")
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def parts(output: Path) -> list[Path]:
    """The parts that are there, in order."""
    return sorted(output.glob("part-*.parquet"))


def draw_images(folder: Path, count: int) -> Path:
    """Small images with different pixels, some of them damaged."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"{number:05}.png"
        cv2.imwrite(str(path), cv2.resize(random.integers(0, 256, (4, 4, 3), np.uint8), (48, 40)))
        if number % 100 == 37:
            path.write_bytes(path.read_bytes()[:60])
    return folder


def rows(files: list[Path]) -> list[tuple[Any, ...]]:
    """The rows of Parquet files, without timings."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.concat_tables([pq.read_table(file, columns=list(COLUMNS)) for file in files])
    return [tuple(row.values()) for row in table.to_pylist()]


def classified(images: Path, target: Path) -> list[tuple[Any, ...]]:
    """The rows of `classify -o FILE.parquet` at f32."""
    subprocess.run(
        [sys.executable, "-m", "ov_mobilenet", "classify", MODEL, images, "-o", target, "--inference-precision", "f32"],
        env=environment(), capture_output=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    return rows([target])
