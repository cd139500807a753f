"""What this machine can run networks on: devices, what each can do, and what is missing for the others."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ov_mobilenet.devices import properties as property_values
from ov_mobilenet.devices.drivers import DRIVERS, reason_of
from ov_mobilenet.devices.names import FAMILIES, family, why_absent
from ov_mobilenet.devices.rules import precisions
from ov_mobilenet.devices.settings import HINTS

if TYPE_CHECKING:
    import openvino as ov

T = TypeVar("T")

# What speeds MobileNets up, and its names in Linux' list of flags, which x86-64 calls flags and Arm Features.
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
    """One device that OpenVINO lists.

    Attributes:
        full_name, version: of the hardware, of OpenVINO's plugin; None where the plugin fails.
        inference_precisions: those a network can be run at.
        streams: fewest and most requests worked on at a time.
        optimal: for each hint, how many streams it makes and how many infer requests keep them busy.
        properties: each that the plugin lists: whether it may be written (RW, RO, WO), and its value as text.
        trouble: what its plugin said where it failed.
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
    """A device that OpenVINO has a plugin for, and that is not here."""

    name: str
    reason: str
    looks_like: str
    advice: str
    page: str


@dataclass(frozen=True)
class MachineReport:
    """What is here.

    Attributes:
        cpu_flags: which of `CPU_FLAGS` for its kind the CPU has; None where the system does not say.
    """

    openvino: str
    cpu: str
    cpu_flags: Mapping[str, bool] | None
    devices: tuple[DeviceFacts, ...]
    missing: tuple[MissingDevice, ...]


def machine(core: Any = None) -> MachineReport:
    """Look at this machine; a plugin that fails is told, and the others are asked.

    Args:
        core: `ov.Core()`, or what stands for it in a test.
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


def cpu_flags(source: Path = Path("/proc/cpuinfo")) -> dict[str, bool] | None:
    """Which of `CPU_FLAGS` for its kind the CPU has; None where the system does not say."""
    try:
        lines = source.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        word, _, rest = line.partition(":")
        if word.strip() in CPU_FLAGS:
            flags = set(rest.split())
            return {name: bool(flags & set(spellings)) for name, spellings in CPU_FLAGS[word.strip()].items()}
    return None


def _facts(core: Any, name: str) -> DeviceFacts:
    troubles: list[str] = []

    def ask(question: Callable[[], T]) -> T | None:
        try:
            return question()
        except RuntimeError as error:
            troubles.append(reason_of(error))
            return None

    listed = ask(lambda: core.get_property(name, "SUPPORTED_PROPERTIES")) or {}
    streams = ask(lambda: core.get_property(name, "RANGE_FOR_STREAMS")) if "RANGE_FOR_STREAMS" in listed else None
    return DeviceFacts(
        name=name,
        full_name=ask(lambda: str(core.get_property(name, "FULL_DEVICE_NAME"))),
        version=ask(lambda: str(core.get_versions(name)[name].build_number)),
        capabilities=tuple(ask(lambda: core.get_property(name, "OPTIMIZATION_CAPABILITIES")) or ()),
        inference_precisions=ask(lambda: precisions(core, name)) or (),
        streams=(int(streams[0]), int(streams[1])) if streams else None,
        optimal=ask(lambda: _optimal(core, name)) or {},
        properties={
            key: (str(access), _value(core, name, key))
            for key, access in sorted(listed.items())
            if key != "SUPPORTED_PROPERTIES"
        },
        trouble=troubles[0] if troubles else None,
    )


def _optimal(core: Any, name: str) -> dict[str, dict[str, int | None]]:
    """Asked of a network of one layer: the numbers depend on the network, but for MobileNets hardly."""
    network = _one_layer()
    found: dict[str, dict[str, int | None]] = {}
    for hint in HINTS[:2]:
        compiled = core.compile_model(network, name, {"PERFORMANCE_HINT": hint.upper()})
        keys = {"streams": "NUM_STREAMS", "nireq": "OPTIMAL_NUMBER_OF_INFER_REQUESTS"}
        readings = {word: property_values.read(compiled, key).own for word, key in keys.items()}
        found[hint] = {word: None if text is None else int(text) for word, text in readings.items()}
    return found


def _one_layer() -> ov.Model:
    import numpy as np
    import openvino as ov
    import openvino.opset13 as ops

    frame = ops.parameter([1, 3, 32, 32], np.float32)
    return ov.Model([ops.relu(frame)], [frame], "one_layer")


def _value(core: Any, name: str, key: str) -> str | None:
    try:
        return property_values.as_text(core.get_property(name, key))
    except (RuntimeError, TypeError):  # written only, or of a type that Python does not know
        return None


def _missing(core: Any, name: str) -> MissingDevice:
    driver = DRIVERS[name]
    return MissingDevice(name, why_absent(core, name), driver.looks_like, driver.advice, driver.page)
