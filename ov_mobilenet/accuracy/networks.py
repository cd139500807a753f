"""What `compare` runs: IRs in OpenVINO, and source networks in their own frameworks.

An entry is written `MODEL[@f32|bf16|f16|source]`: a zoo name, a `model.yml` or an IR, and behind it the precision that
OpenVINO computes in, or `source` for the source network that the description names. A network's file (`.onnx`,
`.tflite`, …) stands for its source form; the `model.yml` beside it says how it is normalised and fed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from ov_mobilenet.accuracy import speed
from ov_mobilenet.accuracy.classes import Classes, classes_of
from ov_mobilenet.accuracy.measure import geometry_from, geometry_words, load_for_accuracy
from ov_mobilenet.accuracy.report import GeometryFrom
from ov_mobilenet.conversion.network_files import network_ending
from ov_mobilenet.devices.device_settings import DeviceSettings
from ov_mobilenet.errors import UnknownModelError, UsageError
from ov_mobilenet.resolve import Lookup, open_model, source_files
from ov_mobilenet.zoo.geometry import Geometry, Library, check_size, from_dataset, parse_words, whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ov_mobilenet.conversion.local_network import LocalNetwork
    from ov_mobilenet.images.decode import Frame
    from ov_mobilenet.zoo.model import ModelConfig

EntryForm = Literal["f32", "bf16", "f16", "source"]
FORMS: tuple[EntryForm, ...] = get_args(EntryForm)
RUNTIMES = {
    "onnx": "onnxruntime",
    "pytorch": "PyTorch",
    "tflite": "LiteRT",
    "tf": "TensorFlow",
    "keras": "TensorFlow",
}


@dataclass(frozen=True)
class ComparedEntry:
    """What was asked for: a model, and in what to run it; None for OpenVINO at the precision of all."""

    text: str
    model: str
    form: EntryForm | None


def parse_entry(text: str) -> ComparedEntry:
    """An entry from `MODEL[@FORM]`; an `@` that is followed by no form belongs to the path."""
    model, at, form = text.rpartition("@")
    if at and form in FORMS:
        return ComparedEntry(text, model, form)
    return ComparedEntry(text, text, "source" if network_ending(Path(text)) is not None else None)


@dataclass(frozen=True)
class ReadyNetwork:
    """A network that is ready to run.

    Attributes:
        runs_in: OpenVINO, or the source network's framework.
        inference_precision: None where it is not told.
        geometry: what brings an image to the network's size; None if the graph does.
        geometry_words: the same in words, also where the graph does it.
        size_bytes: of the weights on disk.
        answer: from a frame, uint8 (H, W, 3) BGR, to probabilities, float32 (classes,).
        in_threads: whether several threads may ask at a time.
        measure_speed: from image files and seconds a figure to images per second and the median latency in ms.
    """

    name: str
    runs_in: str
    device: str
    inference_precision: str | None
    classes: Classes
    geometry: Geometry | None
    reader: Library
    geometry_words: str | None
    geometry_from: GeometryFrom
    size_bytes: int
    answer: Callable[[Frame], NDArray[np.float32]]
    in_threads: bool
    measure_speed: Callable[[list[Path], float], tuple[float, float]]


def load_network(
    entry: ComparedEntry,
    *,
    settings: DeviceSettings,
    geometry: str | None = None,
    lookup: Lookup = Lookup(),  # noqa: B008 (frozen)
) -> ReadyNetwork:
    """Make an entry ready to run.

    Raises:
        UsageError: `source` of an IR, which has none; a geometry that does not lead to the network's size.
        UnknownModelError: there is no such model.
        MissingDependencyError: the source network's framework is not installed; names the package.
        OvMobilenetError: as `load_classifier` and `source_oracle`.
    """
    if entry.form == "source":
        config = _description(entry, lookup.config_dirs)
        return _source(entry, config, geometry, lookup)
    xml = open_model(entry.model, lookup).xml
    if entry.form is not None:
        settings = replace(settings, inference_precision=entry.form)
    return _ir(entry, xml, settings, geometry)


def _ir(entry: ComparedEntry, xml: Path, settings: DeviceSettings, geometry: str | None) -> ReadyNetwork:
    classifier = load_for_accuracy(xml, settings, geometry)

    def answer(frame: Frame) -> NDArray[np.float32]:
        row: NDArray[np.float32] = classifier.probabilities(frame[None])[0]
        return row

    def measure_speed(files: list[Path], seconds: float) -> tuple[float, float]:
        chosen = {"PERFORMANCE_HINT", "NUM_STREAMS"} & settings.asked().keys()
        alone = classifier if chosen else load_for_accuracy(xml, replace(settings, hint="latency"), geometry)
        frames = [speed.frame_of(file, alone.geometry, alone.reader) for file in files]
        _, p50 = speed.one_by_one(lambda frame: alone.probabilities(frame[None]), frames, seconds)
        return speed.through_queue(classifier, files, seconds), p50

    return ReadyNetwork(
        name=entry.text,
        runs_in="OpenVINO",
        device=classifier.device,
        inference_precision=classifier.inference_precision,
        classes=classes_of(classifier),
        geometry=classifier.geometry,
        reader=classifier.reader,
        geometry_words=geometry_words(classifier),
        geometry_from=geometry_from(classifier, geometry),
        size_bytes=xml.with_suffix(".bin").stat().st_size,
        answer=answer,
        in_threads=True,
        measure_speed=measure_speed,
    )


def _description(entry: ComparedEntry, config_dirs: tuple[Path, ...]) -> ModelConfig:
    """The description that says how a source network is fed."""
    from ov_mobilenet.zoo.config import load_config
    from ov_mobilenet.zoo.registry import find_config

    path = Path(entry.model)
    if path.suffix == ".xml":
        raise UsageError(
            "an IR has no source network", where=entry.model, expected="a zoo name, or a model.yml",
            fix=f"Say MODEL@source for the network that {path.name} was made from",
        )  # fmt: skip
    if network_ending(path) is None:
        return find_config(entry.model, config_dirs=config_dirs)
    beside = path.with_name("model.yml")
    config = load_config(beside) if beside.is_file() else None
    if config is None or path.name not in (file.name for file in config.files):
        raise UnknownModelError(
            "no model.yml beside the network names it, so how to feed it is not known", where=path, expected=beside,
            fix=f"ov-mobilenet convert --source {path} --name NAME writes one: compare public/NAME/model.yml@source",
        )  # fmt: skip
    return config


def _source(entry: ComparedEntry, config: ModelConfig, asked: str | None, lookup: Lookup) -> ReadyNetwork:
    import numpy as np

    from ov_mobilenet.accuracy.source_networks import source_oracle
    from ov_mobilenet.accuracy.verification import as_probabilities
    from ov_mobilenet.conversion.local_network import find_network
    from ov_mobilenet.zoo.labels import background_class, config_labels

    network = find_network(source_files(config, lookup))
    plan, path = network.plan, network.path
    oracle = source_oracle(config, plan, path)
    gives_probabilities = _gives_probabilities(network)
    sides = dict(zip(plan.input.layout, plan.input.shape, strict=True))
    own = from_dataset(config.dataset) if config.dataset is not None else None
    geometry = parse_words(asked) if asked is not None else own or whole(sides["H"], sides["W"])
    check_size(geometry, sides["H"], sides["W"], where=config.path)

    def answer(frame: Frame) -> NDArray[np.float32]:
        return as_probabilities(oracle(frame), probabilities=gives_probabilities)

    def measure_speed(files: list[Path], seconds: float) -> tuple[float, float]:
        frames = [speed.frame_of(file, geometry, geometry.reader) for file in files]
        return speed.one_by_one(answer, frames, seconds)

    count = answer(np.zeros((sides["H"], sides["W"], 3), np.uint8)).size
    return ReadyNetwork(
        name=entry.text,
        runs_in=RUNTIMES[network.framework],
        device="CPU",
        inference_precision=None,
        classes=Classes(count, background_class(config), config_labels(config)),
        geometry=geometry,
        reader=geometry.reader,
        geometry_words=str(geometry),
        geometry_from="asked" if asked is not None else "not known" if own is None else "model",
        size_bytes=_size(path),
        answer=answer,
        in_threads=False,
        measure_speed=measure_speed,
    )


def _gives_probabilities(network: LocalNetwork) -> bool:
    """Whether the network ends in softmax; as its document says where OpenVINO cannot read it."""
    from ov_mobilenet.accuracy.verification import graph_facts
    from ov_mobilenet.errors import ConversionError

    try:
        return graph_facts(network.config, network.plan, network.path)[0]
    except ConversionError:
        return network.config.details.output == "probabilities"


def _size(path: Path) -> int:
    """Bytes of a network's file with its data files, or of a folder."""
    from ov_mobilenet.conversion.sources.onnx_data import data_files

    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    files = [path]
    if path.suffix.lower() == ".onnx":
        files += [path.parent / name for name in data_files(path)]
    return sum(file.stat().st_size for file in files)
