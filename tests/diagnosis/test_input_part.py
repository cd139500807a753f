"""What a graph does with its input before the first convolution, against numbers computed by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest

from ov_mobilenet.diagnosis.baked import readings
from ov_mobilenet.diagnosis.input_part import split_network

SIDE = 8
WEIGHTS = np.random.default_rng(4).normal(size=(4, 3, 3, 3)).astype(np.float32)
MEAN, SCALE = np.array([120.0, 110.0, 100.0], np.float32), np.array([50.0, 60.0, 70.0], np.float32)
Build = Callable[[Any], Any]


def network(build: Build, *, layout: str = "NHWC", kind: str = "f32", size: int = SIDE) -> ov.Model:
    """An input part in front of a convolution; the output is the convolution's."""
    shape = [1, 3, size, size] if layout == "NCHW" else [1, size, size, 3]
    parameter = ops.parameter(shape, ov.Type(np.dtype(np.uint8)) if kind == "u8" else ov.Type.f32)
    parameter.layout = ov.Layout(layout)
    values = build(ops.convert(parameter, "f32") if kind == "u8" else parameter)
    weights = ops.constant(WEIGHTS)
    weights.set_friendly_name("weights")
    result = ops.convolution(values, weights, [1, 1], [1, 1], [1, 1], [1, 1])
    return ov.Model([ops.result(result)], [parameter], "small")


def to_nchw(values: Any) -> Any:
    return ops.transpose(values, np.array([0, 3, 1, 2]))


def normalised(values: Any) -> Any:
    return to_nchw(ops.divide(ops.subtract(values, MEAN), SCALE))


def split_and_joined(values: Any) -> Any:
    """The channels reversed without a Gather."""
    parts = ops.split(values, 3, 3)
    return normalised(ops.concat([parts.output(2), parts.output(1), parts.output(0)], 3))


def factors_of_rows(values: Any) -> Any:
    rows = ops.reshape(values, np.array([1, SIDE, 3 * SIDE]), False)
    rows = ops.multiply(ops.add(rows, np.tile(-MEAN, SIDE)[None, None]), np.tile(1 / SCALE, SIDE)[None, None])
    return to_nchw(ops.reshape(rows, np.array([1, SIDE, SIDE, 3]), False))


def padded(values: Any) -> Any:
    ends = np.array([0, 0, 0, 0]), np.array([0, 0, 1, 1])
    return ops.pad(normalised(values), *ends, "constant", np.float32(0))


def quantised(values: Any) -> Any:
    """-2..2 in 256 levels: the values of black and white pixels are clipped."""
    limits = [np.full((1, 1, 1, 1), end, np.float32) for end in (-2, 2, -2, 2)]
    return ops.fake_quantize(normalised(values), *limits, 256)


@pytest.mark.parametrize("kind", ["f32", "u8"])
@pytest.mark.parametrize(
    ("build", "is_reversed"),
    [(normalised, False), (split_and_joined, True), (factors_of_rows, False), (padded, False), (quantised, False)],
)
def test_arithmetic(build: Build, is_reversed: bool, kind: str) -> None:
    split = split_network(network(build, kind=kind), "NHWC")
    assert split is not None
    assert split.to_rest.is_reversed == is_reversed
    assert np.allclose(split.to_rest.multiplier, 1 / SCALE, rtol=1e-5)
    assert np.allclose(split.to_rest.offset, -MEAN / SCALE, rtol=1e-5)
    (baked,) = readings(split)
    assert baked.channel_order == ("RGB" if is_reversed else "BGR")
    assert np.allclose(baked.mean, MEAN) and np.allclose(baked.scale, SCALE)
    assert split.rest.inputs[0].get_partial_shape().to_shape() == ov.Shape([1, 3, SIDE, SIDE])


def test_the_rest_computes_what_the_whole_does() -> None:
    """Padding stays; the quantisation of the input does not, so that values outside its range pass."""
    pixels = np.random.default_rng(1).integers(0, 256, (1, SIDE, SIDE, 3)).astype(np.float32)
    core = ov.Core()
    whole = network(padded)
    split = split_network(whole, "NHWC")
    assert split is not None
    values = ((pixels - MEAN) / SCALE).transpose(0, 3, 1, 2)
    f32 = {"INFERENCE_PRECISION_HINT": "f32"}
    expected = core.compile_model(whole, "CPU", f32)(pixels)[0]
    assert np.abs(core.compile_model(split.rest, "CPU", f32)(values)[0] - expected).max() < 1e-4
    assert np.abs(split.to_rest.apply(pixels) - (pixels - MEAN) / SCALE).max() < 1e-5
    limited, free = (split_network(network(build), "NHWC") for build in (quantised, normalised))
    assert limited is not None and free is not None
    near = core.compile_model(free.rest, "CPU", f32)(values)[0]
    far = core.compile_model(limited.rest, "CPU", f32)(values * 10)[0]
    assert np.abs(far - 10 * near).max() < 1e-3


def test_the_quantisation_of_the_source_network_is_not_part_of_what_is_baked() -> None:
    """As in a quantised TFLite file: the integers 0..255 are the values -1..1."""

    def build(values: Any) -> Any:
        limits = [np.full((1, 1, 1, 1), end, np.float32) for end in (0, 255, -1, 1)]
        return to_nchw(ops.fake_quantize(values, *limits, 256))

    split = split_network(network(build, kind="u8"), "NHWC")
    assert split is not None
    assert np.allclose(split.to_rest.multiplier, 2 / 255) and np.allclose(split.to_rest.offset, -1)
    (baked,) = readings(split)
    assert (baked.name, baked.channel_order) == ("0..255", "BGR")


def test_a_resize_of_large_frames() -> None:
    def build(values: Any) -> Any:
        return ops.interpolate(normalised(values), np.array([SIDE, SIDE]), "linear", "sizes", axes=np.array([2, 3]))

    split = split_network(network(build, size=40), "NHWC")
    assert split is not None
    assert split.rest.inputs[0].get_partial_shape().to_shape() == ov.Shape([1, 3, SIDE, SIDE])
    assert np.allclose(split.to_rest.offset, -MEAN / SCALE, rtol=1e-4)


@pytest.mark.parametrize(
    "build",
    [
        lambda x: to_nchw(ops.power(x, np.float32(0.45))),
        lambda x: to_nchw(ops.subtract(x, ops.reduce_mean(x, np.array([1, 2]), True))),
        lambda x: to_nchw(ops.gather(x, np.array([0, 2, 1]), np.array(3))),
        lambda x: to_nchw(ops.add(x, ops.gather(x, np.array([2, 1, 0]), np.array(3)))),
    ],
    ids=["gamma", "mean of the image", "another permutation", "mixed channels"],
)
def test_other_operations_are_not_taken_for_a_normalisation(build: Build) -> None:
    assert split_network(network(build), "NHWC") is None


def test_without_any_operation() -> None:
    split = split_network(network(lambda x: x, layout="NCHW"), "NCHW")
    assert split is not None
    assert [(one.name, one.channel_order) for one in readings(split)] == [("0..255", "BGR")]
