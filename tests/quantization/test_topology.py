"""The operations that stay in float are found by topology; the names are arbitrary."""

from __future__ import annotations

import numpy as np
import openvino as ov
import pytest
from nncf_for_tests import require_nncf

from ov_mobilenet.quantization.topology import choose_scheme, hard_swishes, squeeze_and_excite

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def v3() -> ov.Model:
    from ov_mobilenet.conversion.architectures.mobilenet_v3 import MobileNetV3

    network = MobileNetV3("mobilenet_v3_small", classes=5).eval()
    return ov.convert_model(network, example_input=torch.zeros(1, 3, 64, 64), input=[1, 3, 64, 64])


@pytest.mark.filterwarnings("ignore")
def test_mobilenet_v3_uses_mixed_and_keeps_gates_and_swishes_in_float(v3: ov.Model) -> None:
    scheme = choose_scheme(v3)
    assert scheme.preset == "mixed"
    kinds = {node.get_friendly_name(): node.get_type_name() for node in v3.get_ops()}
    # In the paper, nine of the eleven blocks of V3 small have a gate: two convolutions and one scaling each.
    gates = [kinds[name] for name in squeeze_and_excite(v3)]
    assert gates.count("Convolution") == 18
    assert gates.count("Multiply") == 9
    assert len(hard_swishes(v3)) >= 19
    assert [kinds[name] for name in scheme.in_float].count("GroupConvolution") == 1


@pytest.mark.filterwarnings("ignore")
def test_mobilenet_v3_is_quantised_by_its_scheme(v3: ov.Model) -> None:
    nncf = require_nncf()
    scheme = choose_scheme(v3)
    pixels = np.random.default_rng(0).normal(0, 1, (12, 1, 3, 64, 64)).astype(np.float32)
    made = nncf.quantize(
        v3, nncf.Dataset(list(pixels)), preset=nncf.QuantizationPreset.MIXED, subset_size=12,
        ignored_scope=nncf.IgnoredScope(names=list(scheme.in_float), validate=False),
    )  # fmt: skip
    in_float = set(scheme.in_float)
    for node in made.get_ops():
        if node.get_type_name() in ("Convolution", "GroupConvolution"):
            quantised = node.input_value(0).get_node().get_type_name() == "FakeQuantize"
            assert quantised == (node.get_friendly_name() not in in_float), node.get_friendly_name()
