"""The wheel and the sdist, each installed in an environment of its own and used from another folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from packages.conftest import Installed
from packages.release_files import version_of

PROGRAMS = ("ov-mobilenet", "omz_downloader", "omz_converter", "omz_quantizer", "omz_info_dumper")


def run(installed: Installed, folder: Path, *command: str) -> str:
    """Run a program of the environment with a home of its own; returns its standard output."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "XDG_"))}
    done = subprocess.run(
        [str(installed.python.parent / command[0]), *command[1:]],
        cwd=folder,
        env={**clean, "HOME": str(folder), "PATH": f"{installed.python.parent}{os.pathsep}{clean['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def pip(installed: Installed, *arguments: str) -> str:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(installed.python)]
    return subprocess.run([*command, *arguments], check=True, capture_output=True, text=True).stdout


def test_the_demo_verifies_the_sample_model(installed: Installed, tmp_path: Path) -> None:
    output = run(installed, tmp_path, "ov-mobilenet", "demo")
    assert "verified   against torch's recorded answers on 16 images" in output
    assert output.count(".jpg") == 12


def test_list_names_the_models_of_the_checkout(installed: Installed, tmp_path: Path) -> None:
    names = run(installed, tmp_path, "omz_info_dumper", "--all")
    output = run(installed, tmp_path, "ov-mobilenet", "list", "--format", "json")
    models = {path.parent.name for path in Path(__file__).resolve().parents[2].glob("model_configs/*/model.yml")}
    assert all(f'"{name}"' in output and f'"{name}"' in names for name in models)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_starts(program: str, installed: Installed, tmp_path: Path) -> None:
    assert "--help" in run(installed, tmp_path, program, "--help")


def test_the_package_is_imported_from_its_environment_with_its_version(installed: Installed, tmp_path: Path) -> None:
    script = "import ov_mobilenet as o; print(o.__file__); print(o.__version__); print(o.list_models()[0].name)"
    path, version, name = run(installed, tmp_path, "python", "-c", script).splitlines()
    assert Path(path).is_relative_to(installed.python.parents[1])
    assert name.startswith("mobilenet")
    assert run(installed, tmp_path, "ov-mobilenet", "--version").split()[-1] == version
    if installed.package.suffix == ".whl":
        assert version == version_of(installed.package)
    else:
        assert f"ov_mobilenet-{version}.tar.gz" == installed.package.name


def test_pip_finds_no_conflict(installed: Installed) -> None:
    assert "No broken requirements found." in pip(installed, "check")


def test_uninstalling_leaves_nothing(installed: Installed) -> None:
    """The last test: the environment has no package afterwards."""
    root = installed.python.parents[1]
    assert [path for path in root.rglob("*mobilenet*") if path.is_file()]
    pip(installed, "uninstall", "--yes", "ov-mobilenet")
    left = [path for path in root.rglob("*") if "ov_mobilenet" in str(path.relative_to(root)) or "omz_" in path.name]
    assert left == [] and not (installed.python.parent / "ov-mobilenet").exists()
