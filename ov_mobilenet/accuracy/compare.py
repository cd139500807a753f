"""`compare`: several models on the same images: accuracy, agreement, size, speed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ov_mobilenet.accuracy.compared_networks import (
    ComparedNetwork,
    ModelSpec,
    ir_network,
    parse_spec,
    source_network,
)
from ov_mobilenet.accuracy.comparison import ComparedModel, ModelComparison
from ov_mobilenet.accuracy.dataset import read_dataset
from ov_mobilenet.accuracy.evaluation import SPEED_IMAGES, Evaluation, evaluate_all, measure_speed
from ov_mobilenet.accuracy.measure import AccuracyOptions, split_accuracy_options
from ov_mobilenet.accuracy.metrics import wilson_interval
from ov_mobilenet.accuracy.protocol import OnFailure, OnProgress, ignore_failure, ignore_progress, versions
from ov_mobilenet.argument_types import checked
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.errors import DatasetError, OvMobilenetError, UsageError
from ov_mobilenet.resolve import Lookup, open_model
from ov_mobilenet.runtime.runnable import Runnable, make_runnable
from ov_mobilenet.zoo.geometry import Geometry

if TYPE_CHECKING:
    from typing_extensions import Unpack

DEFAULT_TIME_S = 2.0


@checked
def compare(
    models: Sequence[str],
    dataset: str | Path,
    *,
    annotations: str | Path | None = None,
    settings: DeviceSettings | None = None,
    geometry: str | Geometry | None = None,
    time_s: float = DEFAULT_TIME_S,
    on_progress: OnProgress = ignore_progress,
    on_failure: OnFailure = ignore_failure,
    **options: Unpack[AccuracyOptions],
) -> ModelComparison:
    """Measure accuracy, agreement, size and speed of several models on the same images.

    Each model runs by its own protocol, as in `measure_accuracy`: its own crop and resize, exact decoding, no EXIF
    rotation, f32 unless a model or the device settings give another precision. A model that cannot be run is reported
    with its error, and the others are measured.

    Args:
        models: two or more of `MODEL[@f32|@bf16|@f16|@source]`; agreement is measured with the first.
        dataset: as for `measure_accuracy`.
        annotations: as for `measure_accuracy`.
        settings: device settings, instead of the same fields as keyword arguments.
        geometry: crop and resize for all models, instead of each model's own.
        time_s: duration of each speed measurement in seconds; 0 skips them.
        on_progress: called after each chunk of images.
        on_failure: called for each image that cannot be read.
        options: `limit`, `sample`, `seed`, device settings and lookup, as for `measure_accuracy`.

    Raises:
        UsageError: fewer than two models, models with different numbers of classes, a value out of range, or settings
            given twice.
        DatasetError: images or classes cannot be determined, or no image could be read.
        OvMobilenetError: no model can be run; the error of the first.
    """
    chosen, lookup, subset = split_accuracy_options(settings, options)
    if len(models) < 2:
        raise UsageError("too few models to compare", expected="two or more", got=len(models))
    loaded = _load_all(models, chosen, geometry, lookup)
    evaluations = [found for found in loaded if isinstance(found, Evaluation)]
    if not evaluations:
        raise next(error for error in loaded if isinstance(error, OvMobilenetError))
    _check_classes([one.network for one in evaluations])
    classes = evaluations[0].network.classes
    found = read_dataset(Path(dataset), classes, None if annotations is None else Path(annotations))
    used = subset.of(found)
    reference = loaded[0] if isinstance(loaded[0], Evaluation) else None
    failures, readable = evaluate_all(evaluations, reference, used, on_progress, on_failure)
    if not readable:
        raise DatasetError("no image could be read", where=found.folder, got=failures[0].error)
    if time_s:
        measure_speed(evaluations, readable[:SPEED_IMAGES], time_s)
    return ModelComparison(
        dataset=str(found.folder),
        annotations=None if found.annotations is None else str(found.annotations),
        limit=subset.limit,
        sample=subset.sample,
        seed=subset.used_seed,
        images=len(used.images) - len(failures),
        failed=len(failures),
        models=tuple(_result(text, one, reference) for text, one in zip(models, loaded, strict=True)),
        failures=tuple(failures),
        versions=versions(),
    )


def _load_all(
    models: Sequence[str], settings: DeviceSettings, geometry: str | Geometry | None, lookup: Lookup
) -> list[Evaluation | OvMobilenetError]:
    """Load each model, or return its error; a model given at several precisions is read once."""

    @cache
    def runnable_of(model: str) -> Runnable:
        return make_runnable(open_model(model, lookup), geometry=geometry)

    def load(spec: ModelSpec) -> Evaluation | OvMobilenetError:
        try:
            if spec.is_source:
                return Evaluation(source_network(spec, geometry, lookup))
            runnable = runnable_of(spec.model)
            return Evaluation(ir_network(spec, runnable, settings, geometry_given=geometry is not None))
        except OvMobilenetError as error:
            return error

    return [load(parse_spec(text)) for text in models]


def _check_classes(networks: Sequence[ComparedNetwork]) -> None:
    counts = {network.classes.dataset_count for network in networks}
    if len(counts) > 1:
        raise UsageError(
            "the models do not have the same number of classes",
            got=", ".join(f"{network.name} {network.classes.dataset_count}" for network in networks),
        )


def _result(text: str, one: Evaluation | OvMobilenetError, reference: Evaluation | None) -> ComparedModel:
    if isinstance(one, OvMobilenetError):
        return ComparedModel(model=text, error=str(one))
    network, counter = one.network, one.counter
    described = ComparedModel(
        model=text,
        runs_in=network.runs_in,
        device=network.device,
        inference_precision=network.inference_precision,
        geometry=network.geometry_text,
        geometry_from=network.geometry_from,
        size_mb=network.size_bytes / 1e6,
        error=one.error,
    )
    if one.error is not None:
        return described
    has_reference = reference is not None and reference.error is None
    same_classes = reference is not None and reference.network.classes.count == network.classes.count
    return msgspec.structs.replace(
        described,
        top1=counter.top1 / counter.images,
        top5=counter.top5 / counter.images,
        top1_interval=wilson_interval(counter.top1, counter.images),
        top5_interval=wilson_interval(counter.top5, counter.images),
        agreement=one.agreeing / counter.images if has_reference else None,
        max_difference=one.max_difference if has_reference and same_classes else None,
        throughput_fps=one.speed[0] if one.speed else None,
        p50_ms=one.speed[1] if one.speed else None,
    )
