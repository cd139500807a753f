"""From verified source files to IR files: the order in which the parts of this room work."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ov_mobilenet._version import __version__
from ov_mobilenet.conversion import ir
from ov_mobilenet.conversion.model_optimizer import ModelOptimizer, Optimized, optimize, signed
from ov_mobilenet.conversion.normalisation import InputType
from ov_mobilenet.downloads.fetch import SourceFiles
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo import labels
from ov_mobilenet.zoo.accuracy_check import Dataset, NormalizationStep
from ov_mobilenet.zoo.arguments import ConversionPlan, Normalisation, plan_conversion
from ov_mobilenet.zoo.geometry import Geometry, channel_order, check_size, from_dataset, parse_numbers
from ov_mobilenet.zoo.model import ModelConfig

if TYPE_CHECKING:
    import openvino as ov

log = logging.getLogger(__name__)

Precision = Literal["FP16", "FP32"]
PRECISIONS: tuple[Precision, ...] = ("FP16", "FP32")
TF_FRAMEWORKS = ("tf", "tflite", "keras")


@dataclass(frozen=True)
class Form:
    """How the converted model is to be fed; the defaults are what the model's document says.

    Attributes:
        batch: fixed batch, or -1 for any; None for the document's.
        layout: NCHW or NHWC; None for the source network's.
        input_type: f32 or u8, values 0..255 either way.
        geometry: recorded instead of the accuracy check's.
    """

    batch: int | None = None
    layout: str | None = None
    input_type: InputType = "f32"
    geometry: Geometry | None = None


@dataclass(frozen=True)
class IrModel:
    """A converted model on disk; the weights lie beside the `.xml` as `.bin`."""

    xml: Path
    precision: str
    record: ir.IrRecord


def convert(
    sources: SourceFiles,
    folder: Path,
    *,
    precisions: Sequence[Precision] | None = None,
    form: Form = Form(),
    optimizer: ModelOptimizer | None = None,
) -> tuple[IrModel, ...]:
    """Convert a network to `folder/PRECISION/NAME.xml`, normalisation baked in.

    The same sources, options and versions give the same bytes.

    Args:
        folder: the model's own output folder, `OUT/public/NAME` in the Open Model Zoo's layout.
        precisions: of the weights; by default what the description asks for, else FP16 and FP32.
        optimizer: the classic Model Optimizer, to read and normalise the network instead of this OpenVINO.

    Raises:
        ConversionError: the network cannot be converted as its description says.
        MissingDependencyError: the framework's package is not installed.
        ConfigError: the description asks for something unknown.
        UsageError: the form's geometry does not lead to the network's input size, or the Model Optimizer does not
            make such a form.
        OSError: the IR cannot be written.
    """
    from ov_mobilenet.conversion.sources import network_path

    config = sources.config
    plan = plan_conversion(config)
    path = network_path(config, plan, sources.folder)
    made = None
    with _surgery(path):
        if optimizer is None:
            network, layout = _prepare(config, plan, path, form)
        else:
            made = optimize(config, plan, path, form, _source_layout(config, plan), optimizer)
            network, layout = made.network, made.layout
    _check_geometry(sources, network, layout, form, path)
    # One reading serves all precisions; baking consumes a model, so each gets a copy.
    results = []
    for precision in precisions or default_precisions(plan):
        record = _record(sources, plan, precision, form)
        if made is not None:
            record = signed(record, made, path)
        _check_labels(record, network, config)
        with _surgery(path):
            model = _finish(network.clone(), layout, plan, record, form, path, made)
        xml = folder / precision / f"{config.name}.xml"
        ir.save_ir(model, xml)
        results.append(IrModel(xml, precision, record))
    for warning in mismatches(config, plan.normalisation):
        log.warning("%s", warning)
    return tuple(results)


@contextmanager
def _surgery(path: Path) -> Iterator[None]:
    """What OpenVINO throws while a graph is changed, as one short error."""
    from ov_mobilenet.conversion.sources.frontend import unreadable

    try:
        yield
    except RuntimeError as error:
        raise unreadable(path, error) from error


def _check_geometry(sources: SourceFiles, network: ov.Model, layout: str, form: Form, path: Path) -> None:
    """Check that what will be recorded leads to the network's input. Raises: UsageError, ConversionError."""
    from ov_mobilenet.conversion.normalisation import check_layout

    check_layout(network, layout, path)
    shape = network.inputs[0].get_partial_shape()
    height, width = shape[layout.index("H")], shape[layout.index("W")]
    geometry = _geometry(sources.config, form)
    if geometry is None or height.is_dynamic or width.is_dynamic:
        return
    if form.geometry is not None:
        check_size(geometry, height.get_length(), width.get_length())
    else:
        check_size(geometry, height.get_length(), width.get_length(), error=ConversionError, where=sources.config.path)


def _geometry(config: ModelConfig, form: Form) -> Geometry | None:
    return form.geometry or (from_dataset(config.dataset) if config.dataset is not None else None)


def default_precisions(plan: ConversionPlan) -> tuple[Precision, ...]:
    """What the description asks for: one precision if it names one, else both."""
    if plan.compress_to_fp16 is None:
        return PRECISIONS
    return ("FP16",) if plan.compress_to_fp16 else ("FP32",)


def _prepare(config: ModelConfig, plan: ConversionPlan, path: Path, form: Form) -> tuple[ov.Model, str]:
    """The network with one named input of the wanted shape, ending in probabilities; and its layout."""
    from ov_mobilenet.conversion.outputs import end_in_probabilities
    from ov_mobilenet.conversion.shapes import free_batch, set_shape
    from ov_mobilenet.conversion.sources import read_network
    from ov_mobilenet.conversion.sources.frontend import find_output, plain_name, single_input

    network = read_network(config.framework, plan, path)
    source_input = single_input(network, plan.input.name, path)
    output = find_output(network, plan.output, path)
    model = end_in_probabilities(output, source_input.get_node(), config.details.output, path)
    free_batch(model)
    shape = plan.input.shape or _own_shape(model, path)
    if form.batch is not None:
        shape = (form.batch, *shape[1:])
    set_shape(model, shape, path)
    name = plan.input.name or plain_name(min(source_input.get_names(), default="input"))
    model.inputs[0].get_tensor().set_names({name})
    return model, _source_layout(config, plan)


def _source_layout(config: ModelConfig, plan: ConversionPlan) -> str:
    return plan.input.layout or ("NHWC" if config.framework in TF_FRAMEWORKS else "NCHW")


def _own_shape(model: ov.Model, path: Path) -> tuple[int, ...]:
    shape = model.inputs[0].get_partial_shape()
    if shape.rank.is_dynamic:
        raise ConversionError("the network does not say its input shape", where=path, expected="input_info.shape")
    return tuple(-1 if size.is_dynamic else size.get_length() for size in shape)


def _finish(
    model: ov.Model,
    layout: str,
    plan: ConversionPlan,
    record: ir.IrRecord,
    form: Form,
    path: Path,
    made: Optimized | None,
) -> ov.Model:
    from ov_mobilenet.conversion.compression import halve_weights
    from ov_mobilenet.conversion.naming import make_canonical
    from ov_mobilenet.conversion.normalisation import bake

    input_name = min(model.inputs[0].get_names())
    if record.precision == "FP16":
        halve_weights(model)
    if made is None:
        model = bake(
            model,
            plan.normalisation,
            layout=layout,
            target_layout=form.layout or plan.target_layout,
            input_type=form.input_type,
            path=path,
        )
    make_canonical(model, record.config_name, input_name)
    ir.describe(model, record)
    if made is not None:
        made.record.write(model)
    return model


def _record(sources: SourceFiles, plan: ConversionPlan, precision: Precision, form: Form) -> ir.IrRecord:
    import openvino as ov

    config = sources.config
    return ir.IrRecord(
        config_name=config.name,
        config_digest=config.digest,
        sources=dict(sources.digests),
        normalisation=plan.normalisation,
        geometry=_geometry(config, form),
        channel_order=channel_order(config.dataset) if config.dataset is not None else "BGR",
        background_class=labels.background_class(config),
        labels=labels.config_labels(config),
        precision=precision,
        versions={"openvino": ov.get_version(), "ov_mobilenet": __version__},
    )


def _check_labels(record: ir.IrRecord, model: ov.Model, config: ModelConfig) -> None:
    classes = model.outputs[0].get_partial_shape()[1].get_length()
    for what, count in (("classes", config.details.classes), ("labels", len(record.labels or ()) or None)):
        if count is not None and count != classes:
            raise ConversionError(
                f"the network does not have that many {what}", where=config.path, expected=count, got=classes
            )


def mismatches(config: ModelConfig, baked: Normalisation) -> list[str]:
    """Sentences on where the source network's accuracy check normalises otherwise than what is baked."""
    dataset = config.accuracy_check.source if config.accuracy_check is not None else None
    if dataset is None:
        return []
    mean, scale = checked_normalisation(dataset)
    found = []
    for name, ours, theirs, neutral in (
        ("mean_values", baked.mean, mean, 0.0),
        ("scale_values", baked.scale, scale, 1.0),
    ):
        mine = (ours or (neutral,)) * (3 if len(ours) <= 1 else 1)
        if any(abs(a - b) > 1e-4 * max(1.0, abs(a)) for a, b in zip(mine, theirs, strict=True)):
            found.append(
                f"{config.name}: {name} {_numbers(mine)} of model.yml are baked in; the accuracy check of the "
                f"source network uses {_numbers(theirs)}"
            )
    return found


def checked_normalisation(dataset: Dataset) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """All normalization steps of a dataset as one mean and one scale a channel.

    ((x - a) / b - c) / d is (x - (a + c b)) / (b d).
    """
    mean: tuple[float, ...] = (0.0,) * 3
    scale: tuple[float, ...] = (1.0,) * 3
    for step in dataset.preprocessing:
        if isinstance(step, NormalizationStep):
            m = _triple(step.mean, 0.0)
            s = _triple(step.std, 1.0)
            mean = tuple(a + c * b for a, b, c in zip(mean, scale, m, strict=True))
            scale = tuple(b * d for b, d in zip(scale, s, strict=True))
    return mean, scale


def _triple(value: float | str | tuple[float, ...] | None, neutral: float) -> tuple[float, ...]:
    numbers = (parse_numbers(value) if value is not None else None) or (neutral,)
    return numbers * 3 if len(numbers) == 1 else numbers


def _numbers(values: Sequence[float]) -> str:
    return "[" + ", ".join(f"{value:.6g}" for value in values) + "]"
