"""`load_classifier`: MODEL to a classifier that is ready to run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.devices.compile import compile_model
from ov_mobilenet.devices.settings import DeviceOptions, DeviceSettings, settings_of
from ov_mobilenet.errors import UsageError
from ov_mobilenet.images.load_image import Decode
from ov_mobilenet.resolve import Lookup, LookupOptions, open_model
from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.runtime.runnable import make_runnable

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ov_mobilenet.runtime.profile import Profile
    from ov_mobilenet.zoo.geometry import Geometry
    from ov_mobilenet.zoo.normalisation import Normalisation


class RunOptions(DeviceOptions, LookupOptions, total=False):
    """The keyword arguments of every function that runs a MODEL: fields of `DeviceSettings` and of `Lookup`."""


def load_classifier(
    model: str | Path,
    *,
    settings: DeviceSettings | None = None,
    profile: Profile | Path | str | None = None,
    geometry: str | Geometry | None = None,
    labels: tuple[str, ...] | Path | None = None,
    normalisation: Normalisation | None = None,
    layout: str | None = None,
    batch_size: int | None = None,
    decode: Decode = "auto",
    exif_orientation: bool = True,
    **options: Unpack[RunOptions],
) -> Classifier:
    """Load a model, ready to run.

    A zoo name or a description is downloaded, verified and converted (FP32) once and kept in the cache.

    Without a hint and a number of streams, `classify` runs on the device's default, which is a short latency, and
    `stream` and `InferQueue` on the throughput hint.

    Args:
        model: a zoo name, the path of a `model.yml`, or the path of an IR `.xml`.
        settings: of the device, instead of the same fields as keyword arguments.
        profile: what `tune` found, or its file, instead of device settings and batch size.
        geometry: crop and resize in words, instead of what the IR records.
        labels: class names, or a file with one per line, instead of what the IR records.
        normalisation: of an IR that was made without one; put in front of the network.
        layout: of the input of an IR that does not record it, such as NCHW.
        batch_size: images per request; None for the model's own, and for what is fastest on the device where many
            images are streamed. A model that takes frames of any size keeps its own.
        decode: how image files are decoded, see `images.load_image`: `exact` is bit for bit as the accuracy was
            measured.
        exif_orientation: rotate image files by their EXIF orientation; the published accuracies were measured without.
        options: fields of `DeviceSettings` (`device`, `hint`, `inference_precision`, …; AUTO and the device's own
            choice by default) and of `Lookup` (`config_dirs`, `cache_dir`, `offline`).

    Raises:
        UnknownModelError: no such name, no such file.
        DownloadError, ConversionError, IrError, DeviceError: the model cannot be downloaded, converted, read, run.
        UsageError: the geometry does not lead to the network's input size, or cannot be parsed; no such device, setting
            or property; settings are given twice.
        ConfigError: the labels do not match the classes, or cannot be read; the profile is invalid, or for another IR
            or device.
        AlreadyNormalisedError: `normalisation` is given, and by its record the network has one already.
        ConversionError: the layout does not fit the network's input.
    """
    chosen, lookup = split_options(settings, options)
    if profile is not None and (chosen != DeviceSettings() or settings is not None or batch_size is not None):
        raise UsageError(
            "device settings are given twice", expected="a profile, or device settings and a batch size"
        )  # fmt: skip
    ir = open_model(model, lookup)
    if profile is not None:
        from ov_mobilenet.runtime.profile import apply_profile

        chosen, batch_size = apply_profile(profile, ir.xml)
    runnable = make_runnable(ir, geometry=geometry, labels=labels, normalisation=normalisation, layout=layout)
    return runnable.compile(
        compile_model, chosen, batch_size=batch_size, decode=decode, exif_orientation=exif_orientation
    )


def split_options(settings: DeviceSettings | None, options: RunOptions) -> tuple[DeviceSettings, Lookup]:
    """The device settings and the lookup that a function's keyword arguments ask for.

    Raises:
        UsageError: settings are given twice, or an option is unknown.
    """
    lookup = LookupOptions.__annotations__.keys()
    device = {name: value for name, value in options.items() if name not in lookup}
    return settings_of(settings, device), Lookup.of(options)
