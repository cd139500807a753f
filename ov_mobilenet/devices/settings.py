"""Device settings: a device and the OpenVINO properties to compile with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypedDict

from ov_mobilenet.argument_types import checked
from ov_mobilenet.devices.names import parse_device
from ov_mobilenet.errors import UsageError

Hint = Literal["latency", "throughput", "cumulative_throughput"]
InferencePrecision = Literal["f32", "bf16", "f16"]
HINTS: tuple[Hint, ...] = ("latency", "throughput", "cumulative_throughput")
INFERENCE_PRECISIONS: tuple[InferencePrecision, ...] = ("f32", "bf16", "f16")

MAX_NUMBER = 65536  # of streams, threads and requests: larger numbers are mistakes that take all memory

# Properties of OpenVINO 2021 and older, and their replacements; current plugins reject them ("Unsupported property").
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
    model_cache: Path | Literal["on", "off"] | None
    properties: tuple[tuple[str, str], ...]
    fallback: str | None


@checked
@dataclass(frozen=True)
class DeviceSettings:
    """A device and its settings; None leaves a setting to the device.

    Attributes:
        device: a device name of OpenVINO: CPU, GPU, GPU.1, NPU, AUTO, AUTO:GPU,CPU, MULTI:…, HETERO:…, BATCH:GPU(8).
        hint: performance hint; cannot be combined with `streams`.
        inference_precision: f32, bf16 or f16.
        streams: number of infer requests that the device runs in parallel, at least 1.
        threads: CPU threads for inference, at least 1.
        nireq: number of infer requests in a queue, at least 1; not passed to OpenVINO.
        pinning: bind the CPU threads to cores.
        model_cache: a folder for compiled models; "on" for the user's cache folder, "off" for none; None for the user's
            cache folder if a GPU or an NPU may run the model, otherwise none. "on" has no effect for a CPU behind
            MULTI, HETERO or BATCH, or with other properties than the fields of this class set.
        properties: further OpenVINO properties, as (name, value) pairs.
        fallback: a device to run on if `device` cannot be used; None to raise an error instead.

    Raises:
        UsageError: a value is invalid, a setting is given twice, a hint is combined with streams, or a property is
            obsolete.
    """

    device: str = "AUTO"
    hint: Hint | None = None
    inference_precision: InferencePrecision | None = None
    streams: int | None = None
    threads: int | None = None
    nireq: int | None = None
    pinning: bool | None = None
    model_cache: Path | Literal["on", "off"] | None = None
    properties: tuple[tuple[str, str], ...] = ()
    fallback: str | None = None

    def __post_init__(self) -> None:
        parse_device(self.device)
        if self.fallback is not None:
            parse_device(self.fallback)
        _check_choice("hint", self.hint, HINTS)
        _check_choice("inference precision", self.inference_precision, INFERENCE_PRECISIONS)
        for what, number in (("streams", self.streams), ("threads", self.threads), ("nireq", self.nireq)):
            if number is not None and number < 1:
                raise UsageError(f"invalid {what}", expected="at least 1", got=number)
            if number is not None and number > MAX_NUMBER:
                raise UsageError(f"invalid {what}", expected=f"at most {MAX_NUMBER}", got=number)
        asked = self._fields_as_properties()
        for name, value in self.properties:
            _check_name(name)
            if name in asked:
                raise UsageError(f"{name} is set twice", got=f"{asked[name]} and {value}")
            asked[name] = value
        if "PERFORMANCE_HINT" in asked and "NUM_STREAMS" in asked:
            raise UsageError(
                "a performance hint sets the number of streams itself", expected="a hint or streams",
                got=f"hint {asked['PERFORMANCE_HINT'].lower()} and {asked['NUM_STREAMS']} streams",
            )  # fmt: skip

    def requested_properties(self) -> dict[str, str]:
        """The requested OpenVINO properties, without the model cache."""
        return {**self._fields_as_properties(), **dict(self.properties)}

    @property
    def requests_latency(self) -> bool:
        """Whether the latency hint is set, as a field or as a property in any case of letters."""
        return self.requested_properties().get("PERFORMANCE_HINT", "").upper() == "LATENCY"

    @property
    def sets_parallelism(self) -> bool:
        """Whether a hint or a number of streams is requested, as a field or as a property."""
        return not {"PERFORMANCE_HINT", "NUM_STREAMS"}.isdisjoint(self.requested_properties())

    def _fields_as_properties(self) -> dict[str, str]:
        found = {
            "PERFORMANCE_HINT": None if self.hint is None else self.hint.upper(),
            "INFERENCE_PRECISION_HINT": self.inference_precision,
            "NUM_STREAMS": None if self.streams is None else str(self.streams),
            "INFERENCE_NUM_THREADS": None if self.threads is None else str(self.threads),
            "ENABLE_CPU_PINNING": None if self.pinning is None else "YES" if self.pinning else "NO",
        }
        return {name: value for name, value in found.items() if value is not None}


def settings_of(settings: DeviceSettings | None, options: Mapping[str, Any]) -> DeviceSettings:
    """The given settings, or settings made from keyword arguments.

    Raises:
        UsageError: both are given, or a keyword argument is not a field of `DeviceSettings`.
    """
    names = [field.name for field in fields(DeviceSettings)]
    if unknown := [name for name in options if name not in names]:
        raise UsageError("unknown option", expected=", ".join(names), got=", ".join(unknown))
    if settings is not None and options:
        raise UsageError(
            "device settings are given twice",
            expected="settings, or its fields as keyword arguments",
            got=", ".join(options),
        )
    return settings if settings is not None else DeviceSettings(**options)


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
        raise UsageError("invalid property name", expected="upper case, such as NUM_STREAMS", got=repr(name))
    if name in _OLD_NAMES:
        raise UsageError("obsolete OpenVINO property", expected=_OLD_NAMES[name], got=name)
    if name == "CACHE_DIR":
        raise UsageError("the model cache is not set as a property", expected="--model-cache DIR", got=name)


def _check_choice(what: str, name: str | None, known: tuple[str, ...]) -> None:
    if name is not None and name not in known:
        raise UsageError(f"unknown {what}", expected=" or ".join(known), got=repr(name))
