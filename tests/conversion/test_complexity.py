"""Operations and parameters: small graphs against counts by hand, MobileNets against the documented figures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest
import small_networks as small

import ov_mobilenet as ovm
from ov_mobilenet.conversion.complexity import Complexity, complexity
from ov_mobilenet.conversion.converter import WeightPrecision
from ov_mobilenet.errors import ConversionError

# 8 maps of 16 x 16 with 27 multiply-adds, a bias and a ReLU per element; then 8 means to 5 classes.
SMALL_OPERATIONS = 8 * 16 * 16 * (2 * 27 + 1 + 1) + 5 * (2 * 8 + 1)
SMALL_PARAMETERS = 8 * 27 + 8 + 5 * 8 + 5


@pytest.mark.parametrize(
    ("precision", "form"),
    [
        ("FP32", ovm.Form()),
        ("FP16", ovm.Form()),
        ("FP32", ovm.Form(batch=8)),
        ("FP16", ovm.Form(batch=-1)),
        ("FP16", ovm.Form(layout="NHWC", input_type="u8")),
        ("FP32", ovm.Form(layout="NHWC", batch=-1)),
    ],
)
def test_a_small_network_by_hand_in_every_form(precision: WeightPrecision, form: ovm.Form, tmp_path: Path) -> None:
    config = ovm.load_config(small.write_onnx(tmp_path / "net", end="softmax"))
    sources = ovm.download(config, tmp_path / "dl", cache_root=tmp_path / "cache", offline=True)
    xml = ovm.convert(sources, tmp_path / "ir", precisions=(precision,), form=form)[0].xml
    counted = complexity(ov.Core().read_model(xml))
    assert round(counted.gflops * 1e9) == SMALL_OPERATIONS
    assert round(counted.mparams * 1e6) == SMALL_PARAMETERS


def test_the_count_does_not_depend_on_the_normalisation(tmp_path: Path) -> None:
    network = small.write_onnx(tmp_path / "net").with_name("small.onnx")
    counted = complexity(ov.convert_model(network))
    assert counted == Complexity(gflops=SMALL_OPERATIONS / 1e9, mparams=SMALL_PARAMETERS / 1e6)


# Documented figures of the shipped models: architecture, width, classes, side, GFLOPs, MParams.
DOCUMENTED = [
    ("mobilenet_v1", 0.25, 1001, 128, 0.028, 0.468),
    pytest.param("mobilenet_v1", 0.5, 1001, 160, 0.156, 1.327, marks=pytest.mark.full),
    pytest.param("mobilenet_v1", 0.5, 1001, 224, 0.304, 1.327, marks=pytest.mark.full),
    pytest.param("mobilenet_v1", 1.0, 1001, 224, 1.148, 4.222, marks=pytest.mark.full),
    ("mobilenet_v2", 1.0, 1001, 224, 0.615, 3.489),
    pytest.param("mobilenet_v2", 1.4, 1001, 224, 1.183, 6.087, marks=pytest.mark.full),
    ("mobilenet_v3_small", 1.0, 1000, 224, 0.11682, 2.537),
    pytest.param("mobilenet_v3_large", 1.0, 1000, 224, 0.44506, 5.471, marks=pytest.mark.full),
]


@pytest.mark.parametrize(("architecture", "width", "classes", "side", "gflops", "mparams"), DOCUMENTED)
def test_the_documented_figures_are_reproduced(
    architecture: str, width: float, classes: int, side: int, gflops: float, mparams: float
) -> None:
    pytest.importorskip("torch")
    counted = complexity(small.architecture_ir(architecture, width=width, classes=classes, side=side))
    assert counted.gflops == pytest.approx(gflops, rel=0.01)
    assert counted.mparams == pytest.approx(mparams, rel=0.002)


def test_the_count_of_squeeze_excite_does_not_depend_on_the_form(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from ov_mobilenet.conversion.architectures.mobilenet_v3 import MobileNetV3

    new = partial(MobileNetV3, "mobilenet_v3_small", classes=5, width=0.5)
    config = ovm.load_config(small.write_checkpoint(tmp_path / "net", "mobilenet_v3_small", new))
    sources = ovm.download(config, tmp_path / "dl", cache_root=tmp_path / "cache", offline=True)
    form = ovm.Form(layout="NHWC", input_type="u8", batch=-1)
    xml = ovm.convert(sources, tmp_path / "ir", precisions=("FP16",), form=form)[0].xml
    plain = small.architecture_ir("mobilenet_v3_small", width=0.5, classes=5, side=64)
    assert complexity(ov.Core().read_model(xml)) == complexity(plain)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("file", "gflops", "mparams"),
    [
        ("mobilenet-v1-0.25-128-quant-tflite/mobilenet_v1_0.25_128_quant_coral.tflite", 0.028, 0.468),
        ("mobilenet-v1-0.25-224-tflite/mobilenet_v1_0.25_224_1_default_1.tflite", 0.0846, 0.468),
        ("mobilenet-v2-onnx-real/mobilenetv2_real.onnx", 0.615, 3.488),
    ],
)
def test_real_networks(shared: Path, file: str, gflops: float, mparams: float) -> None:
    counted = complexity(ov.convert_model(shared / "zoo" / file))
    assert counted.gflops == pytest.approx(gflops, rel=0.002)
    assert counted.mparams == pytest.approx(mparams, rel=0.002)


def constant(*shape: int, kind: type[np.generic] = np.float32) -> ov.Node:
    return ops.constant(np.ones(shape, kind))


def a_layer(images: ov.Node, inputs: int, outputs: int) -> ov.Node:
    """A 1x1 convolution with a bias."""
    filtered = ops.convolution(images, constant(outputs, inputs, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1])
    return ops.add(filtered, constant(1, outputs, 1, 1))


def counted(build: Callable[[ov.Node], ov.Node], *, channels: int = 3) -> tuple[int, int]:
    """Operations and parameters of the network that `build` makes for images (1, channels, 4, 4)."""
    images = ops.parameter([1, channels, 4, 4], np.float32)
    figures = complexity(ov.Model([build(images)], [images]))
    return round(figures.gflops * 1e9), round(figures.mparams * 1e6)


LAYER = 16 * 6 * (2 * 3 + 1)  # a_layer(images, 3, 6)


def h_swish_in_steps(x: ov.Node) -> ov.Node:
    gate = ops.divide(ops.clamp(ops.add(x, constant(1)), 0.0, 6.0), constant(1))
    return ops.multiply(x, gate)


@pytest.mark.parametrize(
    "activation",
    [
        ops.relu,
        ops.hswish,
        h_swish_in_steps,
        lambda x: ops.clamp(x, 0.0, 6.0),
        lambda x: ops.multiply(ops.relu(x), constant(1)),
        # ReLU6 as the range of a quantisation, and before one.
        lambda x: ops.fake_quantize(x, *[ops.constant(np.float32(v)) for v in (0, 6, 0, 6)], 256),
        lambda x: ops.fake_quantize(ops.clamp(x, 0.0, 6.0), *[ops.constant(np.float32(v)) for v in (0, 6, 0, 6)], 256),
    ],
)
def test_an_activation_is_one_operation_per_element(activation: Callable[[ov.Node], ov.Node]) -> None:
    assert counted(lambda x: activation(a_layer(x, 3, 6))) == (LAYER + 96, 24)


def test_quantisation_is_not_counted() -> None:
    ends = [ops.constant(np.float32(v)) for v in (-3, 3, -3, 3)]
    assert counted(lambda x: ops.fake_quantize(a_layer(x, 3, 6), *ends, 256)) == (LAYER, 24)


def test_compressed_weights_are_counted_as_weights() -> None:
    def eight_bits(x: ov.Node) -> ov.Node:
        weights = ops.multiply(ops.convert(constant(6, 3, 1, 1, kind=np.int8), "f32"), constant(6, 1, 1, 1))
        return ops.convolution(x, weights, [1, 1], [0, 0], [0, 0], [1, 1])

    def halves(x: ov.Node) -> ov.Node:
        weights = ops.convert(constant(6, 3, 1, 1, kind=np.float16), "f32")
        return ops.convolution(x, weights, [1, 1], [0, 0], [0, 0], [1, 1])

    assert counted(eight_bits) == counted(halves) == counted(lambda x: a_layer(x, 3, 6)) == (LAYER, 24)


def test_batch_norm_counts_as_folded() -> None:
    def unfolded(x: ov.Node) -> ov.Node:
        filtered = ops.convolution(x, constant(6, 3, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1])
        return ops.batch_norm_inference(filtered, constant(6), constant(6), constant(6), constant(6), 1e-3)

    assert counted(unfolded) == (LAYER, 24)


def test_depthwise_residual_and_squeeze_excite_by_hand() -> None:
    def block(x: ov.Node) -> ov.Node:
        weights = constant(3, 1, 1, 3, 3)
        filtered = ops.group_convolution(x, weights, [1, 1], [1, 1], [1, 1], [1, 1])
        means = ops.reduce_mean(filtered, ops.constant(np.array([2, 3])), keep_dims=True)
        gates = ops.hsigmoid(a_layer(ops.relu(a_layer(means, 3, 2)), 2, 3))
        return ops.add(x, a_layer(ops.multiply(filtered, gates), 3, 3))

    depthwise, project = 48 * (2 * 9 + 1), 48 * (2 * 3 + 1)
    squeeze = 2 * (2 * 3 + 1) + 2 + 3 * (2 * 2 + 1) + 3  # two small layers with ReLU and hard sigmoid
    operations, parameters = counted(block)
    assert operations == depthwise + squeeze + 48 + project + 48  # the product with the gates, the residual sum
    assert parameters == (27 + 3) + (6 + 2) + (6 + 3) + (9 + 3)


def test_operations_before_the_first_layer_are_not_counted() -> None:
    def normalised(x: ov.Node) -> ov.Node:
        return a_layer(ops.relu(ops.multiply(ops.subtract(x, constant(1, 3, 1, 1)), x)), 3, 6)

    assert counted(normalised) == (LAYER, 24)


def test_images_of_any_size_cannot_be_counted() -> None:
    images = ops.parameter(ov.PartialShape([1, 3, -1, -1]), np.float32)
    model = ov.Model([a_layer(images, 3, 6)], [images])
    with pytest.raises(ConversionError, match=r"cannot be counted: expected feature maps of fixed size, got \[1,6,1"):
        complexity(model)
