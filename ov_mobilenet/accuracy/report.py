"""The result of `measure_accuracy`; its JSON form is the output of `accuracy --format json`."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from ov_mobilenet.accuracy.metrics import ClassAccuracy, ClassConfusion, Interval
from ov_mobilenet.accuracy.protocol import GeometryOrigin
from ov_mobilenet.runtime.results import Failure, as_json_object

SCHEMA_VERSION = 1


class AccuracyReport(Struct, frozen=True, kw_only=True):
    """Accuracy of a model and how it was measured; accuracies are fractions in [0, 1].

    Attributes:
        schema_version: version of the JSON form.
        model: name of the network, or the path of its IR.
        dataset, annotations: the folder and the file of the images' classes.
        background_class: the class that stands for no object; None without one.
        top1, top5: fractions of `images`.
        failures: images that could not be read or classified, with the reasons.
        versions: versions of the packages that took part.
        device: the devices that ran the model, as OpenVINO names them.
        inference_precision: f32, bf16 or f16; None where the device does not report it.
        geometry: crop and resize in words; None for a graph that resizes and does not record how.
        geometry_from: `model`: the model's own; `graph`: done in the graph; `asked`: given by the caller; `not known`:
            none is recorded, so the whole image is resized.
        exif_orientation: images are not rotated by their EXIF orientation, as in the published protocols.
        limit: only the first `limit` images were used; None otherwise.
        sample: only `sample` images, drawn at random, were used; None otherwise.
        seed: seed of that draw; None without one.
        images: number of classified images; the accuracies are fractions of it.
        failed: number of images that could not be read or classified.
        duplicates: number of annotations that repeat an image; each image is used once.
        classes: number of classes of the network, including background.
        top1_interval: Wilson's 95 % score interval of `top1`.
        top5_interval: Wilson's 95 % score interval of `top5`.
        reference_top1: published top-1, or that of the reference file; None where there is none.
        reference_top5: published top-5, or that of the reference file; None where there is none.
        per_class: accuracy of each class that has images.
        warnings: signs that the network is fed wrongly or its labels are wrong, as sentences.
        worst_classes: all classes with wrong predictions, lowest top-1 first, and the classes predicted instead.
    """

    schema_version: int = SCHEMA_VERSION
    model: str
    device: str
    inference_precision: str | None
    geometry: str | None
    geometry_from: GeometryOrigin
    exif_orientation: Literal["ignored"] = "ignored"
    dataset: str
    annotations: str | None
    limit: int | None
    sample: int | None
    seed: int | None
    images: int
    failed: int
    duplicates: int
    classes: int
    background_class: int | None
    top1: float
    top5: float
    top1_interval: Interval
    top5_interval: Interval
    reference_top1: float | None
    reference_top5: float | None
    per_class: tuple[ClassAccuracy, ...]
    worst_classes: tuple[ClassConfusion, ...]
    failures: tuple[Failure, ...]
    versions: dict[str, str]
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of `accuracy --format json`, as dictionaries, lists, texts and numbers."""
        return as_json_object(self)
