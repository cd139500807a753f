"""Devices and properties that are not available, on simulated devices."""

from __future__ import annotations

import dataclasses

import pytest
from compile_for_tests import on_cpu, on_fakes
from fake_device import CPU, GPU, GPU_WITHOUT_DRIVER, FakeCore

from ov_mobilenet.devices.names import check_available, parse_device
from ov_mobilenet.errors import DeviceError, UsageError


@pytest.mark.parametrize("device", ["FOO", "AUTO:FOO", "MULTI:CPU,FOO", "AUTO:-FOO"])
def test_an_unknown_device_is_an_error_even_with_a_fallback(device: str) -> None:
    with pytest.raises(DeviceError, match=f"unknown device FOO: expected one of CPU, GPU, NPU, or AUTO, got {device}"):
        on_fakes(device, fallback="CPU")


@pytest.mark.parametrize("device", ["GPU", "GPU.0", "AUTO:GPU,CPU", "MULTI:GPU,CPU", "HETERO:GPU,CPU", "BATCH:GPU(4)"])
def test_a_missing_driver_is_reported_with_install_instructions(device: str) -> None:
    with pytest.raises(DeviceError) as caught:
        on_fakes(device, core=FakeCore((CPU, GPU_WITHOUT_DRIVER)))
    assert "device GPU" in str(caught.value)
    assert "(libOpenCL.so.1: cannot open shared object)" in str(caught.value)
    assert "apt-get install ocl-icd-libopencl1 intel-opencl-icd" in str(caught.value)
    assert caught.value.expected == "one of CPU, or AUTO"


def test_a_missing_second_gpu_does_not_suggest_a_driver() -> None:
    with pytest.raises(DeviceError, match=r"device GPU.1 cannot be used \(no device with this index\)") as caught:
        on_fakes("GPU.1")
    assert caught.value.fix is None
    with pytest.raises(DeviceError, match="CPU.0"):
        on_fakes("CPU.0")


def test_a_tile_is_available_with_its_gpu() -> None:
    check_available(parse_device("GPU.0.1"), FakeCore())
    with pytest.raises(DeviceError, match="GPU.1.0"):
        check_available(parse_device("GPU.1.0"), FakeCore())


def test_two_gpus_have_separate_names() -> None:
    pair = tuple(dataclasses.replace(GPU, name=f"GPU.{number}") for number in (0, 1))
    core = FakeCore((CPU, *pair))
    assert on_fakes("GPU.1", core=core).device == "GPU.1"
    assert on_fakes("MULTI:GPU.0,GPU.1", core=core).device == "GPU.0,GPU.1"
    with pytest.raises(DeviceError, match="GPU.2"):
        on_fakes("GPU.2", core=core)


def test_an_unknown_property_lists_the_known_ones_and_suggests_the_closest() -> None:
    with pytest.raises(
        UsageError, match="GPU has no property NUM_STREAM: .*GPU_QUEUE_THROTTLE.* Did you mean NUM_STREAMS"
    ):
        on_fakes("GPU", properties=(("NUM_STREAM", "2"),))
    # AUTO itself silently accepts any name.
    with pytest.raises(UsageError, match="AUTO:CPU has no property FOO"):
        on_cpu("AUTO:CPU", properties=(("FOO", "1"),))


def test_a_read_only_property_and_an_unsupported_option() -> None:
    with pytest.raises(UsageError, match="FULL_DEVICE_NAME of device CPU is read-only"):
        on_cpu(properties=(("FULL_DEVICE_NAME", "x"),))
    with pytest.raises(UsageError, match=r"GPU has no property INFERENCE_NUM_THREADS \(threads\)"):
        on_fakes("GPU", threads=2)


def test_a_property_accepted_without_effect_is_an_error_with_both_values() -> None:
    ignoring = dataclasses.replace(GPU, ignored=frozenset({"GPU_QUEUE_THROTTLE"}))
    with pytest.raises(DeviceError, match="GPU did not apply GPU_QUEUE_THROTTLE: expected LOW, got MEDIUM"):
        on_fakes("GPU", core=FakeCore((CPU, ignoring)), properties=(("GPU_QUEUE_THROTTLE", "LOW"),), fallback="CPU")


def test_a_device_behind_multi_that_reports_another_value_is_an_error() -> None:
    wide = dataclasses.replace(GPU, max_streams=8)
    with pytest.raises(DeviceError, match="GPU,CPU did not apply NUM_STREAMS: expected 4, got 4 and 2"):
        on_fakes("MULTI:GPU,CPU", core=FakeCore((CPU, wide)), streams=4)
