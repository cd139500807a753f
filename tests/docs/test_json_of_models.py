"""The JSON that the commands on models and images print and write: each document fits its schema."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest
from command_runs import document, lines, run
from json_schemas import check
from known_network import converted
from nncf_for_tests import require_nncf
from small_networks import write_onnx

from ov_mobilenet.bulk_classification.shards import Shard
from ov_mobilenet.conversion.architectures import MobileNetSpec
from ov_mobilenet.diagnosis.layer_combinations import published_combination
from ov_mobilenet.diagnosis.layer_diagnosis import LayerDiagnosis, RankedCombination
from ov_mobilenet.zoo.registry import find_config

SAMPLE = "mobilenet-v1-0.25-128-signs"
SAMPLES = find_config(SAMPLE).folder / "samples"
VIDEO = Path(__file__).resolve().parents[2] / "demos" / "data" / "sample_drive.mp4"
OTHER_SHARDS = (
    Shard(0, "tar", ("a.tar",), size=1),
    Shard(1, "parquet", ("a.parquet",), 1, (0, 2), 3),
    Shard(2, "images", ("a.jpg",), images=1, problems=((0, "no such file"),)),
)
CPU = ("-d", "CPU", "--inference-precision", "f32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a conversion, with the JSON of `convert` in `convert.json`."""
    out = tmp_path_factory.mktemp("converted")
    printed = run("convert", SAMPLE, "-q", "-o", out, "-d", out, "--cache-dir", out / "cache", "--precisions",
                  "FP16,FP32", "--format", "json")  # fmt: skip
    (out / "convert.json").write_text(printed, "utf-8")
    return out


@pytest.fixture(scope="module")
def ir(folder: Path) -> Path:
    return folder / "public" / SAMPLE / "FP32" / f"{SAMPLE}.xml"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample images with their classes, and one that cannot be read."""
    out = tmp_path_factory.mktemp("dataset")
    names = [
        name.replace(" ", "_") for name in (find_config(SAMPLE).folder / "labels.txt").read_text("utf-8").split("\n")
    ]
    rows = []
    for image in sorted(SAMPLES.glob("*.jpg")):
        shutil.copyfile(image, out / image.name)
        # Two classes are exchanged, so that there are wrong predictions.
        label = image.stem.rpartition("_")[0].replace("stop_red", "stop_blue")
        rows.append(f"{image.name} {names.index(label)}\n")
    (out / "broken.jpg").write_bytes(b"no image")
    (out / "val.txt").write_text("".join([*rows, "broken.jpg 0\n"]), "utf-8")
    return out


def test_the_zoo(capsys: pytest.CaptureFixture[str]) -> None:
    check("list", document("list"))
    for line in lines(run("list", "--format", "jsonl")):
        check("list#/$defs/model", line)
    check("list-hub", document("list", "--hub", "*small_0*"))
    check("info", document("info", SAMPLE))
    check("info", document("info", "--all"))


def test_downloads(tmp_path: Path) -> None:
    for options in ((), ("--cache-dir", tmp_path / "empty")):
        events = lines(
            run("download", SAMPLE, "-q", "-o", tmp_path / str(len(options)), "--progress_format", "json", *options)
        )
        assert {event["$type"] for event in events} > {"model_download_begin", "model_file_download_end"}
        for event in events:
            check("download-events", event)


def test_conversions(folder: Path, ir: Path, tmp_path: Path) -> None:
    made = json.loads((folder / "convert.json").read_text("utf-8"))
    assert [row["precision"] for row in made] == ["FP16", "FP32"]
    check("convert", made)
    check("convert", document("convert", SAMPLE, "-q", "-o", tmp_path, "--dry-run"))
    pytest.importorskip("onnxruntime")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.yml").write_text("description: x\n", "utf-8")
    rows = document("convert", SAMPLE, tmp_path / "broken" / "model.yml", "-q", "-o", tmp_path, "-d", folder,
                    "--precisions", "FP32", "--verify", code=1)  # fmt: skip
    assert {"verification" in row for row in rows} == {True, False}
    check("convert", rows)
    check("info", [document("info", ir)])
    check("info-ir", document("info", ir))


def test_results(ir: Path, dataset: Path, tmp_path: Path) -> None:
    check("classify", document("classify", ir, dataset, *CPU, code=1))
    found = lines(run("classify", ir, dataset, VIDEO, "--every", "400", "-k", "2", *CPU, "--format", "jsonl", code=1))
    assert {key for line in found for key in line} == {
        "source",
        "predictions",
        "timings_ms",
        "error",
        "frame",
        "time_s",
    }
    for line in found:
        check("result", line)
    results = tmp_path / "results.jsonl"
    run("classify", ir, SAMPLES, *CPU, "-o", results, "--decode", "fast")
    settings = json.loads((tmp_path / ".results.jsonl.run.json").read_text("utf-8"))
    check("run-settings", settings)
    assert {"top-k", "network weights"} < set(settings)


def test_an_ir_of_the_model_optimizer(tmp_path: Path) -> None:
    image = ops.parameter([1, 3, 32, 32], np.float32, "data")
    image.layout = ov.Layout("NCHW")
    network = ov.Model([ops.reduce_mean(image, np.array([2, 3]))], [image], "net")
    network.set_rt_info("2024.6.0", ["MO_version"])
    network.set_rt_info("data[127.5,127.5,127.5]", ["conversion_parameters", "mean_values"])
    ov.save_model(network, tmp_path / "net.xml")
    facts = document("info", tmp_path / "net.xml", "--no-isolate")
    assert facts["model_optimizer"]["mean_values"] and facts["record"] is None
    check("info-ir", facts)


def test_features(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    network = write_onnx(tmp_path / "net", end="pooled", extra="ov_mobilenet: {output: features}\n")
    xml = converted(network, tmp_path / "out")
    one = document("classify", xml, SAMPLES / "stop_red_01.jpg", "--output-kind", "features", "-d", "CPU")
    assert "features" in one["results"][0]
    check("classify", one)
    check("info-ir", document("info", xml))


def test_accuracy(ir: Path, dataset: Path, tmp_path: Path) -> None:
    report = document("accuracy", ir, "--dataset", dataset, *CPU, "--predictions", tmp_path / "p.jsonl", code=1)
    assert report["failures"] and report["worst_classes"][0]["taken_for"]
    check("accuracy", report)
    for line in lines((tmp_path / "p.jsonl").read_text("utf-8")):
        check("predictions", line)


def test_comparisons(ir: Path, dataset: Path) -> None:
    models = (ir, ir.parents[1] / "FP16" / ir.name, "no-such.xml")
    found = document("compare", *models, "--dataset", dataset, "--time", "0.05", "-d", "CPU", code=1)
    assert [bool(one["error"]) for one in found["models"]] == [False, False, True]
    check("compare", found)


def test_diagnoses(ir: Path, dataset: Path) -> None:
    found = document("diagnose", ir, "--images", dataset, "--limit", "10", code=1)
    assert found["failures"] and found["baked"]
    combination = published_combination(MobileNetSpec(architecture="mobilenet_v2", width=1.0, classes=5))
    layers = LayerDiagnosis(
        combination.settings, combination.settings, (RankedCombination(combination, 0.1, 10, 1.0, True),), "sure",
        0.1, 0.1, 0.01, 0.01,
    )  # fmt: skip
    check("diagnose", found)
    check("diagnose", {**found, "layers": layers.to_dict(), "best": {**found["best"], **layers.best_as_dict()}})


def test_quantisation(ir: Path, dataset: Path, tmp_path: Path) -> None:
    require_nncf()
    made = document("quantize", ir, "--calibration", SAMPLES, "--dataset", dataset, "-o", tmp_path, "-q",
                    "--subset-size", "10", "--fast-bias-correction")  # fmt: skip
    check("quantize", made)
    check("int8-accuracy", json.loads(Path(made["report"]).read_text("utf-8")))
    facts = document("info", made["xml"])
    assert facts["calibration"] and facts["accuracy"]
    check("info-ir", facts)


def test_exports(ir: Path, tmp_path: Path) -> None:
    (tmp_path / "damaged.xml").write_text("<net/>", "utf-8")
    models = ("--name", f"good={ir}", "--name", f"bad={tmp_path / 'damaged.xml'}")
    found = document("export", "ovms", *models, "-o", tmp_path / "ovms", code=1)
    assert sorted("error" in row for row in found) == [False, True]
    check("export-ovms", found)
    baked = document("export", "ovms", ir, "-o", tmp_path / "baked", "--bake-geometry", "-q")
    check("export-ovms", baked)
    uri = ("--storage-uri", "s3://bucket/models")
    check("export-kserve", document("export", "kserve", *models, "-o", tmp_path / "kserve", *uri, code=1))


def test_the_demo_and_the_caches(tmp_path: Path) -> None:
    check("demo", document("demo", "-d", "CPU", "--cache-dir", tmp_path))
    run("download", SAMPLE, "-q", "-o", tmp_path / "out", "--cache-dir", tmp_path)
    run("classify", SAMPLE, SAMPLES / "stop_red_01.jpg", "--cache-dir", tmp_path, "-d", "CPU")
    held = document("cache", "list", "--cache-dir", tmp_path)
    assert {entry["kind"] for entry in held["entries"]} >= {"ir"}
    check("cache-list", held)


def test_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OV_MOBILENET_MIRRORS", "/mnt/zoo")
    check("devices", document("devices"))
    check("env", document("env"))
    check("config-show", document("config", "show"))


def test_bulk(ir: Path, dataset: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    command = ("bulk", ir, dataset, "-o", tmp_path / "out", "--images-per-part", "5", "-d", "CPU")
    check("bulk-plan", document(*command, "--dry-run"))
    assert document(*command, "--dry-run")["runs_on"] == {"engine": "here", "device": "CPU"}
    check("bulk-plan", {**document(*command, "--dry-run"), "runs_on": {
        "engine": "ray", "device": "CPU", "address": "auto", "workers": None, "cpus_per_worker": 1}})  # fmt: skip
    check("bulk", document(*command, "-q", code=1))
    check("bulk-manifest", json.loads((tmp_path / "out" / "_manifest.json").read_text("utf-8")))
    shards = lines((tmp_path / "out" / "_shards.jsonl").read_text("utf-8"))
    assert sum(shard["images"] for shard in shards) == 13
    for shard in [*shards, *(json.loads(one.line()) for one in OTHER_SHARDS)]:
        check("bulk-shards", shard)
