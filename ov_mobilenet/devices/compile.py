"""Compile a model for a device, and check that the device applies the requested settings."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ov_mobilenet.devices import cpu_blobs, model_cache
from ov_mobilenet.devices.drivers import reason_of
from ov_mobilenet.devices.names import DeviceName, check_available, check_known, family, parse_device
from ov_mobilenet.devices.properties import (
    as_text,
    devices_behind,
    is_equal,
    parse_device_properties,
    read_property,
)
from ov_mobilenet.devices.quota_settings import cpu_settings
from ov_mobilenet.devices.rules import check_rules
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.errors import DeviceError, UsageError

if TYPE_CHECKING:
    import openvino as ov

# Properties of OpenVINO itself, for any device; no plugin lists them.
# https://docs.openvino.ai/2026/openvino-workflow/running-inference/inference-devices-and-modes/automatic-batching.html
_CORE_PROPERTIES = ("ALLOW_AUTO_BATCHING", "AUTO_BATCH_TIMEOUT")
# The ones among them that a compiled model does not report.
_NOT_REPORTED = ("ALLOW_AUTO_BATCHING",)
# AUTO passes these on to the only device; others would change what AUTO does, or ask the CPU for what a model from the
# model cache does not have.
_SAME_THROUGH_AUTO = (
    "PERFORMANCE_HINT", "INFERENCE_PRECISION_HINT", "NUM_STREAMS", "INFERENCE_NUM_THREADS", "ENABLE_CPU_PINNING",
)  # fmt: skip
_OPTION_NAMES = {"INFERENCE_NUM_THREADS": "threads", "ENABLE_CPU_PINNING": "pinning", "NUM_STREAMS": "streams"}

log = logging.getLogger(__name__)
_first_use = threading.Lock()


@dataclass(frozen=True)
class Compiled:
    """A compiled model and the settings in effect.

    Attributes:
        device: the devices that run the model, as OpenVINO names them (`CPU`, `GPU.1`).
        inference_precision: f32, bf16 or f16; None if the device does not report it.
        num_streams: number of streams; None if the device does not report it.
        optimal_nireq: the optimal number of infer requests, as reported by the device.
        nireq: the requested number of infer requests; None for the optimal number.
        properties: the requested properties with the values in effect; None for a value that is not reported.
    """

    model: ov.CompiledModel
    device: str
    inference_precision: str | None
    num_streams: int | None
    optimal_nireq: int
    nireq: int | None
    properties: Mapping[str, str | None]


def compile_model(
    model: ov.Model, settings: DeviceSettings, *, core: Any = None, content: str | None = None
) -> Compiled:
    """Compile a model, and read back every requested property.

    If the device is not available, or cannot run the model or the requested precision, the fallback is used; a warning
    gives the reason and the properties that the fallback does not support.

    Args:
        core: `ov.Core()`, or a fake in tests.
        content: a digest of the content of the IR and of how it was adapted. With it the model cache also works for the
            CPU, see `cpu_blobs`; without, OpenVINO decides whether a model in the cache is that of the IR.

    Raises:
        DeviceError: the device is not available, cannot run the model, or did not apply a setting.
        UsageError: a property does not exist or cannot be set.
    """
    import openvino as ov

    _prepare_for_threads()
    core = core or ov.Core()
    check_known(parse_device(settings.device), core)
    try:
        compiled, unverified = _compile(model, settings, core, content)
    except DeviceError as error:
        if settings.fallback is None:
            raise
        settings, dropped = _for_fallback(settings, settings.fallback, core)
        compiled, unverified = _compile_fallback(model, settings, core, content, error)
        without = f", without {', '.join(dropped)}" if dropped else ""
        log.warning("running on %s instead%s: %s", settings.device, without, error)
    properties = _read_back(compiled, settings, unverified)
    devices = ",".join(compiled.get_property("EXECUTION_DEVICES"))
    return Compiled(
        compiled,
        devices,
        running_precision(compiled),
        _num_streams(compiled),
        int(read_property(compiled, "OPTIMAL_NUMBER_OF_INFER_REQUESTS").own or 1),
        settings.nireq,
        properties,
    )


def _prepare_for_threads() -> None:
    """Fill OpenVINO's table of data types, which deadlocks if two threads use it for the first time at once.

    The first `InferRequest.infer` uses the table, and the methods of a `Classifier` may be called from any thread. Seen
    with OpenVINO 2026.4.1: one thread fills the table and waits for the GIL, another holds the GIL and waits for the
    table.
    """
    import openvino as ov

    with _first_use:
        ov.Type.u8.to_dtype()


def running_precision(compiled: Any) -> str | None:
    """The inference precision that a compiled model reports; None if it reports none or its devices differ."""
    found = set(read_property(compiled, "INFERENCE_PRECISION_HINT").values) - {"dynamic", "undefined"}
    return found.pop() if len(found) == 1 else None


def _compile(model: ov.Model, settings: DeviceSettings, core: Any, content: str | None) -> tuple[Any, set[str]]:
    """The compiled model, and the properties that are accepted without being reported back."""
    device = parse_device(settings.device)
    check_available(device, core)
    requested = settings.requested_properties()
    supported = _supported(device, core) if requested else {}  # without a request it need not load AUTO's plugin
    for name in requested:
        _check_property(name, device, supported)
    check_rules(device, model, settings, core)
    families = set(map(family, device.candidates(core)))
    has_key = content is not None and _is_only_cpu(device, requested, families)
    wanted = None if settings.model_cache == "on" and not has_key else settings.model_cache
    folder = model_cache.folder(wanted, families)
    config = {**_settings_for_quota(device, requested, core), **requested}
    try:
        if folder is None:
            compiled = core.compile_model(model, settings.device, config)
        elif content is not None and has_key:
            compiled = cpu_blobs.compile_model(model, config, core, folder, content, warn=wanted != "on")
        else:
            compiled = core.compile_model(model, settings.device, {**config, "CACHE_DIR": str(folder)})
    except RuntimeError as error:
        raise DeviceError(
            f"device {settings.device} cannot be used ({reason_of(error)})",
            expected=f"one of {', '.join(core.available_devices)}, or AUTO",
            got=settings.device,
        ) from error
    if folder is not None:
        model_cache.prune(folder)
    return compiled, {*supported, *_NOT_REPORTED}


def _is_only_cpu(device: DeviceName, requested: Mapping[str, str], families: set[str]) -> bool:
    """Whether the model runs on the CPU with settings that mean the same directly and through AUTO."""
    return (
        families == {"CPU"}
        and device.plugin in (None, "AUTO")
        and requested.keys() <= set(_SAME_THROUGH_AUTO)
        and requested.get("PERFORMANCE_HINT", "LATENCY").upper() in ("LATENCY", "THROUGHPUT")
    )


def _settings_for_quota(device: DeviceName, requested: Mapping[str, str], core: Any) -> dict[str, str]:
    """The settings for a container whose CPU quota is lower than its number of CPUs; empty for other devices."""
    if "DEVICE_PROPERTIES" in requested or set(map(family, device.candidates(core))) != {"CPU"}:
        return {}
    streams = requested.get("NUM_STREAMS", "")
    return cpu_settings(int(streams) if streams.isdecimal() else 1)


def _compile_fallback(
    model: ov.Model, settings: DeviceSettings, core: Any, content: str | None, first: DeviceError
) -> tuple[Any, set[str]]:
    try:
        return _compile(model, settings, core, content)
    except DeviceError as second:
        raise DeviceError(f"{first.what}; fallback: {second.what}", expected=second.expected) from second


def _for_fallback(settings: DeviceSettings, fallback: str, core: Any) -> tuple[DeviceSettings, list[str]]:
    """The settings for the fallback, and the properties that it does not support."""
    device = parse_device(fallback)
    check_known(device, core)
    supported = _supported(device, core)
    kept = tuple(pair for pair in settings.properties if pair[0] in (*supported, *_CORE_PROPERTIES))
    dropped = [name for name, _ in settings.properties if name not in dict(kept)]
    return replace(settings, device=fallback, properties=kept, fallback=None), dropped


def _supported(device: DeviceName, core: Any) -> dict[str, str]:
    """The supported properties of all devices in a name and of their plugin, with the access (RO, RW, WO).

    Empty if a plugin does not list them; compiling then reports an unsupported property.
    """
    found: dict[str, str] = {}
    for name in (*device.candidates(core), *filter(None, [device.plugin])):
        try:
            listed = core.get_property(name, "SUPPORTED_PROPERTIES")
        except RuntimeError:
            return {}
        for key, access in listed.items():
            found[key] = found[key] if "W" in found.get(key, "") else str(access)
    return found


def _check_property(name: str, device: DeviceName, supported: Mapping[str, str]) -> None:
    if name in _CORE_PROPERTIES or not supported or (name == "DEVICE_PROPERTIES" and device.plugin is not None):
        return
    writable = sorted(key for key, access in supported.items() if "W" in access)
    if name in writable:
        return
    import difflib  # only for this error

    what = f"device {device.text} has no property {name}"
    if name in supported:
        what = f"property {name} of device {device.text} is read-only"
    if name in _OPTION_NAMES:
        what += f" ({_OPTION_NAMES[name]})"
    close = difflib.get_close_matches(name, writable, 1)
    fix = f"Did you mean {close[0]}?" if close else None
    raise UsageError(what, expected=f"one of {', '.join(writable)}", fix=fix)


def _read_back(compiled: Any, settings: DeviceSettings, unverified: set[str]) -> dict[str, str | None]:
    """The value of each requested property in the compiled model; None if it is not reported.

    Raises:
        DeviceError: a value differs from the requested one, or a property that no plugin lists is not reported.
    """
    found: dict[str, str | None] = {}
    for name, requested in settings.requested_properties().items():
        if name == "DEVICE_PROPERTIES":
            _read_back_each(compiled, requested)
            found[name] = requested
            continue
        reading = read_property(compiled, name)
        if reading.values and not reading.agrees(name, requested):
            raise _not_applied(name, requested, " and ".join(dict.fromkeys(reading.values)), compiled)
        if not reading.values and name not in unverified:
            raise _not_applied(name, requested, "no value: the device does not report it", compiled)
        found[name] = next((text for text in reading.values if is_equal(name, requested, text)), None)
    return found


def _read_back_each(compiled: Any, requested: str) -> None:
    """Check `DEVICE_PROPERTIES`, the properties of single devices; devices that do not run the model are skipped."""
    running = devices_behind(compiled)
    for device, properties in parse_device_properties(requested).items():
        for name, value in properties.items() if device in running else ():
            got = running[device].get(name)
            text = "no value" if got is None else as_text(got)
            if not is_equal(name, value, text):
                raise _not_applied(f"{name} of {device}", value, text, compiled)


def _not_applied(name: str, requested: str, got: str, compiled: Any) -> DeviceError:
    devices = ",".join(compiled.get_property("EXECUTION_DEVICES"))
    return DeviceError(f"device {devices} did not apply {name}", expected=requested, got=got)


def _num_streams(compiled: Any) -> int | None:
    """The number of streams of the compiled model, or the sum over the devices behind it."""
    reading = read_property(compiled, "NUM_STREAMS")
    if reading.own is not None:
        return int(reading.own)
    return sum(map(int, reading.behind)) if reading.behind else None
