"""INT8 with NNCF: the same model, settings and images give the same bytes."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ov_mobilenet.conversion.converter import IrModel
from ov_mobilenet.errors import ConversionError, IrError, UsageError, VerificationError
from ov_mobilenet.ir.files import read_ir, save_ir
from ov_mobilenet.ir.ports import check_classifier
from ov_mobilenet.ir.record import IrRecord, read_record, write_record
from ov_mobilenet.outputs.output_files import write_atomically
from ov_mobilenet.quantization import nncf_calls
from ov_mobilenet.quantization.calibration import Frames, OnImage, doubts, read_calibration, read_labelled
from ov_mobilenet.quantization.topology import Scheme, choose_scheme
from ov_mobilenet.zoo.geometry import Geometry, whole

if TYPE_CHECKING:
    import numpy as np
    import openvino as ov
    from numpy.typing import NDArray

    from ov_mobilenet.runtime.classifier import Classifier

log = logging.getLogger(__name__)

PRECISION = "FP16-INT8"


@dataclass(frozen=True)
class QuantizeSettings:
    """What is asked of a quantisation.

    Attributes:
        subset_size: calibration images used.
        seed: which of them.
        preset: `auto` for what was measured best for networks of this kind.
        fast_bias_correction: the quick estimate of what rounding adds to each layer; None for what is best.
        ignored_scope: names of operations, or regular expressions of names, that stay in float besides those chosen.
        max_drop: largest loss of top-1 on the dataset, as a fraction; layers are put back to float until it holds.
    """

    subset_size: int = 300
    seed: int = 0
    preset: Literal["auto", "performance", "mixed"] = "auto"
    fast_bias_correction: bool | None = None
    ignored_scope: tuple[str, ...] = ()
    max_drop: float | None = None


@dataclass(frozen=True)
class Quantized:
    """An INT8 IR, and what is known of it.

    Attributes:
        skipped: calibration images that could not be read.
        put_back: layers that stayed in float because of `max_drop`.
        accuracy: top-1 before and after, agreement and number of images, fractions in [0, 1]; None without a dataset.
        report: the accuracy as JSON, `NAME.accuracy.json` beside the IR; None without a dataset.
        bytes_ratio: its `.bin` over that of the IR it was made from.
    """

    model: IrModel
    skipped: int
    put_back: tuple[str, ...]
    accuracy: dict[str, Any] | None
    report: Path | None
    bytes_ratio: float


def quantize(
    xml: Path,
    calibration: str | Path | Iterable[str | Path],
    target: Path | None = None,
    *,
    settings: QuantizeSettings = QuantizeSettings(),
    dataset: Path | None = None,
    device: str = "CPU",
    on_image: OnImage = lambda done, of: None,
) -> Quantized:
    """Quantise a converted IR to INT8.

    Args:
        xml: an FP32 or FP16 IR of `convert`, in its plain form: frames of the network's own size.
        calibration: images, folders, wildcards, lists, shards and videos, as `open_inputs` takes them.
        target: the `.xml` to write; by default `FP16-INT8/NAME.xml` beside the folder of `xml`.
        dataset: labelled images, as `measure_accuracy` takes them, for the accuracy and for `max_drop`.
        device: where it will run: what it lacks for INT8 is said in a warning, before the work.
        on_image: called after each calibration image with how many were looked at, of how many.

    Raises:
        MissingDependencyError: NNCF is not installed or OpenVINO too old for it.
        IrError: no IR, none of ours, or an INT8 one already.
        ImageError: too few images can be read.
        UsageError: no images, or a live source; `max_drop` without a dataset; an ignored scope that matches nothing.
        VerificationError: `max_drop` cannot be held; nothing is written.
    """
    nncf_calls.require()
    if settings.max_drop is not None and dataset is None:
        raise UsageError("a largest drop needs labelled images", expected="--dataset beside --max-drop")
    network = read_ir(xml)
    record = _record(network, xml)
    for sentence in nncf_calls.device_doubts(device):
        log.warning("%s", sentence)
    scheme = _scheme(network, settings, xml)
    geometry = record.geometry or _whole(network)
    frames = read_calibration(calibration, geometry, settings.subset_size, settings.seed, on_image)
    if frames.skipped:
        log.warning("%d calibration images could not be read and were skipped", frames.skipped)
    before = _classifier(xml)
    turned = frames.pixels[..., ::-1].copy()
    for sentence in doubts(frames.sources, before.probabilities(frames.pixels), before.probabilities(turned)):
        log.warning("%s: %s", xml, sentence)
    labelled = read_labelled(dataset, before, geometry) if dataset is not None else None
    quantised = nncf_calls.run(network, record, frames.pixels, scheme, settings.fast_bias_correction)
    target = target or xml.parent.parent / PRECISION / xml.name
    put_back: tuple[str, ...] = ()
    accuracy = None
    if labelled is not None:
        reference = before.probabilities(labelled[0].pixels)
        finished = _finish(quantised, record, settings, scheme, frames, {}, None)
        accuracy = _accuracy(finished, reference, labelled[1], labelled[0])
        if settings.max_drop is not None and _drop(accuracy) > settings.max_drop:
            controlled = nncf_calls.run_controlled(
                network, record, frames.pixels, scheme, settings.fast_bias_correction, labelled, settings.max_drop
            )
            put_back = _float_layers(controlled, but=_float_layers(quantised))
            quantised = controlled
            finished = _finish(quantised, record, settings, scheme, frames, {}, None)
            accuracy = _accuracy(finished, reference, labelled[1], labelled[0])
            if _drop(accuracy) > settings.max_drop:
                raise VerificationError(
                    "INT8 loses too much accuracy", where=xml, expected=f"a top-1 at most {settings.max_drop:g} lower",
                    got=f"{_drop(accuracy):.4f} lower with {len(put_back)} layers back in float",
                    fix="Give more calibration images, --preset mixed or --ignored-scope",
                )  # fmt: skip
    facts = {"put_back": list(put_back)} if put_back else {}
    model = _finish(quantised, record, settings, scheme, frames, facts, accuracy)
    made = read_record(model, target)
    if made is None:
        raise IrError("the record was not written", where=target)
    save_ir(model, target)
    report = _write_report(target, made)
    ratio = target.with_suffix(".bin").stat().st_size / xml.with_suffix(".bin").stat().st_size
    return Quantized(IrModel(target, PRECISION, made), frames.skipped, put_back, accuracy, report, ratio)


def _write_report(target: Path, record: IrRecord) -> Path | None:
    """The accuracy, and the calibration that it holds for; a report of an earlier IR does not outlive it."""
    report = target.with_suffix(".accuracy.json")
    if record.accuracy is None:
        report.unlink(missing_ok=True)
        return None
    facts = {
        "schema_version": 1,
        "model": record.config_name,
        "precision": record.precision,
        **record.accuracy,
        "calibration": record.calibration,
        "versions": record.versions,
    }
    write_atomically(report, msgspec.json.format(msgspec.json.encode(facts)).decode() + "\n")
    return report


def _record(network: ov.Model, xml: Path) -> IrRecord:
    """The record of an IR that can be quantised. Raises: IrError."""
    record = read_record(network, xml)
    quantised = any(node.get_type_name() == "FakeQuantize" for node in network.get_ops())
    if quantised or (record is not None and record.precision == PRECISION):
        raise IrError(
            "the network is quantised already", where=xml, expected="an FP32 or FP16 IR",
            fix="Quantise the float IR it came from",
        )  # fmt: skip
    if record is None:
        raise IrError(
            "no record of ov-mobilenet, so how its images are cropped and normalised is not known", where=xml,
            fix="Convert the source network with ov-mobilenet convert, and quantise that",
        )  # fmt: skip
    if record.geometry_baked or record.planes is not None:
        raise IrError(
            "only the plain form can be quantised", where=xml, expected="frames of the network's own size",
            got="the geometry is baked in" if record.geometry_baked else f"{record.planes} planes",
            fix="Convert without --bake-geometry and with --color-format bgr",
        )  # fmt: skip
    check_classifier(network, xml)
    return record


def _scheme(network: ov.Model, settings: QuantizeSettings, xml: Path) -> Scheme:
    import re

    chosen = choose_scheme(network)
    names = [node.get_friendly_name() for node in network.get_ordered_ops() if node.get_type_name() != "Constant"]
    extra: list[str] = []
    for scope in settings.ignored_scope:
        try:
            found = [name for name in names if name == scope or re.fullmatch(scope, name)]
        except re.error as error:
            raise UsageError(f"bad ignored scope ({error})", got=repr(scope)) from error
        if not found:
            raise UsageError("an ignored scope that no operation has", where=xml, got=repr(scope))
        extra += found
    preset = chosen.preset if settings.preset == "auto" else settings.preset
    in_float = tuple(dict.fromkeys((*chosen.in_float, *extra)))
    log.info("%s: preset %s, %d operations in float (%s)", xml, preset, len(in_float), chosen.reason)
    return Scheme(preset, chosen.ranges, in_float, chosen.reason)


def _whole(network: ov.Model) -> Geometry:
    from ov_mobilenet.ir.layout import check_layout

    layout = nncf_calls.layout_of(network)
    check_layout(network, layout, None)
    shape = network.inputs[0].get_partial_shape()
    sides = [shape[layout.index(letter)] for letter in "HW"]
    if any(side.is_dynamic for side in sides):
        raise ConversionError("the network takes any size", fix="Fix it with convert --input-shape")
    return whole(sides[0].get_length(), sides[1].get_length())


def _classifier(xml: Path) -> Classifier:
    from ov_mobilenet.load import load_classifier

    return load_classifier(xml, device="CPU", inference_precision="f32")


def _accuracy(
    finished: ov.Model, reference: NDArray[np.float32], labels: NDArray[np.int64], frames: Frames
) -> dict[str, Any]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        xml = Path(folder) / "model.xml"
        save_ir(finished, xml)
        answers = _classifier(xml).probabilities(frames.pixels).argmax(1)
    before = reference.argmax(1)
    return {
        "images": len(labels),
        "top1": float((answers == labels).mean()),
        "float_top1": float((before == labels).mean()),
        "agreement": float((answers == before).mean()),
    }


def _drop(accuracy: dict[str, Any]) -> float:
    return float(accuracy["float_top1"] - accuracy["top1"])


def _float_layers(model: ov.Model, but: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Convolutions and matrix products whose activations are not quantised."""
    names = []
    for node in model.get_ordered_ops():
        if node.get_type_name() not in ("Convolution", "GroupConvolution", "MatMul"):
            continue
        source = node.input_value(0).get_node()
        while source.get_type_name() in ("Reshape", "Transpose", "Squeeze", "Unsqueeze"):
            source = source.input_value(0).get_node()
        if source.get_type_name() != "FakeQuantize":
            names.append(node.get_friendly_name())
    return tuple(name for name in names if name not in but)


def _finish(
    quantised: ov.Model,
    record: IrRecord,
    settings: QuantizeSettings,
    scheme: Scheme,
    frames: Frames,
    facts: dict[str, Any],
    accuracy: dict[str, Any] | None,
) -> ov.Model:
    """The model as it is saved: the faster graph, the other weights at FP16, canonical names, our record."""
    from ov_mobilenet.conversion.compression import halve_weights
    from ov_mobilenet.conversion.naming import make_canonical
    from ov_mobilenet.quantization.faster_graph import normalise_by_rows, shift_to_unsigned

    model = quantised.clone()
    normalise_by_rows(model)
    shift_to_unsigned(model)
    halve_weights(model)
    model.validate_nodes_and_infer_types()
    make_canonical(model, record.config_name, min(model.inputs[0].get_names()))
    calibration = {
        "nncf": nncf_calls.version(),
        "images": len(frames.pixels),
        "digest": _digest(frames.pixels),
        "seed": settings.seed,
        "preset": scheme.preset,
        "activation_ranges": scheme.ranges,
        "bias_correction": "fast" if settings.fast_bias_correction else "accurate",
        "in_float": list(scheme.in_float),
        **facts,
    }
    write_record(
        model, msgspec.structs.replace(record, precision=PRECISION, calibration=calibration, accuracy=accuracy)
    )
    return model


def _digest(pixels: NDArray[np.uint8]) -> str:
    """Of the pixels that were used: whether two INT8 models come from the same images."""
    import hashlib

    return "sha256:" + hashlib.sha256(pixels.tobytes()).hexdigest()
