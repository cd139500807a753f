"""The Pythons of this machine, and those of Debian testing in a root of their own."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from roots import debian_root

PROJECT = Path(__file__).resolve().parents[2]
# The next Debian release, whose Python is newer than that of the current one.
SUITE = "forky"
IN_DEBIAN = ("3.13", "3.14")
# One root for all of them. opencv-python is linked against libGL and glib.
PACKAGES = (*(f"python{version}-venv" for version in IN_DEBIAN), "make", "libgl1", "libglib2.0-0t64")
# A version manager's program may exist without its Python, and Debian's python3 without python3-venv has no ensurepip.
PROBE = "import ensurepip, ssl, sys, venv; print('%d.%d' % sys.version_info[:2], sys.executable)"


@dataclass(frozen=True)
class FoundPython:
    """A Python that runs.

    Attributes:
        program: its path; in `root`, if there is one.
        root: the Debian root that has it; None: this machine.
    """

    version: str
    program: Path
    root: Path | None = None

    @property
    def where(self) -> str:
        """For the table of results."""
        return f"Debian {SUITE}" if self.root else str(self.program)


def find_here(version: str) -> FoundPython | None:
    """The first Python of this version that runs: on the PATH, of pyenv, of uv."""
    for program in _candidates(version):
        try:
            done = subprocess.run([program, "-c", PROBE], capture_output=True, text=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        found, _, path = done.stdout.strip().partition(" ")
        if done.returncode == 0 and found == version:
            return FoundPython(version, Path(path))
    return None


def find_in_debian(version: str) -> FoundPython | str:
    """Python in a root of Debian testing, which is built if it is missing; a sentence if that is not possible."""
    if version not in IN_DEBIAN:
        return f"Python {version} is skipped: it does not run here, and Debian {SUITE} does not have it."
    architecture = "arm64" if platform.machine() == "aarch64" else "amd64"
    try:
        root = debian_root.build(SUITE, architecture, PACKAGES)
    except debian_root.NotPossibleError as error:
        return f"Python {version} is skipped: it does not run here, and there is no Debian root for it: {error}"
    return FoundPython(version, Path(f"/usr/bin/python{version}"), root)


def _candidates(version: str) -> list[str]:
    name = f"python{version}"
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    programs = [str(Path(folder) / name) for folder in folders if folder]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    # 3.1 is not 3.10. The newest first, 3.12.10 before 3.12.9.
    installed = [path for path in pyenv.glob(f"{version}*") if re.fullmatch(rf"{re.escape(version)}\D.*", path.name)]
    installed.sort(key=lambda path: [int(number) for number in re.findall(r"\d+", path.name)], reverse=True)
    programs += [str(path / "bin" / name) for path in installed]
    if uv := shutil.which("uv"):
        asked = [uv, "python", "find", "--no-python-downloads", version]
        programs += subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split("\n")[:1]
    return [program for program in programs if Path(program).is_file()]
