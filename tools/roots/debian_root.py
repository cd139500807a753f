"""Debian systems in a folder, for gates that need another system: built once, kept by content, never changed.

    python tools/roots/debian_root.py build bookworm arm64 python3-venv      # prints the folder
    python tools/roots/debian_root.py run FOLDER --bind "$PWD:/src:ro" -- python3 -V

`run` gives the command its own mounts and processes: everything that it writes goes to a temporary layer above the root
and is gone afterwards, unless `--layer DIR` keeps it. The command sees this machine's network and its settings of pip.
Needs root, debootstrap and, for another processor, qemu-user-static (Debian packages). Exit code 77: not possible here.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path

NOT_POSSIBLE = 77
FOLDER = Path(os.environ.get("OV_MOBILENET_ROOTS") or "/var/cache/ov-mobilenet-roots")
MIRROR = "http://deb.debian.org/debian"
# The script that every Debian of today uses; a release newer than debootstrap has none of its own name.
SCRIPT = "sid"
BINFMT = Path("/proc/sys/fs/binfmt_misc")
# The first 20 bytes of an ELF file for aarch64 and the bits that count (Linux, Documentation/admin-guide/binfmt-misc).
# F: the interpreter is opened now, so that no root needs a copy of it.
AARCH64 = (
    r":qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:F"
)
# Mounts and processes of its own, which end with the command, also if it is killed: a folder with a mount of this
# machine in it must never be deleted.
ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private")
# OpenVINO's CPU plugin waits forever without /proc and /sys. One command a line: `sh -e` ignores a failure before `&&`.
ENTER = """
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
cd "$2/root"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs tmpfs run
rm -f etc/resolv.conf
cat /etc/resolv.conf > etc/resolv.conf
shift 2
while [ "$1" != -- ]; do
    if [ -d "$1" ]; then mkdir -p "./$2"; else mkdir -p "$(dirname "./$2")"; touch "./$2"; fi
    mount --bind "$1" "./$2"
    [ "$3" = rw ] || mount -o "remount,bind,$3" "./$2"
    shift 3
done
shift
exec chroot . "$@"
"""


class NotPossibleError(Exception):
    """This machine cannot build or run such a root; the text says what is missing."""


def build(suite: str, architecture: str, packages: Sequence[str] = ()) -> Path:
    """A Debian system with only the essential packages, apt (debootstrap's minbase) and `packages`.

    It is kept for the next call.

    Args:
        suite: name of a Debian release, such as bookworm.
        architecture: Debian's name: amd64 or arm64.

    Raises:
        NotPossibleError: no root rights, or a program is missing.
        subprocess.CalledProcessError: debootstrap failed.
    """
    command = ["debootstrap", f"--arch={architecture}", "--variant=minbase"]
    command += [f"--include={','.join(sorted(packages))}"] if packages else []
    content = hashlib.sha256("\n".join([suite, *command, MIRROR]).encode()).hexdigest()
    root = FOLDER / f"{suite}-{architecture}-{content[:16]}"
    check_possible(architecture)
    if root.exists():
        return root
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix="new-", ignore_cleanup_errors=True) as temporary:
        new = Path(temporary) / "root"
        # Output of debootstrap goes to stderr: stdout is the folder alone.
        subprocess.run(
            [*ALONE, *command, suite, str(new), MIRROR, f"/usr/share/debootstrap/scripts/{SCRIPT}"],
            check=True,
            stdout=sys.stderr,
        )
        shutil.rmtree(new / "var/cache/apt/archives", ignore_errors=True)
        new.chmod(0o755)
        new.rename(root)
    return root


def check_possible(architecture: str) -> None:
    """Raises: NotPossibleError."""
    own = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine())
    if sys.platform != "linux" or os.geteuid() != 0:
        raise NotPossibleError("a Debian root needs Linux and root rights")
    needed = ["debootstrap", "unshare"] + (["qemu-aarch64-static"] if architecture != own else [])
    missing = [name for name in needed if shutil.which(name) is None]
    if missing:
        raise NotPossibleError(
            f"missing: {', '.join(missing)} (Debian packages debootstrap, util-linux, qemu-user-static)"
        )
    allowed = subprocess.run([*ALONE, "true"], check=False, capture_output=True)
    if allowed.returncode != 0:
        raise NotPossibleError(f"no mounts of its own for a process: {allowed.stderr.decode().strip()}")
    if architecture != own:
        _register_qemu()


def _register_qemu() -> None:
    if not (BINFMT / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "none", str(BINFMT)], check=False, capture_output=True)
    try:
        if not (BINFMT / "qemu-aarch64").exists():
            (BINFMT / "register").write_text(AARCH64, "ascii")
    except OSError as error:
        raise NotPossibleError(
            f"the kernel cannot start programs for aarch64 with qemu (binfmt_misc): {error}"
        ) from error


def command_in(
    root: Path, layer: Path, command: Sequence[str], binds: Sequence[tuple[Path, str, str]] = ()
) -> list[str]:
    """The command that runs `command` in a root.

    Args:
        layer: folder for what the command writes; not on an overlay file system.
        binds: files or folders of this machine, their paths in the root, and rw or ro.
    """
    for name in ("upper", "work", "root"):
        (layer / name).mkdir(parents=True, exist_ok=True)
    mounts = [text for source, target, mode in binds for text in (str(source), target, mode)]
    return [
        *ALONE, "sh", "-euc", ENTER, "sh", str(root), str(layer), *mounts, "--", *command,
    ]  # fmt: skip


def pip_settings() -> tuple[dict[str, str], list[tuple[Path, str, str]]]:
    """This machine's settings of pip as variables of the environment, and the files and folders that they name.

    Nothing, if this Python has no pip, as Debian's without the package python3-pip.
    """
    try:
        metadata.version("pip")
    except metadata.PackageNotFoundError:
        return {}, []
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True)
    variables = {}
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        # Several values are lines of one text; in a variable they are separated by spaces.
        values = ast.literal_eval(value).split()
        variables["PIP_" + name.rpartition(".")[2].upper().replace("-", "_")] = " ".join(values)
    texts = " ".join(variables.values())
    # The pages of an index in a folder point to files beside it.
    named = {Path(path) for path in re.findall(r"(?:^|\s)(/\S+)", texts)}
    named |= {Path(path).parent for path in re.findall(r"file://(/\S+)", texts)}
    return variables, [(path.resolve(), str(path), "ro") for path in sorted(named) if path.exists()]


def environment(changes: Mapping[str, str]) -> dict[str, str]:
    """The environment in a root: nothing of this process, the settings of pip, and `changes`."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        **pip_settings()[0],
        **changes,
    }


def run(
    root: Path,
    command: Sequence[str],
    *,
    binds: Sequence[tuple[Path, str, str]] = (),
    variables: Mapping[str, str] | None = None,
    layer: Path | None = None,
) -> int:
    """Run a command in a root with this machine's settings of pip; returns its exit code. See `command_in`."""
    with ExitStack() as stack:
        if layer is None:
            layer = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=FOLDER, prefix="layer-")))
        argv = command_in(root, layer, command, [*pip_settings()[1], *binds])
        return subprocess.run(argv, env=environment(variables or {}), check=False).returncode


def _bind(text: str) -> tuple[Path, str, str]:
    match = re.fullmatch(r"([^:]+):(/[^:]*)(:ro)?", text)
    if not match or not Path(match[1]).exists():
        raise argparse.ArgumentTypeError(f"{text}: expected SOURCE:TARGET or SOURCE:TARGET:ro")
    return Path(match[1]).resolve(), match[2], "ro" if match[3] else "rw"


def main() -> int:
    """Build a root and print its folder, or run a command in one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("build", help="print the folder of a root; it is built if it is missing")
    one.add_argument("suite")
    one.add_argument("architecture", choices=("amd64", "arm64"))
    one.add_argument("packages", nargs="*")
    other = verbs.add_parser("run", help="run a command in a root; the command stands after --")
    other.add_argument("root", type=Path)
    other.add_argument("--bind", type=_bind, action="append", default=[], metavar="SOURCE:TARGET[:ro]")
    other.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    other.add_argument("--layer", type=Path, help="folder that keeps what the command writes")
    arguments, command = sys.argv[1:], list[str]()
    if "--" in arguments:
        split = arguments.index("--")
        arguments, command = arguments[:split], arguments[split + 1 :]
    given = parser.parse_args(arguments)
    try:
        if given.verb == "build":
            print(build(given.suite, given.architecture, given.packages))
            return 0
        if not command:
            parser.error("run: give a command after --")
        variables = dict(text.partition("=")[::2] for text in given.env)
        return run(given.root, command, binds=given.bind, variables=variables, layer=given.layer)
    except NotPossibleError as error:
        print(f"{shlex.join(sys.argv)}: {error}", file=sys.stderr)
        return NOT_POSSIBLE
    except subprocess.CalledProcessError as error:
        print(f"failed with exit code {error.returncode}: {shlex.join(map(str, error.cmd))}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
