"""`quantize`: INT8 with NNCF; the same model, settings and images give the same bytes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ov_mobilenet.accuracy.protocol import OnProgress, ignore_progress
from ov_mobilenet.accuracy.sanity import image_spread, labelled_warnings, unlabelled_warnings
from ov_mobilenet.argument_types import checked
from ov_mobilenet.conversion.converter import IrModel
from ov_mobilenet.diagnosis.check import CHECKED_IMAGES, draw, normalisation_warnings
from ov_mobilenet.errors import UsageError, VerificationError
from ov_mobilenet.inputs.image_subset import MIN_IMAGES, PreparedImages, read_subset
from ov_mobilenet.ir.files import OpenedIr
from ov_mobilenet.ir.record import IrRecord, write_record
from ov_mobilenet.ir.saving import save_ir
from ov_mobilenet.quantization import nncf_backend
from ov_mobilenet.quantization.calibration import calibration_warnings
from ov_mobilenet.quantization.int8_network import Int8Network, compile_on_cpu, finish, pixel_digest
from ov_mobilenet.quantization.preparation import (
    INT8_PRECISION,
    check_quantisable,
    complete_scheme,
    whole_image_geometry,
)
from ov_mobilenet.quantization.topology import QuantisationScheme
from ov_mobilenet.quantization.validation import Int8Accuracy, ValidationSet, read_validation, top1_drop, write_report
from ov_mobilenet.resolve import Lookup, LookupOptions, open_model
from ov_mobilenet.zoo.hub_reference import is_hub_reference

if TYPE_CHECKING:
    from typing_extensions import Unpack

log = logging.getLogger(__name__)


@checked
@dataclass(frozen=True)
class QuantizeSettings:
    """Settings of a quantisation.

    Attributes:
        subset_size: number of calibration images to use, at least 10.
        seed: seed of the random choice of these images.
        preset: `performance`, `mixed`, or `auto` for the one that was measured best for networks of this kind.
        fast_bias_correction: whether to correct the bias of each layer by a faster, less accurate method.
        ignored_scope: names of operations, or regular expressions that match names; these operations stay in float,
            in addition to those of the chosen scheme.
        max_drop: largest allowed drop of top-1 on the dataset, as a fraction; layers are reverted to float until it is
            met.
    """

    subset_size: int = 300
    seed: int = 0
    preset: Literal["auto", "performance", "mixed"] = "auto"
    fast_bias_correction: bool = False
    ignored_scope: tuple[str, ...] = ()
    max_drop: float | None = None


@dataclass(frozen=True)
class Quantized:
    """An INT8 IR and facts about it.

    Attributes:
        model: the INT8 IR.
        skipped: number of calibration images that could not be read.
        put_back: layers that were reverted to float to keep `max_drop`.
        accuracy: top-1 before and after, agreement and number of images, see `Int8Accuracy`; None without a dataset.
        report: the accuracy as JSON, `NAME.accuracy.json` beside the IR; None without a dataset.
        warnings: signs that the float model is fed wrongly or its labels are wrong, as sentences.
        bytes_ratio: size of the `.bin` divided by that of the float IR.
    """

    model: IrModel
    skipped: int
    put_back: tuple[str, ...]
    accuracy: Int8Accuracy | None
    report: Path | None
    bytes_ratio: float
    warnings: tuple[str, ...] = ()


@checked
def quantize(
    model: str | Path,
    calibration: str | Path | Iterable[str | Path],
    target: Path | None = None,
    *,
    output_dir: Path | None = None,
    settings: QuantizeSettings = QuantizeSettings(),
    dataset: Path | None = None,
    device: str = "CPU",
    on_progress: OnProgress = ignore_progress,
    **options: Unpack[LookupOptions],
) -> Quantized:
    """Quantise a model to INT8.

    Args:
        model: a zoo name, the path of a `model.yml`, or the path of an FP32 or FP16 IR of `convert` that takes frames
            of the network's own size.
        calibration: images, folders, wildcards, lists, shards and videos, as for `open_inputs`.
        target: the `.xml` to write; by default `FP16-INT8/NAME.xml` beside the folder of an IR, and
            `public/NAME/FP16-INT8/NAME.xml` in the current folder for a zoo name or a `model.yml`.
        output_dir: write to `public/NAME/FP16-INT8/NAME.xml` in this folder; excludes `target`.
        settings: calibration subset, preset, ignored scope and largest allowed drop of top-1.
        dataset: labelled images, as for `measure_accuracy`; needed to measure the accuracy and for `max_drop`.
        device: the device that the model will run on; a warning is logged if INT8 is not faster there.
        on_progress: called after each calibration image.
        options: fields of `Lookup` (`config_dirs`, `cache_dir`, `offline`, `ir_dir`).

    Raises:
        MissingDependencyError: NNCF is not installed, or OpenVINO is too old for it.
        IrError: the IR cannot be read, has no record of ov-mobilenet, does not take frames of the network's own size,
            or is already INT8.
        ImageError: too few images can be read.
        UsageError: no images, or a live source; `max_drop` without a dataset; an ignored scope that matches no
            operation; both `target` and `output_dir`; an option is unknown.
        VerificationError: top-1 drops by more than `max_drop`; nothing is written.
        OvMobilenetError: as `load_classifier`.
    """
    nncf_backend.check_installed()
    lookup = Lookup.of(options)
    if settings.subset_size < MIN_IMAGES:
        raise UsageError("invalid subset_size", expected=f"at least {MIN_IMAGES} images", got=settings.subset_size)
    if settings.max_drop is not None and dataset is None:
        raise UsageError("a maximum drop needs labelled images", expected="--dataset in addition to --max-drop")
    if target is not None and output_dir is not None:
        raise UsageError("target and output_dir exclude each other", got=f"{target} and {output_dir}")
    ir = open_model(model, lookup)
    record = check_quantisable(ir)
    for warning in nncf_backend.device_warnings(device):
        log.warning("%s", warning)
    preset = None if settings.preset == "auto" else settings.preset
    scheme = complete_scheme(ir.network, preset, settings.ignored_scope, ir.xml)
    geometry = record.geometry or whole_image_geometry(ir.network)
    images = read_subset(calibration, geometry, settings.subset_size, settings.seed, on_progress)
    if images.failures:
        log.warning("%d calibration images could not be read and were skipped", len(images.failures))
    float_classifier = compile_on_cpu(ir)
    answers = float_classifier.probabilities(images.pixels)
    for warning in calibration_warnings(images.sources, answers):
        log.warning("%s: %s", ir.xml, warning)
    warnings = unlabelled_warnings(answers, image_spread(images.pixels[:, ::8, ::8]))
    validation = None if dataset is None else read_validation(dataset, float_classifier, geometry)
    if validation is not None:
        warnings += labelled_warnings(validation.labels, validation.float_top1, float_classifier.classes)
    warnings += _normalisation_warnings(ir, str(model), images, calibration, validation, dataset)
    fast = bool(settings.fast_bias_correction)  # programs written for 0.1 may pass its default, None
    request = nncf_backend.QuantisationRequest(ir.network, record, images.pixels, scheme, fast)
    int8, accuracy, put_back = _quantise(request, validation, settings.max_drop, ir)
    facts = _calibration_facts(images, settings, scheme, put_back)
    new_record = msgspec.structs.replace(
        record, precision=INT8_PRECISION, calibration=facts, accuracy=None if accuracy is None else dict(accuracy)
    )
    write_record(int8.network, new_record)
    xml = target or _default_target(model, ir.xml, output_dir)
    save_ir(int8.network, xml)
    report = write_report(xml, new_record)
    bytes_ratio = xml.with_suffix(".bin").stat().st_size / ir.xml.with_suffix(".bin").stat().st_size
    made = IrModel(xml, INT8_PRECISION, new_record)
    return Quantized(made, len(images.failures), put_back, accuracy, report, bytes_ratio, warnings)


def _quantise(
    request: nncf_backend.QuantisationRequest, validation: ValidationSet | None, max_drop: float | None, ir: OpenedIr
) -> tuple[Int8Network, Int8Accuracy | None, tuple[str, ...]]:
    """Quantise, and revert layers to float if top-1 drops by more than `max_drop`.

    Returns:
        The network, its accuracy on the validation dataset, and the layers that were reverted to float.

    Raises:
        VerificationError: top-1 still drops by more than `max_drop`.
    """
    int8 = finish(nncf_backend.quantise(request), request.record)
    if validation is None:
        return int8, None, ()
    accuracy = _measure(int8, request.record, validation, ir.xml)
    if max_drop is None or top1_drop(accuracy) <= max_drop:
        return int8, accuracy, ()
    reverted = nncf_backend.quantise_with_accuracy_control(
        request, validation.images.pixels, validation.labels, max_drop
    )
    controlled = finish(reverted, request.record)
    put_back = tuple(name for name in controlled.float_layers if name not in int8.float_layers)
    accuracy = _measure(controlled, request.record, validation, ir.xml)
    if top1_drop(accuracy) > max_drop:
        raise VerificationError(
            "INT8 loses too much accuracy", where=ir.xml, expected=f"a top-1 at most {max_drop:g} lower",
            got=f"{top1_drop(accuracy):.4f} lower with {len(put_back)} layers reverted to float",
            fix="Use more calibration images, --preset mixed or --ignored-scope",
        )  # fmt: skip
    return controlled, accuracy, put_back


def _measure(int8: Int8Network, record: IrRecord, validation: ValidationSet, xml: Path) -> Int8Accuracy:
    return validation.measure(compile_on_cpu(OpenedIr(xml, int8.network, record)))


def _normalisation_warnings(
    ir: OpenedIr,
    model: str,
    images: PreparedImages,
    calibration: str | Path | Iterable[str | Path],
    validation: ValidationSet | None,
    dataset: Path | None,
) -> tuple[str, ...]:
    """Warn if a normalisation other than the baked one is better; on labelled images if there are enough."""
    if validation is not None and dataset is not None and len(validation.labels) >= CHECKED_IMAGES:
        drawn = draw(len(validation.labels))
        pixels, truths = validation.images.pixels[drawn], validation.labels[drawn]
        return normalisation_warnings(ir, pixels, model=model, images=dataset, truths=truths)
    inputs = [calibration] if isinstance(calibration, str | Path) else calibration
    folders = [one for one in inputs if Path(one).is_dir()] if isinstance(inputs, Sequence) else []
    folder = folders[0] if len(folders) == 1 else "DIR"
    return normalisation_warnings(ir, images.pixels[draw(len(images.pixels))], model=model, images=folder)


def _default_target(model: str | Path, xml: Path, output_dir: Path | None) -> Path:
    if output_dir is None and Path(model).suffix == ".xml" and not is_hub_reference(model):
        return xml.parent.parent / INT8_PRECISION / xml.name
    return (output_dir or Path()) / "public" / xml.stem / INT8_PRECISION / xml.name


def _calibration_facts(
    images: PreparedImages, settings: QuantizeSettings, scheme: QuantisationScheme, put_back: tuple[str, ...]
) -> dict[str, Any]:
    """Return the facts about the calibration that the record holds."""
    facts = {
        "nncf": nncf_backend.version(),
        "images": len(images.pixels),
        "digest": pixel_digest(images.pixels),
        "seed": settings.seed,
        "preset": scheme.preset,
        "activation_ranges": scheme.ranges,
        "bias_correction": "fast" if settings.fast_bias_correction else "accurate",
        "in_float": list(scheme.in_float),
    }
    return {**facts, "put_back": list(put_back)} if put_back else facts
