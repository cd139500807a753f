"""Settings and properties on the real CPU: applied and read back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from compile_for_tests import network, on_cpu, on_fakes

from ov_mobilenet.devices.compile import compile_model
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.errors import DeviceError


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("ENABLE_CPU_PINNING", "NO", "NO"),
        ("ENABLE_CPU_PINNING", "true", "YES"),
        ("ENABLE_CPU_RESERVATION", "YES", "YES"),
        ("ENABLE_HYPER_THREADING", "NO", "NO"),
        ("PERF_COUNT", "YES", "YES"),
        ("EXECUTION_MODE_HINT", "ACCURACY", "ACCURACY"),
        ("PERFORMANCE_HINT", "THROUGHPUT", "THROUGHPUT"),
        ("PERFORMANCE_HINT_NUM_REQUESTS", "3", "3"),
        ("NUM_STREAMS", "1", "1"),
        ("INFERENCE_NUM_THREADS", "1", "1"),
        ("INFERENCE_PRECISION_HINT", "f32", "f32"),
        ("CPU_DENORMALS_OPTIMIZATION", "YES", "YES"),
        ("CPU_SPARSE_WEIGHTS_DECOMPRESSION_RATE", "0.50", "0.5"),
        ("DYNAMIC_QUANTIZATION_GROUP_SIZE", "64", "64"),
        ("KV_CACHE_PRECISION", "f16", "f16"),
        ("KEY_CACHE_PRECISION", "u8", "u8"),
        ("LOG_LEVEL", "LOG_WARNING", "WARNING"),
        ("MODEL_DISTRIBUTION_POLICY", "TENSOR_PARALLEL", "TENSOR_PARALLEL"),
        ("SCHEDULING_CORE_TYPE", "ANY_CORE", "ANY_CORE"),
    ],
)
def test_the_cpu_applies_each_of_its_properties(name: str, value: str, read: str) -> None:
    supported = ov.Core().get_property("CPU", "SUPPORTED_PROPERTIES")
    if name not in supported:
        pytest.skip(f"this OpenVINO's CPU has no {name}")
    # In its own thread: CPU_DENORMALS_OPTIMIZATION disables denormal floats for the rest of that thread.
    with ThreadPoolExecutor(1) as pool:
        compiled = pool.submit(on_cpu, properties=((name, value),)).result()
    assert compiled.properties == {name: read}
    assert 5e-324 * 1.0 > 0.0


@pytest.mark.parametrize(
    ("settings", "name", "read"),
    [
        ({"hint": "latency"}, "PERFORMANCE_HINT", "LATENCY"),
        ({"hint": "throughput"}, "PERFORMANCE_HINT", "THROUGHPUT"),
        ({"streams": 1}, "NUM_STREAMS", "1"),
        ({"threads": 1}, "INFERENCE_NUM_THREADS", "1"),
        ({"pinning": False}, "ENABLE_CPU_PINNING", "NO"),
        ({"inference_precision": "f32"}, "INFERENCE_PRECISION_HINT", "f32"),
    ],
)
@pytest.mark.parametrize("device", ["CPU", "AUTO", "AUTO:CPU", "MULTI:CPU", "HETERO:CPU", "BATCH:CPU(2)"])
def test_every_setting_is_read_back_from_a_device_and_from_a_plugin(
    device: str, settings: dict[str, Any], name: str, read: str
) -> None:
    if device == "AUTO" and ov.Core().available_devices != ["CPU"]:
        pytest.skip("AUTO may select another device here")
    if device.startswith("BATCH") and settings == {"hint": "latency"}:
        pytest.skip("BATCH has no latency hint")
    compiled = on_cpu(device, **settings)
    assert (compiled.device, compiled.properties) == ("CPU", {name: read})
    if name == "INFERENCE_PRECISION_HINT":
        assert compiled.inference_precision == "f32"
    if name == "NUM_STREAMS":
        assert compiled.num_streams == 1


@pytest.mark.parametrize(("setting", "name"), [("streams", "NUM_STREAMS"), ("threads", "INFERENCE_NUM_THREADS")])
def test_a_number_that_the_cpu_reduces_is_an_error_with_both_numbers(setting: str, name: str) -> None:
    with pytest.raises(DeviceError, match=rf"CPU did not apply {name}: expected 5000, got \d{{1,3}}$"):
        settings: Any = {setting: 5000}
        on_cpu(**settings)


def test_any_number_of_streams_is_accepted_if_left_to_the_device() -> None:
    compiled = on_cpu(properties=(("NUM_STREAMS", "AUTO"),))
    assert compiled.num_streams is not None and compiled.num_streams >= 1


def test_nireq_is_passed_through_and_the_optimal_number_is_read() -> None:
    assert (on_cpu(streams=1, nireq=7).nireq, on_cpu(streams=1).nireq) == (7, None)
    assert on_cpu(streams=1).optimal_nireq == 1
    assert on_fakes("GPU", hint="throughput").optimal_nireq == 2


def test_properties_of_single_devices_behind_auto_are_read_back() -> None:
    asked = (("DEVICE_PROPERTIES", "{CPU:{INFERENCE_NUM_THREADS:1,ENABLE_CPU_PINNING:NO}}"),)
    assert "DEVICE_PROPERTIES" in on_cpu("AUTO:CPU", properties=asked).properties
    with pytest.raises(DeviceError, match=r"INFERENCE_NUM_THREADS of CPU: expected 5000, got \d+"):
        on_cpu("AUTO:CPU", properties=(("DEVICE_PROPERTIES", "{CPU:{INFERENCE_NUM_THREADS:5000}}"),))


def test_a_property_that_auto_accepts_but_does_not_report() -> None:
    # OpenVINO lists it as writable, but a compiled model does not report it.
    assert on_cpu("AUTO:CPU", properties=(("ENABLE_STARTUP_FALLBACK", "NO"),)).properties == {
        "ENABLE_STARTUP_FALLBACK": None
    }


def test_properties_of_openvino_that_the_device_does_not_use() -> None:
    # The CPU plugin lists neither; OpenVINO accepts both silently.
    with pytest.raises(DeviceError, match="CPU did not apply AUTO_BATCH_TIMEOUT: expected 5, got no value"):
        on_cpu(properties=(("AUTO_BATCH_TIMEOUT", "5"),))
    assert on_cpu("BATCH:CPU(2)", properties=(("AUTO_BATCH_TIMEOUT", "5"),)).properties == {"AUTO_BATCH_TIMEOUT": "5"}
    assert on_cpu(properties=(("ALLOW_AUTO_BATCHING", "NO"),)).properties == {"ALLOW_AUTO_BATCHING": None}


def test_an_invalid_value_is_reported_with_the_message_of_openvino() -> None:
    with pytest.raises(DeviceError, match="cannot be used .*Wrong value foo"):
        on_cpu(properties=(("SCHEDULING_CORE_TYPE", "foo"),))


def test_the_cpu_caches_compiled_models_in_the_given_folder(tmp_path: Path) -> None:
    model, cache = network(), tmp_path / "new" / "cache"
    plain = compile_model(model, DeviceSettings(device="CPU")).model
    frame = np.random.default_rng(1).random((1, 3, 8, 8), np.float32)

    def kept() -> ov.CompiledModel:
        return compile_model(model, DeviceSettings(device="CPU", model_cache=cache)).model

    assert not plain.get_property("LOADED_FROM_CACHE")
    kept()
    (file,) = cache.glob("*.blob")
    assert kept().get_property("LOADED_FROM_CACHE")
    assert np.array_equal(kept()([frame])[0], plain([frame])[0])
    file.write_bytes(file.read_bytes()[:100])  # as if the writing process had died: compiled again
    assert np.array_equal(kept()([frame])[0], plain([frame])[0])
