"""Convert verified source files to IR files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ov_mobilenet._version import __version__
from ov_mobilenet.conversion.finished_model import finish_model
from ov_mobilenet.conversion.local_network import LocalNetwork, find_network
from ov_mobilenet.conversion.model_optimizer import prepare_with_model_optimizer
from ov_mobilenet.conversion.normalisation_check import double_normalisation_warnings, normalisation_warnings
from ov_mobilenet.conversion.openvino_backend import prepare_with_openvino
from ov_mobilenet.downloads.fetch import SourceFiles
from ov_mobilenet.errors import ConversionError, UsageError
from ov_mobilenet.ir.form import DESCRIBED_FORM, YUV, Form, complete_form
from ov_mobilenet.ir.record import IrRecord
from ov_mobilenet.ir.saving import save_ir
from ov_mobilenet.zoo import labels
from ov_mobilenet.zoo.arguments import ConversionPlan
from ov_mobilenet.zoo.geometry import Geometry, channel_order, check_size, geometry_of_dataset, resize_whole_image
from ov_mobilenet.zoo.hub_origin import origin_of

if TYPE_CHECKING:
    import openvino as ov

    from ov_mobilenet.conversion.mo_program import ModelOptimizer
    from ov_mobilenet.conversion.prepared_network import PreparedNetwork

log = logging.getLogger(__name__)

WeightPrecision = Literal["FP16", "FP32"]
WEIGHT_PRECISIONS: tuple[WeightPrecision, ...] = ("FP16", "FP32")

Backend = Callable[[LocalNetwork, Form, Sequence[WeightPrecision]], "PreparedNetwork"]


@dataclass(frozen=True)
class IrModel:
    """A converted model on disk.

    Attributes:
        xml: the `.xml`; the weights are in the `.bin` beside it.
        precision: weight precision: FP32, FP16 or FP16-INT8.
        record: the record in the IR.
    """

    xml: Path
    precision: str
    record: IrRecord


def convert_sources(
    sources: SourceFiles,
    folder: Path,
    *,
    precisions: Sequence[WeightPrecision] | None = None,
    form: Form = DESCRIBED_FORM,
    optimizer: ModelOptimizer | None = None,
    isolate: bool | None = None,
) -> tuple[IrModel, ...]:
    """Convert source files to `folder/PRECISION/NAME.xml`; see `convert_network`.

    Raises:
        ConfigError: an argument of the description is unknown or has an invalid value.
        ConversionError, MissingDependencyError, UsageError, OSError: see `convert_network`.
    """
    return convert_network(
        find_network(sources), folder, precisions=precisions, form=form, optimizer=optimizer, isolate=isolate
    )


def convert_network(
    network: LocalNetwork,
    folder: Path,
    *,
    precisions: Sequence[WeightPrecision] | None = None,
    form: Form = DESCRIBED_FORM,
    optimizer: ModelOptimizer | None = None,
    isolate: bool | None = None,
) -> tuple[IrModel, ...]:
    """Convert a network to `folder/PRECISION/NAME.xml` with the normalisation baked in.

    The same sources, options and versions give the same bytes.

    Args:
        folder: output folder of the model, `OUT/public/NAME` in the Open Model Zoo's layout.
        precisions: weight precisions; by default the one that the description asks for, otherwise FP16 and FP32.
        optimizer: the classic Model Optimizer to convert with; None to convert with this OpenVINO.
        isolate: see `prepare_with_openvino`.

    Raises:
        ConversionError: the network cannot be converted as its description says.
        MissingDependencyError: the framework's package, or the Model Optimizer, is not installed.
        UsageError: the fields of the form contradict each other, the geometry does not match the network's input
            size, or the Model Optimizer cannot make the requested form.
        OSError: the IR cannot be written.
    """
    form = complete_form(form)
    precisions = precisions or default_precisions(network.plan)
    if unknown := [precision for precision in precisions if precision not in WEIGHT_PRECISIONS]:
        raise UsageError("unknown weight precision", expected=" or ".join(WEIGHT_PRECISIONS), got=", ".join(unknown))
    prepare: Backend = partial(prepare_with_openvino, isolate=isolate)
    if optimizer is not None:
        prepare = partial(prepare_with_model_optimizer, optimizer=optimizer)
    with _openvino_errors(network.path):
        prepared = prepare(network, form, precisions)
    geometry = _checked_geometry(network, prepared, form)
    finished: list[tuple[ov.Model, IrModel]] = []
    for precision in precisions:
        record = _record(network, prepared, precision, form, geometry)
        _check_classes(network, prepared.model, record)
        with _openvino_errors(network.path):
            model = finish_model(prepared, record, form, network)
        finished.append((model, IrModel(folder / precision / f"{network.config.name}.xml", precision, record)))
    for model, ir in finished:  # written last, so that a model that fails leaves no files
        save_ir(model, ir.xml)
    documented = normalisation_warnings(network.config, network.plan.normalisation)
    for warning in (*documented, *double_normalisation_warnings(network)):
        log.warning("%s", warning)
    return tuple(ir for _, ir in finished)


def default_precisions(plan: ConversionPlan) -> tuple[WeightPrecision, ...]:
    """The weight precision that the description asks for; both if it asks for none."""
    if plan.compress_to_fp16 is None:
        return WEIGHT_PRECISIONS
    return ("FP16",) if plan.compress_to_fp16 else ("FP32",)


@contextmanager
def _openvino_errors(path: Path) -> Iterator[None]:
    """Turn OpenVINO's exceptions into a ConversionError of one line."""
    from ov_mobilenet.conversion.sources.frontend import unreadable

    try:
        yield
    except RuntimeError as error:
        raise unreadable(path, error) from error


def _checked_geometry(network: LocalNetwork, prepared: PreparedNetwork, form: Form) -> Geometry | None:
    """The geometry to record or bake; None if it is not known.

    Raises:
        UsageError: the requested geometry or shape does not match the network's input size, or the size is odd.
        ConversionError: the documented geometry does not match it, or a fixed size is needed and the network has none.
    """
    from ov_mobilenet.ir.layout import check_layout

    path, config, layout = network.path, network.config, prepared.layout
    check_layout(prepared.model, layout, path)
    shape = prepared.model.inputs[0].get_partial_shape()
    height, width = shape[layout.index("H")], shape[layout.index("W")]
    geometry = form.geometry or (geometry_of_dataset(config.dataset) if config.dataset is not None else None)
    if height.is_dynamic or width.is_dynamic:
        if form.bake_geometry or form.deploy_for == "npu":
            raise ConversionError(
                "the network's input size is dynamic", where=path, expected="a fixed size", fix="Set --input-shape"
            )
        return geometry
    size = (height.get_length(), width.get_length())
    if geometry is None and form.bake_geometry:
        geometry = resize_whole_image(*size)
        log.warning("%s: the geometry is not known; the whole image is resized to %dx%d", config.name, *size)
    if geometry is None:
        return None
    if form.geometry is not None or form.input_shape is not None:
        check_size(geometry, *size)
    else:
        check_size(geometry, *size, error=ConversionError, where=config.path)
    if form.color_format in YUV and (size[0] % 2 or size[1] % 2) and not form.bake_geometry:
        raise UsageError(
            f"{form.color_format} requires an even height and width", where=path, got=f"{size[0]}x{size[1]}"
        )
    return geometry


def _record(
    network: LocalNetwork,
    prepared: PreparedNetwork,
    precision: WeightPrecision,
    form: Form,
    geometry: Geometry | None,
) -> IrRecord:
    import openvino as ov

    config = network.config
    documented_order = channel_order(config.dataset) if config.dataset is not None else "BGR"
    return IrRecord(
        config_name=config.name,
        config_digest=config.digest,
        sources=dict(network.sources.digests),
        normalisation=prepared.normalisation,
        geometry=geometry,
        geometry_baked=form.bake_geometry,
        channel_order="RGB" if form.color_format == "rgb" else documented_order,
        color_format=form.color_format,
        background_class=labels.background_class(config),
        labels=labels.config_labels(config),
        output_kind=prepared.output_kind,
        origin=origin_of(config),
        precision=precision,
        versions={"openvino": ov.get_version(), "ov_mobilenet": __version__, **prepared.backend_versions},
    )


def _check_classes(network: LocalNetwork, model: ov.Model, record: IrRecord) -> None:
    """Check the documented numbers of classes and labels against the output. Raises: ConversionError."""
    config = network.config
    classes = model.outputs[0].get_partial_shape()[1].get_length()
    for kind, count in (("classes", config.details.classes), ("labels", len(record.labels or ()) or None)):
        if count is not None and count != classes:
            raise ConversionError(
                f"the number of {kind} does not match the network's output", where=config.path,
                expected=count, got=classes,
            )  # fmt: skip
