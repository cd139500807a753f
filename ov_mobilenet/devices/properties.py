"""OpenVINO properties of a compiled model: read, formatted as text, and compared with the requested values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SYNONYMS = {"TRUE": "YES", "FALSE": "NO", "LOG_NONE": "NO", "UNDEFINED": "DYNAMIC"}
_TYPE_NAMES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16", "uint8_t": "u8", "int8_t": "i8"}
# Requested values that let the device choose: any value it reports is accepted.
_DEVICE_CHOICE = {"NUM_STREAMS": ("AUTO", "NUMA", "-1", "-2")}


def as_text(value: Any) -> str:
    """A property value as text: `<Type: 'bfloat16'>` as bf16, `PerformanceMode.LATENCY` as LATENCY, True as YES."""
    if isinstance(value, bool):
        return "YES" if value else "NO"
    if hasattr(value, "get_type_name"):
        name = str(value.get_type_name())
        return _TYPE_NAMES.get(name, name)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {as_text(one)}" for key, one in value.items())
    if isinstance(value, set | frozenset | list | tuple):
        texts = [as_text(one) for one in value]
        return ", ".join(sorted(texts) if isinstance(value, set | frozenset) else texts)
    return str(value.name) if hasattr(value, "name") else str(value)


@dataclass(frozen=True)
class Reading:
    """The value of a property, as reported by a compiled model and by the devices behind it.

    AUTO, MULTI and HETERO often do not report a property themselves, but hold the properties of their devices.

    Attributes:
        own: the value of the compiled model itself; None if it reports none.
        behind: the values of the devices behind AUTO, MULTI, HETERO or BATCH.
    """

    own: str | None
    behind: tuple[str, ...]

    @property
    def values(self) -> tuple[str, ...]:
        """All values: the model's own first, then those of the devices behind it."""
        return self.behind if self.own is None else (self.own, *self.behind)

    def agrees(self, name: str, requested: str) -> bool:
        """Whether the model's own value, or the value of every device behind it, equals the requested one."""
        return (self.own is not None and is_equal(name, requested, self.own)) or (
            bool(self.behind) and all(is_equal(name, requested, value) for value in self.behind)
        )


def read_property(compiled: Any, name: str) -> Reading:
    """Read a property of a compiled model; the reading is empty if the model does not have it."""
    own = _get(compiled, name)
    texts = tuple(as_text(properties[name]) for properties in devices_behind(compiled).values() if name in properties)
    return Reading(None if own is None else as_text(own), texts)


def devices_behind(compiled: Any) -> Mapping[str, Mapping[str, Any]]:
    """The properties of each device behind AUTO, MULTI, HETERO or BATCH; empty for a single device."""
    return _get(compiled, "DEVICE_PROPERTIES") or {}


def is_equal(name: str, requested: str, got: str) -> bool:
    """Whether two spellings mean the same value: YES and true, 2 and 2.0, f16 and F16."""
    return requested.upper() in _DEVICE_CHOICE.get(name, ()) or _comparable(requested) == _comparable(got)


def parse_device_properties(text: str) -> dict[str, dict[str, str]]:
    """Parse `{CPU:{NUM_STREAMS:2},GPU:{NUM_STREAMS:4}}` into properties by device."""
    found = re.findall(r"([A-Z][\w.]*)\s*:\s*\{([^{}]*)\}", text)
    return {
        device: {key.strip(): value.strip() for key, _, value in (pair.partition(":") for pair in body.split(","))}
        for device, body in found
    }


def _comparable(value: str) -> str:
    text = value.strip().upper()
    text = _SYNONYMS.get(text, text).removeprefix("LOG_")
    try:
        return repr(float(text))
    except ValueError:
        return text


def _get(compiled: Any, name: str) -> Any:
    try:
        return compiled.get_property(name)
    except (RuntimeError, TypeError):  # not supported, or a type without a Python binding
        return None
