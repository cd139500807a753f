"""The command line: output formats, exit codes and messages, on a small network that is computed by hand."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_networks as small
from named_pipes import open_for_writing
from PIL import Image

from ov_mobilenet.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
FRAMES = small.frames()
EXPECTED = np.stack([small.by_hand(frame) for frame in FRAMES])
ACCURACY_CHECK = (
    "models: [{name: small, launchers: [{framework: openvino}], datasets: [{name: d, preprocessing: "
    "[{type: resize, size: 32}]}]}]\n"
)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    yml = small.write_onnx(tmp_path_factory.mktemp("cli") / "small")
    yml.with_name("accuracy-check.yml").write_text(ACCURACY_CHECK)
    return yml


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "deeper").mkdir(parents=True)
    for index, frame in enumerate(FRAMES[:6]):
        name = f"deeper/{index}.png" if index > 3 else f"{index}.png"
        Image.fromarray(frame[:, :, ::-1]).save(folder / name)
    return folder


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def assert_only_names_the_ir(err: str) -> None:
    """stderr has one line: which IR the description leads to."""
    (line,) = err.splitlines()
    assert line.startswith("using IR ")


def test_jsonl_of_classify_has_the_documented_keys(
    network: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(images / f"{index}.png") for index in range(4)]
    code = main(["classify", str(network), *files, "--format", "jsonl", "--inference-precision", "f32", "-k", "3"])
    out, err = capsys.readouterr()
    assert code == 0
    assert_only_names_the_ir(err)
    assert [row["source"] for row in lines(out)] == files
    for row, expected in zip(lines(out), EXPECTED, strict=False):
        assert set(row["timings_ms"]) == {"decode", "geometry", "queue", "inference", "total"}
        assert [p["class_id"] for p in row["predictions"]] == list(np.argsort(-expected)[:3])
        for prediction in row["predictions"]:
            assert set(prediction) == {"class_id", "label", "probability"}
            assert prediction["probability"] == pytest.approx(expected[prediction["class_id"]], abs=3e-5)


def test_one_bad_image_does_not_stop_the_others(
    network: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = images / "1.png"
    bad.write_bytes(bad.read_bytes()[:90])
    (images / "2.png").write_bytes(b"")
    code = main(["classify", str(network), str(images), "--format", "jsonl", "--inference-precision", "f32"])
    out, err = capsys.readouterr()
    rows = lines(out)
    assert code == 1
    assert ["error" in row for row in rows] == [False, True, True, False, False, False]
    assert rows[2] == {"source": str(images / "2.png"), "error": "the file is empty"}
    best = [row["predictions"][0]["class_id"] for row in rows if "predictions" in row]
    assert best == [EXPECTED[i].argmax() for i in (0, 3, 4, 5)]
    assert "error: " + str(bad) in err
    assert "2 of 6 images" in err


def test_a_folder_a_wildcard_and_a_missing_file(
    network: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(images / "deeper"), str(images / "[0-1].png"), str(images / "none.png")]
    code = main(["classify", str(network), *arguments, "--format", "jsonl"])
    names = [Path(row["source"]).name for row in lines(capsys.readouterr().out)]
    assert (code, names) == (1, ["4.png", "5.png", "0.png", "1.png", "none.png"])


def test_csv_and_json_hold_the_same_values_as_jsonl(
    network: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (images / "bad.png").write_bytes(b"x")

    def output(form: str) -> str:
        main(["classify", str(network), str(images), "--format", form, "--inference-precision", "f32"])
        return capsys.readouterr().out

    rows = lines(output("jsonl"))
    document = json.loads(output("json"))
    assert document["schema_version"] == 1
    wanted, found = [], []
    for row in rows:
        wanted += [
            (row["source"], str(p["class_id"]), p["label"], p["probability"], "") for p in row.get("predictions", ())
        ]
        wanted += [(row["source"], "", "", None, row["error"])] if "error" in row else []
    for row in csv.DictReader(io.StringIO(output("csv"))):
        probability = float(row["probability"]) if row["probability"] else None
        found.append((row["source"], row["class_id"], row["label"], probability, row["error"]))
    assert found == wanted
    for row, other in zip(rows, document["results"], strict=True):
        assert row.get("predictions") == other.get("predictions")


def test_the_table_is_on_stdout_and_messages_on_stderr(
    network: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["classify", str(network), str(images / "0.png"), "-k", "1", "--inference-precision", "f32"]) == 0
    out, err = capsys.readouterr()
    assert_only_names_the_ir(err)
    assert f"{EXPECTED[0].max():.2%}" in out
    assert out.count("\n") == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["classify"], 2, "Missing argument 'MODEL'"),
        (["classify", "no-such-model", "x.jpg"], 2, "unknown model 'no-such-model'"),
        (["classify", "none.xml", "x.jpg"], 1, "none.xml: no such IR"),
        (["classify", "{model}", "{images}", "--geometry", "fold 3"], 2, "invalid geometry"),
        (["classify", "{model}", "{images}", "-d", "FOO"], 1, "unknown device FOO"),
        (["classify", "{model}", "{images}", "-k", "0"], 2, "'-k'"),
        (["classify", "{model}", "{empty}"], 2, "no images"),
        (["classify", "{model}", "{images}", "--labels", "{model}"], 1, "labels does not match"),
        (["convert", "{model}", "--precisions", "FP8"], 2, "unknown precision"),
        (["convert", "{model}", "--batch", "0"], 2, "invalid --batch"),
        (["frobnicate"], 2, "No such command"),
        (["list", "nothing-like-it*"], 2, "no model matches 'nothing-like-it*'"),
        (["download", "mobilenetv2-7", "--offline", "-o", "{empty}"], 1, "cannot be downloaded in offline mode"),
    ],
)
def test_errors_are_one_message_and_the_right_code(
    network: Path,
    images: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"model": network, "images": images, "empty": tmp_path / "empty"}
    assert main([argument.format(**places) for argument in arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert "Traceback" not in err
    if code == 1:
        assert err.count("error:") == 1


def test_convert_lays_files_out_as_the_open_model_zoo_does(
    network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(network), "-o", str(tmp_path), "-d", str(tmp_path / "dl"), "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["model"], row["precision"]) for row in rows] == [("small", "FP16"), ("small", "FP32")]
    for row in rows:
        xml = tmp_path / "public" / "small" / row["precision"] / "small.xml"
        assert row["xml"] == str(xml)
        assert xml.is_file()
        assert xml.with_suffix(".bin").is_file()
    assert (tmp_path / "dl" / "public" / "small" / "small.onnx").is_file()


def test_convert_continues_after_a_model_that_fails(
    network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = small.write_onnx(tmp_path / "broken", output="nowhere")
    code = main(["convert", str(broken), str(network), "-o", str(tmp_path), "-d", str(tmp_path), "--format", "json"])
    out, err = capsys.readouterr()
    rows = json.loads(out)
    assert code == 1
    assert "no such output" in rows[0]["error"]
    assert [row["model"] for row in rows] == ["broken", "small", "small"]
    assert err.count("error:") == 1


def test_convert_verifies_on_images(
    network: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    where = ["-o", str(tmp_path), "-d", str(tmp_path), "--format", "json", "--verify", "--verify-images", str(images)]
    assert main(["convert", str(network), *where]) == 0
    out, err = capsys.readouterr()
    for row in json.loads(out):
        assert row["verification"]["images"] == 6
        assert row["verification"]["max_difference"] < 3e-5  # the weights are exact in float16 too
    assert "verified small FP32 on 6 images" in err
    assert "small: weights under https://www.apache.org/licenses/LICENSE-2.0" in err


def test_a_failed_verification_is_exit_3(
    network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    from ov_mobilenet.accuracy import isolated_oracle as oracles

    right = oracles.isolated_oracle
    monkeypatch.setattr(oracles, "isolated_oracle", lambda *a: lambda frame: right(*a)(frame[:, :, ::-1]))
    code = main(["convert", str(network), "-o", str(tmp_path), "-d", str(tmp_path), "--verify", "--format", "json"])
    out, err = capsys.readouterr()
    assert code == 3
    assert "differs from its source network" in err
    assert json.loads(out)[-1]["error"].endswith("of 16 images")


@pytest.mark.parametrize("words", ["list", "info mobilenetv2-7", "cache list", "devices"])
def test_json_documents_have_a_schema_version(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words.split(), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema_version"] == 1


def test_list_and_info_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "mobilenet-v*", "--format", "json"]) == 0
    names = [model["name"] for model in json.loads(capsys.readouterr().out)["models"]]
    assert "mobilenet-v2-pytorch" in names
    assert "mobilenetv2-7" not in names
    assert main(["list", "mobilenet-v2-p*", "--format", "jsonl"]) == 0
    (row,) = lines(capsys.readouterr().out)
    assert main(["list", "mobilenet-v2-p*", "--format", "csv"]) == 0
    (cells,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert row["input_shape"] == [1, 3, 224, 224]
    assert cells == {**{name: str(value) for name, value in row.items()}, "input_shape": "1x3x224x224"}
    assert main(["info", "mobilenet-v2-pytorch", "--format", "json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["mean_values"] == [123.675, 116.28, 103.53]
    assert facts["scale_values"] == [58.624, 57.12, 57.375]
    assert facts["geometry"] == "resize 256 greater pillow, crop 224"
    assert (facts["top1"], facts["reference_top1"]) == (0.718, 0.719)
    assert facts["license"].startswith("https://")


def test_info_of_an_ir(network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["convert", str(network), "-o", str(tmp_path), "-d", str(tmp_path), "--precisions", "FP16"])
    xml = capsys.readouterr().out.strip()
    assert main(["info", xml, "--format", "json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["precision"] == "FP16"
    assert "58.395" in facts["normalisation"]
    assert facts["gflops"] == 0.0001148  # 8 maps of 16 x 16: 27 multiply-adds, a bias and a ReLU; 5 x 8 dense
    assert facts["mparams"] == 0.000269  # 216 + 8, 40 + 5
    assert main(["info", xml]) == 0
    assert "resize 32" in capsys.readouterr().out


def test_quiet_and_debug_keep_the_exit_code(network: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (images / "bad.png").write_bytes(b"x")
    assert main(["classify", str(network), str(images), "--format", "csv", "-q"]) == 1
    assert "could not be classified" not in capsys.readouterr().err
    assert main(["info", "no-such-model", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_file_names_that_cannot_be_printed(network: Path, images: Path, capfd: pytest.CaptureFixture[str]) -> None:
    odd = os.fsencode(images) + b"/caf\xff\x1b[31m.png"
    Path(os.fsdecode(odd)).write_bytes((images / "0.png").read_bytes())
    for form in ("table", "jsonl", "json", "csv"):
        process = run("classify", str(network), str(images), "x" * 300 + ".png", "--format", form)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "Traceback" not in err
        assert "caf" in out
        assert "\x1b" not in out.replace("\\x1b", "") or form == "csv"
        assert "too long" in err


def test_converting_an_ir_is_refused_with_what_is_baked_into_it(
    network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["convert", str(network), "-o", str(tmp_path), "-d", str(tmp_path), "--precisions", "FP16"])
    xml = capsys.readouterr().out.strip()
    assert main(["convert", xml]) == 1
    assert "normalise twice: got ov-mobilenet: " in capsys.readouterr().err


def test_a_network_without_a_digest_needs_allow_unverified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yml = small.write_onnx(tmp_path / "net")
    text = yml.read_text()
    yml.write_text("".join(line for line in text.splitlines(True) if "checksum" not in line))
    where = ["-o", str(tmp_path), "-d", str(tmp_path), "--precisions", "FP32"]
    assert main(["convert", str(yml), *where]) == 1
    assert "--allow-unverified" in capsys.readouterr().err
    assert main(["convert", str(yml), *where, "--allow-unverified"]) == 0
    digest = hashlib.sha384(yml.with_name("small.onnx").read_bytes()).hexdigest()
    xml = capsys.readouterr().out.strip()
    main(["info", xml, "--format", "json"])
    assert json.loads(capsys.readouterr().out)["sources"] == {"small.onnx": f"sha384:{digest}"}


def test_verifying_on_an_empty_folder_is_wrong_usage(
    network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "none").mkdir()
    assert main(["convert", str(network), "-d", str(tmp_path), "--verify-images", str(tmp_path / "none")]) == 2
    assert "no images to verify on" in capsys.readouterr().err


def test_a_changed_label_file_is_used(
    network: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yml = small.write_onnx(tmp_path / "named", extra="ov_mobilenet: {labels: names.txt}\n")
    yml.with_name("accuracy-check.yml").write_text(ACCURACY_CHECK)
    for name in ("first", "second"):
        yml.with_name("names.txt").write_text("\n".join(f"{name} {i}" for i in range(5)))
        assert main(["classify", str(yml), str(images / "0.png"), "--format", "jsonl"]) == 0
        assert lines(capsys.readouterr().out)[0]["predictions"][0]["label"].startswith(name)


def run(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ov_mobilenet", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_finished_results_are_kept_after_a_signal(network: Path, images: Path, signum: int, code: int) -> None:
    # The program waits at a named pipe among the images until the signal comes.
    pipe = images / "zz.png"
    os.mkfifo(pipe)
    inputs = [str(images / f"{index}.png") for index in range(4)]
    process = run("classify", str(network), *inputs, str(pipe), "--format", "jsonl")
    writer = open_for_writing(pipe, process)
    assert process.stdout is not None
    done = "".join(process.stdout.readline() for _ in range(4))  # results are written at once
    process.send_signal(signum)
    out, err = process.communicate(timeout=60)
    os.close(writer)
    assert process.returncode == code
    assert (len(lines(done)), out) == (4, "")
    assert "Traceback" not in err


def test_a_closed_pipe_prints_no_traceback(network: Path, images: Path) -> None:
    process = run("classify", str(network), *[str(images)] * 40, "--format", "json")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert "BrokenPipe" not in err


def test_classify_imports_no_heavy_package_that_it_does_not_use(network: Path, images: Path) -> None:
    script = (
        "import sys; from ov_mobilenet.cli.main import main; "
        f"code = main(['classify', {str(network)!r}, {str(images / '0.png')!r}]); "
        "heavy = {'torch', 'tensorflow', 'nncf', 'matplotlib', 'pyarrow', 'rich', 'requests'}; "
        "print(code, sorted(heavy & set(sys.modules)))"
    )
    # The first call converts, the second runs the cached IR.
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
