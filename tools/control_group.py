"""A real control group with a CPU quota, for tests and benchmarks; needs root."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

PERIOD_US = 100_000
ROOT = Path("/sys/fs/cgroup")


class NoControlGroup(Exception):
    """This system allows no new control group."""


@contextmanager
def cpu_group(cpus: float) -> Iterator[list[str]]:
    """A new control group with a quota, deleted at the end; its processes must have ended by then.

    Yields:
        The beginning of a command line: the command that follows runs in the group.

    Raises:
        NoControlGroup: no permission, or no control groups with quotas.
    """
    quota = int(cpus * PERIOD_US)
    v1 = (ROOT / "cpu" / "cpu.cfs_quota_us").exists() or (ROOT / "cpu" / "tasks").exists()
    folder = (ROOT / "cpu" if v1 else ROOT) / f"ov-mobilenet-{uuid4().hex[:12]}"
    try:
        folder.mkdir()
        try:
            if v1:
                (folder / "cpu.cfs_period_us").write_text(f"{PERIOD_US}")
                (folder / "cpu.cfs_quota_us").write_text(f"{quota}")
            else:
                (folder / "cpu.max").write_text(f"{quota} {PERIOD_US}")
        except OSError:
            folder.rmdir()
            raise
    except OSError as error:
        raise NoControlGroup(str(error)) from error

    try:
        yield ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(folder / "cgroup.procs")]
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    """Delete the group. The kernel counts a process that has just ended for a moment longer."""
    deadline = time.monotonic() + 10.0
    while True:
        try:
            return folder.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                with suppress(OSError):  # a process of a test is left: it is moved out, so that the group can end
                    for process in (folder / "cgroup.procs").read_text("ascii").split():
                        (folder.parent / "cgroup.procs").write_text(process)
                    folder.rmdir()
                return None
            time.sleep(0.01)
