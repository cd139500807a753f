"""Devices: on the real CPU each setting is taken and read back; a GPU and an NPU are faked as their pages say."""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest
from fake_device import CPU, GPU, NPU, Behaviour, FakeCore

from ov_mobilenet.devices import model_cache
from ov_mobilenet.devices.compile import Compiled, compile_model
from ov_mobilenet.devices.names import check_there, parse_device
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.errors import DeviceError, UsageError

NO_GPU = dataclasses.replace(
    GPU, broken='Cannot load library "/x/libgpu.so": libOpenCL.so.1: cannot open shared object'
)


def network(*shape: int) -> ov.Model:
    frame = ops.parameter(list(shape or (1, 3, 8, 8)), np.float32, name="frame")
    return ov.Model([ops.softmax(ops.reshape(frame, [0, -1], True), 1)], [frame], "network")


def on_cpu(device: str = "CPU", **settings) -> Compiled:
    return compile_model(network(), DeviceSettings(device=device, **settings))


def on_fakes(device: str, model: ov.Model | None = None, *, core: FakeCore | None = None, **settings) -> Compiled:
    settings.setdefault("model_cache", "off")
    return compile_model(model or network(), DeviceSettings(device=device, **settings), core=core or FakeCore())


# The real CPU


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
def test_the_cpu_takes_each_of_its_properties(name: str, value: str, read: str) -> None:
    supported = ov.Core().get_property("CPU", "SUPPORTED_PROPERTIES")
    if name not in supported:
        pytest.skip(f"this OpenVINO's CPU has no {name}")
    # In a thread of its own: CPU_DENORMALS_OPTIMIZATION takes the smallest floats from its thread for good.
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
def test_every_setting_is_read_back_also_behind_a_plugin(device: str, settings: dict, name: str, read: str) -> None:
    if device == "AUTO" and ov.Core().available_devices != ["CPU"]:
        pytest.skip("AUTO may take another device here")
    if device.startswith("BATCH") and settings == {"hint": "latency"}:
        pytest.skip("BATCH has no latency hint")
    compiled = on_cpu(device, **settings)
    assert (compiled.device, compiled.properties) == ("CPU", {name: read})
    if name == "INFERENCE_PRECISION_HINT":
        assert compiled.inference_precision == "f32"
    if name == "NUM_STREAMS":
        assert compiled.num_streams == 1


@pytest.mark.parametrize(("setting", "name"), [("streams", "NUM_STREAMS"), ("threads", "INFERENCE_NUM_THREADS")])
def test_a_number_that_the_cpu_cuts_down_is_an_error_that_names_both(setting: str, name: str) -> None:
    with pytest.raises(DeviceError, match=rf"CPU did not take {name}: expected 5000, got \d{{1,3}}$"):
        on_cpu(**{setting: 5000})


def test_streams_left_to_the_device_are_as_asked() -> None:
    compiled = on_cpu(properties=(("NUM_STREAMS", "AUTO"),))
    assert compiled.num_streams is not None and compiled.num_streams >= 1


def test_nireq_is_handed_through_and_the_device_says_its_optimum() -> None:
    assert (on_cpu(streams=1, nireq=7).nireq, on_cpu(streams=1).nireq) == (7, None)
    assert on_cpu(streams=1).optimal_nireq == 1
    assert on_fakes("GPU", hint="throughput").optimal_nireq == 2


def test_properties_of_single_devices_behind_auto_are_read_back() -> None:
    asked = (("DEVICE_PROPERTIES", "{CPU:{INFERENCE_NUM_THREADS:1,ENABLE_CPU_PINNING:NO}}"),)
    assert "DEVICE_PROPERTIES" in on_cpu("AUTO:CPU", properties=asked).properties
    with pytest.raises(DeviceError, match=r"INFERENCE_NUM_THREADS of CPU: expected 5000, got \d+"):
        on_cpu("AUTO:CPU", properties=(("DEVICE_PROPERTIES", "{CPU:{INFERENCE_NUM_THREADS:5000}}"),))


def test_what_auto_takes_and_never_tells_is_no_error() -> None:
    # OpenVINO lists it as writable, but a compiled model does not give it.
    assert on_cpu("AUTO:CPU", properties=(("ENABLE_STARTUP_FALLBACK", "NO"),)).properties == {
        "ENABLE_STARTUP_FALLBACK": None
    }


def test_what_openvino_takes_for_a_device_that_does_not_use_it() -> None:
    # The CPU's plugin lists neither, OpenVINO takes both without a word.
    with pytest.raises(DeviceError, match="CPU did not take AUTO_BATCH_TIMEOUT: expected 5, got nothing"):
        on_cpu(properties=(("AUTO_BATCH_TIMEOUT", "5"),))
    assert on_cpu("BATCH:CPU(2)", properties=(("AUTO_BATCH_TIMEOUT", "5"),)).properties == {"AUTO_BATCH_TIMEOUT": "5"}
    assert on_cpu(properties=(("ALLOW_AUTO_BATCHING", "NO"),)).properties == {"ALLOW_AUTO_BATCHING": None}


def test_a_wrong_value_is_told_in_openvinos_words() -> None:
    with pytest.raises(DeviceError, match="cannot be used .*Wrong value foo"):
        on_cpu(properties=(("SCHEDULING_CORE_TYPE", "foo"),))


def test_the_cpu_keeps_compiled_models_where_it_is_asked_to(tmp_path: Path) -> None:
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
    file.write_bytes(file.read_bytes()[:100])  # a process died while it wrote: compiled anew
    assert np.array_equal(kept()([frame])[0], plain([frame])[0])


# What may be asked


@pytest.mark.parametrize(
    "settings",
    [
        {"hint": "throughput", "streams": 2},
        {"hint": "latency", "properties": (("NUM_STREAMS", "2"),)},
        {"streams": 2, "properties": (("PERFORMANCE_HINT", "LATENCY"),)},
    ],
)
def test_a_hint_together_with_streams_is_an_error(settings: dict) -> None:
    with pytest.raises(UsageError, match="a hint or streams, got hint (throughput|latency) and 2 streams"):
        DeviceSettings(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hint": "fast"}, "unknown hint: expected latency or throughput or cumulative_throughput, got 'fast'"),
        ({"inference_precision": "f64"}, "unknown inference precision: expected f32 or bf16 or f16, got 'f64'"),
        ({"streams": 0}, "bad streams: expected at least 1, got 0"),
        ({"nireq": -1}, "bad nireq"),
        ({"properties": (("CPU_THROUGHPUT_STREAMS", "2"),)}, "old OpenVINO.*expected NUM_STREAMS"),
        ({"properties": (("ENFORCE_BF16", "YES"),)}, "expected INFERENCE_PRECISION_HINT, got ENFORCE_BF16"),
        ({"properties": (("CACHE_DIR", "/x"),)}, "--model-cache"),
        ({"properties": (("num streams", "2"),)}, "no property name.*'num streams'"),
        ({"streams": 2, "properties": (("NUM_STREAMS", "3"),)}, "NUM_STREAMS is set twice: got 2 and 3"),
        ({"properties": (("PERF_COUNT", "YES"), ("PERF_COUNT", "NO"))}, "PERF_COUNT is set twice"),
        ({"device": "cpu"}, "got 'cpu'. Write CPU"),
        ({"fallback": "Cpu"}, "got 'Cpu'. Write CPU"),
    ],
)
def test_wrong_settings_are_refused_when_they_are_made(settings: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DeviceSettings(**settings)


@pytest.mark.parametrize(
    "text",
    ["CPU", "GPU", "GPU.1", "GPU.0.1", "NPU", "AUTO", "AUTO:GPU,CPU", "AUTO:-GPU", "MULTI:GPU.0,GPU.1",
     "MULTI:CPU(2),GPU", "HETERO:GPU,CPU", "BATCH:GPU", "BATCH:GPU(8)"],
)  # fmt: skip
def test_device_names_of_openvino_are_understood(text: str) -> None:
    assert parse_device(text).text == text


@pytest.mark.parametrize(
    "text",
    ["", "CPU,GPU", "AUTO:", "MULTI", "HETERO", "BATCH", "BATCH:GPU,CPU", "GPU(8)", "BATCH:GPU(0)", "MULTI:-GPU",
     "CPU:GPU", "AUTO:AUTO", "AUTO:GPU, CPU", "GPU.", "AUTO:GPU(2)"],
)  # fmt: skip
def test_other_device_names_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no such device: expected CPU, GPU, GPU.1"):
        parse_device(text)


# What is there


@pytest.mark.parametrize("device", ["FOO", "AUTO:FOO", "MULTI:CPU,FOO", "AUTO:-FOO"])
def test_an_unknown_device_lists_what_there_is_and_no_fallback_hides_it(device: str) -> None:
    with pytest.raises(DeviceError, match=f"no device FOO: expected one of CPU, GPU, NPU, or AUTO, got {device}"):
        on_fakes(device, fallback="CPU")


@pytest.mark.parametrize("device", ["GPU", "GPU.0", "AUTO:GPU,CPU", "MULTI:GPU,CPU", "HETERO:GPU,CPU", "BATCH:GPU(4)"])
def test_a_missing_driver_is_told_with_what_to_install(device: str) -> None:
    with pytest.raises(DeviceError) as caught:
        on_fakes(device, core=FakeCore((CPU, NO_GPU)))
    assert "device GPU" in str(caught.value)
    assert "(libOpenCL.so.1: cannot open shared object)" in str(caught.value)
    assert "apt-get install ocl-icd-libopencl1 intel-opencl-icd" in str(caught.value)
    assert caught.value.expected == "one of CPU, or AUTO"


def test_a_gpu_that_is_not_the_second_asks_for_no_driver() -> None:
    with pytest.raises(DeviceError, match=r"device GPU.1 cannot be used \(no such number\)") as caught:
        on_fakes("GPU.1")
    assert caught.value.fix is None
    with pytest.raises(DeviceError, match="CPU.0"):
        on_fakes("CPU.0")


def test_a_tile_belongs_to_a_gpu_that_is_there() -> None:
    check_there(parse_device("GPU.0.1"), FakeCore())
    with pytest.raises(DeviceError, match="GPU.1.0"):
        check_there(parse_device("GPU.1.0"), FakeCore())


def test_two_gpus_are_told_apart() -> None:
    pair = tuple(dataclasses.replace(GPU, name=f"GPU.{number}") for number in (0, 1))
    core = FakeCore((CPU, *pair))
    assert on_fakes("GPU.1", core=core).device == "GPU.1"
    assert on_fakes("MULTI:GPU.0,GPU.1", core=core).device == "GPU.0,GPU.1"
    with pytest.raises(DeviceError, match="GPU.2"):
        on_fakes("GPU.2", core=core)


def test_an_unknown_property_lists_the_known_and_the_nearest() -> None:
    with pytest.raises(
        UsageError, match="GPU has no property NUM_STREAM: .*GPU_QUEUE_THROTTLE.* Did you mean NUM_STREAMS"
    ):
        on_fakes("GPU", properties=(("NUM_STREAM", "2"),))
    # AUTO itself takes any name without a word.
    with pytest.raises(UsageError, match="AUTO:CPU has no property FOO"):
        on_cpu("AUTO:CPU", properties=(("FOO", "1"),))


def test_a_property_for_reading_and_an_option_that_the_device_lacks() -> None:
    with pytest.raises(UsageError, match="FULL_DEVICE_NAME of device CPU can only be read"):
        on_cpu(properties=(("FULL_DEVICE_NAME", "x"),))
    with pytest.raises(UsageError, match=r"GPU has no property INFERENCE_NUM_THREADS \(threads\)"):
        on_fakes("GPU", threads=2)


def test_a_property_that_is_taken_without_effect_is_an_error_that_names_asked_and_got() -> None:
    deaf = dataclasses.replace(GPU, ignored=frozenset({"GPU_QUEUE_THROTTLE"}))
    with pytest.raises(DeviceError, match="GPU did not take GPU_QUEUE_THROTTLE: expected LOW, got MEDIUM"):
        on_fakes("GPU", core=FakeCore((CPU, deaf)), properties=(("GPU_QUEUE_THROTTLE", "LOW"),), fallback="CPU")


def test_devices_behind_multi_that_differ_from_what_was_asked_are_told() -> None:
    wide = dataclasses.replace(GPU, max_streams=8)
    with pytest.raises(DeviceError, match="GPU,CPU did not take NUM_STREAMS: expected 4, got 4 and 2"):
        on_fakes("MULTI:GPU,CPU", core=FakeCore((CPU, wide)), streams=4)


# What the plugins document


@pytest.mark.parametrize("shape", [(-1, 3, 8, 8), (1, 3, -1, -1)])
@pytest.mark.parametrize("device", ["NPU", "AUTO:NPU", "MULTI:CPU,NPU", "HETERO:NPU,CPU"])
def test_the_npu_takes_static_shapes_alone(device: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(DeviceError, match="static shapes.*Convert with --for npu .*npu-device.html"):
        on_fakes(device, network(*shape))


def test_the_npu_takes_batch_1() -> None:
    with pytest.raises(DeviceError, match="expected batch 1, got batch 8. Convert with --for npu"):
        on_fakes("NPU", network(8, 3, 8, 8))
    assert on_fakes("NPU").device == "NPU"


def test_auto_is_left_to_choose_where_another_device_can() -> None:
    core = FakeCore((CPU, dataclasses.replace(NPU, name="NPU")))
    assert on_fakes("AUTO:CPU,NPU", network(-1, 3, 8, 8), core=core).device == "CPU"


def test_the_npu_has_one_stream() -> None:
    listed = dataclasses.replace(NPU, writable={**NPU.writable, "NUM_STREAMS": 1})  # as the real plugin lists it
    with pytest.raises(UsageError, match="one stream: .*got 4 streams"):
        on_fakes("NPU", core=FakeCore((CPU, listed)), streams=4)
    assert on_fakes("NPU", core=FakeCore((CPU, listed)), streams=1).num_streams == 1


@pytest.mark.parametrize(
    ("device", "wanted", "there"),
    [("NPU", "f32", "f16"), ("NPU", "bf16", "f16"), ("GPU", "bf16", "f32 or f16"), ("CPU", "f16", "f32"),
     ("MULTI:CPU,GPU", "f16", "f32")],
)  # fmt: skip
def test_a_precision_that_the_device_lacks_lists_those_it_has(device: str, wanted: str, there: str) -> None:
    with pytest.raises(DeviceError, match=f"does not run at {wanted}: expected {there}, got {wanted}"):
        on_fakes(device, inference_precision=wanted)
    with pytest.raises(DeviceError, match=f"expected {there}"):
        on_fakes(device, properties=(("INFERENCE_PRECISION_HINT", wanted),))


def test_a_precision_that_the_device_has() -> None:
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
        ("BATCH:GPU(4)", (8, 3, 8, 8), {}, r"expected batch 1 .*got \[8,3,8,8\]"),
        ("BATCH:GPU(4)", (-1, 3, 8, 8), {}, "automatic-batching.html"),
    ],
)
def test_the_limits_of_batch(device: str, shape: tuple[int, ...], settings: dict, message: str) -> None:
    with pytest.raises((DeviceError, UsageError), match=message):
        on_fakes(device, network(*shape), **settings)


# Fallback


@pytest.mark.parametrize(
    ("device", "core", "model", "why"),
    [
        ("GPU", FakeCore((CPU, NO_GPU)), network(), "libOpenCL"),
        ("AUTO:GPU,NPU", FakeCore((CPU, NO_GPU)), network(), "libOpenCL"),
        ("NPU", FakeCore(), network(-1, 3, 8, 8), "static shapes"),
    ],
)
def test_the_fallback_says_what_it_did_and_why(
    device: str, core: FakeCore, model: ov.Model, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert on_fakes(device, model, core=core, fallback="CPU").device == "CPU"
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert why in record.message and record.message.startswith("running on CPU instead: ")


def test_a_device_that_can_be_used_is_used_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    assert on_fakes("GPU", fallback="CPU").device == "GPU"
    assert not caplog.records


def test_properties_that_the_fallback_does_not_know_are_named(caplog: pytest.LogCaptureFixture) -> None:
    asked = (("GPU_QUEUE_THROTTLE", "LOW"), ("PERF_COUNT", "YES"))
    compiled = on_fakes("GPU", core=FakeCore((CPU, NO_GPU)), properties=asked, fallback="CPU")
    assert compiled.properties == {"PERF_COUNT": "YES"}
    assert "running on CPU instead, without GPU_QUEUE_THROTTLE: device GPU cannot be used" in caplog.text


def test_a_fallback_that_cannot_either_tells_both() -> None:
    with pytest.raises(DeviceError, match="device GPU cannot.*; the fallback: device NPU cannot"):
        on_fakes("GPU", core=FakeCore((CPU, NO_GPU)), fallback="NPU")
    with pytest.raises(DeviceError, match="no device FOO"):
        on_fakes("GPU", core=FakeCore((CPU, NO_GPU)), fallback="FOO")


# Model cache


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("ov_mobilenet.downloads.cache.default_root", lambda: tmp_path / "user")
    return tmp_path / "user" / "compiled"


@pytest.mark.parametrize(
    ("device", "wanted", "kept"),
    [("CPU", None, False), ("GPU", None, True), ("NPU", None, True), ("AUTO", None, True), ("AUTO:CPU", None, False),
     ("HETERO:GPU,CPU", None, True), ("AUTO:-GPU,-NPU", None, False), ("GPU", "off", False)],
)  # fmt: skip
def test_compiled_models_are_kept_for_devices_that_compile_slowly(
    device: str, wanted: str | None, kept: bool, own_cache: Path
) -> None:
    core = FakeCore()
    compile_model(network(), DeviceSettings(device=device, model_cache=wanted), core=core)
    ((_, config, _),) = core.compiled
    assert config.get("CACHE_DIR") == (str(own_cache) if kept else None)
    assert own_cache.is_dir() == kept


def test_a_cache_folder_that_cannot_be_made(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_bytes(b"")
    with pytest.raises(UsageError, match="model cache cannot be written"):
        on_fakes("CPU", model_cache=in_the_way / "cache")


def test_the_users_cache_folder_may_be_unwritable(own_cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    own_cache.parent.write_bytes(b"")
    core = FakeCore()
    compile_model(network(), DeviceSettings(device="GPU"), core=core)
    assert "CACHE_DIR" not in core.compiled[0][1]
    assert "no model cache" in caplog.text


def blob(folder: Path, name: str, size: int, days: float) -> Path:
    path = folder / name
    path.write_bytes(bytes(size))
    used = time.time() - days * 86_400
    os.utime(path, (used, used))
    return path


def test_pruning_by_age_and_by_size_leaves_the_last_and_what_is_not_its_own(tmp_path: Path) -> None:
    stale = blob(tmp_path, "1.blob", 10, 100)
    older = blob(tmp_path, "2.blob", 600, 3)
    kernel = blob(tmp_path, "3.cl_cache", 300, 2)
    newest = blob(tmp_path, "4.blob", 500, 1)
    mine = blob(tmp_path, "notes.txt", 5000, 400)
    link = tmp_path / "5.blob"
    link.symlink_to(mine)
    assert model_cache.prune(tmp_path, max_bytes=900, max_age_days=90) == 610
    assert [path.exists() for path in (stale, older, kernel, newest, mine, link)] == [
        False,
        False,
        True,
        True,
        True,
        True,
    ]
    assert model_cache.prune(tmp_path, max_bytes=1, max_age_days=0.1) == 300
    assert newest.exists()
    assert model_cache.prune(tmp_path / "none") == 0


def test_compiling_prunes(own_cache: Path) -> None:
    own_cache.mkdir(parents=True)
    stale = blob(own_cache, "1.blob", 10, 1000)
    fresh = blob(own_cache, "2.blob", 10, 1)
    compile_model(network(), DeviceSettings(device="NPU"), core=FakeCore())
    assert (stale.exists(), fresh.exists()) == (False, True)


# The fake itself, on which the tests of the queue stand


def test_the_fake_dies_hangs_and_answers_nan_as_told() -> None:
    core = FakeCore(behaviour=Behaviour(dies_after=3, hangs={0}, nan={1}))
    model = on_fakes("GPU", core=core).model
    frame = ov.Tensor(np.full((1, 3, 8, 8), 5, np.float32))
    hanging, request = model.create_infer_request(), model.create_infer_request()
    hanging.start_async()
    assert not hanging.wait_for(1)
    request.set_input_tensor(frame)
    request.infer()
    assert np.isnan(request.get_output_tensor(0).data).all()
    request.infer()
    assert request.get_output_tensor(0).data.argmax() == 5
    with pytest.raises(RuntimeError, match="device lost"):
        request.infer()
    hanging.cancel()
    with pytest.raises(RuntimeError, match="canceled"):
        hanging.wait()
    assert (model.tally.started, model.tally.running, model.tally.cancelled) == (4, 0, 1)
