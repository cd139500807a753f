"""The devices of this machine, their capabilities, and the missing drivers of the unavailable ones."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ov_mobilenet.devices.drivers import DRIVERS, reason_of
from ov_mobilenet.devices.names import FAMILIES, family, reason_unavailable
from ov_mobilenet.devices.properties import as_text, read_property
from ov_mobilenet.devices.rules import precisions
from ov_mobilenet.devices.settings import HINTS

if TYPE_CHECKING:
    import openvino as ov

T = TypeVar("T")

_ARM = ("aarch64", "arm64")

# CPU features that speed up MobileNets, and their names in /proc/cpuinfo, in the line "flags" on x86-64 and "Features"
# on Arm.
CPU_FLAGS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "flags": {
        "AVX2": ("avx2",),
        "AVX512": ("avx512f",),
        "VNNI": ("avx512_vnni", "avx_vnni"),
        "AMX": ("amx_tile",),
        "bf16": ("avx512_bf16", "amx_bf16"),
        "f16": ("avx512_fp16", "amx_fp16"),
    },
    "Features": {"int8 dot product": ("asimddp",), "i8mm": ("i8mm",), "bf16": ("bf16",), "f16": ("asimdhp",)},
}


@dataclass(frozen=True)
class DeviceFacts:
    """A device that OpenVINO lists.

    Attributes:
        full_name: name of the hardware; None if the plugin fails.
        version: version of the OpenVINO plugin; None if the plugin fails.
        capabilities: as OpenVINO reports them, such as FP32, INT8, EXPORT_IMPORT.
        inference_precisions: the supported ones of f32, bf16 and f16.
        streams: smallest and largest number of streams.
        optimal: for each performance hint, the number of streams and the optimal number of infer requests.
        properties: each property of the plugin, with its access (RW, RO, WO) and its value as text.
        trouble: the error of the plugin; None if it works.
    """

    name: str
    full_name: str | None
    version: str | None
    capabilities: tuple[str, ...]
    inference_precisions: tuple[str, ...]
    streams: tuple[int, int] | None
    optimal: Mapping[str, Mapping[str, int | None]]
    properties: Mapping[str, tuple[str, str | None]]
    trouble: str | None


@dataclass(frozen=True)
class MissingDevice:
    """A device with a plugin in OpenVINO that is not available on this machine.

    Attributes:
        reason: as reported by the plugin.
        looks_like, advice, page: see `Driver`.
    """

    name: str
    reason: str
    looks_like: str
    advice: str
    page: str


@dataclass(frozen=True)
class MachineReport:
    """The devices of a machine.

    Attributes:
        openvino: version of OpenVINO.
        cpu: the name of the CPU.
        cpu_flags: for each of `CPU_FLAGS` of this architecture, whether the CPU has it; None if the system does not
            report it.
        missing: devices with a plugin that are not available.
    """

    openvino: str
    cpu: str
    cpu_flags: Mapping[str, bool] | None
    devices: tuple[DeviceFacts, ...]
    missing: tuple[MissingDevice, ...]


def machine(core: Any = None) -> MachineReport:
    """Inspect this machine; the error of a plugin that fails is part of the report.

    Args:
        core: `ov.Core()`, or a fake in tests.
    """
    import openvino as ov

    core = core or ov.Core()
    available = list(core.available_devices)
    absent = [name for name in FAMILIES if name in DRIVERS and name not in map(family, available)]
    devices = tuple(_facts(core, name) for name in available)
    cpu = next((device.full_name for device in devices if device.name == "CPU" and device.full_name), None)
    return MachineReport(
        openvino=ov.get_version(),
        cpu=cpu or platform.processor() or platform.machine(),
        cpu_flags=cpu_flags(),
        devices=devices,
        missing=tuple(_missing(core, name) for name in absent),
    )


def cpu_flags(source: Path = Path("/proc/cpuinfo"), architecture: str | None = None) -> dict[str, bool] | None:
    """For each of `CPU_FLAGS` of this architecture, whether the CPU has it; None if the system does not report it.

    Args:
        architecture: as `platform.machine()`, which is the default. In an emulated system the file may be that of the
            real machine, with the features of another architecture.
    """
    own = "Features" if (architecture or platform.machine()) in _ARM else "flags"
    try:
        lines = source.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, rest = line.partition(":")
        if key.strip() == own:
            flags = set(rest.split())
            return {name: bool(flags & set(spellings)) for name, spellings in CPU_FLAGS[own].items()}
    return None


def _facts(core: Any, name: str) -> DeviceFacts:
    errors: list[str] = []

    def attempt(query: Callable[[], T]) -> T | None:
        try:
            return query()
        except RuntimeError as error:
            errors.append(reason_of(error))
            return None

    listed = attempt(lambda: core.get_property(name, "SUPPORTED_PROPERTIES")) or {}
    streams = attempt(lambda: core.get_property(name, "RANGE_FOR_STREAMS")) if "RANGE_FOR_STREAMS" in listed else None
    return DeviceFacts(
        name=name,
        full_name=attempt(lambda: str(core.get_property(name, "FULL_DEVICE_NAME"))),
        version=attempt(lambda: str(core.get_versions(name)[name].build_number)),
        capabilities=tuple(attempt(lambda: core.get_property(name, "OPTIMIZATION_CAPABILITIES")) or ()),
        inference_precisions=attempt(lambda: precisions(core, name)) or (),
        streams=(int(streams[0]), int(streams[1])) if streams else None,
        optimal=attempt(lambda: _optimal(core, name)) or {},
        properties={
            key: (str(access), _value(core, name, key))
            for key, access in sorted(listed.items())
            if key != "SUPPORTED_PROPERTIES"
        },
        trouble=errors[0] if errors else None,
    )


def _optimal(core: Any, name: str) -> dict[str, dict[str, int | None]]:
    """Values for a network of one layer; they depend on the network, but hardly differ for MobileNets."""
    network = _one_layer_network()
    found: dict[str, dict[str, int | None]] = {}
    for hint in HINTS[:2]:
        compiled = core.compile_model(network, name, {"PERFORMANCE_HINT": hint.upper()})
        keys = {"streams": "NUM_STREAMS", "nireq": "OPTIMAL_NUMBER_OF_INFER_REQUESTS"}
        readings = {word: read_property(compiled, key).own for word, key in keys.items()}
        found[hint] = {word: None if text is None else int(text) for word, text in readings.items()}
    return found


def _one_layer_network() -> ov.Model:
    import numpy as np
    import openvino as ov
    import openvino.opset13 as ops

    frame = ops.parameter([1, 3, 32, 32], np.float32)
    return ov.Model([ops.relu(frame)], [frame], "one_layer")


def _value(core: Any, name: str, key: str) -> str | None:
    try:
        return as_text(core.get_property(name, key))
    except (RuntimeError, TypeError):  # write-only, or a type without a Python binding
        return None


def _missing(core: Any, name: str) -> MissingDevice:
    driver = DRIVERS[name]
    return MissingDevice(name, reason_unavailable(core, name), driver.looks_like, driver.advice, driver.page)
