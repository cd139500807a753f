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
_MEMBER = re.compile(r"(?P<left_out>-?)(?P<name>[A-Z][A-Z0-9_]*(?:\.\w+)*)(?:\((?P<count>[1-9]\d*)\))?")


@dataclass(frozen=True)
class DeviceName:
    """A name taken apart.

    Attributes:
        text: as it was written.
        plugin: AUTO, MULTI, HETERO or BATCH; None for a device itself.
        members: the devices that are named; none for AUTO alone, which takes what is there.
        left_out: devices that AUTO may not take (`AUTO:-GPU`).
        batch: of BATCH:GPU(8); None for the device's own choice.
    """

    text: str
    plugin: str | None
    members: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    batch: int | None = None

    def candidates(self, core: Any) -> tuple[str, ...]:
        """The devices that may run: those named, or those that are there and not left out."""
        if self.members:
            return self.members
        return tuple(
            name for name in core.available_devices if name not in self.left_out and family(name) not in self.left_out
        )


def family(name: str) -> str:
    """GPU of GPU.1."""
    return name.partition(".")[0]


def parse_device(text: str) -> DeviceName:
    """Take a device's name apart.

    Raises:
        UsageError: it is not of OpenVINO's form.
    """
    plugin, colon, rest = text.partition(":")
    if plugin not in PLUGINS:
        plugin, colon, rest = "", "", text
    if not rest:
        if colon or plugin != "AUTO":
            raise _misspelt(text)
        return DeviceName(text, plugin, ())
    found = [_MEMBER.fullmatch(part) for part in rest.split(",")]
    matches = [match for match in found if match is not None]
    counted = any(match["count"] for match in matches)
    if len(matches) < len(found) or (not plugin and len(found) > 1) or (counted and plugin not in ("BATCH", "MULTI")):
        raise _misspelt(text)
    left_out = tuple(match["name"] for match in matches if match["left_out"])
    members = tuple(match["name"] for match in matches if not match["left_out"])
    if (left_out and plugin != "AUTO") or (plugin == "BATCH" and len(members) != 1) or set(members) & set(PLUGINS):
        raise _misspelt(text)
    count = matches[0]["count"] if plugin == "BATCH" else None
    return DeviceName(text, plugin or None, members, left_out, None if count is None else int(count))


def check_known(device: DeviceName, core: Any) -> None:
    """Check that OpenVINO knows every device named, here or not. Raises: DeviceError."""
    for name in (*device.members, *device.left_out):
        if family(name) not in FAMILIES and family(name) not in map(family, core.available_devices):
            raise DeviceError(f"there is no device {name}", expected=_choice(core), got=device.text)


def check_there(device: DeviceName, core: Any) -> None:
    """Check that every device named is here. Raises: DeviceError; says why not, and what to install.

    Asking OpenVINO which devices there are loads the plugins of all, which takes 13 ms; so nobody asks for the CPU.
    """
    for name in device.members:
        if name == "CPU" or _is_there(name, core.available_devices):
            continue
        numbered = family(name) in map(family, core.available_devices)
        driver = None if numbered else DRIVERS.get(family(name))
        raise DeviceError(
            f"device {name} cannot be used ({'no such number' if numbered else why_absent(core, family(name))})",
            expected=_choice(core),
            got=device.text,
            fix=None if driver is None else driver.advice,
        )
    if not device.candidates(core):
        raise DeviceError("no device is left", expected=_choice(core), got=device.text)


def _is_there(name: str, available: list[str]) -> bool:
    """GPU is GPU.0 where there are several; GPU.0 is GPU where there is one; GPU.0.1 is a tile of GPU.0."""
    first = f"{family(name)}.0"
    if name in available or (name == family(name) and first in available):
        return True
    if name == first and family(name) != "CPU":
        return family(name) in available
    return name.count(".") == 2 and _is_there(name.rpartition(".")[0], available)


def why_absent(core: Any, name: str) -> str:
    """What the plugin of a device that is not here says."""
    try:
        core.get_property(name, "AVAILABLE_DEVICES")
    except RuntimeError as error:
        return reason_of(error)
    return "its plugin finds no such device"


def _choice(core: Any) -> str:
    return f"one of {', '.join(core.available_devices)}, or AUTO"


def _misspelt(text: str) -> UsageError:
    fix = f"Write {text.upper()}" if text != text.upper() else None
    return UsageError("no such device", expected=FORMS, got=repr(text), fix=fix)
