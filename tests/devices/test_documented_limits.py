"""The documented limits of NPU, GPU and BATCH, on simulated devices."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from compile_for_tests import network, on_fakes
from fake_device import CPU, NPU, FakeCore

from ov_mobilenet.errors import DeviceError, UsageError


@pytest.mark.parametrize("shape", [(-1, 3, 8, 8), (1, 3, -1, -1)])
@pytest.mark.parametrize("device", ["NPU", "AUTO:NPU", "MULTI:CPU,NPU", "HETERO:NPU,CPU"])
def test_the_npu_supports_only_static_shapes(device: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(DeviceError, match="static shapes.*Convert with --for npu .*npu-device.html"):
        on_fakes(device, network(*shape))


def test_the_npu_supports_only_batch_1() -> None:
    with pytest.raises(DeviceError, match="expected batch size 1, got batch size 8. Convert with --for npu"):
        on_fakes("NPU", network(8, 3, 8, 8))
    assert on_fakes("NPU").device == "NPU"


def test_auto_may_select_another_device_that_can_run_the_model() -> None:
    core = FakeCore((CPU, dataclasses.replace(NPU, name="NPU")))
    assert on_fakes("AUTO:CPU,NPU", network(-1, 3, 8, 8), core=core).device == "CPU"


def test_the_npu_supports_only_one_stream() -> None:
    listed = dataclasses.replace(NPU, writable={**NPU.writable, "NUM_STREAMS": 1})  # as the real plugin lists it
    with pytest.raises(UsageError, match="only one stream: .*got 4 streams"):
        on_fakes("NPU", core=FakeCore((CPU, listed)), streams=4)
    assert on_fakes("NPU", core=FakeCore((CPU, listed)), streams=1).num_streams == 1


@pytest.mark.parametrize(
    ("device", "wanted", "supported"),
    [("NPU", "f32", "f16"), ("NPU", "bf16", "f16"), ("GPU", "bf16", "f32 or f16"), ("CPU", "f16", "f32"),
     ("MULTI:CPU,GPU", "f16", "f32")],
)  # fmt: skip
def test_an_unsupported_precision_lists_the_supported_ones(device: str, wanted: str, supported: str) -> None:
    with pytest.raises(
        DeviceError, match=f"does not support inference precision {wanted}: expected {supported}, got {wanted}"
    ):
        on_fakes(device, inference_precision=wanted)
    with pytest.raises(DeviceError, match=f"expected {supported}"):
        on_fakes(device, properties=(("INFERENCE_PRECISION_HINT", wanted),))


def test_a_supported_precision() -> None:
    assert on_fakes("GPU", inference_precision="f32").inference_precision == "f32"
    assert on_fakes("GPU").inference_precision == "f16"


def test_a_dynamic_shape_on_the_gpu_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    on_fakes("GPU", network(-1, 3, 8, 8))
    assert "more slowly" in caplog.text and "gpu-device.html" in caplog.text


@pytest.mark.parametrize(
    ("device", "shape", "settings", "message"),
    [
        ("BATCH:CPU", (1, 3, 8, 8), {}, r"expected BATCH:CPU\(8\), got BATCH:CPU"),
        ("BATCH:GPU(4)", (1, 3, 8, 8), {"hint": "latency"}, "expected the throughput hint"),
        ("BATCH:GPU(4)", (8, 3, 8, 8), {}, r"expected batch size 1 .*got \[8,3,8,8\]"),
        ("BATCH:GPU(4)", (-1, 3, 8, 8), {}, "automatic-batching.html"),
    ],
)
def test_the_limits_of_batch(device: str, shape: tuple[int, ...], settings: dict[str, Any], message: str) -> None:
    with pytest.raises((DeviceError, UsageError), match=message):
        on_fakes(device, network(*shape), **settings)
