"""The validation dataset: top-1 before and after quantisation, and its report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import msgspec

from ov_mobilenet.errors import DatasetError
from ov_mobilenet.inputs.image_subset import PreparedImages, read_frame
from ov_mobilenet.outputs.output_files import write_atomically
from ov_mobilenet.zoo.geometry import Geometry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ov_mobilenet.ir.record import IrRecord
    from ov_mobilenet.runtime.classifier import Classifier

SCHEMA_VERSION = 1


class Int8Accuracy(TypedDict):
    """Accuracy before and after quantisation, as fractions of `images` in [0, 1].

    Attributes:
        images: number of labelled images.
        top1: accuracy of the INT8 model.
        float_top1: accuracy of the float model.
        agreement: fraction of images for which both have the same top-1.
    """

    images: int
    top1: float
    float_top1: float
    agreement: float


@dataclass(frozen=True)
class ValidationSet:
    """Labelled images at the network's input size.

    Attributes:
        labels: class of each image, as the network numbers it, int64 (N,).
        float_top1: class that the float model predicts for each image, int64 (N,).
    """

    images: PreparedImages
    labels: NDArray[np.int64]
    float_top1: NDArray[np.int64]

    def measure(self, classifier: Classifier) -> Int8Accuracy:
        """Measure the accuracy of the quantised model."""
        predicted = classifier.probabilities(self.images.pixels).argmax(1)
        return Int8Accuracy(
            images=len(self.labels),
            top1=float((predicted == self.labels).mean()),
            float_top1=float((self.float_top1 == self.labels).mean()),
            agreement=float((predicted == self.float_top1).mean()),
        )


def read_validation(folder: Path, classifier: Classifier, geometry: Geometry) -> ValidationSet:
    """Read a labelled dataset.

    Args:
        classifier: the float model.

    Raises:
        UsageError: the folder does not exist.
        DatasetError: as `read_dataset`; or no image can be read.
    """
    import numpy as np

    from ov_mobilenet.accuracy.classes import class_mapping
    from ov_mobilenet.accuracy.dataset import read_dataset
    from ov_mobilenet.runtime.items import Item
    from ov_mobilenet.runtime.results import Failure

    classes = class_mapping(classifier)
    images = read_dataset(folder, classes).images
    frames = [(image, read_frame(Item(image.source, image.name), geometry)) for image in images]
    readable = [(image, frame) for image, frame in frames if not isinstance(frame, Failure)]
    if not readable:
        raise DatasetError("no labelled image can be read", where=folder)
    labels = np.array([classes.to_network(image.index) for image, _ in readable], np.int64)
    pixels = np.stack([frame for _, frame in readable])
    sources = tuple(image.name for image, _ in readable)
    failures = tuple(frame for _, frame in frames if isinstance(frame, Failure))
    prepared = PreparedImages(pixels, sources, failures)
    return ValidationSet(prepared, labels, classifier.probabilities(pixels).argmax(1))


def top1_drop(accuracy: Int8Accuracy) -> float:
    """Return how much lower the top-1 of the INT8 model is, as a fraction."""
    return accuracy["float_top1"] - accuracy["top1"]


def write_report(xml: Path, record: IrRecord) -> Path | None:
    """Write the accuracy and the calibration of an IR to `NAME.accuracy.json` beside it.

    Returns:
        The report; None if the record holds no accuracy; the report of an earlier IR is then deleted.
    """
    report = xml.with_suffix(".accuracy.json")
    if record.accuracy is None:
        report.unlink(missing_ok=True)
        return None
    facts = {
        "schema_version": SCHEMA_VERSION,
        "model": record.config_name,
        "precision": record.precision,
        **record.accuracy,
        "calibration": record.calibration,
        "versions": record.versions,
    }
    write_atomically(report, msgspec.json.format(msgspec.json.encode(facts)).decode() + "\n")
    return report
