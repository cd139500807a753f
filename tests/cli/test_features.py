"""`classify --output-kind features`, and multi-label networks: formats, resuming, thresholds, refusals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov
import pytest
import small_networks as small
from known_network import Known, converted

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.errors import OutputError, UsageError
from ov_mobilenet.outputs.destination import open_destination
from ov_mobilenet.outputs.feature_destination import open_feature_destination
from ov_mobilenet.runtime.results import Failure, Features, Timings

ROOT = Path(__file__).resolve().parents[2]
Capture = pytest.CaptureFixture[str]
FRAMES = small.frames(6)


def ir(folder: Path, end: str, content: str) -> Path:
    yml = small.write_onnx(folder / "net", end=end, extra=f"ov_mobilenet: {{output: {content}}}\n")
    return converted(yml, folder / "out")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number, frame in enumerate(FRAMES):
        cv2.imwrite(str(folder / f"{number}.png"), frame)
    return folder


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ir(tmp_path_factory.mktemp("features"), "pooled", "features")


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ir(tmp_path_factory.mktemp("multilabel"), "sigmoid", "multilabel-probabilities")


EXPECTED = np.stack([small.features_by_hand(frame) for frame in FRAMES])
EXACT = ("--inference-precision", "f32")


def extract(xml: Path, images: Path, *more: str) -> int:
    return main(["classify", str(xml), str(images), "--output-kind", "features", *EXACT, *more])


def test_a_network_without_a_classifier_is_refused(vectors: Path, images: Path, capsys: Capture) -> None:
    assert main(["classify", str(vectors), str(images)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "the network has no classifier" in err and "--output-kind features" in err
    assert "use convert --output-kind logits" in err
    assert main(["classify", str(vectors), str(images), "-o", "x.npz"]) == 2
    assert ".npz is for features: add --output-kind features" in capsys.readouterr().err


def test_features_as_a_dictionary_are_the_lines_of_classify(vectors: Path, images: Path, capsys: Capture) -> None:
    assert extract(vectors, images, "--format", "jsonl") == 0
    line = json.loads(capsys.readouterr().out.splitlines()[0])
    extractor = ovm.load_feature_extractor(vectors, device="CPU", inference_precision="f32")
    record = extractor.extract(images / "0.png").to_dict()
    assert {**record, "timings_ms": set(record["timings_ms"])} == {**line, "timings_ms": set(line["timings_ms"])}


def test_json_lines_of_features(vectors: Path, images: Path, tmp_path: Path, capsys: Capture) -> None:
    assert extract(vectors, images, "--format", "jsonl") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(line["source"]).name for line in lines] == [f"{n}.png" for n in range(6)]
    assert np.abs(np.array([line["features"] for line in lines]) - EXPECTED).max() < 1e-4
    assert set(lines[0]) == {"source", "features", "timings_ms"}
    results = tmp_path / "vectors.jsonl"
    assert extract(vectors, images / "0.png", "-o", str(results)) == 0
    assert extract(vectors, images, "-o", str(results), "--resume") == 0
    assert "1 of 6 images already have a result" in capsys.readouterr().err
    found = [json.loads(line) for line in results.read_text().splitlines()]
    assert [line["features"] for line in found] == [line["features"] for line in lines]


def test_a_file_of_features_is_complete_or_not_there(vectors: Path, images: Path, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.png").write_bytes(b"no image")
    for suffix in (".npz", ".parquet"):
        target = tmp_path / f"vectors{suffix}"
        arguments = ["classify", str(vectors), str(tmp_path / "in"), str(images), "--output-kind", "features", *EXACT]
        assert main([*arguments, "-o", str(target)]) == 1, "one image cannot be read"
        assert main([*arguments, "-o", str(target)]) == 2, "the file exists"
        assert main([*arguments, "-o", str(target), "--resume"]) == 2
        assert main([*arguments, "-o", str(target), "--overwrite"]) == 1
    assert not list(tmp_path.glob(".*")), "no temporary files are left"
    with np.load(tmp_path / "vectors.npz") as archive:
        assert [Path(source).name for source in archive["sources"]] == [f"{n}.png" for n in range(6)]
        assert archive["features"].dtype == np.float32
        assert np.abs(archive["features"] - EXPECTED).max() < 1e-4
    table = pq.read_table(tmp_path / "vectors.parquet")
    assert str(table.schema.field("features").type) == "list<element: float>"
    rows = table.to_pylist()
    assert [Path(row["source"]).name for row in rows] == ["bad.png", *(f"{n}.png" for n in range(6))]
    assert rows[0]["features"] is None and rows[0]["error"]
    assert np.abs(np.array([row["features"] for row in rows[1:]]) - EXPECTED).max() < 1e-4


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_a_stopped_run_keeps_the_older_file(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    target = tmp_path / f"vectors{suffix}"
    target.write_bytes(b"older")
    with open_feature_destination(target, overwrite=True) as destination:
        sink = destination.sink()
        sink.put(Features("a.png", (1.0, 2.0), Timings()))
        sink.abandon()
    assert target.read_bytes() == b"older"
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    with open_feature_destination(target, overwrite=True) as destination:
        sink = destination.sink()
        sink.put(Features("a.png", (1.0, 2.0), Timings()))

        def fails(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "replace", fails)
        with pytest.raises(OutputError, match="No space left"):
            sink.close()
    monkeypatch.undo()
    assert target.read_bytes() == b"older"
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_a_second_writer_is_refused_and_files_of_killed_runs_are_removed(suffix: str, tmp_path: Path) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    folder = tmp_path / "no-utf8-\udcff"
    folder.mkdir()
    target = folder / f"vectors{suffix}"
    (folder / f".{target.name}.0123456789abcdef.ov-partial").write_text("of a run that was killed")
    with open_feature_destination(target) as destination:
        with pytest.raises(OutputError, match="another process is writing to this file"):
            open_feature_destination(target, overwrite=True)
        sink = destination.sink()
        sink.put(Features("a.png", (1.0, 2.0), Timings()))
        sink.close()
    assert [path.name for path in folder.iterdir()] == [target.name]
    content = target.read_bytes()
    with pytest.raises(UsageError, match="the file already exists"):
        open_feature_destination(target)
    with open_feature_destination(target, overwrite=True):
        assert target.read_bytes() == content, "nothing was written"


LOCKED = "another process is writing to this file"


@pytest.mark.parametrize("name", ["v.npz", "v.parquet", "v.jsonl"])
def test_a_file_of_features_has_one_writer(name: str, tmp_path: Path) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    path = tmp_path / name
    with open_feature_destination(path):
        pass
    assert list(tmp_path.iterdir()) == [], "a file that was only opened is not left behind"
    (tmp_path / f".{name}.0123456789abcdef.ov-partial").write_text("of a run that was killed")
    with open_feature_destination(path) as first:
        sink = first.sink()
        for refused in (open_feature_destination, open_destination):
            with pytest.raises(OutputError, match=LOCKED):
                refused(path, overwrite=True, output_format="jsonl" if name == "v.npz" else None)
        with pytest.raises(OutputError, match=LOCKED):
            open_feature_destination(path, overwrite=True)
        sink.put(Features("a.png", (1.0, 2.0), Timings()))
        sink.close()
        with pytest.raises(OutputError, match=LOCKED):
            open_feature_destination(path, overwrite=True)
        content = path.read_bytes()
    assert path.read_bytes() == content
    assert {each.name for each in tmp_path.iterdir()} - {f".{name}.0123456789abcdef.ov-partial"} == {name}
    with open_feature_destination(path, overwrite=True):
        pass


@pytest.mark.parametrize("name", ["v.npz", "v.parquet", "v.jsonl"])
def test_commands_that_write_one_file_of_features_never_mix(
    name: str, vectors: Path, images: Path, tmp_path: Path
) -> None:
    """Three at once: those that find the file locked or complete are refused."""
    output = tmp_path / name
    command = [sys.executable, "-m", "ov_mobilenet", "classify", "-q", str(vectors), str(images), "-o", str(output)]
    processes = [
        subprocess.Popen([*command, "--output-kind", "features"], stderr=subprocess.PIPE, text=True, cwd=ROOT)
        for _ in range(3)
    ]
    ended = [(process.communicate(timeout=100)[1], process.returncode) for process in processes]
    assert [end for end in ended if end[1] == 0] == [("", 0)]
    assert all(code == 0 or LOCKED in err or "the file already exists" in err for err, code in ended)
    assert [each.name for each in tmp_path.iterdir() if each.suffix != ".json"] == [name]
    if name == "v.npz":
        with np.load(output) as archive:
            assert archive["features"].shape == EXPECTED.shape


def test_a_file_of_features_may_have_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/v\xff.parquet"))
    with open_feature_destination(path) as destination:
        sink = destination.sink()
        sink.put(Features("a.png", (1.0, 2.0), Timings()))
        sink.close()
    with path.open("rb") as file:
        assert pq.read_table(file).column("features").to_pylist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--geometry", "crop 0.5, resize 32"), "got geometry crop 0.5, resize 32"),
        (("--decode", "exact"), "expected decode auto, got decode exact"),
    ],
)
def test_features_of_other_settings_are_refused_by_name(
    more: tuple[str, ...], message: str, vectors: Path, images: Path, tmp_path: Path, capsys: Capture
) -> None:
    output = tmp_path / "v.jsonl"
    assert extract(vectors, images / "0.png", "-o", str(output)) == 0
    before = output.read_bytes()
    assert extract(vectors, images, "-o", str(output), "--resume", *more) == 1
    assert message in capsys.readouterr().err
    assert output.read_bytes() == before
    assert extract(vectors, images, "-o", str(output), "--resume") == 0


def test_features_of_another_network_are_refused_by_name(images: Path, tmp_path: Path, capsys: Capture) -> None:
    output = tmp_path / "v.jsonl"
    one = ir(tmp_path / "one", "pooled", "features")
    main(["convert", str(tmp_path / "one" / "net" / "model.yml"), "-o", str(tmp_path), "--precisions", "FP16", "-q"])
    (other,) = tmp_path.rglob("FP16/*.xml")
    assert extract(one, images / "0.png", "-o", str(output)) == 0
    capsys.readouterr()
    assert extract(other, images, "-o", str(output), "--resume") == 1
    assert "network weight precision FP32, got network weight precision FP16" in capsys.readouterr().err


def test_features_and_classes_of_one_network_are_not_mixed(
    known: Known, images: Path, tmp_path: Path, capsys: Capture
) -> None:
    """The network of another tool, whose output can be read in two ways."""
    network = ov.Core().read_model(known.xml)
    del network.rt_info["ov_mobilenet"]
    plain = tmp_path / "plain.xml"
    ov.save_model(network, plain)
    for first, second in (("features", "classes"), ("classes", "features")):
        output = tmp_path / f"{first}.jsonl"

        def run(kind: str, name: str, *more: str, output: Path = output) -> int:
            return main(
                ["classify", str(plain), str(images / name), "--output-kind", kind, "-o", str(output), *EXACT, *more]
            )

        if run(first, "0.png") != 0:
            assert "does not match" in capsys.readouterr().err
            continue
        before = output.read_bytes()
        assert run(second, "1.png", "--resume") != 0
        assert output.read_bytes() == before


def test_a_complete_file_of_a_multi_label_network_is_resumed(
    labels: Path, images: Path, tmp_path: Path, capsys: Capture
) -> None:
    output = tmp_path / "r.jsonl"
    command = ["classify", str(labels), str(images), "-o", str(output)]
    assert main(command) == 0
    before = output.read_bytes()
    assert main([*command, "--resume"]) == 0
    assert output.read_bytes() == before
    assert main([*command, "--resume", "--threshold", "0.25"]) == 1
    assert "expected minimum probability 0.5, got minimum probability 0.25" in capsys.readouterr().err
    assert main(["classify", str(labels), str(images), str(images / "0.png"), "-o", str(output), "--resume",
                 "-k", "2"]) == 1  # fmt: skip
    assert "expected top-k all, got top-k 2" in capsys.readouterr().err


def test_vectors_of_many_row_groups_and_of_failures_only(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    for count in (0, 5000):
        target = tmp_path / f"{count}.parquet"
        with open_feature_destination(target) as destination:
            sink = destination.sink()
            for number in range(4500):
                sink.put(Failure(f"f{number}", "broken"))
            for number in range(count):
                sink.put(Features(f"v{number}", (float(number), 0.5), Timings()))
            sink.close()
        table = pq.read_table(target)
        assert table.num_rows == 4500 + count
        if count:
            assert table.column("features")[-1].as_py() == [4999.0, 0.5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "x.csv"], "a CSV file cannot hold vectors of features"),
        (["--scores", "all"], "features have no classes: --scores all cannot be used"),
        (["-k", "3"], "features have no classes: --top-k cannot be used"),
        (["--threshold", "0.5"], "features have no classes: --min-probability cannot be used"),
        (["-o", "no/such/folder/x.npz"], "the folder does not exist"),
        (["-o", "x.unknown"], "the suffix does not determine the format"),
    ],
)
def test_what_features_cannot_be(
    options: list[str], message: str, vectors: Path, images: Path, tmp_path: Path, capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert extract(vectors, images, *options) in (1, 2)
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_table_of_features_and_refusals(
    vectors: Path, images: Path, known: Known, tmp_path: Path, capsys: Capture
) -> None:
    assert extract(vectors, images / "2.png") == 0
    line = capsys.readouterr().out
    assert f"2.png  8 values, norm {np.linalg.norm(EXPECTED[2]):.4g}  (" in line
    assert extract(known.xml, images) == 2
    assert "expected features, got classes" in capsys.readouterr().err
    (tmp_path / "names.txt").write_text("a\n")
    assert extract(vectors, images, "--labels", str(tmp_path / "names.txt")) == 2
    assert "--labels cannot be used" in capsys.readouterr().err
    predictions = tmp_path / "results.jsonl"
    assert main(["classify", str(known.xml), str(images / "0.png"), "-o", str(predictions)]) == 0
    before = predictions.read_bytes()
    assert extract(vectors, images, "-o", str(predictions), "--resume") == 2
    assert "the file holds predictions, not features" in capsys.readouterr().err
    assert predictions.read_bytes() == before


def predictions(xml: Path, images: Path, capsys: Capture, *more: str) -> list[dict[int, float]]:
    assert main(["classify", str(xml), str(images), "--format", "jsonl", *EXACT, *more]) == 0
    lines: list[dict[str, Any]] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [{p["class_id"]: p["probability"] for p in line["predictions"]} for line in lines]


def test_the_default_format_of_the_user_is_for_classes(
    vectors: Path, images: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OV_MOBILENET_FORMAT", "csv")
    assert extract(vectors, images / "0.png") == 0
    assert "8 values, norm" in capsys.readouterr().out
    assert extract(vectors, images, "--format", "csv") == 2
    monkeypatch.setenv("OV_MOBILENET_FORMAT", "json")
    assert extract(vectors, images / "0.png") == 0
    assert len(json.loads(capsys.readouterr().out)["results"][0]["features"]) == 8


def test_results_of_another_output_kind_are_not_continued(images: Path, tmp_path: Path, capsys: Capture) -> None:
    output = str(tmp_path / "r.jsonl")
    for content, code in (("logits", 0), ("multilabel-logits", 1)):
        xml = ir(tmp_path / content, "logits", content)
        arguments = [str(xml), str(images / "0.png"), str(images / f"{code}.png"), "-k", "3", "--threshold", "0"]
        assert main(["classify", *arguments, "-o", output, "--resume", *EXACT]) == code
    assert "expected output kind classes, got output kind multilabel" in capsys.readouterr().err


def test_a_multi_label_network_lists_the_classes_above_a_threshold(labels: Path, images: Path, capsys: Capture) -> None:
    logits = np.stack([small.by_hand(frame, softmax=False) for frame in FRAMES])
    expected = 1 / (1 + np.exp(-logits))
    assert len({int((row >= 0.5).sum()) for row in expected}) > 1, "the images have different numbers of classes"
    for least, options in ((0.5, []), (0.9, ["--threshold", "0.9"]), (0.9, ["--min-probability", "0.9"])):
        found = predictions(labels, images, capsys, *options)
        assert [set(row) for row in found] == [set(np.flatnonzero(row >= least).tolist()) for row in expected]
        assert all(abs(p - expected[n, c]) < 1e-4 for n, row in enumerate(found) for c, p in row.items())
    best = predictions(labels, images, capsys, "-k", "1")
    assert [len(row) for row in best] == [int(row.max() >= 0.5) for row in expected]
    assert all(abs(p - expected[n].max()) < 1e-4 for n, row in enumerate(best) for p in row.values())
    everything = predictions(labels, images, capsys, "--scores", "all")
    assert all(len(row) == small.CLASSES for row in everything)
    assert max(sum(row.values()) for row in everything) > 1.1
