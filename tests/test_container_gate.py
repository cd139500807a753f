"""`make test-containers` changes nothing of the machine: parts called by hand, and what podman leaves behind."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from containers import __main__ as gate
from containers import podman
from containers.outcome import ExpectationError


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
