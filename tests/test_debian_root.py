"""`tools/roots`: what happens on this machine when a part of it fails; the systems are built by the gates alone."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from roots import debian_root

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs sh")


def program(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(0o755)


@pytest.mark.parametrize("failing", ["overlay", "proc", "/sys", "/dev", "tmpfs", "/source", "remount", ""])
def test_no_command_runs_where_a_mount_failed(failing: str, tmp_path: Path) -> None:
    for name in ("layer/root/etc", "layer/root/target", "bin"):
        (tmp_path / name).mkdir(parents=True)
    program(tmp_path / "bin" / "mount", f'test -z "{failing}" || case "$*" in *{failing}*) exit 32;; esac')
    program(tmp_path / "bin" / "chroot", "echo entered")
    arguments = ["root", str(tmp_path / "layer"), "/source", "/target", "ro", "--", "true"]
    done = subprocess.run(
        ["sh", "-euc", debian_root.ENTER, "sh", *arguments],
        env={"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == ((32, "") if failing else (0, "entered\n")), done.stderr


def test_mounts_of_debootstrap_are_not_mounts_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # It fails with a live mount in the folder that is then deleted.
    program(
        tmp_path / "bin" / "debootstrap",
        f'mkdir -p "$4" && mount -t tmpfs tmpfs "$4" && grep -c "$4" /proc/self/mountinfo >{tmp_path}/told; exit 3',
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(debian_root, "FOLDER", tmp_path / "roots")
    architecture = "arm64" if platform.machine() == "aarch64" else "amd64"
    try:
        debian_root.check_possible(architecture)
    except debian_root.NotPossibleError as error:
        pytest.skip(str(error))
    with pytest.raises(subprocess.CalledProcessError):
        debian_root.build("bookworm", architecture)
    assert (tmp_path / "told").read_text("ascii") == "1\n"
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text("utf-8")
    assert list((tmp_path / "roots").iterdir()) == []


def test_settings_of_pip_with_several_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (tmp_path / "pip.conf").write_text(f"[global]\nfind-links =\n    {wheels}\n    /not/there\n", "utf-8")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    variables, binds = debian_root.pip_settings()
    assert variables["PIP_FIND_LINKS"] == f"{wheels} /not/there"
    assert (wheels.resolve(), str(wheels), "ro") in binds


def test_a_python_without_pip_has_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert debian_root.pip_settings() == ({}, [])
