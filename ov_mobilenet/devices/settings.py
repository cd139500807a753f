"""All that can be asked of a device, as one value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypedDict

from ov_mobilenet.devices.names import parse_device
from ov_mobilenet.errors import UsageError

Hint = Literal["latency", "throughput", "cumulative_throughput"]
InferencePrecision = Literal["f32", "bf16", "f16"]
HINTS: tuple[Hint, ...] = ("latency", "throughput", "cumulative_throughput")
INFERENCE_PRECISIONS: tuple[InferencePrecision, ...] = ("f32", "bf16", "f16")

# Of OpenVINO 2021 and older; today's plugins refuse them with "Unsupported property".
_OLD_NAMES = {
    "CPU_THROUGHPUT_STREAMS": "NUM_STREAMS",
    "GPU_THROUGHPUT_STREAMS": "NUM_STREAMS",
    "CPU_THREADS_NUM": "INFERENCE_NUM_THREADS",
    "CPU_BIND_THREAD": "ENABLE_CPU_PINNING",
    "AFFINITY": "ENABLE_CPU_PINNING",
    "ENFORCE_BF16": "INFERENCE_PRECISION_HINT",
    "DYN_BATCH_ENABLED": "a model converted with --batch -1",
}


class DeviceOptions(TypedDict, total=False):
    """The fields of `DeviceSettings` as keyword arguments."""

    device: str
    hint: Hint | None
    inference_precision: InferencePrecision | None
    streams: int | None
    threads: int | None
    nireq: int | None
    pinning: bool | None
    model_cache: Path | Literal["off"] | None
    properties: tuple[tuple[str, str], ...]
    fallback: str | None


@dataclass(frozen=True)
class DeviceSettings:
    """A device and what is asked of it; None leaves the choice to the device.

    Attributes:
        device: as OpenVINO names it: CPU, GPU, GPU.1, NPU, AUTO, AUTO:GPU,CPU, MULTI:…, HETERO:…, BATCH:GPU(8).
        hint: performance hint; excludes `streams`.
        inference_precision: f32, bf16 or f16.
        streams: how many requests the device works on at a time, at least 1.
        threads: CPU threads for inference, at least 1.
        nireq: how many infer requests a queue keeps, at least 1; OpenVINO is not told.
        pinning: bind the CPU threads to cores.
        model_cache: a folder for compiled models; "off" for none; None for the user's cache folder where a GPU or an
            NPU may run, and none elsewhere.
        properties: further OpenVINO properties, as (name, value) pairs.
        fallback: a device to run on where `device` cannot be used; None to fail.

    Raises:
        UsageError: a value outside of these, a setting made twice, a hint together with streams, an old name.
    """

    device: str = "AUTO"
    hint: Hint | None = None
    inference_precision: InferencePrecision | None = None
    streams: int | None = None
    threads: int | None = None
    nireq: int | None = None
    pinning: bool | None = None
    model_cache: Path | Literal["off"] | None = None
    properties: tuple[tuple[str, str], ...] = ()
    fallback: str | None = None

    def __post_init__(self) -> None:
        parse_device(self.device)
        if self.fallback is not None:
            parse_device(self.fallback)
        _choose("hint", self.hint, HINTS)
        _choose("inference precision", self.inference_precision, INFERENCE_PRECISIONS)
        for what, number in (("streams", self.streams), ("threads", self.threads), ("nireq", self.nireq)):
            if number is not None and number < 1:
                raise UsageError(f"bad {what}", expected="at least 1", got=number)
        asked = self._named()
        for name, value in self.properties:
            _check_name(name)
            if name in asked:
                raise UsageError(f"{name} is set twice", got=f"{asked[name]} and {value}")
            asked[name] = value
        if "PERFORMANCE_HINT" in asked and "NUM_STREAMS" in asked:
            raise UsageError(
                "a hint chooses the number of streams itself", expected="a hint or streams",
                got=f"hint {asked['PERFORMANCE_HINT'].lower()} and {asked['NUM_STREAMS']} streams",
            )  # fmt: skip

    def asked(self) -> dict[str, str]:
        """OpenVINO's properties and the values asked for, without the model cache."""
        return {**self._named(), **dict(self.properties)}

    @property
    def sets_parallelism(self) -> bool:
        """Whether a hint or a number of streams is asked for, as a field or as a property."""
        return not {"PERFORMANCE_HINT", "NUM_STREAMS"}.isdisjoint(self.asked())

    def _named(self) -> dict[str, str]:
        found = {
            "PERFORMANCE_HINT": None if self.hint is None else self.hint.upper(),
            "INFERENCE_PRECISION_HINT": self.inference_precision,
            "NUM_STREAMS": None if self.streams is None else str(self.streams),
            "INFERENCE_NUM_THREADS": None if self.threads is None else str(self.threads),
            "ENABLE_CPU_PINNING": None if self.pinning is None else "YES" if self.pinning else "NO",
        }
        return {name: value for name, value in found.items() if value is not None}


def settings_of(settings: DeviceSettings | None, options: Mapping[str, Any]) -> DeviceSettings:
    """Device settings from a value, or from its fields as keyword arguments.

    Raises:
        UsageError: both are given, or an option is not a field.
    """
    names = [field.name for field in fields(DeviceSettings)]
    if unknown := [name for name in options if name not in names]:
        raise UsageError("no such option", expected=", ".join(names), got=", ".join(unknown))
    if settings is not None and options:
        raise UsageError("device settings are given twice", expected="settings, or its fields", got=", ".join(options))
    return settings if settings is not None else DeviceSettings(**options)


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
        raise UsageError("no property name", expected="capitals, such as NUM_STREAMS", got=repr(name))
    if name in _OLD_NAMES:
        raise UsageError("a property of old OpenVINO versions", expected=_OLD_NAMES[name], got=name)
    if name == "CACHE_DIR":
        raise UsageError("the model cache has a setting of its own", expected="--model-cache DIR", got=name)


def _choose(what: str, name: str | None, known: tuple[str, ...]) -> None:
    if name is not None and name not in known:
        raise UsageError(f"unknown {what}", expected=" or ".join(known), got=repr(name))
