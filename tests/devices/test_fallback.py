"""The fallback device."""

from __future__ import annotations

import logging

import openvino as ov
import pytest
from compile_for_tests import network, on_fakes
from fake_device import CPU, GPU_WITHOUT_DRIVER, FakeCore

from ov_mobilenet.errors import DeviceError


@pytest.mark.parametrize(
    ("device", "core", "model", "why"),
    [
        ("GPU", FakeCore((CPU, GPU_WITHOUT_DRIVER)), network(), "libOpenCL"),
        ("AUTO:GPU,NPU", FakeCore((CPU, GPU_WITHOUT_DRIVER)), network(), "libOpenCL"),
        ("NPU", FakeCore(), network(-1, 3, 8, 8), "static shapes"),
    ],
)
def test_the_fallback_logs_a_warning_with_the_reason(
    device: str, core: FakeCore, model: ov.Model, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert on_fakes(device, model, core=core, fallback="CPU").device == "CPU"
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert why in record.message and record.message.startswith("running on CPU instead: ")


def test_an_available_device_is_used_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert on_fakes("GPU", fallback="CPU").device == "GPU"
    assert not caplog.records


def test_properties_that_the_fallback_does_not_support_are_listed(caplog: pytest.LogCaptureFixture) -> None:
    asked = (("GPU_QUEUE_THROTTLE", "LOW"), ("PERF_COUNT", "YES"))
    compiled = on_fakes("GPU", core=FakeCore((CPU, GPU_WITHOUT_DRIVER)), properties=asked, fallback="CPU")
    assert compiled.properties == {"PERF_COUNT": "YES"}
    assert "running on CPU instead, without GPU_QUEUE_THROTTLE: device GPU cannot be used" in caplog.text


def test_an_unavailable_fallback_reports_both_reasons() -> None:
    with pytest.raises(DeviceError, match="device GPU cannot.*; fallback: device NPU cannot"):
        on_fakes("GPU", core=FakeCore((CPU, GPU_WITHOUT_DRIVER)), fallback="NPU")
    with pytest.raises(DeviceError, match="unknown device FOO"):
        on_fakes("GPU", core=FakeCore((CPU, GPU_WITHOUT_DRIVER)), fallback="FOO")
