"""`measure_accuracy`: top-1 and top-5 of a model by its own protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ov_mobilenet.accuracy.classes import ClassMapping, class_mapping
from ov_mobilenet.accuracy.dataset import Dataset, LabelledImage, Subset, SubsetOptions, read_dataset
from ov_mobilenet.accuracy.metrics import TOP_K, AccuracyCounter, wilson_interval
from ov_mobilenet.accuracy.predictions import PredictionsFile, check_existing, check_format
from ov_mobilenet.accuracy.protocol import (
    OnFailure,
    OnProgress,
    compile_for_accuracy,
    geometry_origin,
    geometry_text,
    ignore_failure,
    ignore_progress,
    versions,
)
from ov_mobilenet.accuracy.reference import (
    PUBLISHED,
    ReferenceAccuracy,
    published_accuracy,
    read_reference,
    required_published_accuracy,
)
from ov_mobilenet.accuracy.report import AccuracyReport
from ov_mobilenet.argument_types import checked
from ov_mobilenet.downloads.cache import digest
from ov_mobilenet.errors import DatasetError, UsageError
from ov_mobilenet.inputs.image_subset import read_frame
from ov_mobilenet.ir.files import OpenedIr
from ov_mobilenet.load import RunOptions, split_options
from ov_mobilenet.resolve import Lookup, check_option_names, open_model
from ov_mobilenet.runtime.items import Item
from ov_mobilenet.runtime.results import Failure
from ov_mobilenet.runtime.runnable import make_runnable

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ov_mobilenet.devices.settings import DeviceSettings
    from ov_mobilenet.ir.record import IrRecord
    from ov_mobilenet.runtime.classifier import Classifier
    from ov_mobilenet.runtime.results import Prediction
    from ov_mobilenet.zoo.geometry import Geometry


class AccuracyOptions(RunOptions, SubsetOptions, total=False):
    """The keyword arguments of the functions that measure accuracy: device settings, lookup and subset."""


class PredictionsOptions(AccuracyOptions, total=False):
    """The same, and what happens to an existing predictions file."""

    overwrite: bool


@checked
def measure_accuracy(
    model: str | Path,
    dataset: str | Path,
    *,
    annotations: str | Path | None = None,
    settings: DeviceSettings | None = None,
    geometry: str | Geometry | None = None,
    labels: tuple[str, ...] | Path | None = None,
    predictions: Path | None = None,
    resume: bool = False,
    reference: str | Path | None = None,
    on_progress: OnProgress = ignore_progress,
    on_failure: OnFailure = ignore_failure,
    **options: Unpack[PredictionsOptions],
) -> AccuracyReport:
    """Measure the top-1 and top-5 accuracy of a model on labelled images.

    Images are decoded exactly, without EXIF rotation, and go through the model's own crop and resize; the network
    computes in f32 unless another inference precision is given. An image that cannot be read counts as failed, not as
    wrong, and the remaining images are measured.

    Args:
        model: a zoo name, the path of a `model.yml` or of an IR `.xml`, or `hf:OWNER/NAME`.
        dataset: a folder with images; without annotations (and without a `val.txt` in it), one folder per class.
        annotations: ImageNet's `val.txt`, or a CSV file with columns such as `path` and `class_id`.
        settings: device settings, instead of the same fields as keyword arguments.
        geometry: crop and resize instead of the model's own; the report states it.
        labels: class names, or a file with one per line, instead of the model's own.
        predictions: a file to write each prediction to, `.jsonl` or `.csv`.
        resume: reuse the predictions that are already in that file; the model and its settings must be the same.
        reference: `published`, or the JSON report of an earlier measurement; the report holds its accuracies. None for
            the published accuracies, if there are any.
        on_progress: called after each image.
        on_failure: called for each image that fails.
        options: `overwrite` (replace an existing predictions file); `limit` (use the first N images), `sample` (use N
            random images) and `seed`; fields of `DeviceSettings` (`device`, `hint`, `inference_precision`, …) and of
            `Lookup` (`config_dirs`, `cache_dir`, `offline`, `ir_dir`).

    Raises:
        DatasetError: images or classes cannot be determined, or no image could be classified.
        UsageError: a value is out of range, a folder does not exist, settings are given twice, `resume` or `overwrite`
            without `predictions`, both, or neither for a file that has content, or `reference` is `published` and
            nothing is published.
        OutputError: the predictions file cannot be written, or another process is writing to it.
        OvMobilenetError: as `load_classifier`.
    """
    check_option_names(options, PredictionsOptions)
    overwrite = options.pop("overwrite", False)
    chosen, lookup, subset = split_accuracy_options(settings, options)
    _check_predictions(predictions, resume=resume, overwrite=overwrite)
    stored = None if reference is None or reference == PUBLISHED else read_reference(Path(reference))
    ir = open_model(model, lookup)
    unchanged = OpenedIr(ir.xml, ir.network.clone(), ir.record)  # `make_runnable` changes the network
    expected = stored or _published(model, ir.record, lookup, required=reference == PUBLISHED)
    classifier = compile_for_accuracy(make_runnable(ir, geometry=geometry, labels=labels), chosen)
    classes = class_mapping(classifier)
    found = read_dataset(Path(dataset), classes, None if annotations is None else Path(annotations))
    used = subset.of(found)
    counter, failures = AccuracyCounter(), []
    classified: list[LabelledImage] = []
    run = _run_digest(ir.xml, classifier)
    file = (
        nullcontext()
        if predictions is None
        else PredictionsFile(predictions, run, classes, resume=resume, overwrite=overwrite)
    )
    with file as writer:
        known = writer.known if writer is not None else {}
        for done, (image, answer) in enumerate(_classify(classifier, used, known), 1):
            truth = classes.to_network(image.index)
            if isinstance(answer, Failure):
                failures.append(Failure(image.name, answer.error))
                on_failure(answer)
            else:
                classified.append(image)
                counter.add(truth, [prediction.class_id for prediction in answer])
                if writer is not None and image.name not in known:
                    writer.write(image.name, truth, answer)
            on_progress(done, len(used.images))
    if not counter.images:
        raise DatasetError(
            "no image could be classified", where=found.folder,
            expected="at least one", got=f"{len(failures)} failures, the first: {failures[0].error}",
        )  # fmt: skip
    diagnosed = _diagnosed(unchanged, classifier, classes, classified, str(model), found.folder)
    return AccuracyReport(
        model=str(model),
        device=classifier.device,
        inference_precision=classifier.inference_precision,
        geometry=geometry_text(classifier),
        geometry_from=geometry_origin(classifier, given=geometry is not None),
        dataset=str(found.folder),
        annotations=None if found.annotations is None else str(found.annotations),
        limit=subset.limit,
        sample=subset.sample,
        seed=subset.used_seed,
        images=counter.images,
        failed=len(failures),
        duplicates=found.duplicates,
        classes=classes.count,
        background_class=classes.background,
        top1=counter.top1 / counter.images,
        top5=counter.top5 / counter.images,
        top1_interval=wilson_interval(counter.top1, counter.images),
        top5_interval=wilson_interval(counter.top5, counter.images),
        reference_top1=expected.top1,
        reference_top5=expected.top5,
        per_class=counter.per_class(classes),
        worst_classes=counter.confusions(classes),
        failures=tuple(failures),
        warnings=counter.warnings(classes) + diagnosed,
        versions=versions(),
    )


def split_accuracy_options(
    settings: DeviceSettings | None, options: AccuracyOptions
) -> tuple[DeviceSettings, Lookup, Subset]:
    """Split keyword arguments into device settings, lookup and subset.

    Raises:
        UsageError: settings are given twice, an option is unknown, or a value is out of range.
    """
    check_option_names(options, AccuracyOptions)
    names = SubsetOptions.__annotations__.keys()
    subset: dict[str, Any] = {name: value for name, value in options.items() if name in names}
    others = cast(RunOptions, {name: value for name, value in options.items() if name not in names})
    return *split_options(settings, others), Subset(**subset)


def _check_predictions(file: Path | None, *, resume: bool, overwrite: bool) -> None:
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other", fix="Use one of them")
    if file is not None:
        check_format(file)
        check_existing(file, resume=resume, overwrite=overwrite)
    elif resume or overwrite:
        name = "--resume" if resume else "--overwrite"
        raise UsageError(f"{name} needs a predictions file", fix="Give it: --predictions FILE")


def _published(model: str | Path, record: IrRecord | None, lookup: Lookup, *, required: bool) -> ReferenceAccuracy:
    find = required_published_accuracy if required else published_accuracy
    return find(model, record, lookup)


def _classify(
    classifier: Classifier, dataset: Dataset, known: dict[str, tuple[Prediction, ...]]
) -> Iterator[tuple[LabelledImage, tuple[Prediction, ...] | Failure]]:
    """Yield the five most probable classes of each image; images with known predictions come first."""
    remaining = []
    for image in dataset.images:
        if image.name in known:
            yield image, known[image.name]
        else:
            remaining.append(image)
    items = (Item(image.source, str(image.path)) for image in remaining)
    results = classifier.stream(items, top_k=TOP_K)
    for image, result in zip(remaining, results, strict=True):
        yield image, result if isinstance(result, Failure) else result.predictions


def _diagnosed(
    ir: OpenedIr,
    classifier: Classifier,
    classes: ClassMapping,
    images: Iterable[LabelledImage],
    model: str,
    folder: Path,
) -> tuple[str, ...]:
    """Warn if a normalisation other than the baked one is better on a few of the images; see `diagnosis.check`."""
    import numpy as np

    from ov_mobilenet.diagnosis.check import CHECKED_IMAGES, can_be_checked, draw, normalisation_warnings

    if classifier.geometry is None or not can_be_checked(ir, has_labels=True):
        return ()
    by_name = sorted(images, key=lambda image: image.name)  # resumed measurements have another order
    drawn = [by_name[index] for index in draw(len(by_name))]
    if len(drawn) < CHECKED_IMAGES:
        return ()
    frames = [read_frame(Item(image.source, image.name), classifier.geometry) for image in drawn]
    readable = [frame for frame in frames if not isinstance(frame, Failure)]
    if len(readable) < len(drawn):  # an image was deleted or changed since it was classified
        return ()
    truths = np.array([classes.to_network(image.index) for image in drawn])
    return normalisation_warnings(
        ir, np.stack(readable), model=model, images=folder, truths=truths, geometry=classifier.geometry
    )


def _run_digest(xml: Path, classifier: Classifier) -> str:
    """Return 16 hexadecimal digits that identify everything the predictions depend on."""
    facts = (  # unchanged since 0.1, so that its predictions files can be resumed
        digest(xml, "sha256"),
        digest(xml.with_suffix(".bin"), "sha256"),
        str(geometry_text(classifier)),
        classifier.reader,
        classifier.device,
        str(classifier.inference_precision),
    )
    return hashlib.sha256("\0".join(facts).encode()).hexdigest()[:16]
