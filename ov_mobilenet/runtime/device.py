"""Compile a model for a device, and check that the device does what was asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ov_mobilenet.errors import DeviceError, UsageError

if TYPE_CHECKING:
    import openvino as ov

Hint = Literal["latency", "throughput", "cumulative_throughput"]
InferencePrecision = Literal["f32", "bf16", "f16"]
_HINTS = {"latency": "LATENCY", "throughput": "THROUGHPUT", "cumulative_throughput": "CUMULATIVE_THROUGHPUT"}
_TYPE_NAMES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}


@dataclass(frozen=True)
class Compiled:
    """A compiled model and what really runs.

    Attributes:
        device: the devices that execute, as OpenVINO names them (`CPU`, `GPU.1`).
        inference_precision: f32, bf16 or f16; None where the device does not say.
    """

    model: ov.CompiledModel
    device: str
    inference_precision: str | None


def compile_model(
    model: ov.Model,
    device: str,
    *,
    hint: Hint | None = None,
    inference_precision: InferencePrecision | None = None,
) -> Compiled:
    """Compile a model.

    Args:
        device: as OpenVINO names it: CPU, GPU, NPU, AUTO, AUTO:GPU,CPU, MULTI:…
        hint: performance hint; None for the device's own.
        inference_precision: None for the device's own choice, which on CPUs with bf16 is bf16.

    Raises:
        DeviceError: no such device, it cannot run the model, or it runs at another precision than asked.
        UsageError: an unknown hint or precision.
    """
    import openvino as ov

    properties: dict[str, str] = {}
    if hint is not None:
        properties["PERFORMANCE_HINT"] = _choose("hint", hint, _HINTS)
    if inference_precision is not None:
        names = {name: name for name in _TYPE_NAMES.values()}
        properties["INFERENCE_PRECISION_HINT"] = _choose("inference precision", inference_precision, names)
    core = ov.Core()
    try:
        compiled = core.compile_model(model, device, properties)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise DeviceError(
            f"device {device} cannot be used ({lines[-1] if lines else 'no reason given'})",
            expected=f"one of {', '.join(core.available_devices)}, or AUTO",
            got=device,
        ) from error
    devices = list(compiled.get_property("EXECUTION_DEVICES"))
    precision = running_precision(compiled)
    if inference_precision is not None and precision not in (None, inference_precision):
        raise DeviceError(
            f"device {','.join(devices)} does not run at {inference_precision}",
            expected=inference_precision,
            got=precision,
            fix=f"Ask for {precision}, for f32, or leave the choice to the device",
        )
    return Compiled(compiled, ",".join(devices), precision)


def _choose(what: str, name: str, known: dict[str, str]) -> str:
    if name not in known:
        raise UsageError(f"unknown {what}", expected=" or ".join(known), got=repr(name))
    return known[name]


def running_precision(compiled: Any) -> str | None:
    """The inference precision a compiled model reports; None if the device reports none.

    AUTO, MULTI and HETERO do not answer themselves but hold the properties of each device behind them.
    """
    supported = compiled.get_property("SUPPORTED_PROPERTIES")
    if "INFERENCE_PRECISION_HINT" in supported:
        value = compiled.get_property("INFERENCE_PRECISION_HINT")
    elif "DEVICE_PROPERTIES" in supported:
        properties = compiled.get_property("DEVICE_PROPERTIES")
        found = {
            str(_type_name(p["INFERENCE_PRECISION_HINT"]))
            for p in properties.values()
            if "INFERENCE_PRECISION_HINT" in p
        }
        return found.pop() if len(found) == 1 else None
    else:
        return None
    return _type_name(value)


def _type_name(value: Any) -> str | None:
    """`<Type: 'bfloat16'>` as bf16."""
    name = value.get_type_name() if hasattr(value, "get_type_name") else str(value)
    return _TYPE_NAMES.get(name, name) if name not in ("dynamic", "undefined") else None
