"""The limits of the control groups of this process, as of a container or a systemd service; Linux only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

PROC = Path("/proc/self")


def group_folders(controller: str, proc: Path = PROC) -> Iterator[Path]:
    """The folders of the group of this process and of its parents, in versions 1 and 2 of control groups.

    A limit of any of them applies. Inside a container the folders outside of it are not mounted.

    Args:
        controller: `cpu` or `memory`.
        proc: folder with the files `cgroup`, which names the groups of this process, and `mountinfo`, which tells where
            groups are mounted.
    """
    own = _own_groups(controller, proc)
    for line in _lines(proc / "mountinfo"):
        # 34 31 0:28 /docker/a /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct
        first, separator, last = line.partition(" - ")
        about, system = first.split(" "), last.split(" ")
        if not separator or len(about) < 5 or len(system) < 3:
            continue
        is_v2 = system[0] == "cgroup2"
        if not is_v2 and (system[0] != "cgroup" or controller not in system[2].split(",")):
            continue
        if (path := own.get(is_v2)) is not None:
            relative = _inside(path, _unescaped(about[3]))
            for part in (relative, *relative.parents):
                yield Path(_unescaped(about[4])) / part


def _own_groups(controller: str, proc: Path) -> dict[bool, str]:
    """The path of the group of this process, by whether it is one of version 2."""
    found: dict[bool, str] = {}
    for line in _lines(proc / "cgroup"):  # version 1: `4:cpu,cpuacct:/a`, version 2: `0::/a`
        _, _, rest = line.partition(":")
        controllers, separator, path = rest.partition(":")
        if separator and (not controllers or controller in controllers.split(",")):
            found[not controllers] = path
    return found


def _inside(path: str, root: str) -> PurePosixPath:
    """The path of a group below the group that is mounted; `.` if it is not below it, as from another namespace."""
    group = PurePosixPath(path)
    if ".." in group.parts or not group.is_relative_to(root):
        return PurePosixPath()
    return group.relative_to(root)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []


def _unescaped(path: str) -> str:
    """A path of mountinfo, where a space is `\\040`."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)
