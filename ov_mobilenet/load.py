"""`load_classifier` and `load_feature_extractor`: from MODEL to a network that is ready to run."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ov_mobilenet.argument_types import checked
from ov_mobilenet.devices.compile import compile_model
from ov_mobilenet.devices.settings import DeviceOptions, DeviceSettings, settings_of
from ov_mobilenet.errors import UsageError
from ov_mobilenet.images.load_image import DecodeMode
from ov_mobilenet.resolve import Lookup, LookupOptions, check_option_names, lookup_options, open_model
from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.runtime.runnable import Runnable, make_runnable

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ov_mobilenet.runtime.feature_extractor import FeatureExtractor
    from ov_mobilenet.runtime.profile import Profile
    from ov_mobilenet.zoo.geometry import Geometry
    from ov_mobilenet.zoo.normalisation import Normalisation


class RunOptions(DeviceOptions, LookupOptions, total=False):
    """The keyword arguments of every function that runs a MODEL: fields of `DeviceSettings` and of `Lookup`."""


@checked
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
    decode: DecodeMode = "auto",
    exif_orientation: bool = True,
    output_kind: Literal["classes", "multilabel"] | None = None,
    **options: Unpack[RunOptions],
) -> Classifier:
    """Load a model and compile it for a device.

    A zoo name or a description is downloaded, verified and converted (FP32) once and kept in the cache; with `ir_dir`
    the IR that `convert` wrote below that folder runs instead. Which IR runs is logged at level INFO.

    Without a hint and a number of streams, `classify` runs with the device's default, which has a low latency, and
    `stream` and `InferQueue` run with the throughput hint.

    Args:
        model: a zoo name, the path of a `model.yml` or of an IR `.xml`, or `hf:OWNER/NAME`.
        settings: device settings, instead of the same fields as keyword arguments.
        profile: the profile that `tune` returned, or the path of its file, instead of device settings and batch size.
        geometry: crop and resize in words, instead of the geometry that the IR records.
        labels: class names, or a file with one per line, instead of the labels that the IR records.
        normalisation: inserted in front of the network, for an IR that was converted without one.
        layout: input layout, such as NCHW, for an IR that does not record it.
        batch_size: images per request. None: the batch size of the model; if many images are streamed, the fastest one
            on the device. A model that takes frames of any size, or has its batch size in the graph, keeps its own.
        decode: how image files are decoded, as `classify --decode`; `exact` gives the pixels that accuracy is measured
            with.
        exif_orientation: rotate image files by their EXIF orientation. The published accuracies were measured
            without it.
        output_kind: what the output must hold; decides for an IR that ov-mobilenet did not write
            what its graph does not show. None: what is found.
        options: fields of `DeviceSettings` (`device`, `hint`, `inference_precision`, …; default: device AUTO with its
            own choices) and of `Lookup` (`config_dirs`, `cache_dir`, `offline`, `ir_dir`).

    Raises:
        UnknownModelError: there is no model of this name or path.
        DownloadError: the source files cannot be downloaded.
        ConversionError: the source network cannot be converted, or `layout` does not match the network's input.
        IrError: the IR cannot be read.
        DeviceError: the model does not run on the device.
        UsageError: the network has no classifier; the geometry does not match its input size, or cannot be parsed; the
            device, a setting or a property is unknown; settings are given twice; `ir_dir` holds no IR of the model.
        ConfigError: the labels cannot be read or do not match the classes; the profile is invalid, or for another
            network or device.
        AlreadyNormalisedError: `normalisation` is given, but the IR already contains one.
    """
    runnable, chosen, batch_size = _open(
        model, settings, profile, batch_size, options, geometry=geometry, labels=labels, normalisation=normalisation,
        layout=layout, output_kind=output_kind,
    )  # fmt: skip
    check_has_classes(runnable)
    return _compile(runnable, chosen, batch_size, decode, exif_orientation)


def check_has_classes(runnable: Runnable) -> None:
    """Check that a network is a classifier. Raises: UsageError."""
    if runnable.output_kind == "features":
        option = "--output-kind classes" if runnable.record is None else "convert --output-kind logits"
        raise UsageError(
            "the network has no classifier, it gives a vector of features", where=runnable.xml,
            expected="a classifier",
            fix="For the vectors use classify --output-kind features, or load_feature_extractor in Python. If its "
            f"values are scores of classes, use {option}",
        )  # fmt: skip


@checked
def load_feature_extractor(
    model: str | Path,
    *,
    settings: DeviceSettings | None = None,
    profile: Profile | Path | str | None = None,
    geometry: str | Geometry | None = None,
    normalisation: Normalisation | None = None,
    layout: str | None = None,
    batch_size: int | None = None,
    decode: DecodeMode = "auto",
    exif_orientation: bool = True,
    **options: Unpack[RunOptions],
) -> FeatureExtractor:
    """Load a network without a classifier and compile it for a device.

    A feature map is averaged over height and width. The output of an IR that ov-mobilenet did not write is taken as it
    is, also if it looks like the scores of a classifier.

    Args:
        model, settings, profile, geometry, normalisation, layout, batch_size, decode, exif_orientation, options: as
            for `load_classifier`.

    Raises:
        UsageError: the network is a classifier; or as `load_classifier`.
        OvMobilenetError: as `load_classifier`.
    """
    from ov_mobilenet.runtime.feature_extractor import FeatureExtractor

    runnable, chosen, batch_size = _open(
        model, settings, profile, batch_size, options, geometry=geometry, normalisation=normalisation, layout=layout,
        output_kind="features",
    )  # fmt: skip
    return FeatureExtractor(_compile(runnable, chosen, batch_size, decode, exif_orientation))


def _compile(
    runnable: Runnable, settings: DeviceSettings, batch_size: int | None, decode: DecodeMode, exif_orientation: bool
) -> Classifier:
    compiler = partial(compile_model, content=runnable.content)
    return runnable.compile(compiler, settings, batch_size=batch_size, decode=decode, exif_orientation=exif_orientation)


def _open(
    model: str | Path,
    settings: DeviceSettings | None,
    profile: Profile | Path | str | None,
    batch_size: int | None,
    options: RunOptions,
    **adaptation: Any,
) -> tuple[Runnable, DeviceSettings, int | None]:
    """The network to compile, device settings and batch size; `adaptation` holds arguments of `make_runnable`."""
    chosen, lookup = split_options(settings, options)
    if profile is not None and (chosen != DeviceSettings() or settings is not None or batch_size is not None):
        raise UsageError(
            "device settings are given twice", expected="a profile, or device settings and a batch size"
        )  # fmt: skip
    if profile is None:
        ir = open_model(model, lookup)
    else:
        from ov_mobilenet.runtime.profile import apply_profile, named_profile

        named = named_profile(profile)
        ir = open_model(model, lookup)
        chosen, batch_size = apply_profile(*named, ir)
    return make_runnable(ir, **adaptation), chosen, batch_size


def split_options(settings: DeviceSettings | None, options: RunOptions) -> tuple[DeviceSettings, Lookup]:
    """Split the keyword arguments of a function that runs a MODEL into device settings and lookup.

    Raises:
        UsageError: settings are given twice, or an option is unknown.
    """
    check_option_names(options, RunOptions)
    lookup = lookup_options(options)
    device = {name: value for name, value in options.items() if name not in lookup}
    return settings_of(settings, device), Lookup.of(lookup)
