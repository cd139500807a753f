"""How accuracy is measured: the model's own geometry, exact decoding, no EXIF rotation, f32.

Images are not rotated by their EXIF orientation, because the published accuracies were measured without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from ov_mobilenet.devices.compile import compile_model
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.runtime.defaults import default_to_throughput
from ov_mobilenet.runtime.results import Failure
from ov_mobilenet.runtime.runnable import Runnable

GeometryOrigin = Literal["model", "graph", "asked", "not known"]
"""`model`: the model's own geometry; `graph`: the model's own, done in the graph; `asked`: given by the caller;
`not known`: the model records none, so the whole image is resized."""

OnProgress = Callable[[int, int], None]
"""Called with the number of images done and the total number."""
OnFailure = Callable[[Failure], None]
"""Called for each image that cannot be classified."""


def ignore_progress(done: int, total: int) -> None:
    """Do nothing."""


def ignore_failure(failure: Failure) -> None:
    """Do nothing."""


def compile_for_accuracy(runnable: Runnable, settings: DeviceSettings) -> Classifier:
    """Compile a classifier that follows the published protocols.

    It computes in f32 with the throughput hint, unless the settings give a precision, a hint or a number of streams.

    Raises:
        DeviceError, UsageError: as `compile_model`.
    """
    if "INFERENCE_PRECISION_HINT" not in settings.requested_properties():
        settings = replace(settings, inference_precision="f32")
    settings = default_to_throughput(settings)
    return runnable.compile(compile_model, settings, decode="exact", exif_orientation=False)


def geometry_text(classifier: Classifier) -> str | None:
    """Return crop and resize in words, on the host or in the graph; None if the graph does them unrecorded."""
    if classifier.geometry is not None:
        return str(classifier.geometry)
    baked = classifier.record.geometry if classifier.record is not None else None
    return None if baked is None else str(baked)


def geometry_origin(classifier: Classifier, *, given: bool) -> GeometryOrigin:
    """Return where the geometry comes from.

    Args:
        given: whether the caller gave one.
    """
    if given:
        return "asked"
    if classifier.record is None or classifier.record.geometry is None:
        return "not known"
    return "graph" if classifier.geometry is None else "model"


def versions() -> dict[str, str]:
    """Return the versions of this package and of OpenVINO."""
    import openvino as ov

    from ov_mobilenet._version import __version__

    return {"ov_mobilenet": __version__, "openvino": ov.get_version()}
