"""Run the wheel, `ov-mobilenet demo` and tests/portability in a Debian of aarch64, emulated if this machine is not one.

    python tools/arm/run_on_arm.py

The Debian and the folder with the wheels for aarch64 are kept in tools/roots' cache; a second run installs our wheel
only. pip installs from outside: in an emulated Debian it takes minutes. onnxruntime is left out, because its wheel
crashes at import under qemu 7.2: the tests compare with recorded answers. OpenCV is the headless package, which needs
no system libraries. Needs what tools/roots/debian_root.py needs; where that is missing it prints why and exits with 0.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from roots import debian_root  # noqa: E402

SUITE = "bookworm"
PYTHON = "3.11"  # bookworm's
GLIBC_MINOR = 36  # bookworm's
# pip decides by the Python and the processor that run it what a condition of a requirement means ("python_version <
# 3.13"). typing_extensions is what a newer Python leaves out.
TESTS = ("pytest", "hypothesis", "typing_extensions")
# The folder of Debian's Python for packages that are not Debian's; OWN is added to its path by a .pth file.
SITE = f"/usr/local/lib/python{PYTHON}/dist-packages"
OWN = "/opt/package"
# OpenVINO's CPU plugin may wait forever where /proc or /sys are missing.
LIMIT_S = 3000
COMMANDS = f"""
python3 {OWN}/bin/ov-mobilenet demo
python3 {OWN}/bin/ov-mobilenet env
cd /src && python3 -m pytest -q -p no:cacheprovider tests/portability
"""


def main() -> int:
    """Build what is missing and run the tests; returns the exit code."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    started = time.monotonic()
    try:
        root = debian_root.build(SUITE, "arm64", ["python3"])
    except debian_root.NotPossibleError as error:
        print(f"test-arm is skipped: {error}", file=sys.stderr)
        return 0
    started = _told("Debian", started)
    with tempfile.TemporaryDirectory() as temporary:
        package = Path(temporary) / "package"
        _pip("wheel", "--no-deps", "--wheel-dir", temporary, str(ROOT))
        (wheel,) = Path(temporary).glob("ov_mobilenet-*.whl")
        _pip("install", "--no-deps", "--no-compile", "--target", str(package), str(wheel))
        site = _site(root, _requirements(package))
        started = _told("packages", started)
        binds = [(site, SITE, "ro"), (package, OWN, "ro"), (ROOT / "pyproject.toml", "/src/pyproject.toml", "ro")]
        # Without the folder of the package: the wheel is tested.
        binds += [(ROOT / name, f"/src/{name}", "ro") for name in ("tests", "demos")]
        code = debian_root.run(
            root,
            ["timeout", "--kill-after=10", str(LIMIT_S), "sh", "-euxc", COMMANDS],
            binds=binds,
            variables={"CI": "true"},  # no telemetry of OpenVINO
        )
    _told("demo and tests", started)
    return code


def _told(step: str, started: float) -> float:
    now = time.monotonic()
    print(f"test-arm: {step}: {now - started:.0f} s", file=sys.stderr, flush=True)
    return now


def _pip(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq", *arguments],
        check=True,
        stdout=sys.stderr,
    )


def _requirements(package: Path) -> list[str]:
    """What an installed wheel and its extra `serve` require, with the headless OpenCV, and what the tests require."""
    (folder,) = package.glob("ov_mobilenet-*.dist-info")
    found = list(TESTS)
    for line in metadata.PathDistribution(folder).requires or []:
        requirement, _, condition = line.partition(";")
        if not condition or re.fullmatch(r"""\s*extra == ['"]serve['"]\s*""", condition):
            found.append(re.sub(r"^opencv-python(?=\W)", "opencv-python-headless", requirement.strip()))
    return sorted(found)


def _site(root: Path, requirements: Sequence[str]) -> Path:
    """A folder with the wheels for aarch64, kept by what determines it."""
    platforms = ["manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in range(17, GLIBC_MINOR + 1))]
    arguments = ["--python-version", PYTHON, "--implementation", "cp", "--only-binary=:all:"]
    arguments += [word for name in platforms for word in ("--platform", name)]
    content = hashlib.sha256("\n".join([root.name, *arguments, *requirements]).encode()).hexdigest()
    site = debian_root.FOLDER / f"site-arm64-{content[:16]}"
    if not site.exists():
        with tempfile.TemporaryDirectory(
            dir=debian_root.FOLDER, prefix="new-", ignore_cleanup_errors=True
        ) as temporary:
            new = Path(temporary) / "site"
            # pip compiles to the byte code of the Python that runs it, which is of use to Debian's if it is the same.
            _pip("install", "--target", str(new), *arguments, *requirements)
            (new / "own.pth").write_text(f"{OWN}\n", "utf-8")
            new.chmod(0o755)
            new.rename(site)
    return site


if __name__ == "__main__":
    sys.exit(main())
