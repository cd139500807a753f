"""Bring a network to the input that OpenVINO Model Server feeds: uint8 NHWC BGR frames.

The server decodes an image file to BGR, stretches it to height and width of the input, and adds no further step. Where
height and width are dynamic it passes the image in its own size, which is what a geometry in the graph needs.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from ov_mobilenet._version import __version__
from ov_mobilenet.conversion.geometry_graph import bake_geometry
from ov_mobilenet.conversion.naming import make_canonical
from ov_mobilenet.errors import ConversionError, UsageError
from ov_mobilenet.exporting.batch_range import ONE_IMAGE, BatchRange
from ov_mobilenet.ir.mo_record import MoRecord, read_mo_record
from ov_mobilenet.ir.model_info import write_labels, write_model_info
from ov_mobilenet.ir.ports import static_sizes
from ov_mobilenet.ir.record import IrRecord, write_record
from ov_mobilenet.ir.weight_precision import weight_precision
from ov_mobilenet.runtime.runnable import Runnable, make_runnable
from ov_mobilenet.zoo.normalisation import Normalisation

if TYPE_CHECKING:
    from pathlib import Path

    import openvino as ov

    from ov_mobilenet.ir.files import OpenedIr
    from ov_mobilenet.zoo.geometry import Geometry

# For a network whose tensors have no names; the server cannot load one.
INPUT_NAME, OUTPUT_NAME = "input", "output"


@dataclass(frozen=True)
class ServerNetwork:
    """A network in the form that the server feeds.

    Attributes:
        batch: the batch sizes that it accepts.
        input_size: height and width of the input, in pixels; None if the graph crops and resizes images of any size.
        geometry: the crop and resize that the model was made for.
        input_name, output_name: the names that clients use.
    """

    network: ov.Model
    batch: BatchRange
    input_size: tuple[int, int] | None
    geometry: Geometry | None
    labels: tuple[str, ...] | None
    classes: int
    precision: str | None
    input_name: str
    output_name: str


def server_network(
    ir: OpenedIr,
    *,
    batch: BatchRange,
    bake: bool = False,
    geometry: str | Geometry | None = None,
    labels: tuple[str, ...] | Path | None = None,
) -> ServerNetwork:
    """Bring the network of an IR to the form that the server feeds; the IR's own network is modified.

    Args:
        bake: add crop and resize to the graph.
        geometry: crop and resize to bake instead of those that the IR records.
        labels: class names instead of those that the IR records.

    Raises:
        ConversionError: the network takes YUV planes, has no classifier, cannot run with this batch, or has a geometry
            that cannot be baked.
        UsageError: a batch above 1 for a network that crops and resizes in the graph.
        OvMobilenetError: as `load_classifier`.
    """
    if ir.record is not None and ir.record.planes is not None:
        raise ConversionError(
            "the server decodes images to BGR, so it cannot feed a network that takes YUV planes", where=ir.xml,
            expected="BGR or RGB input", got=ir.record.color_format,
            fix="Convert the model again without --color-format",
        )  # fmt: skip
    mo_record = read_mo_record(ir.network)
    name = ir.xml.stem if ir.record is None else ir.record.config_name
    runnable = make_runnable(ir, geometry=geometry, labels=labels)
    if runnable.output_kind == "features":
        raise ConversionError(
            "the network has no classifier, it gives a vector of features", where=ir.xml, expected="a classifier"
        )
    is_baked = bake or runnable.geometry is None
    if is_baked and batch != ONE_IMAGE:
        raise UsageError(
            "a model that crops and resizes in the graph runs one image per request, because images differ in size",
            where=ir.xml, expected="batch 1", got=f"batch {batch}",
        )  # fmt: skip
    network = _with_batch(runnable, batch)
    if runnable.geometry is not None and bake:
        network = bake_geometry(network, runnable.geometry, layout="NHWC", input_type="u8", path=ir.xml)
    input_name, output_name = _named(network)
    make_canonical(network, name, input_name)
    record = _record(runnable, mo_record, is_baked)
    if record is not None:
        write_record(network, record)
    else:
        write_model_info(network, runnable.model_info)
        if runnable.labels is not None:
            write_labels(network, runnable.labels)
    if mo_record is not None:
        mo_record.write(network)
        network.set_rt_info(mo_record.version, ["MO_version"])
    height, width = static_sizes(network.inputs[0])[1:3]
    return ServerNetwork(
        network, batch, None if is_baked else (height, width),
        runnable.geometry or (None if record is None else record.geometry), runnable.labels,
        static_sizes(network.outputs[0])[1], weight_precision(network) if record is None else record.precision,
        input_name, output_name,
    )  # fmt: skip


def _with_batch(runnable: Runnable, batch: BatchRange) -> ov.Model:
    """The network reshaped to a batch. Raises: ConversionError: a constant in the graph fixes another one."""
    import openvino as ov

    network = runnable.network
    sizes = list(network.inputs[0].get_partial_shape())
    wanted = ov.Dimension(batch.low) if batch.is_fixed else ov.Dimension(batch.low, batch.high)
    if sizes[0] == wanted:
        return network
    where, fix = runnable.xml, "Convert the source network with this batch size, or choose the batch of the IR"
    try:
        network.reshape(ov.PartialShape([wanted, *sizes[1:]]))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1][:200]
        raise ConversionError(
            f"the network cannot take another batch ({reason})", where=where, expected=f"batch {batch}",
            got=f"batch {sizes[0]}", fix=fix,
        ) from error  # fmt: skip
    found = network.outputs[0].get_partial_shape()[0]
    if found != wanted:
        raise ConversionError(
            "the output does not follow the batch of the input", where=where, expected=f"[{wanted}, classes]",
            got=network.outputs[0].get_partial_shape(), fix=fix,
        )  # fmt: skip
    return network


def _named(network: ov.Model) -> tuple[str, str]:
    """The names of input and output that clients use; a tensor without a name gets one."""
    for ports, name in ((network.inputs, INPUT_NAME), (network.outputs, OUTPUT_NAME)):
        if not ports[0].get_names():
            ports[0].get_tensor().set_names({name})
    return network.inputs[0].get_any_name(), network.outputs[0].get_any_name()


def _record(runnable: Runnable, mo_record: MoRecord | None, is_baked: bool) -> IrRecord | None:
    """The record of the exported network; None for a network of another tool whose geometry is not in the graph.

    Without a record, readers assume what was assumed here, and warn. A geometry in the graph has to be recorded: they
    could not know it.
    """
    import openvino as ov

    versions = {"openvino": ov.get_version(), "ov_mobilenet": __version__}
    if runnable.record is None:
        if not is_baked:
            return None
        return IrRecord(
            config_name=runnable.xml.stem,
            config_digest="",
            sources={},
            normalisation=_normalisation(mo_record),
            geometry=runnable.geometry,
            channel_order="BGR",
            background_class=None,
            labels=runnable.labels,
            precision=weight_precision(runnable.network) or "unknown",
            versions=versions,
            geometry_baked=True,
            output_kind=runnable.output_kind,
        )
    return msgspec.structs.replace(
        runnable.record,
        geometry=runnable.geometry or runnable.record.geometry,
        geometry_baked=is_baked,
        channel_order="BGR",
        color_format="bgr",
        labels=runnable.labels,
        versions=versions,
    )


def _normalisation(mo_record: MoRecord | None) -> Normalisation:
    """The normalisation that the Model Optimizer recorded; none if it did not, or not readably."""
    with suppress(ValueError, UsageError):
        if mo_record is not None:
            return mo_record.normalisation()
    return Normalisation()
