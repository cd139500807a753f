"""Spellings of benchmark_app, the Model Optimizer and the Open Model Zoo's programs do what they did there."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import small_networks as small

from ov_mobilenet import __main__
from ov_mobilenet.benchmarking.bench import Bench
from ov_mobilenet.benchmarking.options import Workload
from ov_mobilenet.cli import omz_programs
from ov_mobilenet.cli.benchmark_app_config import read_config
from ov_mobilenet.cli.main import cli, main
from ov_mobilenet.cli.verbosity import add_common_options
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.errors import UsageError
from ov_mobilenet.runtime.runnable import Runnable
from ov_mobilenet.zoo.registry import zoo_folder

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = "mobilenet-v1-0.25-128-signs"


@pytest.fixture(scope="module")
def xml(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A converted network with the input [1, 3, 32, 32]."""
    out = tmp_path_factory.mktemp("classic")
    assert main(["convert", str(small.write_onnx(out / "net")), "-o", str(out), "--precisions", "FP32"]) == 0
    return str(next(out.rglob("*.xml")))


def app(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    capsys.readouterr()
    code = main(["benchmark-app", *map(str, words)])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def report(folder: Path) -> dict[str, str]:
    lines = (folder / "benchmark_report.csv").read_text().splitlines()[1:]
    return dict(line.split(";") for line in lines)


SHORT = ("-niter", "12", "-no_warmup")


def test_api_sync_runs_one_request_at_a_time(
    xml: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[DeviceSettings] = []

    def bench(runnable: Runnable, settings: DeviceSettings, workload: Workload) -> Bench:
        seen.append(settings)
        return Bench(runnable, settings, workload)

    monkeypatch.setattr("ov_mobilenet.cli.benchmark_app.Bench", bench)
    app(capsys, "-m", xml, "-api", "sync", *SHORT)
    app(capsys, "-m", xml, "-api", "async", "-nireq", "3", *SHORT)
    app(capsys, "-m", xml, "-nstreams", "CPU:1", "-infer_precision", "CPU:f32", *SHORT)
    assert [(s.nireq, s.hint, s.streams) for s in seen] == [
        (1, "latency", None),
        (3, "throughput", None),
        (None, None, 1),
    ]
    assert seen[2].inference_precision == "f32"


@pytest.mark.parametrize("words", [
    ["-shape", "[4,3,32,32]"], ["-shape", "data[4, 3, 32, 32]", "-layout", "[NCHW]"], ["-data_shape", "[4,3,32,32]"],
])  # fmt: skip
def test_a_shape_sets_the_batch(words: list[str], xml: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app(capsys, "-m", xml, *words, "-report_folder", tmp_path, "-ip", "U8", "-op", "f32", "-niter", 400, "-no_warmup")
    results = report(tmp_path)
    seconds = float(results["total execution time (ms)"]) / 1e3
    assert float(results["throughput"]) == pytest.approx(4 * 400 / seconds, rel=1e-2)


@pytest.mark.parametrize(("words", "expected"), [
    (["-shape", "[1,3,224,224]"], "expected [N,3,32,32] with any batch size N, got [1,3,224,224]. For another image "
     "size, use convert --input-shape"),
    (["-shape", "[?,3,32,32]"], "-shape does not fit the model"),
    (["-layout", "[NHWC]"], "-layout does not fit the model; use convert --layout"),
    (["-ip", "f32"], "-ip f32 of benchmark_app is not supported: the input is always u8"),
    (["-inference_only", "false"], "use benchmark --mode end-to-end"),
    (["-pcsort", "no_sort"], "use -pcsort sort"),
    (["-nstreams", "GPU:2"], "-nstreams is for another device: expected CPU, got GPU:2"),
    (["-nstreams", "many"], "invalid -nstreams"),
    (["-infer_precision", "int4"], "unknown inference precision"),
    (["-api", "both"], "'-api' / '--api_type'"),
    (["-pc", "maybe"], "maybe"),
])  # fmt: skip
def test_what_cannot_be_measured_is_refused_with_the_reason(
    words: list[str], expected: str, xml: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["benchmark-app", "-m", xml, *words, *SHORT]) == 2
    assert expected in capsys.readouterr().err.replace("\n", " ")


def test_report_types(
    xml: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = app(capsys, "-m", xml, "-report_type", "average_counters", *SHORT)
    assert float(report(tmp_path)["throughput"]) > 0
    assert "Convolution" not in out  # only in the file
    heads, *rows = (tmp_path / "benchmark_average_counters_report.csv").read_text().splitlines()
    assert heads.split(";")[:5] == ["layerName", "execStatus", "layerType", "execType", "realTime (ms)"]
    assert any(row.split(";")[2] == "Convolution" for row in rows)
    assert rows[-1].startswith("Total;")


def test_niter_0_only_compiles(xml: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = app(capsys, "-m", xml, "-niter", "0")
    assert "Compiled for CPU" in out
    assert "Throughput" not in out


def test_load_config_sets_properties_and_dump_config_writes_them(
    xml: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "in.json", tmp_path / "out.json"
    properties = {"NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": 1, "PERF_COUNT": "NO", "EXECUTION_MODE_HINT": "ACCURACY"}
    first.write_text(json.dumps({"CPU": properties, "GPU": {"NUM_STREAMS": 9}}))
    app(capsys, "-m", xml, "-load_config", first, "-nthreads", "2", "-dump_config", second, *SHORT)
    assert json.loads(second.read_text()) == {
        "CPU": {"NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": "2", "EXECUTION_MODE_HINT": "ACCURACY"}
    }
    loaded = read_config(second, "CPU")
    assert loaded.fields == {"streams": 1, "threads": 2}
    assert loaded.sets_parallelism


@pytest.mark.parametrize("text", ["{", "[]", '{"CPU": 1}', '{"CPU": {"PERFORMANCE_HINT": "FAST"}}'])
def test_an_invalid_config_is_a_usage_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="config"):
        read_config(path, "CPU")


def test_streams_of_the_devices_behind_multi_are_device_properties() -> None:
    command = cli.get_command(click.Context(cli), "benchmark-app")
    assert command is not None
    words = [
        "-m",
        "x",
        "-d",
        "MULTI:CPU,GPU",
        "-nstreams",
        "CPU:2,GPU:3",
        "-infer_precision",
        "CPU:f32",
        "-hint",
        "none",
    ]
    given = command.make_context("benchmark-app", words).params
    from ov_mobilenet.cli.benchmark_app_options import AppOptions

    settings = AppOptions(**{name: given[name] for name in AppOptions.__dataclass_fields__}).settings()
    assert settings.streams is None
    assert dict(settings.properties)["DEVICE_PROPERTIES"] == (
        "{CPU:{NUM_STREAMS:2,INFERENCE_PRECISION_HINT:f32},GPU:{NUM_STREAMS:3}}"
    )


def converted(out: Path, *words: object) -> bytes:
    assert main(["convert", *map(str, words), "-o", str(out), "-q"]) == 0
    return b"".join(path.read_bytes() for path in sorted(out.rglob("mine.*")) if path.suffix in (".xml", ".bin"))


def test_model_optimizer_spellings_give_the_same_ir(tmp_path: Path) -> None:
    onnx = tmp_path / "net.onnx"
    small.write_onnx(tmp_path / "net")
    shutil.copy(next((tmp_path / "net").glob("*.onnx")), onnx)
    ours = converted(
        tmp_path / "a", "--source", onnx, "--name", "mine", "--mean-values", "127.5,127.5,127.5",
        "--scale-values", "58.8", "--no-reverse-input-channels", "--precisions", "FP16", "--layout", "NHWC",
        "--source-layout", "NCHW", "--batch", "2",
    )  # fmt: skip
    for layout in (["--layout", "nchw->nhwc"], ["--source_layout=[n,c,h,w]", "--target_layout", "data(nhwc)"]):
        for precision in (["--data_type", "half"], ["--compress_to_fp16"], ["--compress_to_fp16=True"]):
            theirs = converted(
                tmp_path / layout[0] / precision[0] / str(len(precision)), "--input_model", onnx, "-n", "mine",
                "--mean_values", "(127.5,127.5,127.5)", "-s", "58.8", "--reverse_input_channels", "false", *precision,
                *layout, "-b", "2", "--framework=onnx", "--silent",
            )  # fmt: skip
            assert theirs == ours
    other = converted(
        tmp_path / "b", "-m", onnx, "--model_name", "mine", "--mean_values=127.5", "--scale=58.8",
        "--no_reverse_input_channels", "--data_type=float", "--layout=nchw",
    )  # fmt: skip
    assert other != ours


def test_the_value_of_an_option_is_not_translated(capsys: pytest.CaptureFixture[str]) -> None:
    for value in ("--input", "-s", "--silent"):
        assert main(["convert", SAMPLE, "--add_mo_arg", value]) == 2
        assert capsys.readouterr().err == "error: --add-mo-arg requires --backend mo. Add --backend mo\n"


@pytest.mark.parametrize(("words", "expected"), [
    (["--data_type", "INT8"], "for INT8 use ov-mobilenet quantize"),
    (["--framework", "caffe"], "--framework caffe of the Model Optimizer is not supported"),
    (["--layout", "nc"], "'nc' is not one of"),
    (["--input_model"], "--input_model requires a value"),
    (["--precisions", "FP16-INT8"], "convert does not make FP16-INT8: expected FP16 or FP32. For INT8, run "
     "ov-mobilenet quantize MODEL --calibration DIR"),
    (["-j", "0"], "not a number of at least 1, or auto"),
    (["-j", "many"], "not a number of at least 1, or auto"),
])  # fmt: skip
def test_what_convert_does_not_do_is_refused(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", SAMPLE, *words]) == 2
    assert expected in capsys.readouterr().err.replace("\n", " ")


def test_quantised_precisions_beside_others_are_skipped_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["convert", SAMPLE, "--precisions", "FP16,FP16-INT8", "-j", "auto", "-o", str(tmp_path), "--dry-run"]
    assert main(words) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == f"{tmp_path}/public/{SAMPLE}/FP16/{SAMPLE}.xml"
    assert captured.err == "warning: FP16-INT8 skipped: ov-mobilenet quantize MODEL --calibration DIR makes INT8\n"


def test_notes_are_hidden_by_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["download", "--name", SAMPLE, "--precisions", "FP16", "--dry-run", "-o", str(tmp_path)]
    assert main(words) == 0
    assert capsys.readouterr().err == "note: --precisions has no effect: source files do not depend on the precision\n"
    assert main([*words, "-q"]) == 0
    assert capsys.readouterr().err == ""


# As the lists in the demos of the Open Model Zoo: comments, wildcards, models of other zoos, words after a name.
LIST = f"""# This file can be used with the --list option of the model downloader.
alexnet
{SAMPLE}  # the built-in one
mobilenet-v1-0.25-12?   additional words
se-resnet-*
{SAMPLE}
"""


@pytest.mark.parametrize("command", ["download", "convert"])
def test_a_list_may_name_models_that_are_not_in_the_zoo(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "models.lst"
    path.write_text(LIST)
    assert main([command, "--list", str(path), "--dry-run", "-o", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert captured.err == f"warning: {path}: 2 of 5 entries are not in the zoo and are skipped: alexnet, se-resnet-*\n"
    assert f"public/{SAMPLE}/" in captured.out
    assert "public/mobilenet-v1-0.25-128/" in captured.out
    path.write_text("alexnet\n")
    assert main([command, "--list", str(path), "--dry-run"]) != 0
    assert "no model of the list is in the zoo" in capsys.readouterr().err


def info(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main(["info", *words, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_info_of_several_models_is_a_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [model["name"] for model in info(capsys, "--name", f"{SAMPLE},mobilenetv2-*")]
    assert names == [SAMPLE, "mobilenetv2-12", "mobilenetv2-7"]
    assert len(info(capsys, "--all")) == len(list(zoo_folder().glob("*/model.yml")))
    (tmp_path / "models.lst").write_text(LIST)
    assert info(capsys, "--list", str(tmp_path / "models.lst"))[0]["name"] == SAMPLE
    assert info(capsys, SAMPLE)["name"] == SAMPLE
    assert main(["info", "--print_all"]) == 0
    assert SAMPLE in capsys.readouterr().out.splitlines()
    assert main(["info", SAMPLE, "mobilenetv2-7"]) == 0
    assert main(["info"]) == 2


def test_the_programs_of_the_open_model_zoo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole chain on a description of the user's own, with the layout of the Open Model Zoo."""
    shutil.copytree(zoo_folder() / SAMPLE, tmp_path / "configs" / "own-signs")
    common = ["--name", "own-signs", "--config-dir", str(tmp_path / "configs")]
    out = tmp_path / "models"
    assert omz_programs.DOWNLOADER.run([*common, "-o", str(out), "--cache_dir", str(tmp_path / "cache"), "-v"]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("omz_downloader: running ov-mobilenet download --name own-signs ")
    assert captured.out == f"{out}/public/own-signs\n"
    assert omz_programs.CONVERTER.run([*common, "-d", str(out), "--precisions", "FP16,FP32", "-p", "python3"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert sorted(printed) == [f"{out}/public/own-signs/{p}/own-signs.xml" for p in ("FP16", "FP32")]
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()) == [
        "public/own-signs/FP16/own-signs.bin", "public/own-signs/FP16/own-signs.xml",
        "public/own-signs/FP32/own-signs.bin", "public/own-signs/FP32/own-signs.xml",
        "public/own-signs/road-signs.onnx",
    ]  # fmt: skip
    assert omz_programs.INFO_DUMPER.run(common) == 0
    (dumped,) = json.loads(capsys.readouterr().out)
    assert dumped["subdirectory"] == "public/own-signs"
    assert set(dumped) >= {
        "name", "composite_model_name", "description", "framework", "license_url", "accuracy_config", "model_config",
        "precisions", "subdirectory", "task_type", "input_info", "model_stages",
    }  # fmt: skip
    quantizer = add_common_options(omz_programs.omz_quantizer_command)
    images = str(zoo_folder() / SAMPLE / "samples")
    words = [*common, "--model_dir", str(out), "--dataset_dir", images, "--target_device", "CPU"]
    assert main([*words, "--dry_run"], quantizer) == 0
    line = capsys.readouterr().out
    assert line.startswith(
        f"ov-mobilenet quantize own-signs --calibration {images} --ir-dir {out} -o {out} --device CPU"
    )
    assert main([*words, "--dry_run", "--mirror", "/mnt/zoo"], quantizer) == 0
    assert " --mirror /mnt/zoo" in capsys.readouterr().out
    words = shlex.split(line)[1:]  # tests/interop/test_omz_programs.py runs it
    quantize = cli.get_command(click.Context(cli), words[0])
    assert quantize is not None
    assert quantize.make_context(words[0], words[1:]).params["model"] == "own-signs"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("{} --print_all >&-", 1, "error: stdout is closed: the results cannot be written. Open it, or use -o FILE\n"),
        ("{} --help | true", 0, ""),
        ("{} --name nothing-like-this 2>&-", 1, ""),
    ],
)
@pytest.mark.parametrize("program", ["omz_info_dumper", "omz_quantizer"])
def test_the_programs_with_closed_streams(program: str, words: str, code: int, message: str) -> None:
    start = f"{shlex.quote(sys.executable)} -c 'from ov_mobilenet.__main__ import {program}; {program}()'"
    done = subprocess.run(["bash", "-c", words.format(start)], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert "Traceback" not in done.stderr
    assert done.stderr == message
    assert bool(done.returncode) == bool(code)


def test_the_programs_are_installed() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
    scripts = re.findall(r'^(omz_\w+) = "ov_mobilenet\.__main__:(\w+)"$', pyproject, re.MULTILINE)
    assert [name for name, _ in scripts] == ["omz_downloader", "omz_converter", "omz_quantizer", "omz_info_dumper"]
    for name, function in scripts:
        assert name == function
        assert name in omz_programs.PROGRAMS
        assert callable(getattr(__main__, function))


@pytest.mark.parametrize(("words", "expected"), [
    (["--name", SAMPLE], "no calibration images: expected --dataset_dir DIR"),
    (["--name", SAMPLE, "--dataset_dir", "x", "--precisions", "FP32-INT8"], "FP32-INT8 is not made: expected FP16"),
    (["--name", SAMPLE, "--dataset_dir", "x", "--precisions", "INT4"], "unknown precision"),
    (["--dataset_dir", "x"], "no models selected"),
])  # fmt: skip
def test_the_quantizer_says_what_is_missing(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words, add_common_options(omz_programs.omz_quantizer_command)) == 2
    assert expected in capsys.readouterr().err


def test_the_converter_uses_the_given_model_optimizer(capsys: pytest.CaptureFixture[str]) -> None:
    assert omz_programs.CONVERTER.run(["--name", SAMPLE, "--mo", "/no/such/mo"]) == 2
    assert "no such program" in capsys.readouterr().err
