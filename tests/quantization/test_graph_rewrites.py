"""The rewrites of quantised graphs give the results of the original graph."""

from __future__ import annotations

import numpy as np
import openvino as ov

from ov_mobilenet.quantization.graph_rewrites import normalise_by_rows, shift_to_unsigned


def test_graph_rewrites_keep_the_results() -> None:
    """On a network with a signed activation between a padded and a 1x1 convolution, and a residual addition."""
    import openvino.opset13 as ops

    rng = np.random.default_rng(0)

    def layer(port: ov.Output, size: int, inputs: int, outputs: int) -> ov.Node:
        weights = rng.integers(-127, 128, (outputs, inputs, size, size)).astype(np.float32)
        scaled = ops.multiply(ops.convert(ops.constant(weights.astype(np.int8)), "f32"), np.float32(2**-9))
        pads = [size // 2] * 2
        summed = ops.convolution(port, scaled, [1, 1], pads, pads, [1, 1])
        return ops.add(summed, rng.normal(0, 1, (1, outputs, 1, 1)).astype(np.float32))

    def rounded(port: ov.Node, high: float) -> ov.Node:
        low = np.float32(-high * 128 / 127)
        return ops.fake_quantize(port, low, np.float32(high), low, np.float32(high), 256)

    pixels = ops.parameter([1, 3, 16, 16], ov.Type.f32)
    pixels.layout = ov.Layout("NCHW")
    mean = np.array([100, 110, 120], np.float32).reshape(1, 3, 1, 1)
    first = rounded(ops.subtract(pixels, mean), 127.0)
    narrow = rounded(layer(first, 3, 3, 8), 400.0)
    added = rounded(ops.add(narrow, rounded(layer(narrow, 1, 8, 8), 300.0)), 500.0)
    model = ov.Model([ops.result(layer(added, 1, 8, 4))], [pixels], "net")
    changed = model.clone()
    assert normalise_by_rows(changed)
    assert shift_to_unsigned(changed) == 3
    lows = [
        n.input_value(3).get_node().get_data().min() for n in changed.get_ops() if n.get_type_name() == "FakeQuantize"
    ]
    assert sorted(low >= 0 for low in lows) == [False, True, True, True]
    frame = rng.integers(0, 256, (1, 3, 16, 16)).astype(np.float32)
    answers = [
        ov.Core().compile_model(net, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(frame)[0] for net in (model, changed)
    ]
    step = 2 * 500.0 / 255 * 127 / 512
    assert np.abs(answers[0] - answers[1]).max() <= 2 * step
    assert np.abs(answers[0] - answers[1]).mean() < 0.02 * np.abs(answers[0]).mean()
