"""The record that a converted model carries in `rt_info`.

Model API and OpenVINO Model Server read the section `model_info`:

    model_type   Classification; absent for features
    labels       class names separated by spaces, with underscores for the spaces inside a name
    resize_type  crop if the geometry keeps the aspect ratio, otherwise standard
    multilabel, confidence_threshold
                 only for a multi-label network. Model API applies a sigmoid to the outputs, which are sigmoids already,
                 so the threshold is sigmoid(0.5): it selects the classes with a probability of 0.5 and more

It has no mean, scale or channel order: these are in the graph, and a reader would apply them again.

The section `ov_mobilenet` is ours. Values other than strings are JSON, because OpenVINO stores lists joined by spaces
and booleans as YES and NO:

    format_version    "1", or "2" for an output kind other than classes, which version 0.1 would take for classes; a
                      reader accepts its own version and older ones
    config_name       folder name of the description
    config_digest     SHA-256 of the description
    sources           JSON {file: "algorithm:digest"}
    normalisation     JSON {mean, scale, reverse_input_channels}: baked into the graph
    geometry          JSON {steps, reader} or null: crop and resize
    geometry_baked    JSON true: crop and resize are in the graph, which takes frames of any size; false: the caller
                      applies them
    channel_order     BGR or RGB: channel order of the input
    color_format      bgr, rgb, nv12 or i420: colour format of the input
    background_class  JSON number or null
    labels            JSON list of the exact class names, or null
    origin            JSON {repository, revision, license}: the Hugging Face repository of the weights, its commit and
                      the licence that it states, or null; absent for other sources
    output_kind       multilabel or features, see `zoo.output_kind`; absent for classes
    precision         FP32, FP16 or FP16-INT8: weight precision
    calibration       JSON or null: how the model was quantised
    accuracy          JSON or null: the measured accuracy
    versions          JSON {openvino, ov_mobilenet}: the versions that wrote the file
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from ov_mobilenet.errors import IrError, UsageError
from ov_mobilenet.ir.form import YUV, ColorFormat, Planes
from ov_mobilenet.ir.model_info import write_labels
from ov_mobilenet.zoo.geometry import Geometry, Resize
from ov_mobilenet.zoo.hub_origin import HubOrigin
from ov_mobilenet.zoo.normalisation import Normalisation
from ov_mobilenet.zoo.output_kind import MULTILABEL_THRESHOLD, OutputKind

if TYPE_CHECKING:
    import openvino as ov

FORMAT_VERSION = 2
SECTION = "ov_mobilenet"


class IrRecord(Struct, frozen=True, kw_only=True):
    """The section `ov_mobilenet` of an IR.

    Attributes:
        config_name, config_digest: name of the description, and its SHA-256.
        sources: digest of each source file, by name.
        normalisation: what is baked into the graph.
        geometry: crop and resize; None for none.
        channel_order, color_format: of the input.
        background_class: the class that stands for no object; None without one.
        labels: class names; None without any.
        precision: weight precision: FP32, FP16 or FP16-INT8.
        versions: of OpenVINO and ov-mobilenet, which wrote the IR.
        calibration: how it was quantised; None for a float IR.
        accuracy: what was measured when it was quantised; None without a dataset.
        geometry_baked: whether crop and resize are in the graph.
        output_kind: classes, multilabel or features.
        origin: the Hugging Face repository of the weights; None for other sources.
    """

    config_name: str
    config_digest: str
    sources: dict[str, str]
    normalisation: Normalisation
    geometry: Geometry | None
    channel_order: Literal["BGR", "RGB"]
    background_class: int | None
    labels: tuple[str, ...] | None
    precision: str
    versions: dict[str, str]
    calibration: dict[str, Any] | None = None
    accuracy: dict[str, Any] | None = None
    geometry_baked: bool = False
    color_format: ColorFormat = "bgr"
    output_kind: OutputKind = "classes"
    origin: HubOrigin | None = None

    @property
    def planes(self) -> Planes | None:
        """The YUV colour format, if the model takes planes; None if it takes BGR or RGB frames."""
        return self.color_format if self.color_format in YUV else None


def write_record(model: ov.Model, record: IrRecord) -> None:
    """Write both sections to the model's rt_info."""
    if record.output_kind != "features":
        model.set_rt_info("Classification", ["model_info", "model_type"])
    if record.output_kind == "multilabel":
        model.set_rt_info("True", ["model_info", "multilabel"])
        threshold = 1 / (1 + math.exp(-MULTILABEL_THRESHOLD))
        model.set_rt_info(f"{threshold:.6f}", ["model_info", "confidence_threshold"])
    if record.labels:
        write_labels(model, record.labels)
    keeps_aspect = record.geometry is not None and any(
        isinstance(step, Resize) and step.keep_aspect for step in record.geometry.steps
    )
    model.set_rt_info("crop" if keeps_aspect else "standard", ["model_info", "resize_type"])
    facts = msgspec.to_builtins(record)
    if record.output_kind == "classes":
        del facts["output_kind"]
    if record.origin is None:
        del facts["origin"]
    model.set_rt_info("1" if record.output_kind == "classes" else "2", [SECTION, "format_version"])
    for name, value in facts.items():
        text = value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()
        model.set_rt_info(text, [SECTION, name])


def read_record(model: ov.Model, path: Path | str) -> IrRecord | None:
    """The record of a model; None if ov-mobilenet did not write it.

    Raises:
        IrError: the record has a newer format version, or is broken.
    """
    if not model.has_rt_info([SECTION, "format_version"]):
        return None
    version = model.get_rt_info([SECTION, "format_version"]).astype(str)
    if not re.fullmatch("[0-9]{1,9}", version):
        raise _broken_record(f"format version {version[:20]!r}", path)
    if int(version) > FORMAT_VERSION:
        raise IrError(
            "the IR was written by a newer ov-mobilenet", where=path,
            expected=f"format version {FORMAT_VERSION} or older", got=f"format version {version}",
            fix="Update ov-mobilenet, or convert the model again with this version",
        )  # fmt: skip
    texts: dict[str, str] = {}
    for field in msgspec.structs.fields(IrRecord):
        if model.has_rt_info([SECTION, field.encode_name]):
            texts[field.encode_name] = model.get_rt_info([SECTION, field.encode_name]).astype(str)
    try:
        return msgspec.convert(_decode(texts), IrRecord)
    except (msgspec.ValidationError, msgspec.DecodeError, RecursionError, UsageError) as error:
        raise _broken_record(str(error)[:200], path) from error


def _broken_record(reason: str, path: Path | str) -> IrError:
    return IrError(f"the IR's record is broken ({reason})", where=path, fix="Convert the model again")


_STRING_FIELDS = ("config_name", "config_digest", "channel_order", "precision", "color_format", "output_kind")


def _decode(texts: Mapping[str, str]) -> dict[str, Any]:
    return {name: text if name in _STRING_FIELDS else msgspec.json.decode(text) for name, text in texts.items()}
