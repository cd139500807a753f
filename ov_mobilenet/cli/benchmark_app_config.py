"""Properties by device, as OpenVINO's `benchmark_app` takes them: its JSON files, and values such as `CPU:2,GPU:3`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ov_mobilenet.devices.settings import HINTS, INFERENCE_PRECISIONS, DeviceSettings
from ov_mobilenet.errors import UsageError

_FLAGS = {"YES": True, "TRUE": True, "NO": False, "FALSE": False}
_GROUPS = ("AUTO", "MULTI", "HETERO")


@dataclass(frozen=True)
class ConfigFile:
    """The properties of one device in a file of `-load_config`.

    Attributes:
        fields: those that are fields of `DeviceSettings`, by field name.
        properties: all others.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def sets_parallelism(self) -> bool:
        """Whether the file has a hint or a number of streams."""
        return bool({"hint", "streams"} & set(self.fields)) or "NUM_STREAMS" in self.properties.get(
            "DEVICE_PROPERTIES", ""
        )


def read_config(path: Path, device: str) -> ConfigFile:
    """The properties of a device in a file of `-load_config`; of `CPU` also for `CPU.1`, of `MULTI` for `MULTI:CPU`.

    Raises:
        UsageError: the file cannot be read, is not `{DEVICE: {PROPERTY: VALUE}}`, or a value is invalid.
    """
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the configuration ({error})", where=path) from error
    kind = device.partition(":")[0].partition(".")[0].partition("(")[0]
    entry = document.get(device, document.get(kind, {})) if isinstance(document, dict) else None
    if not isinstance(entry, dict):
        raise UsageError("invalid configuration", where=path, expected='{"CPU": {"NUM_STREAMS": "2"}} or the like')
    fields: dict[str, Any] = {}
    properties: dict[str, str] = {}
    for name, value in entry.items():
        text = ("YES" if value else "NO") if isinstance(value, bool) else str(value)
        if name == "PERFORMANCE_HINT":
            fields["hint"] = _known(path, name, text.lower(), HINTS)
        elif name == "INFERENCE_PRECISION_HINT":
            fields["inference_precision"] = _known(path, name, text, INFERENCE_PRECISIONS)
        elif name in ("NUM_STREAMS", "INFERENCE_NUM_THREADS") and text.isdecimal() and int(text):
            fields["streams" if name == "NUM_STREAMS" else "threads"] = int(text)
        elif name == "ENABLE_CPU_PINNING":
            fields["pinning"] = _FLAGS[_known(path, name, text.upper(), tuple(_FLAGS))]
        elif name == "CACHE_DIR":
            fields["model_cache"] = Path(text) if text else "off"
        elif name != "PERF_COUNT":  # counters are read in a separate run, with -pc
            properties[name] = text
    return ConfigFile(fields, properties)


def write_config(path: Path, settings: DeviceSettings) -> None:
    """Write the properties that are set, in the form that `read_config` reads. Raises: OSError."""
    properties = settings.requested_properties()
    if isinstance(settings.model_cache, Path):
        properties["CACHE_DIR"] = str(settings.model_cache)
    device = settings.device if settings.device.partition(":")[0] not in _GROUPS else settings.device.partition(":")[0]
    path.write_text(json.dumps({device: properties}, indent=4) + "\n", "utf-8")


def per_device(option: str, text: str | None, device: str, name: str) -> tuple[str | None, dict[str, dict[str, str]]]:
    """The value of an option for the measured device, and the property of single devices behind AUTO or MULTI.

    Args:
        text: `2`, `CPU:2` or `CPU:2,GPU:3`.
        device: the measured device.
        name: of the OpenVINO property.

    Raises:
        UsageError: the value names another device.
    """
    if not text:
        return None, {}
    if ":" not in text:
        return text, {}
    values = dict((part.strip().rpartition(":")[::2]) for part in text.split(","))
    plugin, _, members = device.partition(":")
    if plugin in _GROUPS:
        known = {member.strip().partition("(")[0].lstrip("-") for member in members.split(",") if member}
        if known and set(values) - known:
            raise UsageError(f"{option} is for another device", expected=", ".join(sorted(known)), got=text)
        return None, {member: {name: value} for member, value in values.items()}
    if set(values) != {device}:
        raise UsageError(f"{option} is for another device", expected=device, got=text)
    return values[device], {}


def _known(path: Path, name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise UsageError(f"invalid {name}", where=path, expected=", ".join(known), got=repr(value))
    return value
