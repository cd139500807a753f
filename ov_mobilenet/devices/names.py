"""Device names as OpenVINO writes them: CPU, GPU.1, AUTO:GPU,CPU, BATCH:GPU(8)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ov_mobilenet.devices.drivers import DRIVERS, reason_of
from ov_mobilenet.errors import DeviceError, UsageError

PLUGINS = ("AUTO", "MULTI", "HETERO", "BATCH")
FAMILIES = ("CPU", "GPU", "NPU")
FORMS = "CPU, GPU, GPU.1, NPU, AUTO, AUTO:GPU,CPU, MULTI:…, HETERO:… or BATCH:GPU(8)"
_MEMBER = re.compile(r"(?P<excluded>-?)(?P<name>[A-Z][A-Z0-9_]*(?:\.\w+)*)(?:\((?P<count>[1-9]\d*)\))?")


@dataclass(frozen=True)
class DeviceName:
    """A parsed device name.

    Attributes:
        text: the name as given.
        plugin: AUTO, MULTI, HETERO or BATCH; None for a single device.
        members: the devices in the name; empty for AUTO alone, which selects from all available devices.
        excluded: devices that AUTO must not select (`AUTO:-GPU`).
        batch: 8 for BATCH:GPU(8); None for the device's default.
    """

    text: str
    plugin: str | None
    members: tuple[str, ...]
    excluded: tuple[str, ...] = ()
    batch: int | None = None

    def candidates(self, core: Any) -> tuple[str, ...]:
        """The devices that may run the model: the members, or all available devices that are not excluded."""
        if self.members:
            return self.members
        return tuple(
            name for name in core.available_devices if name not in self.excluded and family(name) not in self.excluded
        )


def family(name: str) -> str:
    """The name without an index: GPU for GPU.1."""
    return name.partition(".")[0]


def parse_device(text: str) -> DeviceName:
    """Parse a device name.

    Raises:
        UsageError: the name is not valid in OpenVINO.
    """
    plugin, colon, rest = text.partition(":")
    if plugin not in PLUGINS:
        plugin, colon, rest = "", "", text
    if not rest:
        if colon or plugin != "AUTO":
            raise _invalid_name(text)
        return DeviceName(text, plugin, ())
    found = [_MEMBER.fullmatch(part) for part in rest.split(",")]
    matches = [match for match in found if match is not None]
    counted = any(match["count"] for match in matches)
    if len(matches) < len(found) or (not plugin and len(found) > 1) or (counted and plugin not in ("BATCH", "MULTI")):
        raise _invalid_name(text)
    excluded = tuple(match["name"] for match in matches if match["excluded"])
    members = tuple(match["name"] for match in matches if not match["excluded"])
    if (excluded and plugin != "AUTO") or (plugin == "BATCH" and len(members) != 1) or set(members) & set(PLUGINS):
        raise _invalid_name(text)
    count = matches[0]["count"] if plugin == "BATCH" else None
    return DeviceName(text, plugin or None, members, excluded, None if count is None else int(count))


def check_known(device: DeviceName, core: Any) -> None:
    """Check that OpenVINO supports every device in the name, available or not.

    Raises:
        DeviceError: OpenVINO has no plugin for a device.
    """
    for name in (*device.members, *device.excluded):
        if family(name) not in FAMILIES and family(name) not in map(family, core.available_devices):
            raise DeviceError(f"unknown device {name}", expected=_available(core), got=device.text)


def check_available(device: DeviceName, core: Any) -> None:
    """Check that every device in the name is available.

    The CPU is not checked: listing the available devices loads all plugins, which takes 13 ms.

    Raises:
        DeviceError: a device is not available; with the reason and what to install.
    """
    for name in device.members:
        if name == "CPU" or _is_available(name, core.available_devices):
            continue
        has_family = family(name) in map(family, core.available_devices)
        reason = "no device with this index" if has_family else reason_unavailable(core, family(name))
        driver = None if has_family else DRIVERS.get(family(name))
        raise DeviceError(
            f"device {name} cannot be used ({reason})", expected=_available(core), got=device.text,
            fix=None if driver is None else driver.advice,
        )  # fmt: skip
    if not device.candidates(core):
        raise DeviceError("all available devices are excluded", expected=_available(core), got=device.text)


def _is_available(name: str, available: list[str]) -> bool:
    """Whether a device is available: GPU means GPU.0 if there are several, and GPU.0.1 is a tile of GPU.0."""
    first = f"{family(name)}.0"
    if name in available or (name == family(name) and first in available):
        return True
    if name == first and family(name) != "CPU":
        return family(name) in available
    return name.count(".") == 2 and _is_available(name.rpartition(".")[0], available)


def reason_unavailable(core: Any, name: str) -> str:
    """Why a device is not available, as reported by its plugin."""
    try:
        core.get_property(name, "AVAILABLE_DEVICES")
    except RuntimeError as error:
        return reason_of(error)
    return "its plugin finds no device"


def _available(core: Any) -> str:
    return f"one of {', '.join(core.available_devices)}, or AUTO"


def _invalid_name(text: str) -> UsageError:
    fix = f"Write {text.upper()}" if text != text.upper() else None
    return UsageError("invalid device name", expected=FORMS, got=repr(text), fix=fix)
