"""Compile a model for a device, and check that the device does what was asked."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ov_mobilenet.devices import model_cache
from ov_mobilenet.devices import properties as property_values
from ov_mobilenet.devices.drivers import reason_of
from ov_mobilenet.devices.names import DeviceName, check_known, check_there, family, parse_device
from ov_mobilenet.devices.rules import check_rules
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.errors import DeviceError, UsageError

if TYPE_CHECKING:
    import openvino as ov

# Taken by OpenVINO itself, whatever the device: no plugin lists them.
# https://docs.openvino.ai/2026/openvino-workflow/running-inference/inference-devices-and-modes/automatic-batching.html
_OF_OPENVINO = ("ALLOW_AUTO_BATCHING", "AUTO_BATCH_TIMEOUT")
# Of those, what a compiled model never tells.
_NEVER_TOLD = ("ALLOW_AUTO_BATCHING",)
_OPTIONS = {"INFERENCE_NUM_THREADS": "threads", "ENABLE_CPU_PINNING": "pinning", "NUM_STREAMS": "streams"}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Compiled:
    """A compiled model and what really runs.

    Attributes:
        device: the devices that execute, as OpenVINO names them (`CPU`, `GPU.1`).
        inference_precision: f32, bf16 or f16; None where the device does not say.
        num_streams: how many requests are worked on at a time; None where the device does not say.
        optimal_nireq: how many infer requests keep the device busy, by its own word.
        nireq: how many were asked for; None for the optimum.
        properties: what was asked, with the values that the compiled model gives; None where it gives none.
    """

    model: ov.CompiledModel
    device: str
    inference_precision: str | None
    num_streams: int | None
    optimal_nireq: int
    nireq: int | None
    properties: Mapping[str, str | None]


def compile_model(model: ov.Model, settings: DeviceSettings, *, core: Any = None) -> Compiled:
    """Compile a model, and read back all that was asked.

    With a fallback, a device that is not there, cannot run the model or not at that precision is replaced, with a
    warning that says why; properties that the fallback does not know are left out and named.

    Args:
        core: `ov.Core()`, or what stands for it in a test.

    Raises:
        DeviceError: the device is not there, cannot run the model, or did not take a setting.
        UsageError: no such property, or one that the device does not take.
    """
    import openvino as ov

    core = core or ov.Core()
    check_known(parse_device(settings.device), core)
    try:
        compiled, unread = _compile(model, settings, core)
    except DeviceError as error:
        if settings.fallback is None:
            raise
        settings, dropped = _for_fallback(settings, settings.fallback, core)
        compiled, unread = _compile_instead(model, settings, core, error)
        without = f", without {', '.join(dropped)}" if dropped else ""
        log.warning("running on %s instead%s: %s", settings.device, without, error)
    properties = _read_back(compiled, settings, unread)
    devices = ",".join(compiled.get_property("EXECUTION_DEVICES"))
    return Compiled(
        compiled,
        devices,
        running_precision(compiled),
        _num_streams(compiled),
        int(property_values.read(compiled, "OPTIMAL_NUMBER_OF_INFER_REQUESTS").own or 1),
        settings.nireq,
        properties,
    )


def running_precision(compiled: Any) -> str | None:
    """The inference precision a compiled model reports; None if it reports none, or its devices differ."""
    found = set(property_values.read(compiled, "INFERENCE_PRECISION_HINT").values) - {"dynamic", "undefined"}
    return found.pop() if len(found) == 1 else None


def _compile(model: ov.Model, settings: DeviceSettings, core: Any) -> tuple[Any, set[str]]:
    """The compiled model, and the properties of which a plugin says that it takes them."""
    device = parse_device(settings.device)
    check_there(device, core)
    listed = _listed(device, core)
    asked = settings.asked()
    for name in asked:
        _check_property(name, device, listed)
    check_rules(device, model, settings, core)
    folder = model_cache.folder(settings.model_cache, map(family, device.candidates(core)))
    config = asked if folder is None else {**asked, "CACHE_DIR": str(folder)}
    try:
        compiled = core.compile_model(model, settings.device, config)
    except RuntimeError as error:
        raise DeviceError(
            f"device {settings.device} cannot be used ({reason_of(error)})",
            expected=f"one of {', '.join(core.available_devices)}, or AUTO",
            got=settings.device,
        ) from error
    if folder is not None:
        model_cache.prune(folder)
    return compiled, {*listed, *_NEVER_TOLD}


def _compile_instead(model: ov.Model, settings: DeviceSettings, core: Any, first: DeviceError) -> tuple[Any, set[str]]:
    try:
        return _compile(model, settings, core)
    except DeviceError as second:
        raise DeviceError(f"{first.what}; the fallback: {second.what}", expected=second.expected) from second


def _for_fallback(settings: DeviceSettings, fallback: str, core: Any) -> tuple[DeviceSettings, list[str]]:
    """The settings for the fallback, and the properties that it does not know."""
    device = parse_device(fallback)
    check_known(device, core)
    listed = _listed(device, core)
    kept = tuple(pair for pair in settings.properties if pair[0] in (*listed, *_OF_OPENVINO))
    dropped = [name for name, _ in settings.properties if name not in dict(kept)]
    return replace(settings, device=fallback, properties=kept, fallback=None), dropped


def _listed(device: DeviceName, core: Any) -> dict[str, str]:
    """The properties of the device, or of all the devices and the plugin before them, and whether they may be set.

    Empty where a plugin says nothing: it is left to compiling then.
    """
    found: dict[str, str] = {}
    for name in (*device.candidates(core), *filter(None, [device.plugin])):
        try:
            of_device = core.get_property(name, "SUPPORTED_PROPERTIES")
        except RuntimeError:
            return {}
        for key, access in of_device.items():
            found[key] = found[key] if "W" in found.get(key, "") else str(access)
    return found


def _check_property(name: str, device: DeviceName, listed: Mapping[str, str]) -> None:
    if name in _OF_OPENVINO or not listed or (name == "DEVICE_PROPERTIES" and device.plugin is not None):
        return
    writable = sorted(key for key, access in listed.items() if "W" in access)
    if name in writable:
        return
    what = f"device {device.text} has no property {name}"
    if name in listed:
        what = f"property {name} of device {device.text} can only be read"
    if name in _OPTIONS:
        what += f" ({_OPTIONS[name]})"
    close = difflib.get_close_matches(name, writable, 1)
    fix = f"Did you mean {close[0]}?" if close else None
    raise UsageError(what, expected=f"one of {', '.join(writable)}", fix=fix)


def _read_back(compiled: Any, settings: DeviceSettings, unread: set[str]) -> dict[str, str | None]:
    """What the compiled model gives for each property that was asked.

    Raises:
        DeviceError: it gives another value, or none for a property that no plugin lists.
    """
    found: dict[str, str | None] = {}
    for name, asked in settings.asked().items():
        if name == "DEVICE_PROPERTIES":
            _read_back_each(compiled, asked)
            found[name] = asked
            continue
        reading = property_values.read(compiled, name)
        if reading.values and not reading.agrees(name, asked):
            raise _not_taken(name, asked, " and ".join(dict.fromkeys(reading.values)), compiled)
        if not reading.values and name not in unread:
            raise _not_taken(name, asked, "nothing: the device does not tell", compiled)
        found[name] = next((text for text in reading.values if property_values.is_as_asked(name, asked, text)), None)
    return found


def _read_back_each(compiled: Any, asked: str) -> None:
    """The same for properties of single devices; those of a device that does not execute are not asked."""
    running = property_values.behind(compiled)
    for device, properties in property_values.parse_device_properties(asked).items():
        for name, value in properties.items() if device in running else ():
            got = running[device].get(name)
            text = "nothing" if got is None else property_values.as_text(got)
            if not property_values.is_as_asked(name, value, text):
                raise _not_taken(f"{name} of {device}", value, text, compiled)


def _not_taken(name: str, asked: str, got: str, compiled: Any) -> DeviceError:
    devices = ",".join(compiled.get_property("EXECUTION_DEVICES"))
    return DeviceError(f"device {devices} did not take {name}", expected=asked, got=got)


def _num_streams(compiled: Any) -> int | None:
    """Its own number, or the sum over the devices behind it."""
    reading = property_values.read(compiled, "NUM_STREAMS")
    if reading.own is not None:
        return int(reading.own)
    return sum(map(int, reading.behind)) if reading.behind else None
