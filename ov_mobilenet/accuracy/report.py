"""What a measurement of accuracy found, as one frozen value; its JSON form is the command's."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from ov_mobilenet.accuracy.figures import ClassFigures, Confusion, Interval
from ov_mobilenet.errors import DatasetError
from ov_mobilenet.runtime.results import Failure

SCHEMA_VERSION = 1
GeometryFrom = Literal["model", "graph", "asked", "not known"]


class AccuracyReport(Struct, frozen=True, kw_only=True):
    """Figures and how they came about; accuracies are fractions in [0, 1].

    Attributes:
        device, inference_precision: what ran.
        geometry: crop and resize in words; None for a graph that resizes and does not say how.
        geometry_from: `model` its own protocol, `graph` the same inside the graph, `asked` another one was asked for,
            `not known` the model does not say and the whole image was resized.
        exif_orientation: images are not turned as their EXIF orientation says, as in the published protocols.
        limit, seed: of a random subset; None for all images.
        images: images that were classified; the accuracies are fractions of them.
        failed: images that could not be read or classified.
        duplicates: times that an image was named again; it counts once.
        classes: of the network, background included.
        top1_interval, top5_interval: Wilson's 95 % score intervals.
        reference_top1, reference_top5: what they are compared with: the published accuracies, or those of a file.
        per_class: the classes that have images.
        worst_classes: those with the lowest top-1, and what they were taken for.
    """

    schema_version: int = SCHEMA_VERSION
    model: str
    device: str
    inference_precision: str | None
    geometry: str | None
    geometry_from: GeometryFrom
    exif_orientation: Literal["ignored"] = "ignored"
    dataset: str
    annotations: str | None
    limit: int | None
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
    per_class: tuple[ClassFigures, ...]
    worst_classes: tuple[Confusion, ...]
    failures: tuple[Failure, ...]
    versions: dict[str, str]


class _Figures(Struct, frozen=True):
    top1: float
    top5: float | None = None


def read_figures(path: Path) -> tuple[float, float | None]:
    """Top-1 and top-5 from the JSON of an earlier measurement.

    Raises:
        DatasetError: the file cannot be read, or holds no top-1.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Figures)
    except OSError as error:
        raise DatasetError("the reference cannot be read", where=path, got=error.strerror or error) from error
    except msgspec.DecodeError as error:
        raise DatasetError(
            f"no reference ({error})", where=path, expected="what `accuracy --format json` printed"
        ) from error
    return found.top1, found.top5
