"""The networks that `compare` runs: IRs in OpenVINO, and source networks in their own frameworks.

A model is written `MODEL[@f32|@bf16|@f16|@source]`: a zoo name, a `model.yml` or an IR, then the inference precision
for OpenVINO, or `source` for the source network of the description. A network file (`.onnx`, `.tflite`, …) means the
source network; the `model.yml` beside it describes its normalisation and input.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.accuracy import speed
from ov_mobilenet.accuracy.classes import ClassMapping, class_mapping
from ov_mobilenet.accuracy.protocol import GeometryOrigin, compile_for_accuracy, geometry_origin, geometry_text
from ov_mobilenet.conversion.network_files import network_ending
from ov_mobilenet.devices.settings import INFERENCE_PRECISIONS, DeviceSettings, InferencePrecision
from ov_mobilenet.errors import UnknownModelError, UsageError
from ov_mobilenet.resolve import Lookup, find_description, source_files
from ov_mobilenet.zoo.geometry import (
    Geometry,
    Library,
    check_size,
    geometry_of_dataset,
    parse_geometry,
    resize_whole_image,
)
from ov_mobilenet.zoo.hub_reference import is_hub_reference
from ov_mobilenet.zoo.output_kind import OutputContent, kind_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ov_mobilenet.images.decode import Frame
    from ov_mobilenet.runtime.runnable import Runnable
    from ov_mobilenet.zoo.model import ModelConfig

SOURCE = "source"
FRAMEWORK_NAMES = {
    "onnx": "onnxruntime",
    "pytorch": "PyTorch",
    "tflite": "LiteRT",
    "tf": "TensorFlow",
    "keras": "TensorFlow",
}


@dataclass(frozen=True)
class ModelSpec:
    """A model to compare, and the framework and precision to run it in.

    Attributes:
        text: the model as the user wrote it.
        model: the MODEL, without the suffix.
        inference_precision: inference precision in OpenVINO; None for that of the device settings.
        is_source: whether to run the source network in its own framework.
    """

    text: str
    model: str
    inference_precision: InferencePrecision | None = None
    is_source: bool = False


def parse_spec(text: str) -> ModelSpec:
    """Parse `MODEL[@f32|@bf16|@f16|@source]`; an `@` before any other text is part of a path."""
    model, at, suffix = text.rpartition("@")
    if at and suffix == SOURCE:
        return ModelSpec(text, model, is_source=True)
    if at and suffix in INFERENCE_PRECISIONS:
        return ModelSpec(text, model, suffix)
    return ModelSpec(text, text, is_source=network_ending(Path(text)) is not None and not is_hub_reference(text))


@dataclass(frozen=True)
class ComparedNetwork:
    """A network that is ready to run.

    Attributes:
        runs_in: OpenVINO, or the framework of the source network.
        inference_precision: f32, bf16 or f16; None where it is not reported.
        geometry: crop and resize on the host; None if the graph does them.
        geometry_text: crop and resize in words, on the host or in the graph.
        size_bytes: size of the weights on disk.
        answer: maps a frame, uint8 (H, W, 3) BGR, to probabilities, float32 (classes,).
        is_thread_safe: whether several threads may call `answer` at the same time.
        measure_speed: maps image files and the seconds per measurement to images per second and the median latency in
            ms.
    """

    name: str
    runs_in: str
    device: str
    inference_precision: str | None
    classes: ClassMapping
    geometry: Geometry | None
    reader: Library
    geometry_text: str | None
    geometry_from: GeometryOrigin
    size_bytes: int
    answer: Callable[[Frame], NDArray[np.float32]]
    is_thread_safe: bool
    measure_speed: Callable[[list[Path], float], tuple[float, float]]


def ir_network(
    spec: ModelSpec, runnable: Runnable, settings: DeviceSettings, *, geometry_given: bool
) -> ComparedNetwork:
    """Make an IR ready to run in OpenVINO, at the precision of the spec.

    Args:
        geometry_given: whether the caller chose the geometry of `runnable`.

    Raises:
        DeviceError, UsageError: as `compile_model`.
    """
    if spec.inference_precision is not None:
        settings = replace(settings, inference_precision=spec.inference_precision)
    classifier = compile_for_accuracy(runnable, settings)

    def answer(frame: Frame) -> NDArray[np.float32]:
        row: NDArray[np.float32] = classifier.probabilities(frame[None])[0]
        return row

    def measure_speed(files: list[Path], seconds: float) -> tuple[float, float]:
        single = classifier
        if not settings.sets_parallelism:  # latency and throughput are each measured with their own hint
            single = compile_for_accuracy(runnable, replace(settings, hint="latency"))
        frames = [speed.read_frame(file, single.geometry, single.reader) for file in files]
        _, p50 = speed.one_by_one(lambda frame: single.probabilities(frame[None]), frames, seconds)
        return speed.through_queue(classifier, files, seconds), p50

    return ComparedNetwork(
        name=spec.text,
        runs_in="OpenVINO",
        device=classifier.device,
        inference_precision=classifier.inference_precision,
        classes=class_mapping(classifier),
        geometry=classifier.geometry,
        reader=classifier.reader,
        geometry_text=geometry_text(classifier),
        geometry_from=geometry_origin(classifier, given=geometry_given),
        size_bytes=runnable.xml.with_suffix(".bin").stat().st_size,
        answer=answer,
        is_thread_safe=True,
        measure_speed=measure_speed,
    )


def source_network(spec: ModelSpec, geometry: str | Geometry | None, lookup: Lookup) -> ComparedNetwork:
    """Make a source network ready to run in its own framework.

    Args:
        geometry: crop and resize instead of the description's.

    Raises:
        UsageError: the model is an IR, which has no source network; the geometry does not produce the network's size.
        UnknownModelError: the model does not exist, or no model.yml describes it.
        MissingDependencyError: the framework is not installed; the message names the package.
        ConversionError: the input size is unknown.
        OvMobilenetError: as `isolated_oracle` and `source_files`.
    """
    import numpy as np

    from ov_mobilenet.accuracy.isolated_oracle import isolated_oracle
    from ov_mobilenet.accuracy.source_graph import as_probabilities
    from ov_mobilenet.conversion.local_network import find_network
    from ov_mobilenet.zoo.labels import background_class, config_labels

    config = _source_description(spec, lookup)
    network = find_network(source_files(config, lookup))
    oracle = isolated_oracle(config, network.plan, network.path)
    content = _output_content(config, network.path)
    if kind_of(content) != "classes":
        raise UsageError(
            "only networks of exclusive classes can be compared", where=config.path, expected="classes",
            got=kind_of(content),
        )  # fmt: skip
    height, width = network.input_size()
    own = geometry_of_dataset(config.dataset) if config.dataset is not None else None
    given = parse_geometry(geometry) if isinstance(geometry, str) else geometry
    chosen = given or own or resize_whole_image(height, width)
    check_size(chosen, height, width, where=config.path)

    def answer(frame: Frame) -> NDArray[np.float32]:
        return as_probabilities(oracle(frame), content)

    def measure_speed(files: list[Path], seconds: float) -> tuple[float, float]:
        frames = [speed.read_frame(file, chosen, chosen.reader) for file in files]
        return speed.one_by_one(answer, frames, seconds)

    count = answer(np.zeros((height, width, 3), np.uint8)).size
    return ComparedNetwork(
        name=spec.text,
        runs_in=FRAMEWORK_NAMES[network.framework],
        device="CPU",
        inference_precision=None,
        classes=ClassMapping(count, background_class(config), config_labels(config)),
        geometry=chosen,
        reader=chosen.reader,
        geometry_text=str(chosen),
        geometry_from="asked" if given is not None else "not known" if own is None else "model",
        size_bytes=_size_bytes(network.path),
        answer=answer,
        is_thread_safe=False,
        measure_speed=measure_speed,
    )


def _source_description(spec: ModelSpec, lookup: Lookup) -> ModelConfig:
    """Return the description of a source network."""
    from ov_mobilenet.zoo.config import load_config

    if is_hub_reference(spec.model):
        return find_description(spec.model, lookup)
    path = Path(spec.model)
    if path.suffix == ".xml":
        raise UsageError(
            "an IR has no source network", where=spec.model, expected="a zoo name, or a model.yml",
            fix=f"Give MODEL@source for the model that {path.name} was converted from",
        )  # fmt: skip
    if network_ending(path) is None:
        return find_description(spec.model, lookup)
    beside = path.with_name("model.yml")
    config = load_config(beside) if beside.is_file() else None
    if config is None or path.name not in (file.name for file in config.files):
        raise UnknownModelError(
            "no model.yml beside the network describes it, so its normalisation and input are unknown", where=path,
            expected=beside,
            fix=f"`ov-mobilenet convert --source {path} --name NAME` writes one: compare public/NAME/model.yml@source",
        )  # fmt: skip
    return config


def _output_content(config: ModelConfig, path: Path) -> OutputContent:
    """What the output of the network holds; taken from the description if OpenVINO cannot read the network."""
    from ov_mobilenet.accuracy.source_graph import graph_facts
    from ov_mobilenet.errors import ConversionError
    from ov_mobilenet.zoo.arguments import plan_conversion

    try:
        return graph_facts(config, plan_conversion(config), path)[0]
    except ConversionError:
        return config.details.output or "logits"


def _size_bytes(path: Path) -> int:
    """Return the size of a network file with its data files, or of a folder."""
    from ov_mobilenet.conversion.sources.onnx_data import data_files

    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    files = [path]
    if path.suffix.lower() == ".onnx":
        files += [path.parent / name for name in data_files(path)]
    return sum(file.stat().st_size for file in files)
