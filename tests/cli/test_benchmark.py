"""`benchmark` and `benchmark-app` on a small network."""

from __future__ import annotations

import csv
import io
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

import ov_mobilenet as ovm
from ov_mobilenet.benchmarking import comparison
from ov_mobilenet.benchmarking.baseline import PAIRS
from ov_mobilenet.benchmarking.bench import Bench
from ov_mobilenet.benchmarking.report import SCHEMA_VERSION, read_report
from ov_mobilenet.cli.main import main
from ov_mobilenet.errors import UsageError
from ov_mobilenet.ir.files import open_ir
from ov_mobilenet.runtime.runnable import make_runnable

SAMPLE = "mobilenet-v1-0.25-128-signs"
SHORT = ("--iterations", "20", "--warmup", "0", "-d", "CPU", "--inference-precision", "f32")


@pytest.fixture(scope="module")
def xml(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("ir")
    sources = ovm.download(ovm.find_config(SAMPLE), folder / "sources", offline=True)
    return str(ovm.convert(sources, folder, precisions=("FP16",))[0].xml)


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main([*arguments]) == code
    return capsys.readouterr().out


def report(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    return json.loads(run(capsys, "benchmark", *arguments, "--format", "json", code=code))


def test_json_report(xml: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = report(capsys, xml, *SHORT, "--nireq", "3")
    (one,) = found["measurements"]
    assert found["schema_version"] == SCHEMA_VERSION
    for key in ("throughput_fps", "latency_ms", "count", "device", "inference_precision", "num_streams",
                "infer_requests", "batch", "mode"):  # fmt: skip
        assert found[key] == one[key]
    assert (one["count"], one["infer_requests"], one["batch"], one["mode"]) == (20, 3, 1, "inference")
    assert (one["device"], one["inference_precision"], one["network"]["precision"]) == ("CPU", "f32", "FP16")
    assert one["asked"]["hint"] == "throughput"
    assert one["properties"]["PERFORMANCE_HINT"] == "THROUGHPUT"
    assert all(value > 0 for value in one["start_up_ms"].values())
    assert found["machine"]["versions"]["ov_mobilenet"] == ovm.__version__
    assert sum(one["histogram"]["counts"]) == 20


def test_a_sweep_measures_every_combination(xml: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    files = [tmp_path / f"r.{ending}" for ending in ("csv", "json", "md", "html")]
    out = run(capsys, "benchmark", xml, *SHORT, "--batch", "1,2", "--hint", "latency,throughput", "--mode", "both",
              *(word for file in files for word in ("--report", str(file))))  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(files[0].read_text())))
    assert {(row["batch"], row["hint"], row["mode"]) for row in rows} == {
        (batch, hint, mode)
        for batch in "12" for hint in ("latency", "throughput") for mode in ("inference", "end-to-end")
    }  # fmt: skip
    assert len(rows) == 8
    assert len(out.splitlines()) == 9  # the head and one line per measurement
    assert len(read_report(files[1]).measurements) == 8
    assert files[2].read_text().count("| mobilenet") == 8
    assert files[3].read_text("utf-8").count('id="measurement-') == 8
    by_kind = {(row["mode"], row["hint"], row["batch"]): row for row in rows}
    assert by_kind["inference", "latency", "1"]["infer_requests"] == "1"
    assert by_kind["inference", "throughput", "2"]["count"] == "40"  # 20 requests of 2
    assert by_kind["end-to-end", "throughput", "2"]["count"] == "20"  # 20 images


def test_end_to_end_has_stages_and_skips_unreadable_images(
    xml: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((50, 60, 3), 80 * number, np.uint8))
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    found = report(capsys, xml, *SHORT, "--mode", "end-to-end", "--input", str(tmp_path))
    (one,) = found["measurements"]
    assert (one["count"], one["failed"]) == (15, 5)
    assert set(one["stages_ms"]) == {"decode", "geometry", "queue", "inference", "total"}
    assert one["stages_ms"]["total"] == one["latency_ms"]
    assert one["asked"]["images"] == 4


def test_max_rate(xml: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = report(capsys, xml, *SHORT, "--max-rate", "0,200", "--mode", "both")
    assert [one["open_loop"] and one["open_loop"]["rate_fps"] for one in found["measurements"]] == [
        None,
        200,
        None,
        200,
    ]
    # The last of 20 images at 200 per second arrives after 95 ms, so no device can be faster.
    assert all(one["duration_s"] >= 0.095 for one in found["measurements"] if one["open_loop"])


def test_per_layer_and_exec_graph(xml: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = report(capsys, xml, *SHORT, "--per-layer", "--exec-graph", str(tmp_path / "graphs"))
    (one,) = found["measurements"]
    layers = one["layers"]
    assert sum(kind["share"] for kind in layers["by_type"]) == pytest.approx(1)
    assert layers["top"][0]["time_ms"] == max(layer["time_ms"] for layer in layers["top"])
    assert {layer["precision"] for layer in layers["top"] if "Convolution" in layer["type"]} == {"f32"}
    assert "<net" in Path(one["exec_graph"]).read_text()


def test_execution_graphs_of_models_with_one_name_are_separate_files(
    xml: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found = report(capsys, xml, xml, *SHORT, "--exec-graph", str(tmp_path))
    assert [Path(one["exec_graph"]).name for one in found["measurements"]] == [f"{SAMPLE}-0.xml", f"{SAMPLE}-1.xml"]


def test_a_zoo_name_with_a_dot_is_whole_in_messages_and_file_names(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["benchmark", SAMPLE, *SHORT, "--cache-dir", str(tmp_path), "--exec-graph", str(tmp_path)]) == 0
    assert f"measuring {SAMPLE} on CPU" in capsys.readouterr().err
    assert (tmp_path / f"{SAMPLE}-0.xml").exists()


def test_a_failure_does_not_stop_the_sweep(xml: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = report(capsys, xml, *SHORT, "-d", "NPU", code=1)
    assert len(found["measurements"]) == 1
    assert found["failures"][0]["device"] == "NPU"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (("--precision", "f64"), "'f64' is not one of f32, bf16, f16"),
        (("--batch", "0"), "expected numbers of at least 1"),
        (("--hint", "fast"), "'fast' is not one of latency, throughput"),
        (("--max-rate", "x"), "'x' is not a list of numbers"),
        (("--report", "r.doc"), "unknown report format: expected a file name with .json, .csv, .md, .html, got r.doc"),
        (("--report", "no-such-folder/r.csv"), "no-such-folder: the folder of the report does not exist"),
        (("--input", "no-such-folder"), "no-such-folder: no images"),
        (("--hint", "latency", "--streams", "2"), "hint latency and 2 streams"),
        (("--baseline", "no-such-file"), "no-such-file: cannot read the benchmark report"),
        (("--max-rate", "5", "--baseline-command", "x"), "--max-rate fixes the throughput"),
        (("--profile", "no-such-file"), "device settings are given twice"),
    ],
)
def test_wrong_usage(wrong: tuple[str, ...], message: str, xml: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", xml, *SHORT, *wrong]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_the_weight_precision_distinguishes_irs_of_one_name(
    xml: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sources = ovm.download(ovm.find_config(SAMPLE), tmp_path / "sources", offline=True)
    fp32 = str(ovm.convert(sources, tmp_path, precisions=("FP32",))[0].xml)
    head, *lines = run(capsys, "benchmark", xml, fp32, *SHORT).splitlines()
    assert head.split()[:3] == ["model", "weights", "device"]
    assert [line.split()[:3] for line in lines] == [[SAMPLE, "FP16", "CPU"], [SAMPLE, "FP32", "CPU"]]


def multiply_throughput(file: Path, change: float) -> None:
    """Multiply the throughput of an earlier run."""
    document = json.loads(file.read_text())
    for one in document["measurements"]:
        one["throughput_fps"] *= change
        one["spread"]["fps"] = [value * change for value in one["spread"]["fps"]]
    file.write_text(json.dumps(document))


def test_baseline_file(xml: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "before.json"
    timed = ("--time", "0.3", "--warmup", "0", "-d", "CPU")
    run(capsys, "benchmark", xml, *timed, "--report", str(file))
    multiply_throughput(file, 0.01)
    (one,) = report(capsys, xml, *timed, "--baseline", str(file))["comparisons"]
    assert (one["way"], one["regressed"], one["measurement"]) == ("recorded", False, 0)
    assert one["low"] <= one["ratio"] <= one["high"]
    multiply_throughput(file, 1e4)
    (one,) = report(capsys, xml, *timed, "--baseline", str(file), code=3)["comparisons"]
    assert one["regressed"]


def test_a_disturbed_run_is_measured_again(xml: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "before.json"
    run(capsys, "benchmark", xml, "--time", "0.3", "--warmup", "0", "-d", "CPU", "--report", str(file))
    multiply_throughput(file, 0.1)
    (earlier,) = read_report(file).measurements
    disturbed = msgspec.structs.replace(earlier, spread=msgspec.structs.replace(
        earlier.spread, fps=tuple(value / 10 for value in earlier.spread.fps)))  # fmt: skip
    settings, workload = ovm.DeviceSettings(device="CPU", hint="throughput"), ovm.Workload(time_s=0.3, start_up=False)
    bench = Bench(make_runnable(open_ir(Path(xml))), settings, workload)
    found = comparison.compare_with_earlier(0, bench, disturbed, earlier, "before", 0.05)
    assert (found.way, found.regressed) == ("recorded", False)


def test_a_baseline_with_other_settings_is_measured_in_turn(
    xml: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "MIN_RUN_S", 0.01)
    file = tmp_path / "before.json"
    run(capsys, "benchmark", xml, *SHORT, "--hint", "latency", "--report", str(file))
    multiply_throughput(file, 1e6)  # the recorded figures do not matter
    (one,) = report(capsys, xml, *SHORT, "--baseline", str(file), "--max-regression", "0.99")["comparisons"]
    assert (one["way"], one["pairs"]) == ("interleaved", PAIRS)
    assert 0.05 < one["ratio"] < 20


def test_baseline_command(xml: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "baseline.py"
    document = {"measurements": [{"throughput_fps": 123.5, "mode": "inference"}]}
    script.write_text(f"import sys; print({json.dumps(document)!r} if sys.argv[1] == 'a b; c' else '')")
    command = f"{shlex.quote(sys.executable)} {shlex.quote(str(script))} 'a b; c'"
    assert comparison.command_fps(command, "inference") == 123.5
    for wrong in (f"{shlex.quote(sys.executable)} -c 'print(1)'", "no-such-program", f"{sys.executable} -c 'exit(4)'",
                  f"{sys.executable} {script} other", "unbalanced '"):  # fmt: skip
        with pytest.raises(UsageError, match="baseline command"):
            comparison.command_fps(wrong, "inference")
    with pytest.raises(UsageError, match="0 measurements of mode end-to-end"):
        comparison.command_fps(command, "end-to-end")


def test_benchmark_app_accepts_openvinos_options(xml: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = run(capsys, "benchmark-app", "-m", xml, "-d", "CPU", "-hint", "none", "-niter=20", "-nireq", "2", "-b", "2",
              "-nstreams", "1", "-nthreads", "1", "-infer_precision", "f32", "-pin", "NO", "-no_warmup",
              "-cdir", str(tmp_path / "cache"), "-report_folder", str(tmp_path / "r"), "-json_stats",
              "-pc")  # fmt: skip
    assert "[ INFO ] Count:            20 iterations" in out
    fps = float(out.split("Throughput:")[1].split()[0])
    milliseconds = float(out.split("Duration:")[1].split()[0])
    assert fps == pytest.approx(40 / milliseconds * 1e3, rel=1e-3)
    results = json.loads((tmp_path / "r" / "benchmark_report.json").read_text())["execution_results"]
    assert results["throughput"] == f"{fps:.2f}"
    assert list((tmp_path / "cache").iterdir())
    assert "Convolution" in out


def test_benchmark_app_says_what_to_use_instead_of_an_unsupported_option(
    xml: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["benchmark-app", "-m", xml, "-shape", "[1,3,224,224]"]) == 2
    assert "convert --input-shape" in capsys.readouterr().err


def test_the_python_function(xml: str) -> None:
    found = ovm.benchmark(xml, device="CPU", iterations=10, time_s=None, warmup_s=0.0, start_up=False)
    assert (found.count, found.device, found.start_up_ms) == (10, "CPU", None)
    with pytest.raises(UsageError, match=r"unknown option: expected .*device, .*time_s, .*got devise"):
        ovm.benchmark(xml, devise="CPU")  # type: ignore[call-arg]
    with pytest.raises(UsageError, match="bad batch: expected above 0, got 0"):
        ovm.benchmark(xml, batch=0)
    with pytest.raises(UsageError, match="neither time nor iterations given"):
        ovm.benchmark(xml, time_s=None)


def test_values_and_their_fields_exclude_each_other(xml: str) -> None:
    with pytest.raises(UsageError, match="workload options are given twice: expected workload, or its fields, got"):
        ovm.benchmark(xml, workload=ovm.Workload(time_s=1), batch=2)
    with pytest.raises(UsageError, match="device settings are given twice"):
        ovm.benchmark(xml, settings=ovm.DeviceSettings(device="CPU"), device="CPU")
