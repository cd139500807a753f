"""`devices`, and the device options of commands that run a network."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import openvino as ov
import pytest
import small_networks as small
from fake_device import CPU, GPU, GPU_WITHOUT_DRIVER, NPU, FakeCore
from PIL import Image

from ov_mobilenet import load
from ov_mobilenet.cli.main import main
from ov_mobilenet.devices.compile import Compiled, compile_model
from ov_mobilenet.devices.machine import cpu_flags


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    yml = small.write_onnx(tmp_path_factory.mktemp("devices") / "small")
    yml.with_name("accuracy-check.yml").write_text(
        "models: [{name: small, launchers: [{framework: openvino}], datasets: [{name: d, preprocessing: "
        "[{type: resize, size: 32}]}]}]\n"
    )
    return yml


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.fromarray(small.frames()[0][:, :, ::-1]).save(tmp_path / "0.png")
    return tmp_path / "0.png"


class BrokenPlugin(FakeCore):
    """Lists a GPU whose plugin raises on every call."""

    @property
    def available_devices(self) -> list[str]:
        return ["CPU", "GPU"]


def fake(monkeypatch: pytest.MonkeyPatch, core: FakeCore) -> None:
    monkeypatch.setattr(ov, "Core", lambda: core)


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["devices", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    found: dict[str, Any] = json.loads(out)
    return found


def test_the_cpu_of_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys)
    assert found["schema_version"] == 1
    assert found["versions"]["openvino"] == ov.get_version()
    core = ov.Core()
    (cpu,) = (device for device in found["devices"] if device["name"] == "CPU")
    assert cpu["full_name"] == core.get_property("CPU", "FULL_DEVICE_NAME") == found["cpu"]["name"]
    assert "f32" in cpu["inference_precisions"]
    assert ("bf16" in cpu["inference_precisions"]) == ("BF16" in cpu["capabilities"])
    assert cpu["optimal"]["latency"]["nireq"] >= 1
    assert cpu["optimal"]["throughput"]["streams"] <= cpu["streams"][1]
    assert cpu["properties"]["NUM_STREAMS"] == {"access": "RW", "value": "1"}
    assert set(cpu["properties"]) == set(core.get_property("CPU", "SUPPORTED_PROPERTIES")) - {"SUPPORTED_PROPERTIES"}
    assert cpu["trouble"] is None
    families = {device["name"].partition(".")[0] for device in found["devices"]}
    assert {one["name"] for one in found["missing"]} == {"GPU", "NPU"} - families
    for one in found["missing"]:
        assert one["reason"] and one["page"].startswith("https://docs.openvino.ai/2026/")


def test_a_gpu_and_an_npu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fake(monkeypatch, FakeCore((CPU, GPU, NPU)))
    found = document(capsys)
    assert found["missing"] == []
    assert {device["name"]: device["inference_precisions"] for device in found["devices"]} == {
        "CPU": ["f32"], "GPU": ["f32", "f16"], "NPU": ["f16"],
    }  # fmt: skip
    # https://docs.openvino.ai/2026/openvino-workflow/running-inference/inference-devices-and-modes/npu-device.html
    assert found["devices"][2]["optimal"]["throughput"]["nireq"] == 4
    main(["devices"])
    out = capsys.readouterr().out
    assert "Fake NPU" in out and "no GPU" not in out and "no NPU" not in out


def test_a_missing_driver(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fake(monkeypatch, FakeCore((CPU, GPU_WITHOUT_DRIVER)))
    assert main(["devices"]) == 0
    out = capsys.readouterr().out
    assert "libOpenCL.so.1: cannot open shared object\n" in out
    assert "apt-get install ocl-icd-libopencl1 intel-opencl-icd" in out
    assert "no NPU" in out and "github.com/intel/linux-npu-driver" in out


def test_a_failing_plugin_is_reported_and_the_others_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(monkeypatch, BrokenPlugin((CPU, GPU_WITHOUT_DRIVER)))
    found = document(capsys)
    cpu, gpu = found["devices"]
    assert (cpu["trouble"], cpu["full_name"]) == (None, "Fake CPU")
    assert gpu["trouble"] == "libOpenCL.so.1: cannot open shared object"
    assert (gpu["full_name"], gpu["properties"], gpu["optimal"]) == (None, {}, {})
    assert main(["devices", "-v"]) == 0
    out = capsys.readouterr().out
    assert "plugin failed: libOpenCL.so.1" in out and "Fake CPU" in out


def test_verbose_lists_the_properties(capsys: pytest.CaptureFixture[str]) -> None:
    main(["devices"])
    assert "ENABLE_CPU_PINNING" not in capsys.readouterr().out
    main(["devices", "-v"])
    assert "ENABLE_CPU_PINNING" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("architecture", "text", "expected"),
    [
        ("x86_64", "processor : 0\nflags\t\t: fpu avx avx2 avx_vnni\n", {"AVX2", "VNNI"}),
        (
            "x86_64",
            "flags : avx2 avx512f avx512_vnni amx_tile amx_bf16 amx_int8\n",
            {"AVX2", "AVX512", "VNNI", "AMX", "bf16"},
        ),
        ("aarch64", "Features\t: fp asimd asimddp bf16 i8mm\n", {"int8 dot product", "i8mm", "bf16"}),
        ("x86_64", "flags : fpu sse\n", set()),
    ],
)
def test_flags_of_the_cpu(architecture: str, text: str, expected: set[str], tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    flags = cpu_flags(tmp_path / "cpuinfo", architecture)
    assert flags is not None
    assert {name for name, has in flags.items() if has} == expected


def test_flags_are_unknown_if_the_system_does_not_report_them(tmp_path: Path) -> None:
    assert cpu_flags(tmp_path / "none") is None
    (tmp_path / "cpuinfo").write_text("processor : 0\n")
    assert cpu_flags(tmp_path / "cpuinfo") is None


def test_an_emulated_arm_does_not_have_the_flags_of_the_real_machine(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("flags : avx2 avx512f avx512_vnni\n")
    assert cpu_flags(tmp_path / "cpuinfo", "aarch64") is None


# The device options


def classify(network: Path, image: Path, *options: str) -> int:
    return main(["classify", str(network), str(image), "--format", "jsonl", *options])


def test_every_option_reaches_the_device(
    network: Path, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    real = ov.Core

    class Spy:
        def __init__(self) -> None:
            self.core = real()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.core, name)

        def compile_model(self, model: ov.Model, device: str, config: dict[str, str]) -> ov.CompiledModel:
            seen.update(config, device=device)
            return self.core.compile_model(model, device, config)

    assert classify(network, image) == 0  # converts, with its own core
    monkeypatch.setattr(ov, "Core", Spy)
    made: list[Compiled] = []

    def compile_and_keep(*given: Any, **options: Any) -> Compiled:
        made.append(compile_model(*given, **options))
        return made[-1]

    monkeypatch.setattr(load, "compile_model", compile_and_keep)
    options = [
        "-d",
        "CPU",
        "--streams",
        "1",
        "--threads",
        "1",
        "--no-pin",
        "--inference-precision",
        "f32",
        "--nireq",
        "3",
    ]
    cache = [
        "--model-cache",
        str(tmp_path / "cache"),
        "--property",
        "PERF_COUNT=NO",
        "--property",
        "LOG_LEVEL=LOG_NONE",
    ]
    assert classify(network, image, *options, *cache) == 0
    assert made[0].nireq == 3
    assert seen == {
        "device": "CPU", "NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": "1", "ENABLE_CPU_PINNING": "NO",
        "INFERENCE_PRECISION_HINT": "f32", "PERF_COUNT": "NO", "LOG_LEVEL": "LOG_NONE",
        "CACHE_DIR": str(tmp_path / "cache"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--hint", "latency", "--streams", "2"], 2, "error: a performance hint sets the number of streams itself"),
        (["--property", "NUM_STREAMS"], 2, "'NUM_STREAMS' does not have the form KEY=VALUE"),
        (["--property", "=2"], 2, "does not have the form"),
        (["--property", "GPU_THROUGHPUT_STREAMS=2"], 2, "expected NUM_STREAMS, got GPU_THROUGHPUT_STREAMS"),
        (["-d", "CPU", "--property", "NUM_STREAM=2"], 2, "Did you mean NUM_STREAMS?"),
        (["-d", "CPU", "--streams", "5000"], 1, "did not apply NUM_STREAMS: expected 5000, got "),
        (["--streams", "0"], 2, "0 is not in the range"),
        (["-d", "auto"], 2, "Write AUTO"),
        (["-d", "GPU.97"], 1, "error: device GPU.97 cannot be used"),
        (["-d", "TPU"], 1, "error: unknown device TPU: expected one of "),
    ],
)
def test_invalid_options_give_one_message(
    options: list[str], code: int, message: str, network: Path, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert classify(network, image, *options) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err


def test_a_command_runs_on_the_requested_device(
    network: Path, image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert classify(network, image) == 0  # converts, with its own core
    capsys.readouterr()
    core = FakeCore()
    fake(monkeypatch, core)
    assert classify(network, image, "-d", "GPU", "--model-cache", "off") == 0
    (row,) = map(json.loads, capsys.readouterr().out.splitlines())
    first_byte, classes = int(small.frames()[0].flat[0]), len(small.by_hand(small.frames()[0]))
    assert row["predictions"][0]["class_id"] == first_byte % classes
    assert [device for device, _, _ in core.compiled] == ["GPU"]


@pytest.mark.parametrize(
    ("options", "requested"),
    [
        ([], {"PERFORMANCE_HINT": "THROUGHPUT"}),
        (["--hint", "latency"], {"PERFORMANCE_HINT": "LATENCY"}),
        (["--property", "PERFORMANCE_HINT=LATENCY"], {"PERFORMANCE_HINT": "LATENCY"}),
        (["--streams", "2"], {"NUM_STREAMS": "2"}),
        (["--property", "NUM_STREAMS=2"], {"NUM_STREAMS": "2"}),
    ],
)
def test_several_images_use_the_throughput_hint_unless_another_is_given(
    options: list[str], requested: dict[str, str], network: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert classify(network, image) == 0  # converts, with its own core
    core = FakeCore()
    fake(monkeypatch, core)
    assert classify(network, image, str(image), "-d", "CPU", *options) == 0
    assert core.compiled
    for _, properties, _ in core.compiled:
        assert {
            name: properties[name] for name in ("PERFORMANCE_HINT", "NUM_STREAMS") if name in properties
        } == requested


def test_the_fallback_is_reported_on_stderr(network: Path, image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert classify(network, image, "-d", "GPU.97", "--fallback", "CPU") == 0
    out, err = capsys.readouterr()
    assert len(json.loads(out)["predictions"]) == 5
    _, warning = err.splitlines()
    assert warning.startswith("warning: running on CPU instead: device GPU.97 cannot be used")


def test_cache_list_and_prune_cover_compiled_models(
    network: Path, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "root" / "compiled"
    assert classify(network, image, "-d", "CPU", "--model-cache", str(folder)) == 0
    (made,) = folder.glob("*.blob")
    used = time.time() - 40 * 86_400
    os.utime(made, (used, used))
    (folder / "notes.txt").write_text("not a model")
    capsys.readouterr()
    at = ["--cache-dir", str(tmp_path / "root")]
    main(["cache", "list", *at, "--format", "json"])
    (entry,) = json.loads(capsys.readouterr().out)["entries"]
    assert (entry["kind"], entry["path"], entry["size"]) == ("compiled", str(made), made.stat().st_size)
    assert entry["age_days"] == pytest.approx(40, abs=0.01)
    main(["cache", "prune", *at, "--older-than", "50"])
    assert made.exists()
    main(["cache", "prune", *at, "--older-than", "30"])
    assert not made.exists()
    assert (folder / "notes.txt").exists()
    assert classify(network, image, "-d", "CPU", "--model-cache", "off") == 0
    assert not list(folder.glob("*.blob"))
