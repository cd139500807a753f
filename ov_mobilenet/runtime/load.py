"""From a zoo name, a description or an IR to a compiled classifier."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet._version import __version__
from ov_mobilenet.conversion import ir
from ov_mobilenet.conversion.ir import IrRecord
from ov_mobilenet.conversion.normalisation import bake
from ov_mobilenet.errors import ConfigError, IrError, UnknownModelError, UsageError
from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.runtime.device import Compiled, compile_model
from ov_mobilenet.runtime.device_settings import DeviceSettings, Hint, InferencePrecision
from ov_mobilenet.runtime.late_normalisation import refuse_second, set_layout
from ov_mobilenet.runtime.loading import Decode
from ov_mobilenet.runtime.planes import frame_height
from ov_mobilenet.zoo.arguments import Normalisation
from ov_mobilenet.zoo.geometry import Geometry, check_size, parse_words, whole
from ov_mobilenet.zoo.labels import read_labels

if TYPE_CHECKING:
    import openvino as ov

    from ov_mobilenet.downloads.fetch import SourceFiles
    from ov_mobilenet.measure.tuning.profile import Profile
    from ov_mobilenet.zoo.model import ModelConfig

log = logging.getLogger(__name__)


def load_classifier(
    model: str | Path,
    *,
    device: str = "AUTO",
    hint: Hint | None = None,
    inference_precision: InferencePrecision | None = None,
    settings: DeviceSettings | None = None,
    geometry: str | Geometry | None = None,
    labels: tuple[str, ...] | Path | None = None,
    normalisation: Normalisation | None = None,
    layout: str | None = None,
    batch_size: int | None = None,
    decode: Decode = "auto",
    exif_orientation: bool = True,
    config_dirs: Iterable[Path] = (),
    cache_dir: Path | None = None,
    offline: bool = False,
    profile: Profile | Path | str | None = None,
) -> Classifier:
    """Make a classifier ready to run.

    A zoo name or a description is downloaded, verified and converted (FP32) once and kept in the cache.

    Args:
        model: a zoo name, the path of a `model.yml`, or the path of an IR `.xml`.
        device: as OpenVINO names it.
        hint: performance hint; None for the device's own.
        inference_precision: None for the device's own choice.
        settings: all that can be asked of a device, instead of these three.
        geometry: crop and resize in words, instead of what the IR records.
        labels: class names, or a file with one a line, instead of what the IR records.
        normalisation: of an IR that was made without one; it is put in front of the network.
        layout: of the input of an IR that does not say it, such as NCHW.
        batch_size: pictures a request; None for the model's own, which one that takes frames of any size keeps.
        decode: how picture files are read, see `loading`: `exact` bit for bit as the accuracy was measured.
        exif_orientation: turn picture files as their camera says; the published accuracies were measured without.
        config_dirs: folders with descriptions of your own, `NAME/model.yml` each.
        cache_dir: for downloads and converted models; None for the user's.
        offline: take nothing over the network.
        profile: what `tune` found, or its file, instead of device, hint, precision, settings and batch size.

    Raises:
        UnknownModelError: no such name, no such file.
        DownloadError, ConversionError, IrError, DeviceError: a step of the way failed.
        UsageError: the given geometry does not lead to the network's size, or is not understood; no such device,
            setting or property.
        ConfigError: the labels do not match the classes, or cannot be read; the profile is none, or for
            another IR or device.
        AlreadyNormalisedError: `normalisation` is given, and a record says that one is in the network.
        ConversionError: the layout does not fit the network's input.
    """
    asked = DeviceSettings(device=device, hint=hint, inference_precision=inference_precision)
    if settings is not None and asked != DeviceSettings():
        raise UsageError("device settings are given twice", expected="settings, or device, hint, inference_precision")
    if profile is not None:
        if settings is not None or batch_size is not None or asked != DeviceSettings():
            raise UsageError(
                "device settings are given twice",
                expected="a profile, or device, hint, precision, settings, batch size",
            )
        from ov_mobilenet.measure.tuning.profile import apply_profile

        model = ir_path(model, cache_dir, config_dirs=config_dirs, offline=offline)
        settings, batch_size = apply_profile(profile, model)
    runnable = read_runnable(
        model, geometry=geometry, labels=labels, normalisation=normalisation, layout=layout, config_dirs=config_dirs,
        cache_dir=cache_dir, offline=offline,
    )  # fmt: skip
    return runnable.on(
        compile_model, settings or asked, batch_size=batch_size, decode=decode, exif_orientation=exif_orientation
    )


@dataclass(frozen=True)
class Runnable:
    """A network that takes uint8 NHWC BGR frames and gives probabilities, not yet compiled.

    Attributes:
        xml: the IR it was read from.
        geometry: what is left to do before a frame is fed; None if the network crops and resizes.
    """

    xml: Path
    network: ov.Model
    record: IrRecord | None
    geometry: Geometry | None
    labels: tuple[str, ...] | None

    def on(
        self,
        compiler: Callable[[ov.Model, DeviceSettings], Compiled],
        settings: DeviceSettings,
        *,
        batch_size: int | None = None,
        decode: Decode = "auto",
        exif_orientation: bool = True,
    ) -> Classifier:
        """A classifier of it; `compiler` is `compile_model`, or what does the same and more."""

        def compile_batch(batch: int) -> Compiled:
            formed = self.network.clone()
            formed.reshape([batch, *list(self.network.inputs[0].get_partial_shape())[1:]])
            return compiler(formed, settings)

        own = self.network.inputs[0].get_partial_shape()[0]
        if batch_size is None or self.geometry is None or (own.is_static and own.get_length() == batch_size):
            compiled = compiler(self.network, settings)  # without a geometry: frames of any size do not fit together
        else:
            compiled = compile_batch(batch_size)
        return Classifier(
            compiled, geometry=self.geometry, labels=self.labels, record=self.record, compile_batch=compile_batch,
            decode=decode, exif_orientation=exif_orientation,
        )  # fmt: skip


def read_runnable(
    model: str | Path,
    *,
    geometry: str | Geometry | None = None,
    labels: tuple[str, ...] | Path | None = None,
    normalisation: Normalisation | None = None,
    layout: str | None = None,
    config_dirs: Iterable[Path] = (),
    cache_dir: Path | None = None,
    offline: bool = False,
) -> Runnable:
    """All of `load_classifier` before a device is needed; arguments and errors as there."""
    xml = ir_path(model, cache_dir, config_dirs=config_dirs, offline=offline)
    network = ir.read_ir(xml)
    record = ir.read_record(network, xml)
    if normalisation:
        refuse_second(network, normalisation, xml)
    network, channel_order = _usable(network, record, xml, normalised_here=bool(normalisation))
    ir.check_ends(network, xml)
    if layout is not None:
        set_layout(network, layout, xml)
    if normalisation:
        network = bake(network, normalisation, layout=_layout(network, xml), path=xml)
    chosen = _host_geometry(network, record, geometry, xml)
    given = read_labels(labels) if isinstance(labels, Path) else labels
    names = given or (record.labels if record is not None else _model_info_labels(network))
    classes = network.outputs[0].get_partial_shape()[1].get_length()
    if names is not None and len(names) != classes:
        raise ConfigError("labels do not match the classes", where=xml, expected=classes, got=len(names))
    return Runnable(xml, _take_frames(network, record, reverse=channel_order == "RGB"), record, chosen, names)


def _host_geometry(
    network: ov.Model, record: IrRecord | None, wanted: str | Geometry | None, xml: Path
) -> Geometry | None:
    """What is left to do before a frame is fed; None if crop and resize are in the graph."""
    if record is not None and record.geometry_baked:
        if wanted is not None:
            raise UsageError("the model crops and resizes by itself", where=xml, got=f"geometry {record.geometry}")
        return None
    height, width = _size(network, record, xml)
    if wanted is not None:
        chosen = parse_words(wanted) if isinstance(wanted, str) else wanted
        check_size(chosen, height, width)
        return chosen
    if record is not None and record.geometry is not None:
        check_size(record.geometry, height, width, error=IrError, where=xml)
        return record.geometry
    log.warning("%s: no geometry is known; the whole picture is resized to %dx%d", xml, height, width)
    return whole(height, width)


def ir_path(
    model: str | Path, cache_dir: Path | None, *, config_dirs: Iterable[Path] = (), offline: bool = False
) -> Path:
    """The `.xml` of a MODEL, which is converted into the cache if it is no IR. Raises: as `load_classifier`."""
    path = Path(model)
    if path.suffix == ".xml":
        if not path.is_file():
            raise IrError("no such IR", where=path)
        return path
    from ov_mobilenet.conversion.network_files import network_ending
    from ov_mobilenet.zoo.registry import find_config

    ending = network_ending(path)
    if ending is not None:
        raise UnknownModelError(
            "a source network cannot be run as it is", where=path, expected="an IR, a model.yml or a zoo name",
            fix=f"Convert it: ov-mobilenet convert --source {path} --name {path.name[: -len(ending)]}",
        )  # fmt: skip
    return _converted(find_config(model, config_dirs=config_dirs), cache_dir, offline=offline)


def _converted(config: ModelConfig, cache_dir: Path | None, *, offline: bool) -> Path:
    """The FP32 IR of a description in the cache, made there if it is not; one process makes it, others wait."""
    import filelock

    from ov_mobilenet.conversion.converter import convert
    from ov_mobilenet.downloads.cache import default_root
    from ov_mobilenet.downloads.fetch import download

    root = cache_dir or default_root()
    folder = _cached_folder(config, root)
    xml = folder / "FP32" / f"{config.name}.xml"
    with filelock.FileLock(folder / ".lock"):
        if not _is_readable(xml):
            log.info("%s: downloading and converting into %s", config.name, folder)
            # Under the same lock and digest as the IR: another description of this name has its own sources.
            sources = download(config, folder / "sources", cache_root=root, offline=offline)
            convert(sources, folder, precisions=("FP32",))
    return xml


def source_files(config: ModelConfig, cache_dir: Path | None = None, *, offline: bool = False) -> SourceFiles:
    """The verified source files of a description, in the cache beside the IR that is made from them.

    Raises:
        DownloadError: one could not be had.
    """
    import filelock

    from ov_mobilenet.downloads.cache import default_root
    from ov_mobilenet.downloads.fetch import download

    root = cache_dir or default_root()
    folder = _cached_folder(config, root)
    with filelock.FileLock(folder / ".lock"):
        return download(config, folder / "sources", cache_root=root, offline=offline)


def _cached_folder(config: ModelConfig, root: Path) -> Path:
    """Where a description's files and IR are kept, for this version of the toolkit and of OpenVINO."""
    import openvino as ov

    # The files' digests stand in the description, so its digest covers them.
    identity = "\0".join((config.name, config.digest, __version__, ov.get_version()))
    folder = root / "ir" / hashlib.sha256(identity.encode()).hexdigest()[:24]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _is_readable(xml: Path) -> bool:
    """Whether a good IR lies in the cache; one that cannot be read is deleted, so that it is made once more."""
    if not xml.exists():
        return False
    try:
        ir.read_record(ir.read_ir(xml), xml)
    except IrError as error:
        log.warning("%s; it is converted once more", error.what)
        xml.unlink(missing_ok=True)
        return False
    return True


def _usable(network: ov.Model, record: IrRecord | None, xml: Path, *, normalised_here: bool) -> tuple[ov.Model, str]:
    """The network with one input and probabilities as output, and the channel order it takes."""
    if record is not None:
        return network, record.channel_order
    from ov_mobilenet.conversion.outputs import end_in_probabilities
    from ov_mobilenet.conversion.sources.frontend import find_output, single_input

    for doubt in [] if normalised_here else _doubts(network):
        log.warning("%s: %s", xml, doubt)
    layout = network.get_parameters()[0].layout
    port = single_input(network, "", xml)
    network = end_in_probabilities(find_output(network, None, xml), port.get_node(), None, xml)
    network.get_parameters()[0].layout = layout
    return network, "BGR"


def _doubts(network: ov.Model) -> list[str]:
    """Sentences on what an IR without a record of ours leaves open.

    The Open Model Zoo's convention is that an IR takes BGR: the Model Optimizer reverses the channels of a network
    that takes RGB. Where it did not, the network may take BGR, as Caffe's do, or whoever made the IR fed RGB by hand.
    """
    from ov_mobilenet.conversion.mo_record import read_mo_record

    made = read_mo_record(network)
    if made is None:
        return ["no record of ov-mobilenet; taken to eat raw BGR pixels 0..255"]
    doubts = []
    if not made.reverses:
        doubts.append(
            "the Model Optimizer did not reverse its channels, so whether it takes BGR or RGB is not known; taken to "
            "take BGR. If it takes RGB, convert it again with --reverse_input_channels"
        )
    if not made.scales:
        doubts.append("the Model Optimizer baked in no mean and no scale; taken to eat raw pixels 0..255")
    return doubts


def _layout(network: ov.Model, xml: Path) -> str:
    """NCHW or NHWC: as the IR says, else where the 3 channels are."""
    from ov_mobilenet.conversion.normalisation import check_layout

    text = str(network.get_parameters()[0].layout).strip("[]").replace(",", "")
    shape = network.inputs[0].get_partial_shape()
    if len(text) != 4 and shape.rank.is_static and len(shape) == 4:
        text = "NCHW" if shape[1].is_static and shape[1].get_length() == 3 else "NHWC"
    check_layout(network, text, xml)
    return text


def _size(network: ov.Model, record: IrRecord | None, xml: Path) -> tuple[int, int]:
    """Height and width of the frames."""
    shape = network.inputs[0].get_partial_shape()
    if record is not None and record.planes is not None:
        return frame_height(shape[1].get_length()), shape[2].get_length()
    layout = _layout(network, xml)
    height, width = shape[layout.index("H")], shape[layout.index("W")]
    if height.is_dynamic or width.is_dynamic:
        raise IrError("the network takes any picture size; this is not supported", where=xml, got=shape)
    return height.get_length(), width.get_length()


def _take_frames(network: ov.Model, record: IrRecord | None, *, reverse: bool) -> ov.Model:
    """Let the network take uint8 NHWC BGR frames: type, layout and channels are turned in the graph."""
    import openvino as ov
    from openvino.preprocess import PrePostProcessor

    if record is not None and record.planes is not None:
        return network
    layout = _layout(network, Path(network.get_friendly_name()))
    element = network.inputs[0].get_element_type()
    if element == ov.Type.u8 and layout == "NHWC" and not reverse:
        return network
    processor = PrePostProcessor(network)
    processor.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    processor.input().model().set_layout(ov.Layout(layout))
    if reverse:
        processor.input().preprocess().reverse_channels()
    processor.input().preprocess().convert_element_type(element)
    return processor.build()


def _model_info_labels(network: ov.Model) -> tuple[str, ...] | None:
    if not network.has_rt_info(["model_info", "labels"]):
        return None
    text = network.get_rt_info(["model_info", "labels"]).astype(str)
    return tuple(label.replace("_", " ") for label in text.split())
