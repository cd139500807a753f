"""From verified source files to IR files: the order in which the parts of this room work."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from ov_mobilenet._version import __version__
from ov_mobilenet.conversion.model_optimizer import ModelOptimizer, Optimized, optimize, signed
from ov_mobilenet.downloads.fetch import SourceFiles
from ov_mobilenet.errors import ConversionError, UsageError
from ov_mobilenet.ir.files import save_ir
from ov_mobilenet.ir.form import AS_DOCUMENTED, YUV, Form, settle
from ov_mobilenet.ir.record import IrRecord, write_record
from ov_mobilenet.zoo import labels
from ov_mobilenet.zoo.accuracy_check import DatasetConfig, NormalizationStep
from ov_mobilenet.zoo.arguments import ConversionPlan, plan_conversion
from ov_mobilenet.zoo.geometry import Geometry, channel_order, check_size, from_dataset, parse_numbers, whole
from ov_mobilenet.zoo.model import ModelConfig
from ov_mobilenet.zoo.normalisation import Normalisation

if TYPE_CHECKING:
    import openvino as ov

log = logging.getLogger(__name__)

Precision = Literal["FP16", "FP32"]
PRECISIONS: tuple[Precision, ...] = ("FP16", "FP32")
TF_FRAMEWORKS = ("tf", "tflite", "keras")


@dataclass(frozen=True)
class IrModel:
    """A converted model on disk; the weights lie beside the `.xml` as `.bin`."""

    xml: Path
    precision: str
    record: IrRecord


def convert(
    sources: SourceFiles,
    folder: Path,
    *,
    precisions: Sequence[Precision] | None = None,
    form: Form = AS_DOCUMENTED,
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

    form = settle(form)
    config = sources.config
    plan = plan_conversion(config)
    path = network_path(config, plan, sources.folder)
    made = None
    documented = plan.normalisation
    with _surgery(path):
        if optimizer is None:
            network, layout, left = _prepare(config, plan, path, form)
            plan = msgspec.structs.replace(plan, normalisation=left)
        else:
            made = optimize(config, plan, path, form, _source_layout(config, plan), optimizer)
            network, layout = made.network, made.layout
    geometry = _checked_geometry(sources, network, layout, form, path)
    # One reading serves all precisions; baking consumes a model, so each gets a copy.
    models: list[tuple[ov.Model, IrModel]] = []
    for precision in precisions or default_precisions(plan):
        record = _record(sources, plan, precision, form, geometry)
        if made is not None:
            record = signed(record, made, path)
        _check_labels(record, network, config)
        with _surgery(path):
            model = _finish(network.clone(), layout, plan, record, form, path, made)
        models.append((model, IrModel(folder / precision / f"{config.name}.xml", precision, record)))
    for model, made_ir in models:  # when nothing can go wrong any more but the disk
        save_ir(model, made_ir.xml)
    for warning in mismatches(config, documented):
        log.warning("%s", warning)
    return tuple(made_ir for _, made_ir in models)


@contextmanager
def _surgery(path: Path) -> Iterator[None]:
    """What OpenVINO throws while a graph is changed, as one short error."""
    from ov_mobilenet.conversion.sources.frontend import unreadable

    try:
        yield
    except RuntimeError as error:
        raise unreadable(path, error) from error


def _checked_geometry(sources: SourceFiles, network: ov.Model, layout: str, form: Form, path: Path) -> Geometry | None:
    """What will be recorded or baked, which leads to the network's input. Raises: UsageError, ConversionError."""
    from ov_mobilenet.ir.layout import check_layout

    check_layout(network, layout, path)
    config = sources.config
    shape = network.inputs[0].get_partial_shape()
    height, width = shape[layout.index("H")], shape[layout.index("W")]
    geometry = form.geometry or (from_dataset(config.dataset) if config.dataset is not None else None)
    if height.is_dynamic or width.is_dynamic:
        if form.bake_geometry or form.purpose == "npu":
            raise ConversionError("the network takes any size", where=path, fix="Fix it with --input-shape")
        return geometry
    size = (height.get_length(), width.get_length())
    if geometry is None and form.bake_geometry:
        geometry = whole(*size)
        log.warning("%s: no geometry is known; the whole image is resized to %dx%d", config.name, *size)
    if geometry is None:
        return None
    if form.geometry is not None or form.input_shape is not None:
        check_size(geometry, *size)
    else:
        check_size(geometry, *size, error=ConversionError, where=config.path)
    if form.color_format in YUV and (size[0] % 2 or size[1] % 2) and not form.bake_geometry:
        raise UsageError(f"{form.color_format} needs even sides", where=path, got=f"{size[0]}x{size[1]}")
    return geometry


def default_precisions(plan: ConversionPlan) -> tuple[Precision, ...]:
    """What the description asks for: one precision if it names one, else both."""
    if plan.compress_to_fp16 is None:
        return PRECISIONS
    return ("FP16",) if plan.compress_to_fp16 else ("FP32",)


def _prepare(config: ModelConfig, plan: ConversionPlan, path: Path, form: Form) -> tuple[ov.Model, str, Normalisation]:
    """The network with one named input of the wanted shape, ending in probabilities; its layout; what is left to bake.

    Mean and scale are not left where the network's integer input holds them already.
    """
    from ov_mobilenet.conversion.integer_input import input_codes, take_pixels
    from ov_mobilenet.conversion.shapes import free_batch, set_shape
    from ov_mobilenet.conversion.sources import network_framework, read_network
    from ov_mobilenet.ir.ports import find_output, plain_name, single_input
    from ov_mobilenet.ir.probabilities import end_in_probabilities

    framework = network_framework(config, path)
    network = read_network(framework, plan, path)
    source_input = single_input(network, plan.input.name, path)
    codes = input_codes(network, framework, path)
    left = plan.normalisation if codes is None else take_pixels(network, codes, plan.normalisation, path)
    output = find_output(network, plan.output, path)
    model = end_in_probabilities(output, source_input.get_node(), config.details.output, path)
    free_batch(model)
    shape = form.input_shape or plan.input.shape or _own_shape(model, path)
    if form.batch is not None:
        shape = (form.batch, *shape[1:])
    set_shape(model, shape, path)
    name = plan.input.name or plain_name(min(source_input.get_names(), default="input"))
    model.inputs[0].get_tensor().set_names({name})
    layout = _source_layout(config, plan)
    _check_sides(config, shape, layout)
    return model, layout, left


def _source_layout(config: ModelConfig, plan: ConversionPlan) -> str:
    return plan.input.layout or ("NHWC" if config.framework in TF_FRAMEWORKS else "NCHW")


def _check_sides(config: ModelConfig, shape: tuple[int, ...], layout: str) -> None:
    least = config.details.least_side
    sides = [shape[layout.index(letter)] for letter in "HW"]
    if least is not None and min(sides) < least:
        raise UsageError(
            "the network takes no images as small as that", where=config.path,
            expected=f"height and width of at least {least}, as its document says", got=f"{sides[0]}x{sides[1]}",
        )  # fmt: skip


def _own_shape(model: ov.Model, path: Path) -> tuple[int, ...]:
    shape = model.inputs[0].get_partial_shape()
    if shape.rank.is_dynamic:
        raise ConversionError("the network does not say its input shape", where=path, expected="input_info.shape")
    return tuple(-1 if size.is_dynamic else size.get_length() for size in shape)


def _finish(
    model: ov.Model,
    layout: str,
    plan: ConversionPlan,
    record: IrRecord,
    form: Form,
    path: Path,
    made: Optimized | None,
) -> ov.Model:
    from ov_mobilenet.conversion.compression import halve_weights
    from ov_mobilenet.conversion.naming import make_canonical

    input_name = min(model.inputs[0].get_names())
    if record.precision == "FP16":
        halve_weights(model)
    if made is None:
        model = _front(model, layout, plan, record, form, path)
    make_canonical(model, record.config_name, input_name)
    write_record(model, record)
    if made is not None:
        made.record.write(model)
    return model


def _front(model: ov.Model, layout: str, plan: ConversionPlan, record: IrRecord, form: Form, path: Path) -> ov.Model:
    """What comes before the network: geometry where it is baked, channel order, mean, scale, layout."""
    from ov_mobilenet.conversion.camera_planes import take_planes
    from ov_mobilenet.conversion.geometry_graph import bake_geometry
    from ov_mobilenet.ir.normalisation import bake

    model = bake(
        model,
        record.normalisation,
        layout=layout,
        target_layout="NHWC" if form.bake_geometry else form.layout or plan.target_layout,
        input_type="f32" if form.bake_geometry else form.input_type or "f32",
        path=path,
    )
    if form.bake_geometry and record.geometry is not None:
        model = bake_geometry(
            model, record.geometry, layout=form.layout or "NHWC", input_type=form.input_type or "u8", path=path
        )
    if record.planes is not None:
        model = take_planes(model, record.planes)
    return model


def _record(
    sources: SourceFiles, plan: ConversionPlan, precision: Precision, form: Form, geometry: Geometry | None
) -> IrRecord:
    import openvino as ov

    config = sources.config
    order, normalisation = _channels(config, plan, form)
    return IrRecord(
        config_name=config.name,
        config_digest=config.digest,
        sources=dict(sources.digests),
        normalisation=normalisation,
        geometry=geometry,
        geometry_baked=form.bake_geometry,
        channel_order=order,
        color_format=form.color_format,
        background_class=labels.background_class(config),
        labels=labels.config_labels(config),
        precision=precision,
        versions={"openvino": ov.get_version(), "ov_mobilenet": __version__},
    )


def _channels(config: ModelConfig, plan: ConversionPlan, form: Form) -> tuple[Literal["BGR", "RGB"], Normalisation]:
    """What the model is to be fed, and the normalisation that makes it so: RGB frames are reversed once less."""
    order = channel_order(config.dataset) if config.dataset is not None else "BGR"
    if form.color_format == "rgb":
        reverse = plan.normalisation.reverse_input_channels != (order == "BGR")
        return "RGB", msgspec.structs.replace(plan.normalisation, reverse_input_channels=reverse)
    return order, plan.normalisation


def _check_labels(record: IrRecord, model: ov.Model, config: ModelConfig) -> None:
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


def checked_normalisation(dataset: DatasetConfig) -> tuple[tuple[float, ...], tuple[float, ...]]:
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
