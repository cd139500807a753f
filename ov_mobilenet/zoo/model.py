"""What a `model.yml` says, as frozen values.

The schema is the Open Model Zoo's; what this toolkit adds is marked with "ours".
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from ov_mobilenet.zoo.accuracy_check import AccuracyCheck, DatasetConfig

PositiveInt = Annotated[int, Meta(ge=1)]
Fraction = Annotated[float, Meta(ge=0.0, le=1.0)]
Positive = Annotated[float, Meta(gt=0.0)]

CONVERTIBLE_FRAMEWORKS = ("onnx", "tf", "pytorch", "tflite", "keras")
REFUSED_FRAMEWORKS = {
    "caffe": "OpenVINO dropped its Caffe frontend in 2024.0; convert the network to ONNX first",
    "paddle": "PaddlePaddle networks are outside this toolkit; OpenVINO's own `ovc` reads .pdmodel files",
    "mxnet": "OpenVINO dropped its MXNet frontend in 2024.0; convert the network to ONNX first",
    "dldt": "the files are an IR already: give the path of the .xml where a MODEL is asked for",
}


class Checksum(Struct, frozen=True):
    """A digest in lower-case hexadecimal."""

    algorithm: Literal["sha384", "sha256"]
    value: str


class HttpSource(Struct, frozen=True, tag_field="$type", tag="http", forbid_unknown_fields=True):
    """A URL; https unless the user allows more."""

    url: str


class FileSource(Struct, frozen=True, tag_field="$type", tag="file", forbid_unknown_fields=True):
    """Ours: a path relative to the folder of the `model.yml`."""

    path: str


Source = HttpSource | FileSource


class ModelFile(Struct, frozen=True, kw_only=True):
    """One file to fetch.

    Attributes:
        name: relative path below the model's download folder, with `/`.
        size: bytes.
        checksum: None if the description has no full digest: the file is `unverified`.
        sources: in the order in which they are tried; `original_source` last.
    """

    name: str
    size: int
    checksum: Checksum | None
    sources: tuple[Source, ...]


class UnpackArchive(Struct, frozen=True, tag_field="$type", tag="unpack_archive", forbid_unknown_fields=True):
    """Unpack an archive that was fetched, beside itself."""

    format: Literal["tar", "gztar", "bztar", "xztar", "zip"]
    file: str


class RegexReplace(Struct, frozen=True, tag_field="$type", tag="regex_replace", forbid_unknown_fields=True):
    """Replace a pattern in a text file that was fetched; exactly `count` times when given, else at least once."""

    file: str
    pattern: str
    replacement: str
    count: Annotated[int, Meta(ge=0)] = 0


Postprocessing = UnpackArchive | RegexReplace


class InputInfo(Struct, frozen=True, forbid_unknown_fields=True):
    """The network's input as its document gives it.

    Attributes:
        name: tensor name.
        shape: dimensions, batch included; all positive.
        layout: one letter a dimension out of N, C, H, W.
    """

    name: str
    shape: tuple[int, ...] = ()
    layout: str = ""


class ModelInfo(Struct, frozen=True, forbid_unknown_fields=True):
    """The Open Model Zoo's `model_info`: what its own tools wrote into the IR."""

    model_type: str | None = None
    labels: tuple[str, ...] = ()


class PublishedAccuracy(Struct, frozen=True, forbid_unknown_fields=True):
    """Ours: the accuracy that the model's document publishes, as fractions in [0, 1]."""

    top1: Fraction
    top5: Fraction


class Details(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ours, the block `ov_mobilenet:`.

    Attributes:
        classes: number of classes, background included.
        background_class: index of the background class, if the network has one.
        output: what the source network ends in.
        gflops: 10^9 floating-point operations an image (two per multiply-add).
        mparams: 10^6 parameters.
        accuracy: what the document publishes.
        labels: a shipped set (`imagenet_1000_classes`, `imagenet_1001_classes`) or a text file beside the
            `model.yml`, one name a line.
        notes: sentences for the model card.
        least_side: pixels of height and width below which the document does not let the network be used.
        weights_key: the entry of a PyTorch checkpoint that holds the weights, of several.
    """

    classes: PositiveInt | None = None
    background_class: Annotated[int, Meta(ge=0)] | None = None
    output: Literal["logits", "probabilities"] | None = None
    gflops: Positive | None = None
    mparams: Positive | None = None
    accuracy: PublishedAccuracy | None = None
    labels: str | None = None
    notes: tuple[str, ...] = ()
    least_side: PositiveInt | None = None
    weights_key: str | None = None


class ModelConfig(Struct, frozen=True, kw_only=True):
    """One model description.

    Attributes:
        name: the folder's name.
        path: the `model.yml`.
        digest: SHA-256 over `model.yml`, `accuracy-check.yml` and the labels file, hexadecimal.
        accuracy_check: the `accuracy-check.yml` beside it, if there is one.
    """

    name: str
    path: Path
    digest: str
    description: str
    task_type: str
    framework: str
    license: str
    files: tuple[ModelFile, ...]
    postprocessing: tuple[Postprocessing, ...] = ()
    conversion_to_onnx_args: tuple[str, ...] = ()
    input_info: tuple[InputInfo, ...] = ()
    model_optimizer_args: tuple[str, ...] = ()
    model_info: ModelInfo | None = None
    details: Details = Details()
    accuracy_check: AccuracyCheck | None = None

    @property
    def dataset(self) -> DatasetConfig | None:
        """How the accuracy check feeds and judges the converted model; None if nothing says so."""
        return self.accuracy_check.converted if self.accuracy_check is not None else None

    @property
    def folder(self) -> Path:
        """The folder of the description."""
        return self.path.parent
