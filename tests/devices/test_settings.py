"""Device settings and device names: what is valid."""

from __future__ import annotations

from typing import Any

import pytest

from ov_mobilenet.devices.names import parse_device
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.errors import UsageError


@pytest.mark.parametrize(
    "settings",
    [
        {"hint": "throughput", "streams": 2},
        {"hint": "latency", "properties": (("NUM_STREAMS", "2"),)},
        {"streams": 2, "properties": (("PERFORMANCE_HINT", "LATENCY"),)},
    ],
)
def test_a_hint_together_with_streams_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="a hint or streams, got hint (throughput|latency) and 2 streams"):
        DeviceSettings(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hint": "fast"}, "unknown hint: expected latency or throughput or cumulative_throughput, got 'fast'"),
        ({"inference_precision": "f64"}, "unknown inference precision: expected f32 or bf16 or f16, got 'f64'"),
        ({"streams": 0}, "invalid streams: expected at least 1, got 0"),
        ({"nireq": -1}, "invalid nireq"),
        ({"properties": (("CPU_THROUGHPUT_STREAMS", "2"),)}, "obsolete OpenVINO property: expected NUM_STREAMS"),
        ({"properties": (("ENFORCE_BF16", "YES"),)}, "expected INFERENCE_PRECISION_HINT, got ENFORCE_BF16"),
        ({"properties": (("CACHE_DIR", "/x"),)}, "--model-cache"),
        ({"properties": (("num streams", "2"),)}, "invalid property name.*'num streams'"),
        ({"streams": 2, "properties": (("NUM_STREAMS", "3"),)}, "NUM_STREAMS is set twice: got 2 and 3"),
        ({"properties": (("PERF_COUNT", "YES"), ("PERF_COUNT", "NO"))}, "PERF_COUNT is set twice"),
        ({"device": "cpu"}, "got 'cpu'. Write CPU"),
        ({"fallback": "Cpu"}, "got 'Cpu'. Write CPU"),
    ],
)
def test_invalid_settings_are_rejected_on_creation(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DeviceSettings(**settings)


@pytest.mark.parametrize(
    "text",
    ["CPU", "GPU", "GPU.1", "GPU.0.1", "NPU", "AUTO", "AUTO:GPU,CPU", "AUTO:-GPU", "MULTI:GPU.0,GPU.1",
     "MULTI:CPU(2),GPU", "HETERO:GPU,CPU", "BATCH:GPU", "BATCH:GPU(8)"],
)  # fmt: skip
def test_device_names_of_openvino_are_parsed(text: str) -> None:
    assert parse_device(text).text == text


@pytest.mark.parametrize(
    "text",
    ["", "CPU,GPU", "AUTO:", "MULTI", "HETERO", "BATCH", "BATCH:GPU,CPU", "GPU(8)", "BATCH:GPU(0)", "MULTI:-GPU",
     "CPU:GPU", "AUTO:AUTO", "AUTO:GPU, CPU", "GPU.", "AUTO:GPU(2)"],
)  # fmt: skip
def test_invalid_device_names_are_rejected(text: str) -> None:
    with pytest.raises(UsageError, match="invalid device name: expected CPU, GPU, GPU.1"):
        parse_device(text)


@pytest.mark.parametrize(
    ("settings", "latency"),
    [
        (DeviceSettings(hint="latency"), True),
        (DeviceSettings(properties=(("PERFORMANCE_HINT", "latency"),)), True),
        (DeviceSettings(properties=(("PERFORMANCE_HINT", "LATENCY"),)), True),
        (DeviceSettings(hint="throughput"), False),
        (DeviceSettings(), False),
    ],
)
def test_the_latency_hint_counts_as_a_field_and_as_a_property(settings: DeviceSettings, latency: bool) -> None:
    assert settings.requests_latency == latency
