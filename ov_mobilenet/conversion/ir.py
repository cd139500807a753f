"""The record a converted model carries in `rt_info`, and writing and reading IR files.

Section `model_info` is what Model API and OpenVINO Model Server read:

    model_type   Classification
    labels       class names separated by spaces, spaces inside a name as underscores
    resize_type  standard, or crop where the geometry keeps the aspect ratio

It holds no mean, scale or channel order: those are in the graph, and a reader would apply them again.

Section `ov_mobilenet` is ours. Values that are not plain strings are JSON, because OpenVINO stores lists joined by
spaces and booleans as YES and NO:

    format_version    "1"; a reader accepts its own version and older ones
    config_name       folder name of the description
    config_digest     SHA-256 of the description
    sources           JSON {file: "algorithm:digest"}
    normalisation     JSON {mean, scale, reverse_input_channels}: what is baked in
    geometry          JSON {steps, reader} or null: crop and resize
    geometry_baked    JSON true: they are in the graph, which takes frames of any size; false: whoever feeds the model
                      has them still to do
    channel_order     BGR or RGB: what the model takes
    color_format      bgr, rgb, nv12 or i420: the form in which it takes it
    background_class  JSON number or null
    labels            JSON list of the exact class names, or null
    precision         FP32, FP16, FP16-INT8
    calibration       JSON or null: how the model was quantised
    accuracy          JSON or null: what was measured
    versions          JSON {openvino, ov_mobilenet} that made the file
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from ov_mobilenet.conversion.form import YUV, ColorFormat, Planes
from ov_mobilenet.errors import IrError
from ov_mobilenet.zoo.arguments import Normalisation
from ov_mobilenet.zoo.geometry import Geometry, Resize

if TYPE_CHECKING:
    import openvino as ov

FORMAT_VERSION = 1
SECTION = "ov_mobilenet"


class IrRecord(Struct, frozen=True, kw_only=True):
    """What an IR says of itself; see the module."""

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

    @property
    def planes(self) -> Planes | None:
        """The planes that the model takes; None if it takes frames."""
        return self.color_format if self.color_format in YUV else None


def describe(model: ov.Model, record: IrRecord) -> None:
    """Write both sections into the model's rt_info."""
    model.set_rt_info("Classification", ["model_info", "model_type"])
    if record.labels:
        joined = " ".join("_".join(label.split()) for label in record.labels)
        model.set_rt_info(joined, ["model_info", "labels"])
    keeps_aspect = record.geometry is not None and any(
        isinstance(step, Resize) and step.keep_aspect for step in record.geometry.steps
    )
    model.set_rt_info("crop" if keeps_aspect else "standard", ["model_info", "resize_type"])
    model.set_rt_info(str(FORMAT_VERSION), [SECTION, "format_version"])
    for name, value in msgspec.to_builtins(record).items():
        text = value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()
        model.set_rt_info(text, [SECTION, name])


def read_record(model: ov.Model, path: Path | str) -> IrRecord | None:
    """The record of a model; None if it carries none of ours.

    Raises:
        IrError: the record is of a newer format version, or broken.
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
            fix="Update this toolkit, or convert the model with this one",
        )  # fmt: skip
    texts: dict[str, str] = {}
    for field in msgspec.structs.fields(IrRecord):
        if model.has_rt_info([SECTION, field.encode_name]):
            texts[field.encode_name] = model.get_rt_info([SECTION, field.encode_name]).astype(str)
    try:
        return msgspec.convert(_decode(texts), IrRecord)
    except (msgspec.ValidationError, msgspec.DecodeError, RecursionError) as error:
        raise _broken_record(str(error)[:200], path) from error


def conversion_parameters(model: ov.Model) -> dict[str, str] | None:
    """What `mo` or OpenVINO's `convert_model` recorded of its own work, by name; None if there is nothing."""
    if not model.has_rt_info(["conversion_parameters"]):
        return None
    section = model.rt_info["conversion_parameters"]
    if not isinstance(section, dict):
        return None
    return {name: value.astype(str) for name, value in section.items() if not isinstance(value, dict)}


def _broken_record(reason: str, path: Path | str) -> IrError:
    return IrError(f"the IR's record is broken ({reason})", where=path, fix="Convert the model again")


_PLAIN = ("config_name", "config_digest", "channel_order", "precision", "color_format")


def _decode(texts: Mapping[str, str]) -> dict[str, Any]:
    return {name: text if name in _PLAIN else msgspec.json.decode(text) for name, text in texts.items()}


def check_ends(network: ov.Model, xml: Path) -> None:
    """Check that a network is a classifier: one picture input, one output `[N, classes]`.

    Raises:
        IrError: it is not.
    """
    check_input(network, xml)
    shapes = [port.get_partial_shape() for port in network.outputs]
    if len(shapes) != 1 or shapes[0].rank.is_dynamic or len(shapes[0]) != 2 or shapes[0][1].is_dynamic:
        raise IrError(
            "the network is no classifier",
            where=xml,
            expected="one output [N, classes]",
            got=", ".join(map(str, shapes)) or "no output",
        )


def check_input(network: ov.Model, xml: Path) -> None:
    """Check that a network has one input of four dimensions. Raises: IrError."""
    shapes = [port.get_partial_shape() for port in network.inputs]
    if len(shapes) != 1 or shapes[0].rank.is_dynamic or len(shapes[0]) != 4:
        raise IrError(
            "the network does not take pictures",
            where=xml,
            expected="one input of four dimensions",
            got=", ".join(map(str, shapes)) or "no input",
        )


def save_ir(model: ov.Model, xml: Path) -> None:
    """Write `xml` and the `.bin` beside it; both appear complete or not at all.

    Both are written in a temporary folder beside the target. The old `.xml` goes first and the new one comes last,
    so whenever there is an `.xml`, its `.bin` is the right one. Processes that write the same IR with the same
    options write the same bytes and do not disturb each other; with other options they need other folders.

    Raises:
        OSError: the disk is full, the folder read-only.
    """
    import openvino as ov

    xml.parent.mkdir(parents=True, exist_ok=True)
    binary = xml.with_suffix(".bin")
    folder = Path(tempfile.mkdtemp(prefix=f".{xml.stem}.", dir=xml.parent))
    try:
        # Weights are compressed by halve_weights: OpenVINO's own compression rounds mean and scale as well.
        ov.save_model(model, folder / xml.name, compress_to_fp16=False)
        xml.unlink(missing_ok=True)
        (folder / binary.name).replace(binary)
        (folder / xml.name).replace(xml)
    except RuntimeError as error:
        raise OSError(f"{xml}: cannot be written ({str(error).strip().splitlines()[-1]})") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_ir(xml: Path) -> ov.Model:
    """Read an IR.

    Raises:
        IrError: a file is missing, truncated or no IR, or the network does not take pictures.
    """
    import openvino as ov

    binary = xml.with_suffix(".bin")
    if not xml.is_file():
        raise IrError("no such IR", where=xml, expected="an .xml file")
    if not binary.is_file():
        raise IrError("the weights are missing", where=xml, expected=binary)
    try:
        network = ov.Core().read_model(xml, binary)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1][:200]
        raise IrError(f"not a readable IR ({reason})", where=xml, fix="Convert the model again") from error
    check_input(network, xml)
    return network
