"""A simulated machine with a GPU and an NPU, in place of `ov.Core()`.

The devices reject what their plugins reject according to OpenVINO's documentation:
    NPU  https://docs.openvino.ai/2026/openvino-workflow/running-inference/inference-devices-and-modes/npu-device.html
    GPU  https://docs.openvino.ai/2026/openvino-workflow/running-inference/inference-devices-and-modes/gpu-device.html
`Behaviour` configures how infer requests behave.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import openvino as ov
from fake_requests import Behaviour, FakeClock, FakeRequest, Tally

__all__ = [
    "CPU",
    "GPU",
    "GPU_WITHOUT_DRIVER",
    "NPU",
    "Behaviour",
    "FakeClock",
    "FakeCompiledModel",
    "FakeCore",
    "FakeDevice",
    "FakeRequest",
]

_COMMON = {"PERFORMANCE_HINT": "LATENCY", "PERFORMANCE_HINT_NUM_REQUESTS": 0, "PERF_COUNT": False, "CACHE_DIR": ""}


@dataclass(frozen=True)
class FakeDevice:
    """A simulated device.

    Attributes:
        precisions: supported inference precisions, the default first.
        writable: properties that can be set, with their defaults; others are rejected.
        ignored: properties that are accepted silently and have no effect.
        broken: the error that its plugin raises on every call; None for a working one.
    """

    name: str
    full_name: str
    precisions: tuple[str, ...]
    capabilities: tuple[str, ...]
    writable: Mapping[str, Any]
    max_streams: int = 2
    static_only: bool = False
    max_batch: int | None = None
    ignored: frozenset[str] = frozenset()
    broken: str | None = None


CPU = FakeDevice(
    "CPU", "Fake CPU", ("f32",), ("FP32", "INT8", "EXPORT_IMPORT"),
    {**_COMMON, "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 2, "INFERENCE_PRECISION_HINT": "f32",
     "ENABLE_CPU_PINNING": True},
)  # fmt: skip
GPU = FakeDevice(
    "GPU", "Fake GPU (dGPU)", ("f16", "f32"), ("FP32", "FP16", "INT8", "EXPORT_IMPORT"),
    {**_COMMON, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f16", "GPU_QUEUE_THROTTLE": "MEDIUM"},
)  # fmt: skip
GPU_WITHOUT_DRIVER = replace(
    GPU, broken='Cannot load library "/x/libgpu.so": libOpenCL.so.1: cannot open shared object'
)  # fmt: skip
# https://docs.openvino.ai/2026/openvino-workflow/running-inference/inference-devices-and-modes/npu-device.html:
# NUM_STREAMS is read-only, the hardware computes in f16, shapes are static.
NPU = FakeDevice(
    "NPU", "Fake NPU", ("f16",), ("FP16", "INT8", "EXPORT_IMPORT"),
    {**_COMMON, "INFERENCE_PRECISION_HINT": "f16", "ENABLE_CPU_PINNING": False, "NPU_TURBO": False},
    max_streams=1, static_only=True, max_batch=1,
)  # fmt: skip
_PLUGINS = ("AUTO", "MULTI", "HETERO", "BATCH")
_REAL_CORE = ov.Core  # kept here because a test may replace it by the fake


@dataclass
class FakeCore:
    """`ov.Core` with these devices.

    Attributes:
        compiled: device, properties and model of each compilation, in order.
    """

    devices: tuple[FakeDevice, ...] = (CPU, GPU, NPU)
    behaviour: Behaviour = field(default_factory=Behaviour)
    compiled: list[tuple[str, dict[str, Any], FakeCompiledModel]] = field(default_factory=list)
    properties: dict[str, Any] = field(default_factory=dict)

    @property
    def available_devices(self) -> list[str]:
        return [device.name for device in self.devices if device.broken is None]

    def get_versions(self, device: str) -> dict[str, Any]:
        self._find(device)
        return {device: type("Version", (), {"build_number": "2026.0-fake", "description": f"fake {device} plugin"})()}

    def read_model(self, *arguments: Any) -> ov.Model:
        return _REAL_CORE().read_model(*arguments)

    def set_property(self, *arguments: Any) -> None:
        self.properties.update(arguments[-1])

    def get_property(self, *arguments: str) -> Any:
        if len(arguments) == 1:
            return self.properties[arguments[0]]
        name, key = arguments
        if name in _PLUGINS:
            return {"SUPPORTED_PROPERTIES": {"PERFORMANCE_HINT": "RW"}}[key]
        device = self._find(name)
        readable = {
            "FULL_DEVICE_NAME": device.full_name,
            "OPTIMIZATION_CAPABILITIES": list(device.capabilities),
            "RANGE_FOR_STREAMS": (1, device.max_streams),
            "RANGE_FOR_ASYNC_INFER_REQUESTS": (1, 4, 1),
            **device.writable,
        }
        if key == "SUPPORTED_PROPERTIES":
            return {"SUPPORTED_PROPERTIES": "RO"} | {
                name: "RW" if name in device.writable else "RO" for name in readable
            }
        if key not in readable:
            raise RuntimeError(f"Unsupported property {key} by {name} plugin.")
        return readable[key]

    def compile_model(self, model: ov.Model, device: str, config: Mapping[str, Any] | None = None) -> FakeCompiledModel:
        config = dict(config or {})
        plugin, _, names = device.partition(":")
        behind = [plugin]
        if plugin in _PLUGINS:
            listed = re.sub(r"\(\d+\)", "", names).split(",") if names else []
            behind = [name for name in listed if not name.startswith("-")]
            behind = behind or [name for name in self.available_devices if f"-{name}" not in listed]
        devices = [self._find(name) for name in behind]
        chosen = devices if plugin in ("MULTI", "HETERO") else devices[:1]
        values = {one.name: _configure(one, model, config, lenient=plugin in _PLUGINS) for one in chosen}
        compiled = FakeCompiledModel(model, plugin, values, self.behaviour)
        self.compiled.append((device, config, compiled))
        return compiled

    def _find(self, name: str) -> FakeDevice:
        for device in self.devices:
            if device.name == name or f"{device.name}.0" == name:
                if device.broken is not None:
                    raise RuntimeError(f"Exception from src/core.cpp:268:\n{device.broken}\n\n")
                return device
        raise RuntimeError(f'Device with "{name}" name is not registered in the OpenVINO Runtime')


def _configure(device: FakeDevice, model: ov.Model, config: Mapping[str, Any], *, lenient: bool) -> dict[str, Any]:
    """The device's properties after compiling. Raises: RuntimeError, if the plugin would reject the model."""
    shape = model.inputs[0].get_partial_shape()
    if device.static_only and shape.is_dynamic:
        raise RuntimeError(f"to_shape was called on a dynamic shape ({device.name}: only static shapes are supported)")
    if device.max_batch is not None and shape[0].get_length() > device.max_batch:
        raise RuntimeError(f"{device.name}: batch {shape[0]} is not supported")
    values = dict(device.writable)
    for name, value in config.items():
        if name in device.ignored or (lenient and name not in values):
            continue
        if name not in values:
            raise RuntimeError(f"NotFound: Unsupported property {name} by {device.name} plugin.")
        values[name] = value
    if values["INFERENCE_PRECISION_HINT"] not in device.precisions:
        values["INFERENCE_PRECISION_HINT"] = device.precisions[0]
    throughput = values["PERFORMANCE_HINT"] != "LATENCY" and "NUM_STREAMS" not in config
    streams = device.max_streams if throughput else int(values.get("NUM_STREAMS", 1))
    values["NUM_STREAMS"] = min(streams, device.max_streams)
    values["OPTIMAL_NUMBER_OF_INFER_REQUESTS"] = max(values["NUM_STREAMS"], 4 if device.static_only else 1)
    return values


class FakeCompiledModel:
    """`ov.CompiledModel`; AUTO, MULTI and HETERO hold the properties of the devices behind them, as the real ones."""

    def __init__(
        self, model: ov.Model, plugin: str, values: dict[str, dict[str, Any]], behaviour: Behaviour | None = None
    ) -> None:
        self.inputs, self.outputs = model.inputs, model.outputs
        self.tally = Tally()
        self._behaviour = behaviour or Behaviour()
        self._properties: dict[str, Any] = {"EXECUTION_DEVICES": list(values)}
        first = next(iter(values.values()))
        if plugin in _PLUGINS:
            self._properties["DEVICE_PROPERTIES"] = values
            optimal = sum(one["OPTIMAL_NUMBER_OF_INFER_REQUESTS"] for one in values.values())
            self._properties["OPTIMAL_NUMBER_OF_INFER_REQUESTS"] = optimal
        else:
            self._properties.update(first)

    def get_property(self, name: str) -> Any:
        if name == "SUPPORTED_PROPERTIES":
            return dict.fromkeys(["SUPPORTED_PROPERTIES", *self._properties], "RO")
        if name not in self._properties:
            raise RuntimeError(f"Unsupported property {name}")
        return self._properties[name]

    def export_model(self) -> Any:
        raise RuntimeError("Exception from src/fake.cpp:1:\nnot implemented\n\n")

    def create_infer_request(self) -> FakeRequest:
        with self.tally.lock:
            self.tally.created += 1
            if self.tally.lost:
                raise RuntimeError("[GPU] device lost")
        return FakeRequest(self._behaviour, self.tally, self.inputs, self.outputs)
