"""The result of `compare`; its JSON form is the output of `compare --format json`."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from ov_mobilenet.accuracy.metrics import Interval
from ov_mobilenet.accuracy.protocol import GeometryOrigin
from ov_mobilenet.accuracy.report import SCHEMA_VERSION
from ov_mobilenet.runtime.results import Failure, as_json_object


class ComparedModel(Struct, frozen=True, kw_only=True):
    """One model of a comparison; figures that were not measured are None.

    Attributes:
        device, inference_precision, geometry, geometry_from: as in `AccuracyReport`.
        model: the model as the user wrote it.
        runs_in: OpenVINO, or the framework of the source network.
        top1: fraction of images in [0, 1].
        top5: fraction of images in [0, 1].
        top1_interval: Wilson's 95 % score interval of `top1`.
        top5_interval: Wilson's 95 % score interval of `top5`.
        agreement: fraction of images with the same top-1 as the first model.
        max_difference: the largest difference of a probability from the first model; None if the number of classes
            differs.
        size_mb: size of the weights on disk, 10^6 bytes.
        throughput_fps: images per second on frames in memory: through an infer queue in OpenVINO, one after another in
            other frameworks.
        p50_ms: median latency of single images.
        error: why the model could not be run.
    """

    model: str
    runs_in: str | None = None
    device: str | None = None
    inference_precision: str | None = None
    geometry: str | None = None
    geometry_from: GeometryOrigin | None = None
    top1: float | None = None
    top5: float | None = None
    top1_interval: Interval | None = None
    top5_interval: Interval | None = None
    agreement: float | None = None
    max_difference: float | None = None
    size_mb: float | None = None
    throughput_fps: float | None = None
    p50_ms: float | None = None
    error: str | None = None


class ModelComparison(Struct, frozen=True, kw_only=True):
    """Several models on the same images, in the order in which they were given.

    Attributes:
        schema_version, dataset, annotations, versions: as in `AccuracyReport`.
        models: the figures of each model.
        failures: images that could not be read, with the reasons.
        exif_orientation: images are not rotated by their EXIF orientation, as in the published protocols.
        limit: only the first `limit` images were used; None otherwise.
        sample: only `sample` images, drawn at random, were used; None otherwise.
        seed: seed of that draw; None without one.
        images: number of images that every figure is based on.
        failed: number of images that could not be read; see `failures`.
    """

    schema_version: int = SCHEMA_VERSION
    dataset: str
    annotations: str | None
    exif_orientation: Literal["ignored"] = "ignored"
    limit: int | None
    sample: int | None
    seed: int | None
    images: int
    failed: int
    models: tuple[ComparedModel, ...]
    failures: tuple[Failure, ...]
    versions: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of `compare --format json`, as dictionaries, lists, texts and numbers."""
        return as_json_object(self)
