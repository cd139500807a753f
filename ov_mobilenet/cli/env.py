"""`env`: what a bug report needs to say about the machine, without names of users and hosts."""

from __future__ import annotations

import getpass
import os
import platform
import re
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

from ov_mobilenet._version import __version__
from ov_mobilenet.cli import options
from ov_mobilenet.cli.configuration import PREFIX, SETTINGS, configuration, configuration_file
from ov_mobilenet.devices import model_cache
from ov_mobilenet.devices.memory import memory_limit, usable_memory
from ov_mobilenet.devices.processors import cpu_quota, cpus_in_mask, usable_cpus
from ov_mobilenet.downloads import cache
from ov_mobilenet.errors import OvMobilenetError, printable
from ov_mobilenet.operating_system.process_resources import physical_memory

SCHEMA_VERSION = 1
REQUIRED = (
    "openvino", "numpy", "opencv-python", "opencv-python-headless", "pillow", "msgspec", "pyyaml", "click", "rich",
    "requests", "filelock", "platformdirs", "regex", "simplejpeg",
)  # fmt: skip
OPTIONAL = ("torch", "safetensors", "tensorflow-cpu", "tensorflow", "keras", "onnxruntime", "ai-edge-litert", "nncf",
            "pyarrow", "jinja2", "cykooz.resizer")  # fmt: skip

_CACHES = {"downloads": "downloads", "irs": "IRs", "compiled": "compiled models"}


@click.command("env")
@options.format_option("table", "json")
@options.cache_root
def env_command(output_format: str, cache_dir: Path | None) -> None:
    """Show versions, CPU, devices, caches and settings: paste it into a bug report.

    The home folder is shown as ~, the name of the user as USER and the name of the machine as HOST. Of mirrors only the
    number is shown.

    \b
    Examples:
      ov-mobilenet env
      ov-mobilenet env --format json
    """
    document = _document(cache_dir)
    if output_format == "json":
        options.print_json(document)
        return
    from ov_mobilenet.cli.tables import print_facts

    print_facts(_facts(document))


def _document(cache_dir: Path | None) -> dict[str, Any]:
    settings, problem = _settings()
    configured = settings.get("cache_dir")
    root = cache_dir or (Path(configured["value"]) if configured else cache.default_root())
    document = {
        "schema_version": SCHEMA_VERSION,
        "versions": {"ov_mobilenet": __version__, "python": platform.python_version()},
        "system": {"name": platform.system(), "release": platform.release(), "machine": platform.machine()},
        "packages": {name: _version(name) for name in (*REQUIRED, *OPTIONAL)},
        **_machine(),
        "memory": {"total": physical_memory(), "usable": usable_memory(), "limit": memory_limit()},
        "caches": {
            "downloads": _folder(root / "files"),
            "irs": _folder(root / "ir"),
            "compiled": _folder(model_cache.default_folder(root)),
        },
        "configuration": {
            "file": str(configuration_file()),
            "file_exists": configuration_file().exists(),
            "error": problem,
            "settings": settings,
            "variables": sorted(name for name in os.environ if name.startswith(PREFIX)),
        },
    }
    private: dict[str, Any] = _without_names(document)
    return private


def _machine() -> dict[str, Any]:
    """The CPU and the devices; if OpenVINO cannot be imported, the reason."""
    cpus = {"cpus": cpus_in_mask(), "usable_cpus": usable_cpus(), "quota": cpu_quota()}
    try:
        from ov_mobilenet.devices.machine import cpu_flags, machine

        found = machine()
    except (ImportError, RuntimeError, OSError) as error:
        return {"openvino": None, "cpu": {"name": None, "flags": None, **cpus}, "devices": [], "error": str(error)}
    return {
        "openvino": found.openvino,
        "cpu": {"name": found.cpu, "flags": cpu_flags(), **cpus},
        "devices": [
            {"name": one.name, "full_name": one.full_name, "plugin_version": one.version, "trouble": one.trouble}
            for one in found.devices
        ],
    }


def _settings() -> tuple[dict[str, Any], str | None]:
    """The user's settings with their origin, and the error of a wrong file or variable."""
    try:
        found = configuration()
    except OvMobilenetError as error:
        return {}, str(error)
    # Of mirrors only the number: their addresses may hold names and passwords.
    values = {name: len(one.value) if isinstance(one.value, tuple) else one.value for name, one in found.items()}
    return {name: {"value": values[name], "origin": one.origin} for name, one in found.items()}, None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _folder(path: Path) -> dict[str, Any]:
    sizes = [file.stat().st_size for file in path.rglob("*") if file.is_file()]
    return {"path": str(path), "files": len(sizes), "size": sum(sizes)}


def _without_names(value: Any) -> Any:
    """The value with URLs and the names of home, user and machine replaced in each text."""
    if isinstance(value, dict):
        return {key: _without_names(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_names(one) for one in value]
    if not isinstance(value, str):
        return value
    value = re.sub(r"\w+://[^\s'\"]+", "URL", value)
    for name, shown in _names():
        value = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", shown, value)
    return value


def _names() -> Iterator[tuple[str, str]]:
    home = str(Path.home())
    if home != os.sep:
        yield home, "~"
    with suppress(OSError, KeyError):  # there may be no such user in a container
        yield getpass.getuser(), "USER"
    if platform.node() not in ("", "localhost"):
        yield platform.node(), "HOST"


def _memory_fact(memory: dict[str, int | None]) -> str | None:
    total, usable, limit = memory["total"], memory["usable"], memory["limit"]
    if total is None or usable is None:
        return None
    quota = "" if limit is None else f", limit of {options.human_size(limit)}"
    return f"{options.human_size(usable)} usable of {options.human_size(total)}{quota}"


def _facts(document: dict[str, Any]) -> dict[str, Any]:
    """The document as lines for people: name and text."""
    cpu, configured = document["cpu"], document["configuration"]
    flags = cpu["flags"]
    quota = "" if cpu["quota"] is None else f", quota of {cpu['quota']:g}"
    facts: dict[str, Any] = {
        "ov-mobilenet": document["versions"]["ov_mobilenet"],
        "python": document["versions"]["python"],
        "system": " ".join(document["system"].values()),
        "cpu": cpu["name"] or document.get("error"),
        "cpus": f"{cpu['usable_cpus']} used of {cpu['cpus']}{quota}",
        "memory": _memory_fact(document["memory"]),
        "cpu features": None if flags is None else ", ".join(name for name, has in flags.items() if has) or "none",
        "openvino": document["openvino"],
    }
    for device in document["devices"]:
        facts[f"device {device['name']}"] = printable(device["full_name"] or f"plugin failed: {device['trouble']}")
    facts |= {name: found for name, found in document["packages"].items() if found is not None and name != "openvino"}
    facts["not installed"] = ", ".join(name for name in OPTIONAL if document["packages"][name] is None) or "none"
    for name, folder in document["caches"].items():
        facts[f"cache of {_CACHES[name]}"] = (
            f"{folder['path']}: {folder['files']} files, {options.human_size(folder['size'])}"
        )
    exists = "" if configured["file_exists"] else " (does not exist)"
    facts["configuration"] = configured["error"] or f"{configured['file']}{exists}"
    for setting in SETTINGS:
        if (row := configured["settings"].get(setting.name)) is not None:
            facts[f"  {setting.name}"] = f"{row['value']} (from {row['origin']})"
    facts["variables"] = ", ".join(configured["variables"]) or "none"
    return facts
