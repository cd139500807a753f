"""The files of a release: sdist, wheel, SBOMs (CycloneDX) and SHA256SUMS, in one folder, which is emptied first.

    make release-files        # or: .venv-packages/bin/python tools/packages/release_files.py dist

The wheel is built from the sdist. The same commit gives the same bytes: the time in the files is SOURCE_DATE_EPOCH, or
else that of the commit. An SBOM lists what pip installs today, on this machine, for the wheel.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from email.parser import HeaderParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Everything in the extra `all` except torch and tensorflow, whose builds differ by index and processor.
ALL_EXTRAS = ("quantize", "parquet", "report", "hub", "serve", "bulk")


def build_packages(source: Path, output: Path, epoch: int) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from it, with the packages of this environment; returns (sdist, wheel).

    Args:
        epoch: seconds since 1970 that the files in the packages get as their time.
    """
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(output), str(source)],
        check=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)},
        stdout=subprocess.DEVNULL,
    )
    (sdist,), (wheel,) = output.glob("*.tar.gz"), output.glob("*.whl")
    return sdist, wheel


def new_environment(folder: Path, package: Path, extras: Sequence[str] = (), *, to_run: bool = False) -> Path:
    """An environment with a package and its dependencies and nothing else, also no pip; returns its Python.

    Args:
        to_run: compile the modules, which takes longer; an SBOM does not need that.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    wanted = f"{package}[{','.join(extras)}]" if extras else str(package)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
    subprocess.run([*pip, "install", "--quiet", *([] if to_run else ["--no-compile"]), wanted], check=True)
    return python


def write_sbom(python: Path, wheel: Path, output: Path, epoch: int) -> None:
    """Write the SBOM of an environment that has `wheel`, without random numbers and paths of this machine.

    Raises:
        subprocess.CalledProcessError: also if the SBOM does not conform to CycloneDX's schema.
    """
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    # cyclonedx-py does not ask the build backend for what is dynamic.
    project, replaced = re.subn(r"^dynamic = .*$", f'version = "{version_of(wheel)}"', project, flags=re.M)
    assert replaced == 1, "pyproject.toml: expected one line `dynamic = …`"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pyproject.toml"
        path.write_text(project, "utf-8")
        command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--validate"]
        command += ["--pyproject", str(path), "--mc-type", "library", "-o", str(output), str(python)]
        subprocess.run(command, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)})


def version_of(wheel: Path) -> str:
    """The version in a wheel's metadata."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return str(HeaderParser().parsestr(archive.read(name).decode())["Version"])


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS, which `sha256sum --check` reads, for the files in a folder."""
    files = sorted(path for path in folder.iterdir() if path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines), "ascii")


def foreign_files(folder: Path) -> list[str]:
    """What a folder holds that this program did not write: such a folder is not emptied."""
    names = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    return [name for name in names if not re.fullmatch(r"ov_mobilenet-.*\.(whl|tar\.gz|cdx\.json)|SHA256SUMS", name)]


def _git(*arguments: str) -> str:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True, text=True).stdout


def main() -> int:
    """Build the files of a release from a checkout without changes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder.resolve()
    changes = _git("status", "--porcelain", "--untracked-files=all")
    if changes:
        print(f"{ROOT}: files are changed or not committed; commit or remove them:\n{changes}", file=sys.stderr)
        return 1
    if foreign := foreign_files(folder):
        print(f"{folder}: not emptied, because it holds other files: {', '.join(foreign[:3])}", file=sys.stderr)
        return 1
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or _git("log", "-1", "--format=%ct"))
    shutil.rmtree(folder, ignore_errors=True)
    _, wheel = build_packages(ROOT, folder, epoch)
    stem = f"ov_mobilenet-{version_of(wheel)}"
    for name, extras in ((f"{stem}.cdx.json", ()), (f"{stem}-all.cdx.json", ALL_EXTRAS)):
        print(f"SBOM {name}: installing the wheel{' with ' if extras else ''}{', '.join(extras)}", file=sys.stderr)
        with tempfile.TemporaryDirectory() as environment:
            write_sbom(new_environment(Path(environment), wheel, extras), wheel, folder / name, epoch)
    write_sums(folder)
    for path in sorted(folder.iterdir()):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
