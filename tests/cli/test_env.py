"""`env`: complete enough for a bug report, and without names of users and hosts."""

from __future__ import annotations

import json
import platform
import re
from pathlib import Path

import numpy as np
import openvino as ov
import pytest

import ov_mobilenet as ovm
from ov_mobilenet.cli.env import REQUIRED
from ov_mobilenet.cli.main import main

Capture = pytest.CaptureFixture[str]


def test_every_dependency_of_the_package_is_listed() -> None:
    text = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text("utf-8")
    listed = re.search(r"^dependencies = \[(.*?)^\]", text, re.M | re.S)
    assert listed is not None
    assert set(re.findall(r'"([\w-]+)>=', listed[1])) <= set(REQUIRED)


@pytest.fixture
def someone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with a home folder, a cache elsewhere, and a configuration with private values."""
    home = tmp_path / "home" / "alice-private"
    home.mkdir(parents=True)
    for variable in ("LOGNAME", "USER"):
        monkeypatch.setenv(variable, "alice-private")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.setattr(platform, "node", lambda: "machine-private")
    config = home / ".config" / "ov-mobilenet" / "config.yml"
    config.parent.mkdir(parents=True)
    config.write_text(
        "device: CPU\nmirrors: ['https://me:secret@host-private.example.org/zoo']\n"
        "cache_dir: /data/alice-private/machine-private/cache\n"
    )
    stored = home / ".cache" / "ov-mobilenet" / "ir" / "x"
    stored.mkdir(parents=True)
    (stored / "a.bin").write_bytes(bytes(1000))
    return home


def test_the_report_is_complete(someone: Path, capsys: Capture) -> None:
    assert main(["env", "--format", "json", "--cache-dir", str(someone / ".cache" / "ov-mobilenet")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["schema_version"] == 1
    assert report["versions"] == {"ov_mobilenet": ovm.__version__, "python": platform.python_version()}
    assert report["openvino"] == ov.get_version()
    assert report["packages"]["numpy"] == np.__version__
    assert {"torch", "pillow", "opencv-python", "jinja2"} <= set(report["packages"])
    assert report["system"]["machine"] == platform.machine()
    assert {"name", "flags", "cpus", "usable_cpus", "quota"} <= set(report["cpu"])
    assert [device["name"] for device in report["devices"]] == list(ov.Core().available_devices)
    assert report["caches"]["irs"] == {"path": "~/.cache/ov-mobilenet/ir", "files": 1, "size": 1000}
    assert report["configuration"]["file"] == "~/.config/ov-mobilenet/config.yml"
    assert report["configuration"]["settings"]["device"]["origin"] == "~/.config/ov-mobilenet/config.yml:1"
    assert report["configuration"]["error"] is None


@pytest.mark.parametrize("output_format", ["table", "json"])
def test_it_names_neither_user_nor_host(output_format: str, someone: Path, capsys: Capture) -> None:
    assert main(["env", "--format", output_format]) == 0
    out = capsys.readouterr().out
    assert "private" not in out
    assert "secret" not in out
    assert "/data/USER/HOST/cache" in out
    assert "openvino" in out and "numpy" in out


def test_a_wrong_configuration_is_part_of_the_report(someone: Path, capsys: Capture) -> None:
    (someone / ".config" / "ov-mobilenet" / "config.yml").write_text("divice: CPU\n")
    assert main(["env"]) == 0
    assert "~/.config/ov-mobilenet/config.yml:1: divice: unknown key" in capsys.readouterr().out
    (someone / ".config" / "ov-mobilenet" / "config.yml").write_text("mirrors: {a: 'https://host-private.org/x'}\n")
    assert main(["env"]) == 0
    assert "private" not in capsys.readouterr().out
