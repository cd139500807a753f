"""Crop and resize as part of the graph, for frames of any size.

Sizes are computed in 64-bit integers: at bf16 a float holds them only to one in 256. What is computed is
`runtime.geometry`, step by step; bilinear resizes come out within
one grey level of Pillow and OpenCV (two at bf16), bicubic ones within ten, because Pillow clips between its passes.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.geometry import Crop, Geometry, Resize

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import openvino as ov


def bake_geometry(
    model: ov.Model, geometry: Geometry, *, layout: str, input_type: Literal["f32", "u8"], path: Path
) -> ov.Model:
    """Put the geometry in front of a network.

    Args:
        model: takes float32 (N, height, width, 3) frames of its own size; it is changed.
        geometry: leads to that size.
        layout: of the new input, NHWC or NCHW.
        input_type: of the new input, values 0..255 either way.

    Returns:
        A model that takes frames of any size.

    Raises:
        ConversionError: the geometry crops by pixels before it has resized, so that smaller frames would not fit.
    """
    import openvino as ov
    import openvino.opset13 as ops

    (old,) = model.get_parameters()
    batch = old.get_partial_shape()[0]
    sizes = {"N": batch, "H": -1, "W": -1, "C": 3}
    frames = ops.parameter(
        ov.PartialShape([sizes[letter] for letter in layout]), ov.Type.u8 if input_type == "u8" else ov.Type.f32
    )
    pixels = ops.convert(frames, "f32").output(0)
    if layout != "NHWC":
        pixels = ops.transpose(pixels, _integers(*(layout.index(letter) for letter in "NHWC"))).output(0)
    sized = False
    for step in geometry.steps:
        if isinstance(step, Resize):
            # Both libraries give bytes, so the graph rounds as they do.
            pixels = ops.round(_resize(pixels, step), "half_to_even").output(0)
            pixels = ops.clamp(pixels, 0.0, 255.0).output(0) if step.interpolation == "bicubic" else pixels
            sized = True
        elif step.fraction is None and not sized:
            raise ConversionError(
                "this geometry cannot be baked", where=path, expected="a resize, or a crop by a fraction, first",
                got=str(geometry),
            )  # fmt: skip
        else:
            pixels = _crop(pixels, step)
    # The last step gives this size; the network behind it needs to know.
    pixels = ops.reshape(pixels, _integers(0, *(size.get_length() for size in list(old.get_partial_shape())[1:])), True)
    for target in old.output(0).get_target_inputs():
        target.replace_source_output(pixels.output(0))
    frames.output(0).get_tensor().set_names(old.output(0).get_names())
    frames.layout = ov.Layout(layout)
    return ov.Model(model.get_results(), [frames], model.get_friendly_name())


def _integers(*values: int) -> ov.Node:
    import numpy as np
    import openvino.opset13 as ops

    return ops.constant(np.array(values, np.int64))


def _size(pixels: ov.Output) -> tuple[ov.Node, ov.Node]:
    """Height and width as int64 (1,)."""
    import openvino.opset13 as ops

    shape = ops.shape_of(pixels, output_type="i64")
    height, width = (ops.gather(shape, _integers(axis), _integers(0)) for axis in (1, 2))
    return height, width


def _resize(pixels: ov.Output, step: Resize) -> ov.Node:
    import openvino.opset11 as opset11
    import openvino.opset13 as ops

    target: ov.Node = _integers(step.height, step.width)
    if step.keep_aspect:
        height, width = _size(pixels)
        box_height, box_width = _integers(step.height), _integers(step.width)
        # The shorter side becomes the box's and the longer one is rounded down: never less than the box.
        target = ops.concat(
            [
                ops.maximum(box_height, ops.divide(ops.multiply(box_height, height), width)),
                ops.maximum(box_width, ops.divide(ops.multiply(box_width, width), height)),
            ],
            0,
        )
    return opset11.interpolate(pixels, target, shape_calculation_mode="sizes", axes=_integers(1, 2), **_method(step))


def _method(step: Resize) -> dict[str, object]:
    cubic = step.interpolation == "bicubic"
    if step.library == "pillow":
        return {"mode": "bicubic_pillow" if cubic else "bilinear_pillow", "cube_coeff": -0.5}
    # OpenCV's bicubic has Keys' coefficient -0.75, and neither of its methods smooths before it shrinks.
    return {
        "mode": "cubic" if cubic else "linear_onnx",
        "coordinate_transformation_mode": "half_pixel",
        "cube_coeff": -0.75,
    }


def _crop(pixels: ov.Output, step: Crop) -> ov.Output:
    import openvino.opset13 as ops

    starts, ends = [], []
    for size, wanted in zip(_size(pixels), _wanted(step, _size(pixels)), strict=True):
        start = _half(ops.subtract(size, wanted), to_even=step.library == "pillow")
        starts.append(start)
        ends.append(ops.add(start, wanted))
    cropped = ops.slice(pixels, ops.concat(starts, 0), ops.concat(ends, 0), _integers(1, 1), _integers(1, 2))
    return cropped.output(0)


def _wanted(step: Crop, sizes: Sequence[ov.Node]) -> list[ov.Node]:
    import openvino.opset13 as ops

    if step.fraction is None:
        return [_integers(step.height or 0), _integers(step.width or 0)]
    # As it was written: 0.875 is 7/8, not the nearest binary fraction.
    over, under = Decimal(repr(step.fraction)).as_integer_ratio()
    return [
        ops.maximum(_integers(1), ops.divide(ops.multiply(size, _integers(over)), _integers(under))) for size in sizes
    ]


def _half(difference: ov.Node, *, to_even: bool) -> ov.Node:
    """Half of a number that is not negative: rounded down, or to the even neighbour."""
    import openvino.opset13 as ops

    half = ops.divide(difference, _integers(2))
    if not to_even:
        return half
    odd = ops.subtract(difference, ops.multiply(half, _integers(2)))
    half_is_odd = ops.subtract(half, ops.multiply(ops.divide(half, _integers(2)), _integers(2)))
    return ops.add(half, ops.multiply(odd, half_is_odd))
