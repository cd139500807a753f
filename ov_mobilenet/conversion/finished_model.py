"""From a prepared network to the model that is saved: compressed weights, baked input, canonical names, record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ov_mobilenet.conversion.camera_planes import take_planes
from ov_mobilenet.conversion.compression import compress_weights
from ov_mobilenet.conversion.geometry_graph import bake_geometry
from ov_mobilenet.conversion.naming import make_canonical
from ov_mobilenet.ir.normalisation import bake_normalisation
from ov_mobilenet.ir.record import write_record

if TYPE_CHECKING:
    import openvino as ov

    from ov_mobilenet.conversion.local_network import LocalNetwork
    from ov_mobilenet.conversion.prepared_network import PreparedNetwork
    from ov_mobilenet.ir.form import Form
    from ov_mobilenet.ir.record import IrRecord
    from ov_mobilenet.zoo.normalisation import Normalisation


def finish_model(prepared: PreparedNetwork, record: IrRecord, form: Form, network: LocalNetwork) -> ov.Model:
    """The model as it is saved, in the weight precision of the record.

    Args:
        prepared: the prepared network; its model is copied, because baking consumes a model and every precision needs
            one.

    Raises:
        ConversionError: the input cannot be baked.
    """
    model = prepared.model.clone()
    input_name = min(model.inputs[0].get_names())
    if record.precision == "FP16":
        compress_weights(model)
    if prepared.left_to_bake is not None:
        model = _bake_input(model, prepared.left_to_bake, prepared.layout, record, form, network)
    make_canonical(model, record.config_name, input_name)
    write_record(model, record)
    if prepared.mo_record is not None:
        prepared.mo_record.write(model)
    return model


def _bake_input(
    model: ov.Model,
    left_to_bake: Normalisation,
    layout: str,
    record: IrRecord,
    form: Form,
    network: LocalNetwork,
) -> ov.Model:
    """Add the requested input: YUV planes, crop and resize, normalisation, element type and layout."""
    model = bake_normalisation(
        model,
        left_to_bake,
        layout=layout,
        target_layout="NHWC" if form.bake_geometry else form.layout or network.plan.target_layout,
        input_type="f32" if form.bake_geometry else form.input_type or "f32",
        path=network.path,
    )
    if form.bake_geometry and record.geometry is not None:
        model = bake_geometry(
            model,
            record.geometry,
            layout=form.layout or "NHWC",
            input_type=form.input_type or "u8",
            path=network.path,
        )
    if record.planes is not None:
        model = take_planes(model, record.planes)
    return model
