"""`convert --backend mo` with a fake Model Optimizer: its arguments, the IR, failures, interruption.

The tests in `tests/omz` run the real one.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import fake_model_optimizer as fake
import numpy as np
import openvino as ov
import pytest
import small_networks as small
from PIL import Image
from test_sample_model import description

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
FRAMES = small.frames()
EXPECTED = np.stack([small.by_hand(frame) for frame in FRAMES])
ACCURACY_CHECK = (
    "models: [{name: small, launchers: [{framework: openvino}], datasets: [{name: d, preprocessing: "
    "[{type: resize, size: 32}]}]}]\n"
)
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def network(tmp_path: Path) -> Path:
    yml = small.write_onnx(tmp_path / "small")
    yml.with_name("accuracy-check.yml").write_text(ACCURACY_CHECK)
    return yml


@pytest.fixture
def mo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The fake program; temporary folders are created where the test can find them."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    return fake.install(tmp_path / "bin")


def convert(yml: Path, out: Path, mo: Path, *more: str) -> int:
    where = ["-o", str(out), "-d", str(out)]
    return main(["convert", str(yml), *where, "--backend", "mo", "--mo", str(mo), *more])


def answers(xml: str) -> np.ndarray:
    return ovm.load_classifier(xml, device="CPU", inference_precision="f32").probabilities(FRAMES)


def test_the_arguments_of_the_description(network: Path, mo: Path, tmp_path: Path) -> None:
    assert convert(network, tmp_path / "out", mo, "--precisions", "FP32", "--add-mo-arg=--static_shape") == 0
    given = fake.arguments_of(mo)
    assert given[-1] == "--static_shape"
    folder = Path(next(word for word in given if word.startswith("--output_dir=")).partition("=")[2])
    assert folder.parent == tmp_path / "tmp"
    assert set(given[:-1]) == {
        "--framework=onnx",
        f"--input_model={folder / 'source' / 'small.onnx'}",
        f"--output_dir={folder}",
        "--model_name=small",
        "--compress_to_fp16=False",
        "--input=data",
        "--input_shape=[1,3,32,32]",
        "--layout=data(nchw)",
        "--output=scores",
        "--mean_values=data[123.675,116.28,103.53]",
        "--scale_values=data[58.395,57.12,57.375]",
        "--reverse_input_channels",
    }
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_path_has_no_commas(network: Path, mo: Path, tmp_path: Path) -> None:
    yml = small.describe(network.with_name("small.onnx").rename(network.with_name("a,b.onnx")))
    yml.write_text(yml.read_text().replace("path: a,b.onnx", "path: 'a,b.onnx'"))
    assert convert(network, tmp_path / "out", mo) == 0
    given = next(word for word in fake.arguments_of(mo) if word.startswith("--input_model="))
    assert "," not in given
    assert given.endswith("/a_b.onnx")


def test_the_environment_has_no_telemetry_and_no_pythonpath(
    network: Path, mo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI")
    monkeypatch.setenv("PYTHONPATH", "/packages/of/another/python")
    assert convert(network, tmp_path, mo) == 0
    given = fake.environment_of(mo)
    assert (given["CI"], given.get("PYTHONPATH")) == ("true", None)


@pytest.mark.parametrize(
    ("form", "shape"),
    [
        ([], "[1,3,32,32]"),
        (["--batch", "4", "--layout", "NHWC"], "[4,32,32,3]"),
        (["--batch", "-1"], "[?,3,32,32]"),
    ],
)
def test_the_ir_gives_the_expected_probabilities(
    form: list[str], shape: str, network: Path, mo: Path, tmp_path: Path, capsys: Captured
) -> None:
    assert convert(network, tmp_path, mo, *form) == 0
    half, single = capsys.readouterr().out.split()
    assert np.abs(answers(single) - EXPECTED).max() < 3e-5
    assert np.abs(answers(half) - EXPECTED).max() < 4e-2
    model = ov.Core().read_model(single)
    assert str(model.inputs[0].get_partial_shape()) == shape
    assert (model.inputs[0].get_names(), model.outputs[0].get_names()) == ({"data"}, {"scores"})
    assert main(["info", single, "--format", "json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["versions"]["model_optimizer"] == fake.VERSION
    assert (facts["precision"], facts["channel_order"]) == ("FP32", "BGR")
    assert "123.675" in facts["normalisation"]
    assert main(["convert", single]) == 1
    assert "normalise twice" in capsys.readouterr().err


def test_a_fixed_batch_can_be_changed(mo: Path, tmp_path: Path, capsys: Captured) -> None:
    yml = description(".tflite", tmp_path / "signs")  # it reshapes to [1, classes]
    frames = small.frames(4, 128)
    found = []
    for batch in ([], ["--batch", "4"], ["--batch", "-1"]):
        assert convert(yml, tmp_path, mo, *batch, "--precisions", "FP32") == 0
        xml = capsys.readouterr().out.strip()
        classifier = ovm.load_classifier(xml, device="CPU", inference_precision="f32")
        found.append(classifier.probabilities(frames))
    assert np.abs(found[1] - found[0]).max() < 1e-5
    assert np.abs(found[2] - found[0]).max() < 1e-5


def test_verification_and_fp16_weights(network: Path, mo: Path, tmp_path: Path, capsys: Captured) -> None:
    pytest.importorskip("onnxruntime")
    assert convert(network, tmp_path, mo, "--verify") == 0
    assert capsys.readouterr().err.count("verified small") == 2
    half, single = (tmp_path / f"public/small/{precision}/small.bin" for precision in ("FP16", "FP32"))
    assert half.stat().st_size < single.stat().st_size


def test_other_folders_give_the_same_bytes(network: Path, mo: Path, tmp_path: Path) -> None:
    for out in ("here", "over/there"):
        assert convert(network, tmp_path / out, mo, "--precisions", "FP32") == 0
    for end in ("xml", "bin"):
        one, two = (tmp_path / out / "public/small/FP32" / f"small.{end}" for out in ("here", "over/there"))
        assert one.read_bytes() == two.read_bytes()
    assert str(tmp_path) not in one.with_suffix(".xml").read_text()
    record = ov.Core().read_model(one.with_suffix(".xml")).get_rt_info(["conversion_parameters", "input_model"])
    assert record.astype(str) == "small.onnx"


def test_the_record_holds_the_baked_normalisation_not_the_documented_one(
    network: Path, mo: Path, tmp_path: Path, capsys: Captured
) -> None:
    changed = ["--add_mo_arg=--mean_values=data[1,2,3]", "--add_mo_arg", "--reverse_input_channels=False"]
    assert convert(network, tmp_path, mo, "--precisions", "FP32", *changed) == 0
    main(["info", capsys.readouterr().out.strip(), "--format", "json"])
    facts = json.loads(capsys.readouterr().out)
    assert facts["normalisation"] == "mean_values [1.0, 2.0, 3.0], scale_values [58.395, 57.12, 57.375]"


def test_a_recorded_scale_out_of_range_is_a_conversion_error(
    network: Path, mo: Path, tmp_path: Path, capsys: Captured
) -> None:
    assert convert(network, tmp_path, mo, "--precisions", "FP32", "--add_mo_arg=--scale_values=data[0,1,1]") == 1
    assert "record of the normalisation cannot be parsed" in capsys.readouterr().err


def test_weights_compressed_by_the_program_are_refused_as_fp32(
    network: Path, mo: Path, tmp_path: Path, capsys: Captured
) -> None:
    halve = "--add-mo-arg=--compress_to_fp16=True"
    assert convert(network, tmp_path, mo, "--precisions", "FP32", halve) == 1
    assert "expected FP32, got FP16" in capsys.readouterr().err
    assert convert(network, tmp_path, mo, "--precisions", "FP16", halve) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            fake.CRASH.format(reason="Error during import of ONNX model"),
            "failed (Unexpected exception happened. / RuntimeError: Error during import of ONNX model)",
        ),
        ("usage: main.py [options]\nmain.py: error: unrecognized arguments: --so", "unrecognized arguments: --so"),
        (fake.CRASH.format(reason="No module named 'tensorflow'"), "needs tensorflow in its own environment"),
        (fake.CRASH.format(reason="'float' inputs. Current type is: u8"), "an integer input"),
        ("", "failed (MO command line tool is considered as the legacy"),  # then the message on stdout
    ],
)
def test_a_failure_is_one_message(
    text: str, message: str, network: Path, mo: Path, tmp_path: Path, capsys: Captured
) -> None:
    fake.install(mo.parent, fail=[1, text])
    assert convert(network, tmp_path / "out", mo, "-q") == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err
    assert str(tmp_path / "out/public/small/small.onnx") in err
    assert "Traceback" not in err
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_program_that_writes_to_another_folder_is_an_error(
    network: Path, mo: Path, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "else").mkdir()
    assert convert(network, tmp_path, mo, f"--add-mo-arg=--output_dir={tmp_path / 'else'}") == 1
    assert "wrote no IR to its output folder" in capsys.readouterr().err


def test_the_program_is_found_on_path(
    network: Path, mo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    command = ["convert", str(network), "-o", str(tmp_path), "-d", str(tmp_path), "--backend", "mo"]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(command) == 1
    err = capsys.readouterr().err
    assert "python3.11 -m venv" in err
    assert "pip install -r tools/omz-requirements.txt" in err
    monkeypatch.setenv("PATH", f"{mo.parent}{os.pathsep}{tmp_path}")
    assert main(command) == 0


def test_a_program_that_cannot_be_started(network: Path, mo: Path, tmp_path: Path, capsys: Captured) -> None:
    mo.write_bytes(b"\x7fELF no program")
    assert convert(network, tmp_path, mo) == 1
    assert "cannot be started" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--mo", "/usr/bin/mo"], 2, "--mo requires --backend mo"),
        (["--add-mo-arg", "--silent"], 2, "--add-mo-arg requires --backend mo"),
        (["--backend", "mo", "--mo", "no/such/mo"], 2, "no/such/mo: no such program"),
        (["--backend", "mo", "--mo", "{mo}", "--input-type", "u8"], 2, "--input-type is not supported by --backend mo"),
    ],
)
def test_wrong_usage(
    arguments: list[str], code: int, message: str, network: Path, mo: Path, tmp_path: Path, capsys: Captured
) -> None:
    arguments = [argument.format(mo=mo) for argument in arguments]
    assert main(["convert", str(network), "-o", str(tmp_path), "-d", str(tmp_path), *arguments]) == code
    assert message in capsys.readouterr().err


def test_pytorch_weights_are_refused(mo: Path, tmp_path: Path, capsys: Captured) -> None:
    weights = tmp_path / "net" / "small.pth"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    arguments = small.ONNX_ARGS.format(architecture="mobilenet_v2", file="small.pth")
    yml = small.describe(
        weights, framework="pytorch", onnx_args=arguments, input_model="$conv_dir/small.onnx", output="prob"
    )
    assert convert(yml, tmp_path, mo) == 1
    assert "does not convert pytorch networks" in capsys.readouterr().err
    assert not (mo.parent / "arguments.json").exists()


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_signal_ends_the_program_too(
    signum: int, code: int, jobs: str, network: Path, mo: Path, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    fake.install(mo.parent, wait=str(pipe))
    models = [str(network)]
    if jobs == "2":  # each model then has a process of its own
        models.append(str(small.write_onnx(tmp_path / "other")))
    command = [sys.executable, "-m", "ov_mobilenet", "convert", *models, "-j", jobs, "--backend", "mo"]
    process = subprocess.Popen(
        [*command, "--mo", str(mo), "-o", str(tmp_path / "out"), "-d", str(tmp_path / "out")],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    reader = os.open(pipe, os.O_RDONLY)  # returns when a fake program has opened its end
    waiting = b""
    while waiting.count(b"\n") < len(models):
        assert select.select([reader], [], [], 60)[0], "no fake program was started"
        waiting += os.read(reader, 100)
    process.send_signal(signum)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in err
    # The pipe ends when no fake program has it open.
    while True:
        assert select.select([reader], [], [], 30)[0], "the program is still running"
        if not os.read(reader, 100):
            break
    os.close(reader)


# Run in a process of its own: a signal would kill the test process if a library has set a signal stack that is too
# small for the registers of a CPU with AMX.
INTERRUPTED_START = """
import signal, subprocess, sys
from ov_mobilenet.cli.main import main

started, real = [], subprocess.Popen

def popen(*arguments, **options):
    started.append(real(*arguments, **options))
    signal.raise_signal(signal.SIGINT)
    return started[0]

signal.signal(signal.SIGINT, signal.default_int_handler)
subprocess.Popen = popen
print(main(sys.argv[1:]), [process.returncode for process in started])
"""


def test_an_interrupt_while_the_program_starts_ends_it(network: Path, mo: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    fake.install(mo.parent, wait=str(tmp_path / "pipe"))
    command: list[str | Path] = ["convert", network, "-o", tmp_path, "-d", tmp_path, "--backend", "mo", "--mo", mo]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_START, *command], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert done.stdout == f"130 [{-signal.SIGKILL}]\n"


@pytest.fixture
def plain(network: Path, mo: Path, tmp_path: Path) -> Path:
    """An IR as the Model Optimizer writes it: logits, without our record."""
    command: list[str | Path] = [
        mo, f"--input_model={network.with_name('small.onnx')}", f"--output_dir={tmp_path}", "--model_name=plain",
        "--input_shape=[1,3,32,32]", "--layout=data(nchw->nhwc)", "--mean_values=data[123.675,116.28,103.53]",
        "--scale_values=data[58.395,57.12,57.375]",
    ]  # fmt: skip
    for name, more in (("plain", ["--reverse_input_channels"]), ("unswapped", []), ("bare", [])):
        words = command[:6] if name == "bare" else command
        subprocess.run([*words, f"--model_name={name}", *more], check=True)
    return tmp_path / "plain.xml"


def test_an_ir_of_the_program_alone_gives_the_same_answers(plain: Path, tmp_path: Path, capsys: Captured) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\n".join("abcde"))
    image = tmp_path / "0.png"
    Image.fromarray(FRAMES[0][:, :, ::-1]).save(image)
    options = ["--labels", str(names), "--geometry", "resize 32", "--format", "jsonl", "--inference-precision", "f32"]
    assert main(["classify", str(plain), str(image), *options]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for prediction in json.loads(out)["predictions"]:
        assert prediction["probability"] == pytest.approx(EXPECTED[0][prediction["class_id"]], abs=3e-5)
        assert prediction["label"] == "abcde"[prediction["class_id"]]


@pytest.mark.parametrize(
    ("name", "doubts"),
    [("plain", []), ("unswapped", ["takes BGR or RGB"]), ("bare", ["takes BGR or RGB", "no scale"])],
)
def test_unknown_normalisation_is_reported(
    name: str, doubts: list[str], plain: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("WARNING", "ov_mobilenet"):
        ovm.load_classifier(plain.with_name(f"{name}.xml"), device="CPU", geometry="resize 32")
    messages = caplog.messages
    assert len(messages) == len(doubts)
    for doubt, message in zip(doubts, messages, strict=True):
        assert doubt in message


def test_info_shows_what_the_program_baked(plain: Path, capsys: Captured) -> None:
    assert main(["info", str(plain), "--format", "json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["record"] is None
    assert facts["layout"] == "[N,H,W,C]"
    assert facts["model_optimizer"] == {
        "version": fake.VERSION,
        "mean_values": "data[123.675,116.28,103.53]",
        "scale_values": "data[58.395,57.12,57.375]",
        "reverse_input_channels": True,
        "layout": "data(nchw->nhwc)",
    }
