"""The content of a `model.yml` as frozen values.

The schema is the Open Model Zoo's; additions of this toolkit are marked "Extension".
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct

from ov_mobilenet.zoo.accuracy_check import AccuracyCheck, DatasetConfig
from ov_mobilenet.zoo.hub_reference import HubReference
from ov_mobilenet.zoo.layer_settings import Activation, LayerSettings, Padding
from ov_mobilenet.zoo.library_network import Argument as LibraryArgument
from ov_mobilenet.zoo.output_kind import OutputContent

PositiveInt = Annotated[int, Meta(ge=1)]
Fraction = Annotated[float, Meta(ge=0.0, le=1.0)]
Positive = Annotated[float, Meta(gt=0.0)]

HeadActivation = Literal["none", "relu", "relu6", "hardswish", "silu", "gelu", "tanh"]
HEAD_ACTIVATIONS: tuple[HeadActivation, ...] = get_args(HeadActivation)
CONVERTIBLE_FRAMEWORKS = ("onnx", "tf", "pytorch", "tflite", "keras")
REFUSED_FRAMEWORKS = {
    "caffe": "OpenVINO removed its Caffe frontend in 2024.0; convert the network to ONNX first",
    "paddle": "PaddlePaddle networks are not supported; OpenVINO's `ovc` reads .pdmodel files",
    "mxnet": "OpenVINO removed its MXNet frontend in 2024.0; convert the network to ONNX first",
    "dldt": "the files are already an IR: use the path of the .xml as MODEL",
}


class Checksum(Struct, frozen=True):
    """A digest in lower-case hexadecimal; `git-sha1` is git's name of a file, and not allowed in a `model.yml`."""

    algorithm: Literal["sha384", "sha256", "git-sha1"]
    value: str


class HttpSource(Struct, frozen=True, tag_field="$type", tag="http", forbid_unknown_fields=True):
    """A URL; https unless the user allows http."""

    url: str


class FileSource(Struct, frozen=True, tag_field="$type", tag="file", forbid_unknown_fields=True):
    """Extension: a path relative to the folder of the `model.yml`."""

    path: str


class HubSource(Struct, frozen=True, kw_only=True, tag_field="$type", tag="hub", forbid_unknown_fields=True):
    """Extension: a file of a Hugging Face repository.

    Attributes:
        repository: OWNER/NAME.
        revision: a commit: 40 hexadecimal digits.
        path: path in the repository, with `/`.
    """

    repository: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,96}/[A-Za-z0-9_.-]{1,96}\Z")]
    revision: Annotated[str, Meta(pattern=r"^[0-9a-f]{40}\Z")]
    path: str

    def __str__(self) -> str:
        """As a reference: `hf:OWNER/NAME@COMMIT/FILE`."""
        return str(self.reference)

    @property
    def reference(self) -> HubReference:
        """The file as a reference."""
        return HubReference(repository=self.repository, revision=self.revision, file=self.path)


DownloadSource = HttpSource | FileSource | HubSource


class ModelFile(Struct, frozen=True, kw_only=True):
    """One file to download.

    Attributes:
        name: path relative to the model's download folder, with `/`.
        size: size in bytes.
        checksum: None if the description has no digest: the file is `unverified`.
        sources: in the order in which they are tried; `original_source` is the last.
    """

    name: str
    size: int
    checksum: Checksum | None
    sources: tuple[DownloadSource, ...]


class UnpackArchive(Struct, frozen=True, tag_field="$type", tag="unpack_archive", forbid_unknown_fields=True):
    """Unpack a downloaded archive into the folder it is in."""

    format: Literal["tar", "gztar", "bztar", "xztar", "zip"]
    file: str


class RegexReplace(Struct, frozen=True, tag_field="$type", tag="regex_replace", forbid_unknown_fields=True):
    """Replace a pattern in a downloaded text file: exactly `count` times if given, else at least once."""

    file: str
    pattern: str
    replacement: str
    count: Annotated[int, Meta(ge=0)] = 0


Postprocessing = UnpackArchive | RegexReplace


class InputInfo(Struct, frozen=True, forbid_unknown_fields=True):
    """The documented input of the source network.

    Attributes:
        name: tensor name.
        shape: dimensions, including the batch; all positive.
        layout: one letter per dimension, out of N, C, H, W.
    """

    name: str
    shape: tuple[int, ...] = ()
    layout: str = ""


class ModelInfo(Struct, frozen=True, forbid_unknown_fields=True):
    """The Open Model Zoo's `model_info`, which its tools write to the IR."""

    model_type: str | None = None
    labels: tuple[str, ...] = ()


class PublishedAccuracy(Struct, frozen=True, forbid_unknown_fields=True):
    """Extension: the published accuracy of the model, as fractions in [0, 1]."""

    top1: Fraction
    top5: Fraction


class Details(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Extension: the block `ov_mobilenet:`.

    Attributes:
        classes: number of classes, including the background class.
        background_class: index of the background class, if the network has one.
        output: what the output of the source network holds, see `zoo.output_kind`.
        gflops: 10^9 floating-point operations per image (two per multiply-add).
        mparams: number of parameters in millions.
        accuracy: the published accuracy.
        labels: a shipped set (`imagenet_1000_classes`, `imagenet_1001_classes`) or a text file beside the
            `model.yml`, one name per line.
        notes: sentences for the model card.
        least_side: smallest documented height and width of the input, in pixels.
        weights_key: the entry of a PyTorch checkpoint that holds the weights, if there are several.
        head: the activation between the linear layers of a replaced classifier of PyTorch weights.
        activation, padding, batch_norm_epsilon: of PyTorch weights, see `LayerSettings`.
        architecture_arguments: of a network of timm or transformers, see `LibraryNetwork`.
    """

    classes: PositiveInt | None = None
    background_class: Annotated[int, Meta(ge=0)] | None = None
    output: OutputContent | None = None
    gflops: Positive | None = None
    mparams: Positive | None = None
    accuracy: PublishedAccuracy | None = None
    labels: str | None = None
    notes: tuple[str, ...] = ()
    least_side: PositiveInt | None = None
    weights_key: str | None = None
    head: HeadActivation | None = None
    activation: Activation | None = None
    padding: Padding | None = None
    batch_norm_epsilon: Annotated[float, Meta(gt=0.0, lt=1.0)] | None = None
    architecture_arguments: dict[str, LibraryArgument] = {}

    @property
    def settings(self) -> LayerSettings:
        """The settings of the layers."""
        return LayerSettings(
            activation=self.activation, padding=self.padding, batch_norm_epsilon=self.batch_norm_epsilon
        )


class ModelConfig(Struct, frozen=True, kw_only=True):
    """One model description.

    Attributes:
        description, task_type, framework, license, files, postprocessing: as in `model.yml`.
        conversion_to_onnx_args, input_info, model_optimizer_args, model_info: as in `model.yml`.
        details: its section `ov_mobilenet`.
        name: name of the folder.
        path: the `model.yml`.
        digest: hexadecimal SHA-256 over `model.yml`, `accuracy-check.yml` and the labels file.
        accuracy_check: the content of the `accuracy-check.yml` beside it; None without one.
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
        """The accuracy-check dataset of the converted model; None without one."""
        return self.accuracy_check.converted if self.accuracy_check is not None else None

    @property
    def folder(self) -> Path:
        """The folder of the `model.yml`."""
        return self.path.parent
