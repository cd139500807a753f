"""Calls of NNCF. Its output is suppressed, because stdout is reserved for data."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ov_mobilenet.errors import ConversionError, MissingDependencyError, install_extra
from ov_mobilenet.ir.layout import input_layout
from ov_mobilenet.quantization.topology import QuantisationScheme

if TYPE_CHECKING:
    import numpy as np
    import openvino as ov
    from numpy.typing import NDArray

    from ov_mobilenet.ir.record import IrRecord

OLDEST_OPENVINO = 2026
_INSTALL = install_extra("quantize")


@dataclass(frozen=True)
class QuantisationRequest:
    """A network to quantise, with its calibration images and settings.

    Attributes:
        network: the float network; it is not changed.
        record: the record of the network.
        pixels: the calibration images, uint8 (N, height, width, 3) in BGR.
    """

    network: ov.Model
    record: IrRecord
    pixels: NDArray[np.uint8]
    scheme: QuantisationScheme
    fast_bias_correction: bool


def check_installed() -> None:
    """Check that NNCF and a recent OpenVINO are installed. Raises: MissingDependencyError."""
    import openvino as ov

    release = ov.get_version().split(".")[0]
    if release.isdigit() and int(release) < OLDEST_OPENVINO:
        raise MissingDependencyError(
            "OpenVINO is too old for NNCF", expected=f"{OLDEST_OPENVINO} or newer", got=ov.get_version(), fix=_INSTALL
        )
    try:
        with _suppress_output():
            import nncf  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(f"quantisation needs NNCF ({error})", fix=_INSTALL) from error


def version() -> str:
    """Return the version of NNCF."""
    return metadata.version("nncf")


def device_warnings(device: str) -> list[str]:
    """Return warnings that INT8 will not be faster on a device."""
    import openvino as ov

    from ov_mobilenet.devices.machine import cpu_flags

    try:
        capabilities = ov.Core().get_property(device, "OPTIMIZATION_CAPABILITIES")
    except RuntimeError:
        return [f"device {device} is not available, so it is unknown whether it supports INT8"]
    if "INT8" not in capabilities:
        return [f"{device} does not support INT8 ({', '.join(capabilities)}): the model will not be faster there"]
    flags = cpu_flags() if device.startswith("CPU") else None
    # Flags of another architecture are not in the dictionary.
    for names in (("VNNI", "AMX"), ("int8 dot product", "i8mm")):
        if flags is not None and names[0] in flags and not any(flags[name] for name in names):
            return [f"this CPU has neither {names[0]} nor {names[1]}: INT8 will hardly be faster than float"]
    return []


def quantise(request: QuantisationRequest) -> ov.Model:
    """Quantise a network.

    Returns:
        A new network with the input shape of the float one.

    Raises:
        ConversionError: NNCF cannot quantise the network.
    """
    import nncf

    model, shape = _with_batch_1(request.network)
    with _suppress_output(), _nncf_errors(request.record):
        quantised = nncf.quantize(
            model,
            nncf.Dataset(list(request.pixels), _feeder(model, request.record)),
            fast_bias_correction=request.fast_bias_correction,
            **_options(request.scheme, len(request.pixels)),
        )
    quantised.reshape(shape)
    return quantised


def quantise_with_accuracy_control(
    request: QuantisationRequest, images: NDArray[np.uint8], labels: NDArray[np.int64], max_drop: float
) -> ov.Model:
    """Quantise a network, and revert layers to float until top-1 drops by at most `max_drop`.

    Args:
        images: labelled images, uint8 (N, height, width, 3) in BGR.
        labels: class of each image, int64 (N,).
        max_drop: largest allowed drop of top-1, as a fraction.

    Returns:
        As `quantise`. The drop can still be larger, because NNCF measures it with float32 weights.

    Raises:
        ConversionError: NNCF cannot quantise the network.
    """
    import nncf
    import numpy as np

    model, shape = _with_batch_1(request.network)
    feed = _feeder(model, request.record)

    def top1(compiled: Any, items: Any) -> float:
        hits = [int(np.argmax(compiled(image)[compiled.output(0)])) == label for image, label in items]
        return float(np.mean(hits))

    validation = [(feed(frame), int(label)) for frame, label in zip(images, labels, strict=True)]
    options = _options(request.scheme, len(request.pixels))
    options["advanced_quantization_parameters"] = options.pop("advanced_parameters")
    with _suppress_output(), _nncf_errors(request.record):
        quantised = nncf.quantize_with_accuracy_control(
            model,
            nncf.Dataset([(frame, 0) for frame in request.pixels], lambda item: feed(item[0])),
            nncf.Dataset(validation, lambda item: item[0]),
            top1,
            max_drop=max_drop,
            fast_bias_correction=request.fast_bias_correction,
            **options,
        )
    quantised.reshape(shape)
    return quantised


def _options(scheme: QuantisationScheme, count: int) -> dict[str, Any]:
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters
    from nncf.quantization.range_estimator import RangeEstimatorParameters, RangeEstimatorParametersSet

    largest = RangeEstimatorParametersSet.MINMAX
    ranges = largest if scheme.ranges == "largest" else RangeEstimatorParameters()
    return {
        "preset": nncf.QuantizationPreset.MIXED if scheme.preset == "mixed" else nncf.QuantizationPreset.PERFORMANCE,
        "target_device": nncf.TargetDevice.ANY,
        "subset_size": count,
        "ignored_scope": nncf.IgnoredScope(names=list(scheme.in_float), validate=False),
        "advanced_parameters": AdvancedQuantizationParameters(activations_range_estimator_params=ranges),
    }


def _with_batch_1(network: ov.Model) -> tuple[ov.Model, ov.PartialShape]:
    """Return a copy with batch size 1, and the original input shape."""
    model = network.clone()
    shape = model.inputs[0].get_partial_shape()
    model.reshape([1, *list(shape)[1:]])
    return model, shape


def _feeder(model: ov.Model, record: IrRecord) -> Callable[[NDArray[np.uint8]], NDArray[Any]]:
    """Return a function that maps a frame, uint8 (H, W, 3) BGR, to the model's input."""
    import numpy as np
    import openvino as ov

    planar = input_layout(model, None) == "NCHW"
    dtype = np.uint8 if model.inputs[0].get_element_type() == ov.Type.u8 else np.float32

    def feed(frame: NDArray[np.uint8]) -> NDArray[Any]:
        ordered = frame[..., ::-1] if record.channel_order == "RGB" else frame
        fed: NDArray[Any] = np.ascontiguousarray(ordered.transpose(2, 0, 1) if planar else ordered)[None].astype(dtype)
        return fed

    return feed


@contextlib.contextmanager
def _nncf_errors(record: IrRecord) -> Iterator[None]:
    """Turn exceptions of NNCF and OpenVINO into a ConversionError with one short message."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ConversionError(
            f"NNCF cannot quantise the network ({lines[-1][:200]})", where=Path(record.config_name)
        ) from error


@contextlib.contextmanager
def _suppress_output() -> Iterator[None]:
    """Suppress NNCF's progress bars, log messages and warnings; the warnings are about its own options."""
    import warnings

    logger = logging.getLogger("nncf")
    level = logger.level
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("nncf").setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)
