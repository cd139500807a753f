"""Crop and resize as part of the graph, for frames of any size.

The operations follow `images.geometry` step by step. Sizes, and all of OpenCV's bilinear resize, are computed in
integers, because a bf16 number represents a size of 3840 only to a multiple of 16. Largest differences from the
libraries, in grey levels: bilinear 1 (at bf16 too; most pixels are equal), bicubic 10, because Pillow clips between
its passes.
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
    """Add crop and resize in front of a network.

    Args:
        model: a model with float32 or uint8 (N, height, width, 3) input of fixed size; it is changed in place.
        geometry: the geometry; its last step results in that size.
        layout: layout of the new input, NHWC or NCHW.
        input_type: element type of the new input, values 0..255 in both cases.

    Returns:
        A model that takes frames of any size.

    Raises:
        ConversionError: the geometry crops a number of pixels before it resizes, which fails for smaller frames.
    """
    import openvino as ov
    import openvino.opset13 as ops

    (old,) = model.get_parameters()
    batch = old.get_partial_shape()[0]
    sizes = {"N": batch, "H": -1, "W": -1, "C": 3}
    frames = ops.parameter(
        ov.PartialShape([sizes[letter] for letter in layout]), ov.Type.u8 if input_type == "u8" else ov.Type.f32
    )
    pixels = frames.output(0)
    if layout != "NHWC":
        pixels = ops.transpose(pixels, _int64(*(layout.index(letter) for letter in "NHWC"))).output(0)
    resized = False
    for step in geometry.steps:
        if isinstance(step, Resize):
            pixels = _resize(pixels, step).output(0)
            resized = True
        elif step.fraction is None and not resized:
            raise ConversionError(
                "this geometry cannot be baked", where=path,
                expected="a resize, or a crop by a fraction, as the first step",
                got=str(geometry),
            )  # fmt: skip
        else:
            pixels = _crop(pixels, step)
    pixels = ops.convert(pixels, old.get_element_type().get_type_name()).output(0)
    # The last step gives this size, but OpenVINO cannot infer it.
    pixels = ops.reshape(pixels, _int64(0, *(size.get_length() for size in list(old.get_partial_shape())[1:])), True)
    for target in old.output(0).get_target_inputs():
        target.replace_source_output(pixels.output(0))
    frames.output(0).get_tensor().set_names(old.output(0).get_names())
    frames.layout = ov.Layout(layout)
    return ov.Model(model.get_results(), [frames], model.get_friendly_name())


def _int64(*values: int) -> ov.Node:
    import numpy as np
    import openvino.opset13 as ops

    return ops.constant(np.array(values, np.int64))


def _size(pixels: ov.Output) -> tuple[ov.Node, ov.Node]:
    """Height and width as int64 (1,)."""
    import openvino.opset13 as ops

    shape = ops.shape_of(pixels, output_type="i64")
    height, width = (ops.gather(shape, _int64(axis), _int64(0)) for axis in (1, 2))
    return height, width


def _resize(pixels: ov.Output, step: Resize) -> ov.Node:
    import openvino.opset13 as ops

    target: tuple[ov.Node, ov.Node] = (_int64(step.height), _int64(step.width))
    if step.keep_aspect:
        height, width = _size(pixels)
        # The shorter side gets the target size; the longer one is rounded down, to no less than the target.
        target = (
            ops.maximum(target[0], ops.divide(ops.multiply(target[0], height), width)),
            ops.maximum(target[1], ops.divide(ops.multiply(target[1], width), height)),
        )
    if step.library == "opencv" and step.interpolation == "bilinear":
        return _opencv_bilinear(pixels, *target)
    pixels = ops.convert(pixels, "f32").output(0)
    if step.library == "opencv":
        return _interpolate(pixels, *target, mode="cubic", cube_coeff=-0.75)
    # Pillow resizes horizontally first and rounds the result to bytes.
    mode = "bicubic_pillow" if step.interpolation == "bicubic" else "bilinear_pillow"
    horizontal = _interpolate(pixels, _size(pixels)[0], target[1], mode=mode, cube_coeff=-0.5)
    return _interpolate(horizontal.output(0), *target, mode=mode, cube_coeff=-0.5)


def _interpolate(pixels: ov.Output, height: ov.Node, width: ov.Node, *, mode: str, cube_coeff: float) -> ov.Node:
    """Resize, and round to integers in 0..255."""
    import openvino.opset11 as opset11
    import openvino.opset13 as ops

    resized = opset11.interpolate(
        pixels, ops.concat([height, width], 0), mode, "sizes", coordinate_transformation_mode="half_pixel",
        cube_coeff=cube_coeff, axes=_int64(1, 2),
    )  # fmt: skip
    return ops.clamp(ops.round(resized, "half_to_even"), 0.0, 255.0)


def _opencv_bilinear(pixels: ov.Output, height: ov.Node, width: ov.Node) -> ov.Node:
    """OpenCV's INTER_LINEAR for bytes: weights of 11 bits, and OpenCV's shifts.

    The bytes are equal to OpenCV's, except where a weight lies between two steps: OpenCV rounds it as a float.
    """
    import numpy as np
    import openvino.opset13 as ops

    size = _size(pixels)
    top, bottom, down = _neighbours(size[0], height)
    left, right, across = _neighbours(size[1], width)
    one = ops.constant(np.array([_ONE], np.int32))
    down = ops.reshape(ops.convert(down, "i32"), _int64(1, -1, 1, 1), False)
    across = ops.reshape(ops.convert(across, "i32"), _int64(1, 1, -1, 1), False)

    def line(index: ov.Node) -> ov.Node:
        rows = ops.gather(pixels, index, _scalar(1))
        ends = [ops.convert(ops.gather(rows, columns, _scalar(2)), "i32") for columns in (left, right)]
        mixed = ops.add(ops.multiply(ends[0], ops.subtract(one, across)), ops.multiply(ends[1], across))
        return _shift_right(mixed, 4)

    above = _shift_right(ops.multiply(line(top), ops.subtract(one, down)), 16)
    below = _shift_right(ops.multiply(line(bottom), down), 16)
    two = ops.constant(np.array([2], np.int32))
    return ops.convert(_shift_right(ops.add(ops.add(above, below), two), 2), "f32")


_ONE = 2048  # OpenCV's INTER_RESIZE_COEF_SCALE


def _neighbours(size: ov.Node, target: ov.Node) -> tuple[ov.Node, ov.Node, ov.Node]:
    """Per target pixel: the source pixels on both sides of its centre, and the weight of the second out of 2048."""
    import openvino.opset13 as ops

    two, one = _int64(2), _int64(1)
    twice = ops.multiply(target, two)
    places = ops.range(_scalar(0), ops.squeeze(target, _int64(0)), _scalar(1), "i64")
    # The centre is (2 place + 1) size / (2 target) - 1/2, at least 0.
    centres = ops.subtract(ops.multiply(ops.add(ops.multiply(places, two), one), size), target)
    centres = ops.maximum(centres, _int64(0))
    first = ops.divide(centres, twice)
    rest = ops.subtract(centres, ops.multiply(first, twice))
    weight = ops.divide(ops.add(ops.multiply(rest, _int64(_ONE)), target), twice)
    last = ops.subtract(size, one)
    return ops.minimum(first, last), ops.minimum(ops.add(first, one), last), weight


def _shift_right(values: ov.Node, count: int) -> ov.Node:
    """Shift values >= 0 right by `count` bits. OpenVINO's own shift took 20 ms per image, the division 1 ms."""
    import numpy as np
    import openvino.opset13 as ops

    return ops.divide(values, ops.constant(np.array([1 << count], np.int32)))


def _scalar(number: int) -> ov.Node:
    import numpy as np
    import openvino.opset13 as ops

    return ops.constant(np.int64(number))


def _crop(pixels: ov.Output, step: Crop) -> ov.Output:
    import openvino.opset13 as ops

    starts, ends = [], []
    for size, cropped_size in zip(_size(pixels), _crop_size(step, _size(pixels)), strict=True):
        start = _half(ops.subtract(size, cropped_size), to_even=step.library == "pillow")
        starts.append(start)
        ends.append(ops.add(start, cropped_size))
    cropped = ops.slice(pixels, ops.concat(starts, 0), ops.concat(ends, 0), _int64(1, 1), _int64(1, 2))
    return cropped.output(0)


def _crop_size(step: Crop, sizes: Sequence[ov.Node]) -> list[ov.Node]:
    """Height and width of the crop as int64 (1,)."""
    import openvino.opset13 as ops

    if step.fraction is None:
        return [_int64(step.height or 0), _int64(step.width or 0)]
    # The decimal fraction as written: 0.1 is 1/10, not the nearest binary fraction.
    over, under = Decimal(repr(step.fraction)).as_integer_ratio()
    return [ops.maximum(_int64(1), ops.divide(ops.multiply(size, _int64(over)), _int64(under))) for size in sizes]


def _half(difference: ov.Node, *, to_even: bool) -> ov.Node:
    """Half of a number >= 0, rounded down or to even."""
    import openvino.opset13 as ops

    half = ops.divide(difference, _int64(2))
    if not to_even:
        return half
    odd = ops.subtract(difference, ops.multiply(half, _int64(2)))
    half_is_odd = ops.subtract(half, ops.multiply(ops.divide(half, _int64(2)), _int64(2)))
    return ops.add(half, ops.multiply(odd, half_is_odd))
