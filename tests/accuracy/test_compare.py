"""`compare` on small networks whose probabilities are computed with numpy, in OpenVINO and in onnxruntime."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from known_network import Known, converted, val_txt
from small_networks import by_hand, describe, write_onnx

from ov_mobilenet.accuracy.compare import compare
from ov_mobilenet.accuracy.compared_networks import parse_spec
from ov_mobilenet.cli.main import main
from ov_mobilenet.errors import MissingDependencyError, UsageError

pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def swapped(tmp_path_factory: pytest.TempPathFactory, known: Known) -> Path:
    """The network with its two most frequent classes swapped. Returns the model.yml."""
    import onnx
    from onnx import numpy_helper

    folder = tmp_path_factory.mktemp("swapped")
    model = onnx.load(known.yml.with_name("small.onnx"))
    for initializer in model.graph.initializer:
        if initializer.name in ("dense", "offset"):
            values = numpy_helper.to_array(initializer)
            initializer.CopyFrom(numpy_helper.from_array(values[order(known)], initializer.name))
    onnx.save(model, folder / "swapped.onnx")
    return describe(folder / "swapped.onnx", extra="ov_mobilenet: {classes: 8}\n")


def order(known: Known) -> list[int]:
    one, other = np.bincount(known.ranked(0), minlength=8).argsort()[-2:].tolist()
    places = list(range(8))
    places[one], places[other] = other, one
    return places


def test_figures_of_irs_and_source_networks(known: Known, swapped: Path, tmp_path: Path) -> None:
    best = known.ranked(0)
    val_txt(tmp_path / "val.txt", [(file.name, best[i]) for i, file in enumerate(known.files)])
    found = compare(
        [f"{known.yml}@source", str(known.xml), f"{swapped}@source", str(known.yml.with_name("small.onnx"))],
        known.files[0].parent, annotations=tmp_path / "val.txt", time_s=0,
    )  # fmt: skip
    source, ours, other, by_file = found.models
    assert [row.runs_in for row in found.models] == ["onnxruntime", "OpenVINO", "onnxruntime", "onnxruntime"]
    assert (source.top1, ours.top1, by_file.top1) == (1.0, 1.0, 1.0)
    assert (ours.agreement, ours.inference_precision) == (1.0, "f32")
    assert ours.max_difference is not None
    assert 0 < ours.max_difference < 3e-5
    assert by_file.max_difference == 0.0
    answers = known.answers[:, order(known)]
    same = float((answers.argmax(1) == known.answers.argmax(1)).mean())
    assert 0 < same < 1
    assert (other.top1, other.agreement) == (same, same)
    assert other.max_difference == pytest.approx(np.abs(answers - known.answers).max(), abs=1e-5)
    assert source.size_mb == known.yml.with_name("small.onnx").stat().st_size / 1e6
    assert ours.size_mb == known.xml.with_suffix(".bin").stat().st_size / 1e6
    assert (ours.throughput_fps, ours.p50_ms) == (None, None)


def test_networks_with_and_without_background_are_compared_by_dataset_class(known: Known, tmp_path: Path) -> None:
    yml = write_onnx(tmp_path / "b", classes=9, extra="ov_mobilenet: {classes: 9, background_class: 0}\n")
    val_txt(tmp_path / "val.txt", [(file.name, 0) for file in known.files])
    found = compare(
        [str(known.xml), str(converted(yml, tmp_path / "out"))],
        known.files[0].parent, annotations=tmp_path / "val.txt", time_s=0,
    )  # fmt: skip
    nine = np.stack([by_hand(frame, classes=9) for frame in known.frames]).argmax(1)
    assert found.models[1].agreement == (nine - 1 == known.answers.argmax(1)).mean()
    assert found.models[1].top1 == (nine == 1).mean()
    assert found.models[1].max_difference is None
    with pytest.raises(UsageError, match="same number of classes"):
        eight = write_onnx(tmp_path / "c", classes=8, extra="ov_mobilenet: {classes: 8, background_class: 0}\n")
        compare([str(known.xml), str(eight)], known.files[0].parent, annotations=tmp_path / "val.txt", time_s=0)


def test_speed_is_measured_and_a_model_that_fails_does_not_stop_the_others(
    known: Known, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(file.name, c) for file, c in zip(known.files, known.ranked(0), strict=True)]
    annotations = val_txt(tmp_path / "val.txt", [*rows, ("missing.png", 0)])
    command = ["compare", str(known.xml), "missing.xml", f"{known.yml}@source", "--dataset",
               str(known.files[0].parent), "--annotations", str(annotations), "--time", "0.05"]  # fmt: skip
    assert main([*command, "--format", "json"]) == 1
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["exif_orientation"] == "ignored"
    assert (document["images"], document["failed"]) == (12, 1)
    first, missing, source = document["models"]
    assert "no such IR" in missing["error"]
    assert missing["top1"] is None
    for row in (first, source):
        assert (row["top1"], row["agreement"]) == (1.0, 1.0)
        assert row["throughput_fps"] > 0
        assert row["p50_ms"] > 0
    assert "error: missing.xml: no such IR" in err
    assert "missing.png" in err
    assert main([*command, "--format", "markdown"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert {line.count("|") for line in lines} == {10}
    assert main([*command, "--format", "csv"]) == 1
    rows_of_csv = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["model"] for row in rows_of_csv] == [str(known.xml), "missing.xml", f"{known.yml}@source"]
    assert (rows_of_csv[0]["top1"], rows_of_csv[1]["top1"]) == ("1.0", "")
    assert "no such IR" in rows_of_csv[1]["error"]
    assert main(command) == 1
    assert "100.00%" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "model", "inference_precision", "is_source"),
    [
        ("a.xml", "a.xml", None, False),
        ("a.xml@bf16", "a.xml", "bf16", False),
        ("mobilenetv2-7@source", "mobilenetv2-7", None, True),
        ("me@home/a.xml", "me@home/a.xml", None, False),
        ("me@home/a.xml@f32", "me@home/a.xml", "f32", False),
        ("net.tflite", "net.tflite", None, True),
    ],
)
def test_specs_are_parsed(text: str, model: str, inference_precision: str | None, is_source: bool) -> None:
    spec = parse_spec(text)
    assert (spec.text, spec.model) == (text, model)
    assert (spec.inference_precision, spec.is_source) == (inference_precision, is_source)


def test_wrong_models_are_refused(known: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = known.files[0].parent
    with pytest.raises(UsageError, match="two or more"):
        compare([str(known.xml)], folder)
    with pytest.raises(UsageError, match="an IR has no source network"):
        compare([f"{known.xml}@source"] * 2, folder)
    (tmp_path / "lonely.onnx").write_bytes(b"")
    with pytest.raises(UsageError, match=r"no model\.yml beside the network describes it"):
        compare([str(tmp_path / "lonely.onnx")] * 2, folder)
    # In a child process the package could not be hidden from here.
    monkeypatch.setattr("ov_mobilenet.accuracy.isolated_oracle.can_isolate", lambda: False)
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match="requires onnxruntime.* pip install onnxruntime"):
        compare([f"{known.yml}@source"] * 2, folder)


def test_old_spellings_of_options_are_accepted(
    known: Known, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["compare", str(known.xml), f"{known.xml}@f32", "--dataset", str(known.files[0].parent)]
    annotations = val_txt(tmp_path / "val.txt", [(file.name, 0) for file in known.files])
    command += ["--annotations", str(annotations)]
    assert main([*command, "--seconds", "0", "--format", "md"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("| --- | --- | ---: |")
    assert [line.split(" | ")[-2:] for line in lines[2:]] == [["-", "- |"]] * 2
    assert main(["compare", "--help"]) == 0
    help_text = capsys.readouterr().out
    assert "--time" in help_text
    assert "--seconds" not in help_text


def test_limit_and_sample_choose_the_images(known: Known, tmp_path: Path) -> None:
    folder = known.files[0].parent
    rows = [(file.name, c) for file, c in zip(known.files, known.ranked(0)[:5] + known.ranked(1)[5:], strict=True)]
    annotations = val_txt(tmp_path / "val.txt", rows)
    models = [str(known.xml), f"{known.xml}@f32"]
    first = compare(models, folder, annotations=annotations, time_s=0, limit=5)
    assert (first.images, first.limit, first.sample, first.seed) == (5, 5, None, None)
    assert [model.top1 for model in first.models] == [1.0, 1.0]
    drawn = compare(models, folder, annotations=annotations, time_s=0, sample=6, seed=1)
    assert (drawn.images, drawn.limit, drawn.sample, drawn.seed) == (6, None, 6, 1)


def test_an_ir_compared_at_two_precisions_is_read_once(
    known: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ov_mobilenet.ir.files as files

    read: list[Path] = []
    real = files._read_ir

    def recorded(xml: Path, *more: Any) -> ov.Model:
        read.append(xml)
        return real(xml, *more)

    monkeypatch.setattr(files, "_read_ir", recorded)
    annotations = val_txt(tmp_path / "val.txt", [(file.name, 0) for file in known.files])
    compare([str(known.xml), f"{known.xml}@f32"], known.files[0].parent, annotations=annotations, time_s=0.01)
    assert read == [known.xml]


@pytest.mark.parametrize("removed", [("    layout: NCHW\n",), ("    layout: NCHW\n", "    shape: [1, 3, 32, 32]\n")])
def test_a_description_without_shape_and_layout(removed: tuple[str, ...], known: Known, tmp_path: Path) -> None:
    yml = write_onnx(tmp_path / "net", classes=8, batch=1)
    text = yml.read_text()
    for line in removed:
        assert line in text
        text = text.replace(line, "")
    yml.write_text(text)
    val_txt(tmp_path / "val.txt", [(file.name, 0) for file in known.files])
    found = compare(
        [f"{yml}@source", str(yml)], known.files[0].parent, annotations=tmp_path / "val.txt", time_s=0,
        cache_dir=tmp_path / "cache",
    )  # fmt: skip
    assert [(row.error, row.agreement) for row in found.models] == [(None, 1.0), (None, 1.0)]


def test_an_unknown_input_size_is_the_error_of_that_model(known: Known, tmp_path: Path) -> None:
    import onnx

    yml = write_onnx(tmp_path / "net", classes=8)
    model = onnx.load(yml.with_name("small.onnx"))
    for axis in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = f"side{axis}"
    onnx.save(model, yml.with_name("small.onnx"))
    text = describe(yml.with_name("small.onnx")).read_text()
    yml.write_text(text.replace("    shape: [1, 3, 32, 32]\n", ""))
    val_txt(tmp_path / "val.txt", [(file.name, 0) for file in known.files])
    found = compare(
        [str(known.xml), f"{yml}@source"], known.files[0].parent, annotations=tmp_path / "val.txt", time_s=0
    )
    assert "neither the network nor its description gives the input size" in (found.models[1].error or "")
    assert found.models[0].error is None
