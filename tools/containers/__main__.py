"""The gate: `PYTHONPATH=tools python -m containers`. Prints a sentence and ends with 0 if it cannot run here.

The parts: `systems` (README's commands on bare Debian systems), `images` (the Dockerfiles of demos/edge, built and run)
and, only on request, `tests` (`make test-fast` on a bare system: 2 GB). `images` starts `build`, and `run` in a network
of its own, because a published port changes a network's rules.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from roots import debian_root

from containers.bare_system import check_every_way, check_first_command, clone_into
from containers.edge_container import check_edge
from containers.outcome import ExpectationError, report, step
from containers.podman import (
    Podman,
    control_groups_removed,
    expect_own_mounts,
    leave_outside,
    missing_programs,
    prepare_mounts,
)
from containers.serve_container import check_serve

BASE = "localhost/debian-python"
IMAGES = {"localhost/ov-mobilenet-edge": "Dockerfile", "localhost/ov-mobilenet-serve": "serve.Dockerfile"}
# Python 3.11; and 3.13, where some packages are renamed (libglib2.0-0t64) and README's names must still do.
OLDER, NEWER = "bookworm", "trixie"


def reason_to_skip() -> str:
    """Why the gate cannot run here, or an empty text."""
    try:
        debian_root.check_possible("amd64")
    except debian_root.NotPossibleError as error:
        return str(error)
    if missing := missing_programs():
        return f"missing Debian packages: {' '.join(missing)}"
    tried = subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"the kernel gives no namespaces: {tried.stderr.strip()}"


def systems() -> None:
    """README's commands on both Debian releases. Raises: ExpectationError."""
    check_every_way(OLDER)
    check_first_command(NEWER)


def images() -> None:
    """Build the images and run them, each in a process of its own. Raises: SystemExit: one of them failed."""
    debian_root.FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=debian_root.FOLDER, prefix="podman-", ignore_cleanup_errors=True) as temporary:
        leave_outside(Path(temporary))
        # Mounts for the images vanish with the mount namespace, so that the folder can be deleted.
        part = [sys.executable, "-m", "containers"]
        inside = f"ip link set lo up && exec {shlex.join([*part, 'run', temporary])}"
        script = f"{shlex.join([*part, 'build', temporary])} && unshare --net sh -c {shlex.quote(inside)}"
        with control_groups_removed():
            done = subprocess.run(["unshare", "--mount", "--propagation=private", "sh", "-c", script], check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)


def build(folder: Path) -> None:
    """Build both images on a Debian root. Raises: ExpectationError."""
    expect_own_mounts(folder)
    prepare_mounts()
    podman = Podman(folder)
    context = folder / "context"
    context.mkdir()
    clone_into(context)
    root = debian_root.build(OLDER, "amd64", ["python3-venv"])
    with step("images: a Debian system with python3-venv as base"):
        podman.import_root(root, BASE)
    for name, dockerfile in IMAGES.items():
        with step(f"images: build of demos/edge/{dockerfile}"):
            podman.build(context, f"{context}/demos/edge/{dockerfile}", name, BASE)
    base = podman.inspect("image", BASE, ".Size")
    for name in IMAGES:
        size = podman.inspect("image", name, ".Size")
        assert isinstance(base, int) and isinstance(size, int)
        report(f"    {name}: {size / 1e6:.0f} MB, of which the base has {base / 1e6:.0f} MB")


def run(folder: Path) -> None:
    """Run both images, in a network namespace of its own. Raises: ExpectationError."""
    expect_own_mounts(folder)
    podman = Podman(folder)
    edge, serve = IMAGES
    try:
        check_edge(podman, edge, folder)
        check_serve(podman, serve, folder)
    finally:
        podman.remove_containers()


def main() -> int:
    """Run one part, or `systems` and `images` side by side: both wait for downloads most of the time."""
    parser = argparse.ArgumentParser(prog="containers", description=__doc__)
    parser.add_argument("part", nargs="?", choices=("systems", "images", "tests", "build", "run"))
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="of podman, for build and run")
    given = parser.parse_args()
    part: str | None = given.part
    parts: dict[str, Callable[[], None]] = {
        "build": lambda: build(given.folder),
        "run": lambda: run(given.folder),
        "images": images,
        "systems": systems,
        "tests": lambda: check_first_command(OLDER, tests=True),
    }
    if part not in ("build", "run") and (reason := reason_to_skip()):
        report(f"test-containers is skipped: {reason}")
        return 0
    try:
        if part:
            parts[part]()
            return 0
        with subprocess.Popen([sys.executable, "-m", "containers", "images"]) as beside:
            systems()
    except ExpectationError as error:
        report(f"FAILED: {error}")
        return 1
    return beside.returncode


if __name__ == "__main__":
    sys.exit(main())
