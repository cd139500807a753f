"""Documented limits of devices, checked before compiling so that the error message is clear.

Each rule names its page in OpenVINO's documentation. The rules were tested on a CPU and on simulated devices only, not
on a GPU or an NPU.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ov_mobilenet.devices.names import DeviceName, family
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.errors import DeviceError, OvMobilenetError, UsageError

if TYPE_CHECKING:
    import openvino as ov

_PAGES = "https://docs.openvino.ai/2026/openvino-workflow/running-inference/inference-devices-and-modes"
NPU_PAGE = f"{_PAGES}/npu-device.html"
NPU_BATCH_PAGE = f"{_PAGES}/npu-device/batching-on-npu-plugin.html"
GPU_PAGE = f"{_PAGES}/gpu-device.html"
BATCH_PAGE = f"{_PAGES}/automatic-batching.html"
# A GPU reports FP32 and FP16, an NPU only FP16: "computation precision for the HW is FP16" (NPU_PAGE).
_CAPABILITIES = {"FP32": "f32", "BF16": "bf16", "FP16": "f16"}

log = logging.getLogger(__name__)


def check_rules(device: DeviceName, model: ov.Model, settings: DeviceSettings, core: Any) -> None:
    """Check the documented limits of each device in the name.

    AUTO needs one device that can run the model; MULTI, HETERO and BATCH need all of theirs.

    Raises:
        DeviceError: the device cannot run this model, or not at this precision.
        UsageError: the device does not have a requested setting.
    """
    errors = [error for name in device.members if (error := _limit_error(name, model, settings, core)) is not None]
    if errors and (device.plugin != "AUTO" or len(errors) == len(device.members)):
        raise errors[0]
    if device.plugin == "BATCH":
        _check_batch_device(device, model, settings, core)
    if "GPU" in map(family, device.members) and model.inputs[0].get_partial_shape().is_dynamic:
        # GPU_PAGE, Dynamic Shapes: a preview feature, slower than static shapes.
        log.warning("models with a dynamic shape run more slowly on the GPU; convert with --batch 1 (%s)", GPU_PAGE)


def precisions(core: Any, name: str) -> tuple[str, ...]:
    """The inference precisions that a device supports, out of f32, bf16 and f16.

    Raises:
        RuntimeError: the plugin of the device fails.
    """
    capabilities = core.get_property(name, "OPTIMIZATION_CAPABILITIES")
    return tuple(text for key, text in _CAPABILITIES.items() if key in capabilities)


def _limit_error(name: str, model: ov.Model, settings: DeviceSettings, core: Any) -> OvMobilenetError | None:
    wanted = settings.requested_properties().get("INFERENCE_PRECISION_HINT")
    supported = _reported_precisions(core, name)
    if wanted in _CAPABILITIES.values() and supported and wanted not in supported:
        return DeviceError(
            f"device {name} does not support inference precision {wanted}", expected=" or ".join(supported), got=wanted,
            fix=f"Choose {' or '.join(supported)}, or leave the precision to the device",
        )  # fmt: skip
    return _npu_limit_error(model, settings) if family(name) == "NPU" else None


def _npu_limit_error(model: ov.Model, settings: DeviceSettings) -> OvMobilenetError | None:
    shape = model.inputs[0].get_partial_shape()
    if shape.is_dynamic:
        # NPU_PAGE, Limitations.
        return DeviceError(
            "the NPU supports only static shapes", expected="a static shape", got=shape,
            fix=f"Convert with --for npu ({NPU_PAGE})",
        )  # fmt: skip
    if shape[0].get_length() != 1:
        # NPU_BATCH_PAGE: the plugin compiles for one image and runs a batch as single inferences; a compiler for
        # batches is in development. Several infer requests have the same effect without waiting for a full batch.
        return DeviceError(
            "the NPU supports only batch size 1", expected="batch size 1", got=f"batch size {shape[0]}",
            fix=f"Convert with --for npu ({NPU_BATCH_PAGE})",
        )  # fmt: skip
    streams = settings.requested_properties().get("NUM_STREAMS", "1")
    if streams != "1":
        # NPU_PAGE, Supported Properties: ov::num_streams is read-only.
        return UsageError(
            "the NPU supports only one stream",
            expected="--hint throughput, or --nireq",
            got=f"{streams} streams",
            fix=NPU_PAGE,
        )
    return None


def _check_batch_device(device: DeviceName, model: ov.Model, settings: DeviceSettings, core: Any) -> None:
    """BATCH_PAGE, Limitations: static shape, batch size 1, no latency hint, a known size of the batches to collect."""
    shape = model.inputs[0].get_partial_shape()
    if shape.is_dynamic or shape[0].get_length() != 1:
        raise DeviceError(
            "BATCH needs a model with batch size 1", expected="batch size 1 and a static shape", got=shape,
            fix=f"Convert with --batch 1 ({BATCH_PAGE})",
        )  # fmt: skip
    if settings.requests_latency:
        raise UsageError("BATCH does not support the latency hint", expected="the throughput hint", got="hint latency")
    (name,) = device.members
    if device.batch is None and "OPTIMAL_BATCH_SIZE" not in _property_names(core, name):
        raise UsageError(
            f"device {name} does not report an optimal batch size",
            expected=f"BATCH:{name}(8)",
            got=device.text,
            fix=BATCH_PAGE,
        )


def _property_names(core: Any, name: str) -> Iterable[str]:
    try:
        names: Iterable[str] = core.get_property(name, "SUPPORTED_PROPERTIES")
    except RuntimeError:
        return ()
    return names


def _reported_precisions(core: Any, name: str) -> tuple[str, ...]:
    try:
        return precisions(core, name)
    except RuntimeError:
        return ()
