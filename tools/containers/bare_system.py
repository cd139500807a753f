"""README's first commands on a Debian system that has nothing but the packages README names."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from roots import debian_root

from containers.outcome import expect, report, step
from containers.readme_packages import FOR_OPENCV, ROOT, system_packages

SOURCE = "/root/ov-mobilenet"
SAMPLES = "model_configs/mobilenet-v1-0.25-128-signs/samples"
# The message for a system without libGL: what users of the command and of Python read.
TWO_WAYS_OUT = (
    r"apt install (libgl1 libglib2\.0-0)\b.*: (pip uninstall opencv-python && pip install opencv-python-headless)"
)
LOAD = "import ov_mobilenet as ovm; print(ovm.load_classifier('mobilenet-v1-0.25-128-signs').classify('{image}').top_k)"


@dataclass(frozen=True)
class BareSystem:
    """A Debian root, and the folder that keeps what commands write in it."""

    root: Path
    layer: Path
    checkout: Path
    pip_cache: Path

    def install(self, packages: list[str]) -> None:
        """Install system packages, as README's `apt-get install` without what they only recommend.

        Without this machine's certificates: the package ca-certificates replaces the file.
        """
        script = "apt-get update -qq && apt-get install -y -qq --no-install-recommends " + " ".join(packages)
        argv = debian_root.command_in(self.root, self.layer, ["sh", "-euc", script])
        variables = {"DEBIAN_FRONTEND": "noninteractive", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        done = subprocess.run(argv, env=variables, capture_output=True, text=True, check=False)
        expect(done.returncode == 0, f"`{script}` succeeds", done.stdout[-2000:] + done.stderr[-2000:])

    def sh(self, script: str, *, answers: str = "") -> subprocess.CompletedProcess[str]:
        """Run a script in the clone; the environment /root/venv comes first on the PATH.

        Args:
            answers: what a user types.
        """
        binds = [
            *debian_root.pip_settings()[1],
            (self.checkout, SOURCE, "rw"),
            (self.pip_cache, "/root/.cache/pip", "rw"),
        ]
        argv = debian_root.command_in(
            self.root, self.layer, ["sh", "-c", f"cd {SOURCE}; PATH=/root/venv/bin:$PATH; {script}"], binds
        )
        # CI: OpenVINO sends no telemetry.
        variables = debian_root.environment({"CI": "true"})
        return subprocess.run(argv, env=variables, input=answers, capture_output=True, text=True, check=False)

    def succeeds(self, script: str, *, answers: str = "") -> str:
        """Stdout of a script that must succeed."""
        done = self.sh(script, answers=answers)
        expect(
            done.returncode == 0, f"`{script}` succeeds", f"{done.returncode}: {(done.stdout + done.stderr)[-3000:]}"
        )
        return done.stdout


def clone_into(folder: Path) -> None:
    """Copy the files of the checkout that a clone would have, as they are now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    names = b"\0".join(name for name in listed.stdout.split(b"\0") if name and (ROOT / os.fsdecode(name)).exists())
    packed = subprocess.run(["tar", "--null", "-T", "-", "-c"], cwd=ROOT, input=names, check=True, capture_output=True)
    subprocess.run(["tar", "-x"], cwd=folder, input=packed.stdout, check=True)


@contextmanager
def bare_system(suite: str) -> Iterator[BareSystem]:
    """A clone on a Debian release that has only the essential packages; deleted at the end."""
    root = debian_root.build(suite, "amd64")
    pip_cache = debian_root.FOLDER / "pip"
    pip_cache.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=debian_root.FOLDER, prefix="bare-", ignore_cleanup_errors=True) as temporary:
        checkout = Path(temporary) / "checkout"
        checkout.mkdir()
        clone_into(checkout)
        yield BareSystem(root, Path(temporary) / "layer", checkout, pip_cache)


def check_every_way(suite: str) -> None:
    """First without the libraries that OpenCV needs, then each way out. Raises: ExpectationError."""
    packages = system_packages((ROOT / "README.md").read_text("utf-8"))
    expect(set(FOR_OPENCV) <= set(packages), f"README names {FOR_OPENCV}", packages)
    with bare_system(suite) as system:
        others = [name for name in packages if name not in FOR_OPENCV]
        with step(f"{suite}: apt-get install {' '.join(others)}"):
            system.install(others)
        with step(f"{suite}: pip install ."):
            system.succeeds("python3 -m venv /root/venv && pip install --quiet .")
        with step(f"{suite}: without libGL one message names two ways out"):
            way_out = _message_without_libgl(system)
        with step(f"{suite}: {way_out}; ov-mobilenet demo"):
            system.succeeds(way_out, answers="y\n")
            _everything_runs(system)
        with step(f"{suite}: apt-get install {' '.join(FOR_OPENCV)}"):
            system.install(list(FOR_OPENCV))
        _make_demo(suite, system)


def check_first_command(suite: str, *, tests: bool = False) -> None:
    """The packages of README and `make demo`, or `make test-fast`. Raises: ExpectationError."""
    packages = system_packages((ROOT / "README.md").read_text("utf-8"))
    with bare_system(suite) as system:
        with step(f"{suite}: apt-get install {' '.join(packages)}"):
            system.install(packages)
        if not tests:
            _make_demo(suite, system)
            return
        with step(f"{suite}: make test-fast"):
            printed = system.succeeds("make test-fast")
        report(f"    {suite}: {printed.splitlines()[-1]}")


def _make_demo(suite: str, system: BareSystem) -> None:
    with step(f"{suite}: make demo"):
        printed = system.succeeds("make demo")
    expect("stop_blue_01.jpg" in printed, "`make demo` prints a table of images", printed[-2000:])
    names = system.succeeds(".venv-demo/bin/python -m pip list --format freeze").split()
    opencv = [name for name in names if name.startswith("opencv")]
    expect(len(opencv) == 1 and opencv[0].startswith("opencv-python=="), "make demo runs opencv-python", opencv)
    report(f"    {suite}: {system.succeeds('python3 -V').strip()}, {opencv[0]}")


def _message_without_libgl(system: BareSystem) -> str:
    """The second way out, as the message gives it."""
    image = f"{SAMPLES}/stop_blue_01.jpg"
    commands = {
        "ov-mobilenet demo": 1,
        f"ov-mobilenet classify mobilenet-v1-0.25-128-signs {image}": 1,
        f'python -c "{LOAD.format(image=image)}"': 1,
        "python demos/edge_api_demo.py": 1,
    }
    way_out = ""
    for command, code in commands.items():
        done = system.sh(command)
        expect(done.returncode == code, f"`{command}` ends with {code} without libGL", (done.returncode, done.stderr))
        # A program of the user's shows Python's traceback; its last line is the message.
        text = done.stderr if "load_classifier" not in command else done.stderr.strip().splitlines()[-1]
        expect("Traceback" not in text, f"`{command}` prints no traceback", text)
        found = re.findall(TWO_WAYS_OUT, text)
        expect(len(found) == 1, f"`{command}` names both ways out once", text)
        expect(found[0][0].split() == list(FOR_OPENCV), f"the message names {FOR_OPENCV}", found[0][0])
        way_out = found[0][1]
    return way_out


def _everything_runs(system: BareSystem) -> None:
    system.succeeds("ov-mobilenet demo")
    printed = system.succeeds(f'python -c "{LOAD.format(image=SAMPLES + "/stop_blue_01.jpg")}"')
    expect("label='stop blue'" in printed, "stop_blue_01.jpg is a blue stop sign", printed)
    lines = system.succeeds("python demos/edge_api_demo.py").splitlines()
    expect(len(lines) == 384, "a line for each of the 384 frames of the sample video", len(lines))
