"""Podman with images, containers and settings of its own, which do not touch those of the machine."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from roots import debian_root

from containers.outcome import expect

CGROUPS = Path("/sys/fs/cgroup")
CGROUP_V2_BESIDE_V1 = CGROUPS / "unified"
MOUNTS = Path("/proc/self/ns/mnt")
# A file that names the mount namespace of the machine.
OUTSIDE = "outside"
# As README and the Dockerfiles say a container may run: nothing can be written, and nothing may be gained.
CONFINED = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL", "--security-opt=no-new-privileges")


def missing_programs() -> list[str]:
    """The Debian packages that the gate needs and this machine does not have."""
    packages = {"podman": "podman", "crun": "crun", "conmon": "conmon", "debootstrap": "debootstrap", "ip": "iproute2"}
    packages |= {"unshare": "util-linux", "iptables": "iptables", "git": "git", "buildah": "buildah"}
    return sorted(package for program, package in packages.items() if shutil.which(program) is None)


@contextmanager
def control_groups_removed() -> Iterator[None]:
    """Podman leaves the groups above those of its containers; those that were there before stay."""
    before = _podman_groups()
    try:
        yield
    finally:
        for group in _podman_groups() - before:
            for folder in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
                _remove_empty(folder)
            _remove_empty(group)


def _podman_groups() -> set[Path]:
    return {*CGROUPS.glob("libpod_parent"), *CGROUPS.glob("*/libpod_parent")}


def _remove_empty(group: Path) -> None:
    with suppress(OSError):  # it is in use
        group.rmdir()


def leave_outside(folder: Path) -> None:
    """Note this process's mount namespace for `expect_own_mounts`."""
    (folder / OUTSIDE).write_text(str(MOUNTS.readlink()), "ascii")


def expect_own_mounts(folder: Path) -> None:
    """Raises: ExpectationError: this process would change the mounts and the network of the machine."""
    note = folder / OUTSIDE
    own = note.is_file() and note.read_text("ascii") != str(MOUNTS.readlink())
    expect(own, "the parts `build` and `run` are started by the part `images`", "mounts of this machine")


def prepare_mounts() -> None:
    """Change mounts that podman uses; call it in a mount namespace of its own."""
    # crun refuses an empty tree of cgroup v2 beside those of v1.
    if CGROUP_V2_BESIDE_V1.is_mount():
        subprocess.run(["umount", str(CGROUP_V2_BESIDE_V1)], check=True)
    # Podman's locks and the addresses of its network, which it would share with the podman of the machine.
    for folder in (Path("/dev/shm"), Path("/var/lib/cni")):
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], check=True)


@dataclass(frozen=True)
class Podman:
    """Podman's images and containers in one folder; the caller deletes it."""

    folder: Path

    def argv(self, *words: str) -> list[str]:
        """The command line of podman with `words`."""
        return [
            "podman", f"--root={self.folder}/images", f"--runroot={self.folder}/run", f"--tmpdir={self.folder}/tmp",
            "--cgroup-manager=cgroupfs", "--events-backend=none", "--log-level=error", *words,
        ]  # fmt: skip

    def call(self, *words: str, standard_input: str = "") -> subprocess.CompletedProcess[str]:
        """Run podman, also if it fails."""
        return subprocess.run(self.argv(*words), input=standard_input, capture_output=True, text=True, check=False)

    def succeeds(self, *words: str) -> str:
        """Stdout of podman, which must succeed. Raises: ExpectationError."""
        done = self.call(*words)
        expect(
            done.returncode == 0,
            f"`podman {' '.join(words)}` succeeds",
            (done.returncode, done.stdout[-2000:] + done.stderr[-3000:]),
        )
        return done.stdout

    def run(self, *words: str, confined: bool = True) -> subprocess.CompletedProcess[str]:
        """`podman run` with options, image and arguments."""
        return self.call("run", *_limits(), *(CONFINED if confined else ()), *words)

    def start(self, *words: str) -> None:
        """`podman run --detach`, confined. Raises: ExpectationError."""
        self.succeeds("run", "--detach", *_limits(), *CONFINED, *words)

    def import_root(self, root: Path, name: str) -> None:
        """Make an image of a Debian root."""
        with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as packed:
            subprocess.run(self.argv("import", "-", name), stdin=packed.stdout, check=True, capture_output=True)

    def build(self, context: Path, dockerfile: str, name: str, base: str) -> None:
        """Build an image with this machine's settings of pip, which do not become a part of it.

        Raises:
            ExpectationError: the build failed.
        """
        variables, binds = debian_root.pip_settings()
        settings = self.folder / "pip.conf"
        lines = (
            f"{name.removeprefix('PIP_').lower().replace('_', '-')} = {value}" for name, value in variables.items()
        )
        settings.write_text("\n".join(["[global]", *lines, ""]), "utf-8")
        volumes = [(settings, "/etc/pip.conf", "ro"), *binds]
        # chroot: a step needs no more than a chroot does. docker: the OCI format has no HEALTHCHECK.
        self.succeeds(
            "build", "--isolation=chroot", "--network=host", "--format=docker", *_limits("nofile"),
            f"--build-arg=BASE={base}", *(f"--volume={source}:{target}:{mode}" for source, target, mode in volumes),
            f"--file={dockerfile}", f"--tag={name}", str(context),
        )  # fmt: skip

    def inspect(self, kind: str, name: str, field: str) -> object:
        """A field of an image or a container as a JSON value."""
        return json.loads(self.succeeds(kind, "inspect", "--format", f"{{{{json {field}}}}}", name))

    def remove_containers(self) -> None:
        """End and remove all containers, and release what is mounted for them."""
        self.call("rm", "--all", "--force", "--time=0")
        self.call("image", "unmount", "--all")


def _limits(*names: str) -> Sequence[str]:
    """Options for limits: podman's own are higher than it may set without CAP_SYS_RESOURCE."""
    wanted = {"nofile": (resource.RLIMIT_NOFILE, 16384), "nproc": (resource.RLIMIT_NPROC, 4096)}
    options = []
    for name in names or wanted:
        number, most = wanted[name]
        hard = resource.getrlimit(number)[1]
        limit = most if hard == resource.RLIM_INFINITY else min(hard, most)
        options.append(f"--ulimit={name}={limit}:{limit}")
    return options
