"""Copies of the checkout, the packages built from one, and environments that have them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from packages.release_files import ROOT, build_packages, new_environment, write_sums

EPOCH = 1_700_000_000


class Built(NamedTuple):
    """An sdist and the wheel that was built from it."""

    sdist: Path
    wheel: Path


class Installed(NamedTuple):
    """An environment with one of the packages and its dependencies."""

    python: Path
    package: Path


def tracked_files() -> list[str]:
    """The files of the checkout that git knows, or would add; without git, as in an unpacked sdist, skips the test."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    if not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return sorted(name for name in listed if (ROOT / name).is_file())


def copy_checkout(folder: Path, names: list[str]) -> Path:
    """Copy files of the checkout, in the order given."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    source = copy_checkout(tmp_path_factory.mktemp("checkout"), tracked_files())
    folder = tmp_path_factory.mktemp("dist")
    found = Built(*build_packages(source, folder, EPOCH))
    write_sums(folder)
    return found


@pytest.fixture(scope="session", params=["wheel", "sdist"])
def installed(
    request: pytest.FixtureRequest, built: Built, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installed]:
    package: Path = getattr(built, request.param)
    folder = tmp_path_factory.mktemp(f"environment-{request.param}")
    yield Installed(new_environment(folder, package, to_run=True), package)
    shutil.rmtree(folder)  # 0.5 GB
