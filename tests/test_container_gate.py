"""`make test-containers` changes nothing of the machine: parts called by hand, and what podman leaves behind."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("resource")  # the gate needs Linux
from containers import __main__ as gate
from containers import podman
from containers.outcome import ExpectationError

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("part", [gate.build, gate.run])
@pytest.mark.parametrize("noted", [False, True])
def test_a_part_called_by_hand_changes_no_mount(
    part: Callable[[Path], None], noted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "run", refuse)
    monkeypatch.setattr(podman, "MOUNTS", tmp_path / "mnt")
    (tmp_path / "mnt").symlink_to("mnt:[1]")
    if noted:
        podman.leave_outside(tmp_path)
    with pytest.raises(ExpectationError, match="started by the part `images`"):
        part(tmp_path)


def test_a_part_in_another_mount_namespace_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(podman, "MOUNTS", tmp_path / "mnt")
    (tmp_path / "mnt").symlink_to("mnt:[1]")
    podman.leave_outside(tmp_path)
    (tmp_path / "mnt").unlink()
    (tmp_path / "mnt").symlink_to("mnt:[2]")
    podman.expect_own_mounts(tmp_path)


def test_new_control_groups_of_podman_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(podman, "CGROUPS", tmp_path)
    (tmp_path / "cpu" / "libpod_parent" / "conmon").mkdir(parents=True)
    with podman.control_groups_removed():
        (tmp_path / "memory" / "libpod_parent" / "conmon").mkdir(parents=True)
        (tmp_path / "libpod_parent").mkdir()
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "cpu", "cpu/libpod_parent", "cpu/libpod_parent/conmon", "memory",
    ]  # fmt: skip


def test_every_place_names_the_packages_that_the_gates_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    # util-linux is essential in Debian, and a checkout was made with git.
    needed = {"debootstrap", *podman.missing_programs()} - {"util-linux", "git"}
    told = " ".join((ROOT / "CONTRIBUTING.md").read_text("utf-8").split())
    assert needed <= set(told.partition("`make test-containers` needs root")[2].partition("`;")[0].split())
    workflow = ROOT / ".github" / "workflows" / "checks.yml"
    if not workflow.exists():
        pytest.skip("an sdist has no workflows")
    job = re.search(r"^  systems:\n((?:    .*\n|\n)+)", workflow.read_text("utf-8"), re.M)
    assert job is not None
    assert needed | {"qemu-user-static", "debian-archive-keyring"} <= set(job[1].split())
