"""The limits of control groups, for CPUs and memory, in the shapes in which systems mount them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from ov_mobilenet.devices import memory, processors
from ov_mobilenet.devices.memory import memory_limit, usable_memory
from ov_mobilenet.devices.processors import cpu_quota, usable_cpus

FOUR_CPUS = 4
MIB = 1 << 20
MACHINE_BYTES = 8192 * MIB
V1_UNLIMITED = "9223372036854771712"


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "cpus_in_mask", lambda: FOUR_CPUS)
    monkeypatch.setattr(memory, "physical_memory", lambda: MACHINE_BYTES)
    monkeypatch.delenv("PYTHON_CPU_COUNT", raising=False)


@dataclass
class FakeGroups:
    """Control groups in a folder, with the files of /proc/self that describe them."""

    folder: Path

    @property
    def proc(self) -> Path:
        return self.folder / "proc"

    def mount(self, point: str, kind: str, options: str = "", root: str = "/") -> None:
        place = str(self.folder / point).replace(" ", "\\040")
        self._add("mountinfo", f"34 31 0:28 {root} {place} rw,relatime shared:7 - {kind} {kind} rw,{options}")

    def own(self, *lines: str) -> None:
        for line in lines:
            self._add("cgroup", line)

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")

    def quota_v1(self, group: str, quota_us: int, period_us: int = 100_000) -> None:
        self.write(f"{group}/cpu.cfs_quota_us", str(quota_us))
        self.write(f"{group}/cpu.cfs_period_us", str(period_us))

    def _add(self, name: str, line: str) -> None:
        self.proc.mkdir(exist_ok=True)
        with (self.proc / name).open("a") as stream:
            stream.write(f"{line}\n")


@pytest.fixture
def groups(tmp_path: Path) -> FakeGroups:
    return FakeGroups(tmp_path)


@pytest.mark.parametrize(
    ("quotas", "cpus"),
    [
        ({"app": "100000 100000"}, 1),
        ({"app": "150000 100000"}, 2),  # rounded up
        ({"app": "10000 100000"}, 1),
        ({"app": "max 100000"}, FOUR_CPUS),
        ({"app": "900000 100000"}, FOUR_CPUS),
        ({"app": "max 100000", ".": "200000 100000"}, 2),  # the limit of a parent
        ({"app": "300000 100000", ".": "200000 100000"}, 2),
        ({"other": "100000 100000"}, FOUR_CPUS),
        ({"app": "nonsense"}, FOUR_CPUS),
        ({"app": "0 0"}, FOUR_CPUS),
        ({}, FOUR_CPUS),
    ],
)
def test_cpus_in_version_2(quotas: dict[str, str], cpus: int, groups: FakeGroups) -> None:
    groups.mount("cgroup", "cgroup2", "nsdelegate")
    groups.own("0::/app")
    for path, text in quotas.items():
        groups.write(f"cgroup/{path}/cpu.max", text)
    assert usable_cpus(groups.proc) == cpus


def test_version_1_with_several_controllers_in_one_mount(groups: FakeGroups) -> None:
    groups.mount("cgroup/cpuset", "cgroup", "cpuset")
    groups.mount("cgroup/cpu,cpuacct", "cgroup", "cpu,cpuacct")
    groups.mount("cgroup/memory", "cgroup", "memory")
    groups.own("12:cpuset:/", "4:cpu,cpuacct:/user/app", "3:memory:/app", "1:name=systemd:/")
    groups.quota_v1("cgroup/cpu,cpuacct", -1)
    groups.quota_v1("cgroup/cpu,cpuacct/user", 250_000)
    groups.quota_v1("cgroup/cpu,cpuacct/user/app", -1)
    groups.write("cgroup/memory/memory.limit_in_bytes", V1_UNLIMITED)
    assert (cpu_quota(groups.proc), usable_cpus(groups.proc)) == (2.5, 3)
    assert (memory_limit(groups.proc), usable_memory(groups.proc)) == (None, MACHINE_BYTES)
    groups.write("cgroup/memory/app/memory.limit_in_bytes", str(512 * MIB))
    assert (memory_limit(groups.proc), usable_memory(groups.proc)) == (512 * MIB, 512 * MIB)
    groups.quota_v1("cgroup/cpu,cpuacct/user/app", 50_000)
    assert (cpu_quota(groups.proc), usable_cpus(groups.proc)) == (0.5, 1)


def test_both_versions_with_the_controllers_in_version_1(groups: FakeGroups) -> None:
    groups.mount("cgroup/unified", "cgroup2")
    groups.mount("cgroup/cpu", "cgroup", "cpu")
    groups.own("3:cpu:/app", "0::/app")
    (groups.folder / "cgroup" / "unified" / "app").mkdir(parents=True)
    groups.quota_v1("cgroup/cpu/app", 100_000)
    assert usable_cpus(groups.proc) == 1


@pytest.mark.parametrize(
    ("root", "own"),
    [
        ("/docker/abc", "/docker/abc"),  # the names of the host, and only the container's group is mounted
        ("/", "/"),  # a namespace of its own
        ("/../../abc", "/"),  # mounted before the namespace was made
        ("/docker/abc", "/../other"),
        ("/docker/ab", "/docker/abc"),  # not the same group, though the text begins with it
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_a_container_that_sees_its_own_group_as_the_root(version: int, root: str, own: str, groups: FakeGroups) -> None:
    if version == 1:
        groups.mount("cgroup/cpu", "cgroup", "cpu,cpuacct", root)
        groups.mount("cgroup/memory", "cgroup", "memory", root)
        groups.own(f"2:cpu,cpuacct:{own}", f"1:memory:{own}")
        groups.quota_v1("cgroup/cpu", 200_000)
        groups.write("cgroup/memory/memory.limit_in_bytes", str(64 * MIB))
    else:
        groups.mount("cgroup", "cgroup2", "", root)
        groups.own(f"0::{own}")
        groups.write("cgroup/cpu.max", "200000 100000")
        groups.write("cgroup/memory.max", str(64 * MIB))
    groups.write("cpu.max", "100000 100000")  # outside of the mount: of another group
    assert usable_cpus(groups.proc) == 2
    assert usable_memory(groups.proc) == 64 * MIB


def test_a_group_inside_of_a_container(groups: FakeGroups) -> None:
    groups.mount("c group", "cgroup2", "", "/docker/abc")
    groups.own("0::/docker/abc/service")
    groups.write("c group/service/cpu.max", "100000 100000")
    groups.write("c group/service/memory.max", str(32 * MIB))
    groups.write("c group/docker/abc/service/memory.max", str(16 * MIB))  # another group
    assert usable_cpus(groups.proc) == 1
    assert usable_memory(groups.proc) == 32 * MIB


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        ({"app": str(100 * MIB)}, 100 * MIB),
        ({"app": "max"}, None),
        ({"app": "max", ".": str(200 * MIB)}, 200 * MIB),
        ({"app": str(300 * MIB), ".": str(200 * MIB)}, 200 * MIB),
        ({"app": str(2 * MACHINE_BYTES)}, None),
        ({"app": "nonsense"}, None),
        ({}, None),
    ],
)
def test_memory_in_version_2(limits: dict[str, str], found: int | None, groups: FakeGroups) -> None:
    groups.mount("cgroup", "cgroup2")
    groups.own("0::/app")
    for path, text in limits.items():
        groups.write(f"cgroup/{path}/memory.max", text)
    assert memory_limit(groups.proc) == found
    assert usable_memory(groups.proc) == (found or MACHINE_BYTES)


def test_the_address_space_is_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (3 * MIB, resource.RLIM_INFINITY))
    assert usable_memory(tmp_path) == 3 * MIB


def test_a_system_that_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "physical_memory", lambda: None)
    monkeypatch.setattr(memory, "address_space_limit", lambda: None)
    assert usable_memory(tmp_path) is None
    assert usable_cpus(tmp_path) == FOUR_CPUS


def test_files_that_cannot_be_understood(groups: FakeGroups) -> None:
    groups.proc.mkdir()
    (groups.proc / "cgroup").write_bytes(b"\xff\xfe\n:::\n0::/../elsewhere\n7\n")
    (groups.proc / "mountinfo").write_bytes(b"\xff - cgroup2\n - cgroup2 x y\n1 2 3 / /nowhere rw - cgroup2 x rw\n")
    assert usable_cpus(groups.proc) == FOUR_CPUS
    assert usable_memory(groups.proc) == usable_memory(groups.folder)


@pytest.mark.parametrize(
    ("value", "cpus"), [("2", 2), ("9", FOUR_CPUS), ("default", FOUR_CPUS), ("", FOUR_CPUS), ("0", FOUR_CPUS)]
)
def test_the_variable_of_python_3_13_counts_in_every_version(
    value: str, cpus: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHON_CPU_COUNT", value)
    assert usable_cpus(tmp_path) == cpus


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinity masks")
def test_more_cpus_than_a_mask_usually_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(1100, 3148)))
    assert processors.cpus_in_mask() == usable_cpus(tmp_path) == 2048
