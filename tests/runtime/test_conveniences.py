"""Small things of the Python API: results as dictionaries, prepared images, and the log of what really runs."""

from __future__ import annotations

import csv
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from known_network import Known

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main

Capture = pytest.CaptureFixture[str]
F32 = ["-d", "CPU", "--inference-precision", "f32"]


def without_times(record: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in record.items() if key != "timings_ms"}


def test_results_as_dictionaries_are_the_lines_of_classify(known: Known, tmp_path: Path, capsys: Capture) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    files = [*known.files[:2], broken]
    assert main(["classify", str(known.xml), *map(str, files), *F32, "--format", "jsonl", "-q"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    classifier = ovm.load_classifier(known.xml, device="CPU", inference_precision="f32")
    records = [result.to_dict() for result in classifier.classify_batch(files)]
    assert [without_times(record) for record in records] == [without_times(line) for line in lines]
    assert set(records[0]["timings_ms"]) == set(lines[0]["timings_ms"])
    assert json.loads(json.dumps(records)) == records


@pytest.fixture
def dataset(known: Known, tmp_path: Path) -> tuple[Path, Path]:
    """The images of the known network and their annotation file."""
    annotations = tmp_path / "val.csv"
    with annotations.open("w", newline="") as file:
        csv.writer(file).writerows(zip((path.name for path in known.files), known.ranked(0), strict=True))
    return known.files[0].parent, annotations


def test_reports_as_dictionaries_are_the_json_of_the_commands(
    known: Known, dataset: tuple[Path, Path], capsys: Capture
) -> None:
    folder, annotations = dataset
    options = ["--dataset", str(folder), "--annotations", str(annotations), "--format", "json", *F32]
    assert main(["accuracy", str(known.xml), *options]) == 0
    shown = json.loads(capsys.readouterr().out)
    settings = ovm.DeviceSettings(device="CPU", inference_precision="f32")
    report = ovm.measure_accuracy(known.xml, folder, annotations=annotations, settings=settings)
    assert report.to_dict() == shown
    assert report.to_dict()["top1"] == 1.0

    both = [str(known.xml), f"{known.xml}@f32"]
    assert main(["compare", *both, "--time", "0", *options]) == 0
    shown = json.loads(capsys.readouterr().out)
    compared = ovm.compare(both, folder, annotations=annotations, time_s=0, settings=settings)
    assert compared.to_dict() == shown


def test_a_measurement_as_a_dictionary_has_the_keys_of_the_json_report(known: Known, capsys: Capture) -> None:
    command = ["benchmark", str(known.xml), *F32, "--iterations", "3", "--warmup", "0", "--format", "json", "-q"]
    assert main(command) == 0
    (shown,) = json.loads(capsys.readouterr().out)["measurements"]
    measured = ovm.benchmark(known.xml, device="CPU", inference_precision="f32", iterations=3, warmup_s=0)
    record = measured.to_dict()
    assert set(record) == set(shown)
    assert set(record["latency_ms"]) == set(shown["latency_ms"]) >= {"p50", "p90", "p95", "p99"}
    assert (record["device"], record["inference_precision"]) == ("CPU", "f32")
    assert json.loads(json.dumps(record)) == record


def test_images_are_prepared_apart_and_keep_their_keys(known: Known) -> None:
    classifier = ovm.load_classifier(known.xml, device="CPU", inference_precision="f32")
    prepared = [classifier.prepare(path) for path in known.files]
    assert np.array_equal(prepared[0].frame, known.frames[0])
    with ovm.InferQueue[int](classifier, top_k=1, capacity=len(prepared)) as queue:
        for number, image in enumerate(prepared):
            queue.submit_prepared(image, number)
        queue.close()
        answers = dict(queue)
    assert [answers[number].source for number in range(len(answers))] == list(map(str, known.files))
    best = [answer.best.class_id for _, answer in sorted(answers.items()) if isinstance(answer, ovm.Classification)]
    assert best == known.ranked(0)


def test_the_log_tells_what_really_runs(known: Known, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ov_mobilenet")
    classifier = ovm.load_classifier(known.xml, device="AUTO", inference_precision="f32")
    line = f"{known.xml}: compiled for {classifier.device}: inference precision f32, "
    assert line in caplog.text
    assert "AUTO" not in caplog.text
    caplog.clear()
    assert len(classifier.classify_batch(known.files, batch_size=4)) == len(known.files)
    assert line in caplog.text
    assert "batch size 4" in caplog.text


def test_the_log_tells_where_the_files_come_from(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("ov_mobilenet", "ov_mobilenet.resolve"):  # a command in the same process sets the level of both
        caplog.set_level(logging.INFO, name)
    sample = "mobilenet-v1-0.25-128-signs"
    for words in (f"{sample}: not in the cache, converting", "(cached)"):
        caplog.clear()
        ovm.load_classifier(sample, device="CPU", cache_dir=tmp_path, offline=True)
        assert words in caplog.text
        assert "downloading" not in caplog.text  # nothing was
        source = ovm.find_config(sample).folder / "road-signs.onnx"
        assert (f"road-signs.onnx is from {source}" in caplog.text) == (words != "(cached)")
