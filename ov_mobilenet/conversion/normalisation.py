"""Bake the normalisation into a network: reverse channels, mean, scale."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ov_mobilenet.errors import AlreadyNormalisedError, ConversionError
from ov_mobilenet.zoo.arguments import Normalisation

if TYPE_CHECKING:
    import openvino as ov

InputType = Literal["f32", "u8"]
_MO_KEYS = ("mean_values", "scale_values", "scale", "reverse_input_channels")


def bake(
    model: ov.Model,
    normalisation: Normalisation,
    *,
    layout: str,
    target_layout: str | None = None,
    input_type: InputType = "f32",
    path: Path | None = None,
) -> ov.Model:
    """Put the normalisation in front of the network.

    The order is fixed: to float, reverse channels, subtract the mean, divide by the scale, change the layout. Mean
    and scale stand in the order of the source network's channels, so they come after the reversal.

    Args:
        model: a network with one input; it is changed and must not be used afterwards.
        layout: of the network's input, such as NCHW.
        target_layout: of the new input; the network's own by default.
        input_type: element type of the new input, values 0..255 either way.

    Raises:
        AlreadyNormalisedError: the model carries a record of an earlier bake, ours or the Model Optimizer's.
        ConversionError: the layout has no channel dimension of size 3.
    """
    import openvino as ov
    from openvino.preprocess import PrePostProcessor

    if found := baked_already(model):
        raise AlreadyNormalisedError(
            "the model is normalised already; baking again would apply it twice",
            where=path, expected="a network without a record of a normalisation", got=found,
            fix="Convert from the source network instead",
        )  # fmt: skip
    target_layout = target_layout or layout
    check_layout(model, layout, path)
    if sorted(target_layout) != sorted(layout):
        raise ConversionError("bad layout", where=path, expected=f"the letters of {layout}", got=target_layout)
    processor = PrePostProcessor(model)
    element = ov.Type.u8 if input_type == "u8" else ov.Type.f32
    processor.input().tensor().set_element_type(element).set_layout(ov.Layout(target_layout))
    processor.input().model().set_layout(ov.Layout(layout))
    steps = processor.input().preprocess()
    if input_type == "u8":
        steps.convert_element_type(ov.Type.f32)
    if normalisation.reverse_input_channels:
        steps.reverse_channels()
    if normalisation.mean:
        steps.mean(list(normalisation.mean) * (3 if len(normalisation.mean) == 1 else 1))
    if normalisation.scale:
        steps.scale(list(normalisation.scale) * (3 if len(normalisation.scale) == 1 else 1))
    return processor.build()


def check_layout(model: ov.Model, layout: str, path: Path | None) -> None:
    """Check that a layout fits the input and its channel dimension is 3, or PPP would flip another axis.

    Raises:
        ConversionError: it does not.
    """
    shape = model.inputs[0].get_partial_shape()
    fits = shape.rank.is_static and len(layout) == len(shape) == 4 and sorted(layout) == sorted("NCHW")
    channels = shape[layout.index("C")] if fits else None
    if channels is None or channels.is_dynamic or channels.get_length() != 3:
        raise ConversionError(
            "the layout does not fit the network's input", where=path,
            expected="four dimensions N, C, H, W, the C of size 3", got=f"{layout} for {shape}",
        )  # fmt: skip


def baked_already(model: ov.Model) -> str | None:
    """What an earlier conversion says it baked in; None if there is no such record.

    Ours stands in rt_info's `ov_mobilenet`, the Model Optimizer's in `conversion_parameters`.
    """
    if model.has_rt_info(["ov_mobilenet", "normalisation"]):
        return f"ov-mobilenet: {model.get_rt_info(['ov_mobilenet', 'normalisation']).astype(str)}"
    found = []
    for key in _MO_KEYS:
        if model.has_rt_info(["conversion_parameters", key]):
            value = model.get_rt_info(["conversion_parameters", key]).astype(str)
            if value not in ("", "False", "NO", "()", "[]", "{}", "None"):
                found.append(f"{key} {value}")
    return f"Model Optimizer: {', '.join(found)}" if found else None
