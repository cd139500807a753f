"""The figures of a bench with the conditions they were measured under; `--json FILE` writes both.

{"bench": "pipeline.py", "date": "2026-11-22", "cpu": str, "cores": int, "load_before": float, "load_after": float,
 "versions": {"Python": str, "OpenVINO": str, …}, "commit": str, "seed": 0, "options": {…},
 "figures": [{"name": str, …}]}
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

import ov_mobilenet
from ov_mobilenet.devices.processors import usable_cpus
from ov_mobilenet.operating_system.process_resources import load_average

# What random inputs of the benches are made with.
SEED = 0
_PACKAGES = (
    "openvino",
    "numpy",
    "opencv-python",
    "opencv-python-headless",
    "pillow",
    "simplejpeg",
    "cykooz.resizer",
    "msgspec",
    "nncf",
    "onnxruntime",
    "torch",
)


class Report:
    """Collects the figures of one run of a bench."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Note the conditions, and print them.

        Args:
            options: of the bench, with `json`; paths are noted by their last two parts, without the machine's folders.
        """
        self._file: Path | None = options.json
        self._figures: list[dict[str, object]] = []
        given = {name: _shown(value) for name, value in vars(options).items() if name != "json" and value is not None}
        self._facts: dict[str, object] = {
            "bench": Path(sys.argv[0]).name,
            "date": datetime.now(timezone.utc).date().isoformat(),
            "cpu": cpu_name(),
            "cores": usable_cpus(),
            "load_before": _load(),
            "versions": versions(),
            "commit": _commit(),
            "seed": SEED,
            "options": given,
        }
        shown = ", ".join(f"{name} {version}" for name, version in versions().items())
        print(
            f"{self._facts['cpu']}, {self._facts['cores']} cores, {shown}, load {self._facts['load_before']}",
            flush=True,
        )

    def add(self, name: str, figures: Mapping[str, object]) -> None:
        """Note figures under a name; `write` is needed to keep them."""
        self._figures.append({"name": name, **{key: _rounded(value) for key, value in figures.items()}})

    def write(self) -> None:
        """Write the file of `--json`, if there is one."""
        if self._file is not None:
            facts = {**self._facts, "load_after": _load(), "figures": self._figures}
            self._file.write_text(json.dumps(facts, indent=2) + "\n")


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add `--json FILE`."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures and their conditions to this file")


def cpu_name() -> str:
    """The CPU as OpenVINO names it."""
    import openvino as ov

    return str(ov.Core().get_property("CPU", "FULL_DEVICE_NAME"))


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that the figures depend on."""
    found = {"Python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _load() -> float | None:
    load = load_average()
    return None if load is None else round(load, 1)


def _commit() -> str:
    """The commit of the package that is measured; with PYTHONPATH it may be another one than that of the bench."""
    git, folder = shutil.which("git"), Path(ov_mobilenet.__file__).parent
    if git is None:
        return "unknown"
    command = [git, "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _shown(value: object) -> object:
    if isinstance(value, Path):
        return str(Path(*value.parts[-2:]))
    if isinstance(value, list | tuple):
        return [_shown(one) for one in value]
    if isinstance(value, str) and Path(value).is_absolute():
        return _shown(Path(value))
    return value if isinstance(value, bool | int | float | str) else str(value)


def _rounded(value: object) -> object:
    """Six significant digits, which is more than any figure has."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value
