"""Replace the input of BGR frames with NV12 or I420 planes, as cameras and video decoders deliver them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import openvino as ov

    from ov_mobilenet.ir.form import Planes


def take_planes(model: ov.Model, color_format: Planes) -> ov.Model:
    """Replace the input of uint8 (N, H, W, 3) BGR frames with uint8 (N, 3/2 H, W, 1) planes.

    Args:
        model: the model to change; it is changed in place and must not be used afterwards.
        color_format: nv12 (Y, then U and V interleaved) or i420 (Y, then U, then V); H and W must be even.
    """
    import openvino as ov
    from openvino.preprocess import ColorFormat, PrePostProcessor

    formats = {"nv12": ColorFormat.NV12_SINGLE_PLANE, "i420": ColorFormat.I420_SINGLE_PLANE}
    names = model.inputs[0].get_names()
    processor = PrePostProcessor(model)
    tensor = processor.input().tensor()
    tensor.set_element_type(ov.Type.u8).set_color_format(formats[color_format])
    if not model.inputs[0].get_partial_shape()[1].is_static:
        tensor.set_spatial_dynamic_shape()
    processor.input().preprocess().convert_color(ColorFormat.BGR)
    processor.input().model().set_layout(ov.Layout("NHWC"))
    model = processor.build()
    model.inputs[0].get_tensor().set_names(names)
    return model
