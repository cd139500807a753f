"""The bytes of sdist and wheel, and what the checkers of others say of them."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import readme_renderer.markdown
from packages.conftest import EPOCH, Built, copy_checkout, tracked_files
from packages.release_files import ROOT

SHIPPED = ("ov_mobilenet/", "model_configs/")


def build_in(source: Path, output: Path, *arguments: str, umask: int = 0o022, **environment: str) -> list[bytes]:
    """Build as `release_files` does, in a process with other surroundings; returns the bytes of the packages."""
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(output), *arguments, str(source)],
        check=True,
        umask=umask,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH), **environment},
    )
    return [path.read_bytes() for path in sorted(output.iterdir())]


def test_folder_order_umask_locale_and_time_zone_do_not_change_a_byte(built: Built, tmp_path: Path) -> None:
    names = tracked_files()
    random.Random(1).shuffle(names)
    before = os.umask(0o077)
    try:
        source = copy_checkout(tmp_path / "another folder", names)
    finally:
        os.umask(before)
    for name in names:
        (source / name).chmod((source / name).stat().st_mode & 0o700)
        os.utime(source / name, (1, 1))
    surroundings = {"TZ": "Asia/Kolkata", "LC_ALL": "C", "PYTHONHASHSEED": "7", "HOME": str(tmp_path)}
    other = build_in(source, tmp_path / "dist", umask=0o077, **surroundings)
    assert other == [built.wheel.read_bytes(), built.sdist.read_bytes()]


def test_a_wheel_of_the_checkout_is_that_of_the_sdist(built: Built, tmp_path: Path) -> None:
    source = copy_checkout(tmp_path / "checkout", tracked_files())
    assert build_in(source, tmp_path / "dist", "--wheel") == [built.wheel.read_bytes()]


def test_the_packages_hold_only_files_that_git_knows(built: Built) -> None:
    """Also none that a build or a test left in the folders of the package."""
    names = set(tracked_files())
    with zipfile.ZipFile(built.wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    own = {name for name in names if name.startswith(SHIPPED)}
    assert found == {re.sub("^model_configs/", "ov_mobilenet/model_configs/", name) for name in own}
    with tarfile.open(built.sdist) as packed:
        listed = {member.name.partition("/")[2] for member in packed.getmembers()}
    assert listed - names == {"PKG-INFO"}


def test_twine_and_check_wheel_contents_and_validate_pyproject_find_nothing(built: Built) -> None:
    for command in (
        ["twine", "check", "--strict", str(built.sdist), str(built.wheel)],
        ["check_wheel_contents", str(built.wheel)],
        ["validate_pyproject", str(ROOT / "pyproject.toml")],
    ):
        done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and "WARNING" not in done.stdout, done.stdout + done.stderr


def test_links_of_the_page_on_pypi_lead_somewhere(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        text = str(HeaderParser().parsestr(archive.read(name).decode()).get_payload())
    page = readme_renderer.markdown.render(text)
    assert page is not None, "readme_renderer renders Markdown only with its extra `md`"
    links = re.findall(r'(?:href|src)="([^"]*)"', page)
    anchors = {f"#{name}" for name in re.findall(r'id="([^"]*)"', page)}
    assert [link for link in links if not link.startswith(("https://", "http://")) and link not in anchors] == []
    assert len([link for link in links if link in anchors]) > 5
