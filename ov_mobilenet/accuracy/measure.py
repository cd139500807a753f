"""Measure the accuracy of a model by its own protocol: its crop and resize, its classes, at f32.

Images are not turned as their EXIF orientation says: the published accuracies were measured without, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from ov_mobilenet.accuracy.classes import classes_of
from ov_mobilenet.accuracy.dataset import Dataset, Example, read_dataset, subset
from ov_mobilenet.accuracy.figures import TOP, Tally, wilson
from ov_mobilenet.accuracy.predictions import PredictionsFile, check_format
from ov_mobilenet.accuracy.report import AccuracyReport, GeometryFrom
from ov_mobilenet.devices.settings import DeviceSettings, InferencePrecision
from ov_mobilenet.errors import AccuracyError, DatasetError, UsageError
from ov_mobilenet.ir.files import ir_digest
from ov_mobilenet.load import load_classifier
from ov_mobilenet.resolve import Lookup, open_model
from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.runtime.defaults import throughput_unless_asked
from ov_mobilenet.runtime.items import Item
from ov_mobilenet.runtime.results import Failure, Prediction
from ov_mobilenet.zoo.geometry import Geometry
from ov_mobilenet.zoo.model import ModelConfig

WORST = 10

OnProgress = Callable[[int, int], None]
"""Told after each image how many are done, and of how many."""
OnFailure = Callable[[Failure], None]


def measure_accuracy(
    model: str | Path,
    dataset: str | Path,
    *,
    annotations: str | Path | None = None,
    device: str = "AUTO",
    inference_precision: InferencePrecision = "f32",
    settings: DeviceSettings | None = None,
    geometry: str | Geometry | None = None,
    labels: tuple[str, ...] | None = None,
    limit: int | None = None,
    seed: int = 0,
    predictions: Path | None = None,
    resume: bool = False,
    worst: int = WORST,
    config_dirs: Iterable[Path] = (),
    cache_dir: Path | None = None,
    offline: bool = False,
    on_progress: OnProgress = lambda done, total: None,
    on_failure: OnFailure = lambda failure: None,
) -> AccuracyReport:
    """Top-1 and top-5 of a model on images whose classes are known.

    An image that cannot be read counts as failed and not as wrong; the others are measured.

    Args:
        model: a zoo name, the path of a `model.yml`, or the path of an IR `.xml`.
        dataset: a folder with images; without annotations (and without a `val.txt` in it) a folder a class.
        annotations: ImageNet's `val.txt`, or CSV; see `annotations`.
        device: as OpenVINO names it.
        inference_precision: what is computed in.
        settings: all that can be asked of a device, instead of these two; f32 unless they say otherwise.
        geometry: crop and resize instead of the model's own; the report names it.
        labels: class names instead of the model's own.
        limit: measure on so many images, drawn at random by `seed`; None for all.
        predictions: a file to write each prediction to, `.jsonl` or `.csv`; see `predictions`.
        resume: take over what stands there already.
        worst: of how many classes the report says what they were taken for.
        on_progress: called after each image.
        on_failure: called for each image that failed.

    Raises:
        DatasetError: images or classes cannot be made out, or no image could be classified.
        UsageError: a value is out of range, there is no such folder, `resume` without `predictions`.
        OvMobilenetError: as `load_classifier`.
    """
    if limit is not None and limit < 1:
        raise UsageError("bad limit", expected="at least 1", got=limit)
    if resume and predictions is None:
        raise UsageError("nothing to go on from", expected="a predictions file", fix="Name it with --predictions FILE")
    if predictions is not None:
        check_format(predictions)
    config_dirs = tuple(config_dirs)
    published = published_accuracy(model, config_dirs)
    xml = open_model(model, Lookup(config_dirs, cache_dir, offline)).xml
    wanted = settings or DeviceSettings(device=device, inference_precision=inference_precision)
    classifier = load_for_accuracy(xml, wanted, geometry, labels)
    classes = classes_of(classifier)
    found = read_dataset(Path(dataset), classes, None if annotations is None else Path(annotations))
    chosen = subset(found, limit, seed)
    run = _run_digest(xml, classifier)
    tally, failures = Tally(), []
    file = nullcontext() if predictions is None else PredictionsFile(predictions, run, classes, resume=resume)
    with file as kept:
        for done, (example, answer) in enumerate(_answers(classifier, chosen, kept.taken if kept else {}), 1):
            truth = classes.to_network(example.index)
            if isinstance(answer, Failure):
                failures.append(Failure(example.image, answer.error))
                on_failure(answer)
            else:
                tally.add(truth, [prediction.class_id for prediction in answer])
                if kept is not None and example.image not in kept.taken:
                    kept.put(example.image, truth, answer)
            on_progress(done, len(chosen.examples))
    if not tally.images:
        raise DatasetError(
            "no image could be classified", where=found.folder,
            expected="at least one", got=f"{len(failures)} that failed, the first: {failures[0].error}",
        )  # fmt: skip
    return AccuracyReport(
        model=str(model),
        device=classifier.device,
        inference_precision=classifier.inference_precision,
        geometry=geometry_words(classifier),
        geometry_from=geometry_from(classifier, geometry),
        dataset=str(found.folder),
        annotations=None if found.annotations is None else str(found.annotations),
        limit=limit,
        seed=None if limit is None else seed,
        images=tally.images,
        failed=len(failures),
        duplicates=found.duplicates,
        classes=classes.count,
        background_class=classes.background,
        top1=tally.top1 / tally.images,
        top5=tally.top5 / tally.images,
        top1_interval=wilson(tally.top1, tally.images),
        top5_interval=wilson(tally.top5, tally.images),
        reference_top1=published[0],
        reference_top5=published[1],
        per_class=tally.by_class(classes),
        worst_classes=tally.worst(classes, worst),
        failures=tuple(failures),
        versions=versions(),
    )


def load_for_accuracy(
    xml: Path,
    settings: DeviceSettings,
    geometry: str | Geometry | None = None,
    labels: tuple[str, ...] | None = None,
) -> Classifier:
    """A classifier whose answers are those of the published protocols: pixels exact, EXIF ignored, f32.

    The settings' own precision, hint and streams are kept where they are given.

    Raises:
        OvMobilenetError: as `load_classifier`.
    """
    asked = settings.asked()
    if "INFERENCE_PRECISION_HINT" not in asked:
        settings = replace(settings, inference_precision="f32")
    settings = throughput_unless_asked(settings)
    return load_classifier(
        xml, settings=settings, geometry=geometry, labels=labels, decode="exact", exif_orientation=False
    )


def _answers(
    classifier: Classifier, dataset: Dataset, taken: dict[str, tuple[Prediction, ...]]
) -> Iterator[tuple[Example, tuple[Prediction, ...] | Failure]]:
    """The most probable classes of each image, those of an earlier run first."""
    left = []
    for example in dataset.examples:
        if example.image in taken:
            yield example, taken[example.image]
        else:
            left.append(example)
    items = (Item(example.path, str(example.path)) for example in left)
    results = classifier.stream(items, top_k=TOP)
    for example, result in zip(left, results, strict=True):
        yield example, result if isinstance(result, Failure) else result.predictions


def published_accuracy(model: str | Path, config_dirs: Iterable[Path] = ()) -> tuple[float | None, float | None]:
    """Top-1 and top-5 that the model's description publishes, as fractions; None where it says nothing.

    That of the accuracy check comes first, for it was measured by the same protocol; then what the document says. An IR
    has those of the description that it was made from, if that is in the zoo and unchanged.

    Raises:
        OvMobilenetError: the description or the IR cannot be read.
    """
    config = _description(Path(model), model, tuple(config_dirs))
    if config is None:
        return None, None
    check, details = config.accuracy_check, config.details.accuracy
    found = (check.reference(1), check.reference(TOP)) if check is not None else (None, None)
    if found == (None, None) and details is not None:
        found = details.top1, details.top5
    return found


def _description(path: Path, model: str | Path, config_dirs: tuple[Path, ...]) -> ModelConfig | None:
    from ov_mobilenet.ir.files import read_ir
    from ov_mobilenet.ir.record import read_record
    from ov_mobilenet.zoo.registry import find_config, find_folders

    if path.suffix != ".xml":
        return find_config(model, config_dirs=config_dirs)
    record = read_record(read_ir(path), path)
    if record is None or record.config_name not in find_folders(config_dirs=config_dirs):
        return None
    config = find_config(record.config_name, config_dirs=config_dirs)
    return config if config.digest == record.config_digest else None


def check_accuracy(
    report: AccuracyReport,
    *,
    min_top1: float | None = None,
    reference: tuple[float | None, float | None] | None = None,
    tolerance: float = 0.01,
) -> None:
    """Raise if an accuracy is not what it should be.

    Args:
        min_top1: the least top-1, a fraction.
        reference: top-1 and top-5 that the measured ones may differ from by `tolerance`, up or down: an accuracy that
            is higher than it can be tells of another dataset, or of a mistake. None is not compared.

    Raises:
        AccuracyError: one does not hold; names all that do not.
    """
    wrong = []
    if min_top1 is not None and report.top1 < min_top1:
        wrong.append((f"top-1 of at least {min_top1:.4f}", f"{report.top1:.4f}"))
    for name, measured, wanted in zip(("top-1", "top-5"), (report.top1, report.top5), reference or (), strict=False):
        # An image more or less is no rounding error: 1e-9 is.
        if wanted is not None and abs(measured - wanted) > tolerance + 1e-9:
            wrong.append((f"{name} within {tolerance:g} of {wanted:.4f}", f"{measured:.4f}"))
    if wrong:
        raise AccuracyError(
            "the accuracy does not hold", where=report.model,
            expected=", ".join(text for text, _ in wrong), got=", ".join(text for _, text in wrong),
        )  # fmt: skip


def _run_digest(xml: Path, classifier: Classifier) -> str:
    """Sixteen digits for all that the answers depend on."""
    facts = (
        ir_digest(xml),
        str(geometry_words(classifier)),
        classifier.reader,
        classifier.device,
        str(classifier.inference_precision),
    )
    return hashlib.sha256("\0".join(facts).encode()).hexdigest()[:16]


def geometry_words(classifier: Classifier) -> str | None:
    """Crop and resize in words, wherever they are done; None if the graph does them and does not say how."""
    if classifier.geometry is not None:
        return str(classifier.geometry)
    baked = classifier.record.geometry if classifier.record is not None else None
    return None if baked is None else str(baked)


def geometry_from(classifier: Classifier, asked: str | Geometry | None) -> GeometryFrom:
    """Whose they are."""
    if asked is not None:
        return "asked"
    if classifier.record is None or classifier.record.geometry is None:
        return "not known"
    return "graph" if classifier.geometry is None else "model"


def versions() -> dict[str, str]:
    """What the figures were measured with."""
    import openvino as ov

    from ov_mobilenet._version import __version__

    return {"ov_mobilenet": __version__, "openvino": ov.get_version()}
