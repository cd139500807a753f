"""What a device does not do, by its documentation: asked before compiling, so that the answer is one clear sentence.

Each rule names its page. They were tried on a CPU and on a fake device only: no GPU and no NPU was at hand.
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
# A GPU reports FP32 and FP16, an NPU FP16 alone: "computation precision for the HW is FP16" (NPU_PAGE).
_CAPABILITIES = {"FP32": "f32", "BF16": "bf16", "FP16": "f16"}

log = logging.getLogger(__name__)


def check_rules(device: DeviceName, model: ov.Model, settings: DeviceSettings, core: Any) -> None:
    """Check the documented limits of each device that is named. AUTO needs one that can; the others need all.

    Raises:
        DeviceError: the device cannot run this model, or not at this precision.
        UsageError: the device has no such setting.
    """
    troubles = [_trouble(name, model, settings, core) for name in device.members]
    found = [trouble for trouble in troubles if trouble is not None]
    if found and (device.plugin != "AUTO" or len(found) == len(troubles)):
        raise found[0]
    if device.plugin == "BATCH":
        _check_batch_device(device, model, settings, core)
    if "GPU" in map(family, device.members) and model.inputs[0].get_partial_shape().is_dynamic:
        # GPU_PAGE, Dynamic Shapes: a preview, slower than static shapes.
        log.warning("the GPU runs models of dynamic shape more slowly; convert with --batch 1 (%s)", GPU_PAGE)


def precisions(core: Any, name: str) -> tuple[str, ...]:
    """The inference precisions of a device, of f32, bf16 and f16. Raises: RuntimeError, where its plugin fails."""
    own = core.get_property(name, "OPTIMIZATION_CAPABILITIES")
    return tuple(text for key, text in _CAPABILITIES.items() if key in own)


def _trouble(name: str, model: ov.Model, settings: DeviceSettings, core: Any) -> OvMobilenetError | None:
    wanted = settings.asked().get("INFERENCE_PRECISION_HINT")
    there = _precisions_told(core, name)
    if wanted in _CAPABILITIES.values() and there and wanted not in there:
        return DeviceError(
            f"device {name} does not run at {wanted}", expected=" or ".join(there), got=wanted,
            fix=f"Ask for {' or '.join(there)}, or leave the choice to the device",
        )  # fmt: skip
    return _npu_trouble(model, settings) if family(name) == "NPU" else None


def _npu_trouble(model: ov.Model, settings: DeviceSettings) -> OvMobilenetError | None:
    shape = model.inputs[0].get_partial_shape()
    if shape.is_dynamic:
        # NPU_PAGE, Limitations: only models with static shapes.
        return DeviceError(
            "the NPU takes static shapes alone", expected="a fixed size", got=shape,
            fix=f"Convert with --for npu ({NPU_PAGE})",
        )  # fmt: skip
    if shape[0].get_length() != 1:
        # NPU_BATCH_PAGE: the plugin compiles for one image and runs a batch as so many inferences; a compiler that
        # takes more is under way. More infer requests do the same without waiting for a batch to fill.
        return DeviceError(
            "the NPU compiles for one image", expected="batch 1", got=f"batch {shape[0]}",
            fix=f"Convert with --for npu ({NPU_BATCH_PAGE})",
        )  # fmt: skip
    streams = settings.asked().get("NUM_STREAMS", "1")
    if streams != "1":
        # NPU_PAGE, Supported Properties: ov::num_streams is read-only.
        return UsageError(
            "the NPU has one stream", expected="--hint throughput, or --nireq", got=f"{streams} streams", fix=NPU_PAGE
        )
    return None


def _check_batch_device(device: DeviceName, model: ov.Model, settings: DeviceSettings, core: Any) -> None:
    """BATCH_PAGE, Limitations: no dynamic model, batch 1, no latency hint; and a size, where the device knows none."""
    shape = model.inputs[0].get_partial_shape()
    if shape.is_dynamic or shape[0].get_length() != 1:
        raise DeviceError(
            "BATCH gathers images for a model of batch 1", expected="batch 1 and fixed sizes", got=shape,
            fix=f"Convert with --batch 1 ({BATCH_PAGE})",
        )  # fmt: skip
    if settings.asked().get("PERFORMANCE_HINT") == "LATENCY":
        raise UsageError("BATCH waits for images to gather", expected="the throughput hint", got="hint latency")
    (name,) = device.members
    if device.batch is None and "OPTIMAL_BATCH_SIZE" not in _names(core, name):
        raise UsageError(
            f"{name} does not say which batch is best for it",
            expected=f"BATCH:{name}(8)",
            got=device.text,
            fix=BATCH_PAGE,
        )


def _names(core: Any, name: str) -> Iterable[str]:
    try:
        names: Iterable[str] = core.get_property(name, "SUPPORTED_PROPERTIES")
    except RuntimeError:
        return ()
    return names


def _precisions_told(core: Any, name: str) -> tuple[str, ...]:
    try:
        return precisions(core, name)
    except RuntimeError:
        return ()
