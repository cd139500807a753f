"""Values of OpenVINO's properties: written as text, and compared with what a compiled model says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_WORDS = {"TRUE": "YES", "FALSE": "NO", "LOG_NONE": "NO", "UNDEFINED": "DYNAMIC"}
_TYPE_NAMES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16", "uint8_t": "u8", "int8_t": "i8"}
# Values that leave the number to the device: any that it chooses is as asked.
_OWN_CHOICE = {"NUM_STREAMS": ("AUTO", "NUMA", "-1", "-2")}


def as_text(value: Any) -> str:
    """`<Type: 'bfloat16'>` as bf16, `PerformanceMode.LATENCY` as LATENCY, True as YES."""
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
    """What a compiled model says of a property: its own value, and that of each device behind it that has one.

    AUTO, MULTI and HETERO do not answer for the devices behind them but hold their properties.
    """

    own: str | None
    behind: tuple[str, ...]

    @property
    def values(self) -> tuple[str, ...]:
        """All of them."""
        return self.behind if self.own is None else (self.own, *self.behind)

    def agrees(self, name: str, asked: str) -> bool:
        """Whether the own value, or that of all devices behind, is what was asked."""
        return (self.own is not None and is_as_asked(name, asked, self.own)) or (
            bool(self.behind) and all(is_as_asked(name, asked, value) for value in self.behind)
        )


def read(compiled: Any, name: str) -> Reading:
    """Ask a compiled model for a property; an empty reading if it knows none of that name."""
    own = _get(compiled, name)
    texts = tuple(as_text(properties[name]) for properties in behind(compiled).values() if name in properties)
    return Reading(None if own is None else as_text(own), texts)


def behind(compiled: Any) -> Mapping[str, Mapping[str, Any]]:
    """The properties of each device behind AUTO, MULTI, HETERO or BATCH; empty for a device itself."""
    return _get(compiled, "DEVICE_PROPERTIES") or {}


def is_as_asked(name: str, asked: str, got: str) -> bool:
    """Whether two spellings mean one value: YES and true, 2 and 2.0, f16 and F16."""
    return asked.upper() in _OWN_CHOICE.get(name, ()) or _comparable(asked) == _comparable(got)


def parse_device_properties(text: str) -> dict[str, dict[str, str]]:
    """`{CPU:{NUM_STREAMS:2},GPU:{NUM_STREAMS:4}}` as a mapping."""
    found = re.findall(r"([A-Z][\w.]*)\s*:\s*\{([^{}]*)\}", text)
    return {
        device: {key.strip(): value.strip() for key, _, value in (pair.partition(":") for pair in body.split(","))}
        for device, body in found
    }


def _comparable(value: str) -> str:
    text = value.strip().upper()
    text = _WORDS.get(text, text).removeprefix("LOG_")
    try:
        return repr(float(text))
    except ValueError:
        return text


def _get(compiled: Any, name: str) -> Any:
    try:
        return compiled.get_property(name)
    except (RuntimeError, TypeError):  # not supported, or of a type that Python does not know
        return None
