"""All that is asked of NNCF, and what keeps it quiet: stdout is data."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ov_mobilenet.errors import ConversionError, MissingDependencyError
from ov_mobilenet.ir.layout import input_layout
from ov_mobilenet.quantization.topology import Scheme

if TYPE_CHECKING:
    import numpy as np
    import openvino as ov
    from numpy.typing import NDArray

    from ov_mobilenet.ir.record import IrRecord
    from ov_mobilenet.quantization.calibration import Frames

OLDEST_OPENVINO = 2026
_INSTALL = 'Install it: pip install "ov-mobilenet[quantize]"'


def require() -> None:
    """Raises: MissingDependencyError if NNCF is not there or OpenVINO is too old for it."""
    import openvino as ov

    release = ov.get_version().split(".")[0]
    if release.isdigit() and int(release) < OLDEST_OPENVINO:
        raise MissingDependencyError(
            "OpenVINO is too old for NNCF", expected=f"{OLDEST_OPENVINO} or newer", got=ov.get_version(), fix=_INSTALL
        )
    try:
        with _quiet():
            import nncf  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(f"quantisation needs NNCF ({error})", fix=_INSTALL) from error


def version() -> str:
    """NNCF's."""
    return metadata.version("nncf")


def device_doubts(device: str) -> list[str]:
    """Sentences on why INT8 will not be faster there."""
    import openvino as ov

    from ov_mobilenet.devices.machine import cpu_flags

    try:
        capabilities = ov.Core().get_property(device, "OPTIMIZATION_CAPABILITIES")
    except RuntimeError:
        return [f"{device} is not here, so whether it computes in INT8 is not known"]
    if "INT8" not in capabilities:
        return [f"{device} does not compute in INT8 ({', '.join(capabilities)}): the model will be no faster there"]
    flags = cpu_flags() if device.startswith("CPU") else None
    if flags is not None and not (flags.get("VNNI") or flags.get("AMX")):
        return ["this CPU has neither VNNI nor AMX: INT8 will hardly be faster than float here"]
    return []


def run(
    network: ov.Model, record: IrRecord, pixels: NDArray[np.uint8], scheme: Scheme, fast_bias_correction: bool | None
) -> ov.Model:
    """The quantised network; the one that is given stays as it is. Raises: ConversionError."""
    import nncf

    model, shape = _one_image(network)
    with _quiet(), _surgery(record):
        made = nncf.quantize(
            model,
            nncf.Dataset(list(pixels), _feeder(model, record)),
            fast_bias_correction=bool(fast_bias_correction),
            **_options(scheme, len(pixels)),
        )
    made.reshape(shape)
    return made


def run_controlled(
    network: ov.Model,
    record: IrRecord,
    pixels: NDArray[np.uint8],
    scheme: Scheme,
    fast_bias_correction: bool | None,
    labelled: tuple[Frames, NDArray[np.int64]],
    max_drop: float,
) -> ov.Model:
    """As `run`; layers are put back to float until top-1 on the labelled images drops no further than allowed."""
    import nncf
    import numpy as np

    model, shape = _one_image(network)
    feed = _feeder(model, record)

    def top1(compiled: Any, items: Any) -> float:
        hits = [int(np.argmax(compiled(image)[compiled.output(0)])) == label for image, label in items]
        return float(np.mean(hits))

    def unlabelled(item: tuple[NDArray[np.uint8], int]) -> NDArray[Any]:
        fed: NDArray[Any] = feed(item[0])
        return fed

    frames, labels = labelled
    checked = [(feed(frame), int(label)) for frame, label in zip(frames.pixels, labels, strict=True)]
    options = _options(scheme, len(pixels))
    options["advanced_quantization_parameters"] = options.pop("advanced_parameters")
    with _quiet(), _surgery(record):
        made = nncf.quantize_with_accuracy_control(
            model,
            nncf.Dataset([(frame, 0) for frame in pixels], unlabelled),
            nncf.Dataset(checked, lambda item: item[0]),
            top1,
            max_drop=max_drop,
            fast_bias_correction=bool(fast_bias_correction),
            **options,
        )
    made.reshape(shape)
    return made


def _options(scheme: Scheme, count: int) -> dict[str, Any]:
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


def _one_image(network: ov.Model) -> tuple[ov.Model, ov.PartialShape]:
    """A copy that takes one image at a time, and the shape to give back."""
    model = network.clone()
    shape = model.inputs[0].get_partial_shape()
    model.reshape([1, *list(shape)[1:]])
    return model, shape


def _feeder(model: ov.Model, record: IrRecord) -> Any:
    """A frame, uint8 (H, W, 3) BGR, as the model takes it."""
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
def _surgery(record: IrRecord) -> Iterator[None]:
    """What NNCF and OpenVINO throw, as one short error."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ConversionError(
            f"NNCF cannot quantise the network ({lines[-1][:200]})", where=Path(record.config_name)
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """NNCF's bars and messages go nowhere; what it warns of concerns its own options."""
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
