"""`bulk` and `plan_bulk` with the built-in network and its drawings."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_device import FakeClock
from tuning.test_profile import document, written

import ov_mobilenet as ovm
from ov_mobilenet import (
    BulkProgress,
    BulkResult,
    BulkSettings,
    FailedShard,
    Failure,
    OutputError,
    PartFacts,
    RaySettings,
    bulk,
    plan_bulk,
)
from ov_mobilenet.bulk_classification import model_package, preparation, ray_run, run_here
from ov_mobilenet.bulk_classification.model_package import ModelPackage
from ov_mobilenet.bulk_classification.parts import PartWriter
from ov_mobilenet.bulk_classification.run_loop import RunLoop
from ov_mobilenet.bulk_classification.shard_items import ShardReadError, read_items
from ov_mobilenet.cli.main import main
from ov_mobilenet.runtime import runnable

pq = pytest.importorskip("pyarrow.parquet")

ROOT = Path(__file__).resolve().parents[2]
MODEL = "mobilenet-v1-0.25-128-signs"
SAMPLES = ROOT / "model_configs" / MODEL / "samples"
F32: dict[str, Any] = {"device": "CPU", "inference_precision": "f32"}
BY_FIVE = BulkSettings(images_per_part=5)
TIMINGS = {"decode_ms", "geometry_ms", "queue_ms", "inference_ms", "total_ms"}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    assert main(["convert", MODEL, "-o", str(folder), "-d", str(folder), "--precisions", "FP32", "-q"]) == 0
    return folder / "public" / MODEL / "FP32" / f"{MODEL}.xml"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 drawings and, as number 7, a file that is empty."""
    folder = tmp_path_factory.mktemp("inputs") / "images"
    shutil.copytree(SAMPLES, folder)
    (folder / "speed_none.jpg").touch()
    assert sorted(path.name for path in folder.iterdir())[6] == "speed_none.jpg"
    return folder


@dataclass(frozen=True)
class Finished:
    """A finished output, and what its run reported."""

    folder: Path
    result: BulkResult
    progress: list[BulkProgress]
    failures: list[Failure]


@pytest.fixture(scope="module")
def finished(network: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("finished") / "out"
    progress: list[BulkProgress] = []
    failures: list[Failure] = []
    result = bulk(
        network, images, folder, settings=BY_FIVE, on_progress=progress.append, on_failure=failures.append, **F32
    )
    return Finished(folder, result, progress, failures)


@pytest.fixture
def unfinished(finished: Finished, tmp_path: Path) -> Path:
    """A copy of the output with the first of its three parts."""
    folder = tmp_path / "unfinished"
    shutil.copytree(finished.folder, folder)
    for name in ("part-00001.parquet", "part-00002.parquet", "_SUCCESS"):
        (folder / name).unlink()
    return folder


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a part, or of all parts in order."""
    files = sorted(path.glob("part-*.parquet")) if path.is_dir() else [path]
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def sources_of(path: Path) -> list[str]:
    return [Path(row["source"]).name for row in rows_of(path) if row["rank"] in (None, 1)]


def content(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runnable.Runnable, "compile", lambda *_, **__: pytest.fail("the network is compiled"))


def counting(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[Any]:
    """Count the calls of a function."""
    function, calls = getattr(module, name), []

    def call(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        return function(*arguments, **options)

    monkeypatch.setattr(module, name, call)
    return calls


def test_the_rows_are_those_of_classify(network: Path, images: Path, finished: Finished, tmp_path: Path) -> None:
    table = tmp_path / "x.parquet"
    assert main(["classify", str(network), str(images), "-o", str(table), "--inference-precision", "f32", "-q"]) == 1
    wanted, found = rows_of(table), rows_of(finished.folder)
    assert len(wanted) == len(found) == 12 * 5 + 1
    for row, other in zip(wanted, found, strict=True):
        for name in TIMINGS:
            assert (row.pop(name) is None) == (row["error"] is not None) == (other.pop(name) is None)
        # `classify` runs so few images one by one, `bulk` always in batches.
        assert row.pop("probability") == pytest.approx(other.pop("probability"), abs=1e-6)
        assert row == other
    assert [len(rows_of(path)) for path in sorted(finished.folder.glob("part-*"))] == [25, 21, 15]


def test_the_result_has_counts_and_what_it_ran_on(finished: Finished) -> None:
    result = finished.result
    assert (result.manifest.state, result.images_now, result.manifest.errors) == ("complete", 13, 1)
    assert [part.images for part in result.manifest.parts] == [5, 5, 3]
    assert result.manifest.ran_on == ({"device": "CPU", "inference_precision": "f32", "parts": 3},)
    assert result.images_per_second == pytest.approx(13 / result.seconds)
    assert (finished.folder / "_SUCCESS").exists()


def test_progress_and_failures_are_reported(images: Path, finished: Finished) -> None:
    seen = finished.progress
    assert [(failure.source, failure.error) for failure in finished.failures] == [
        (str(images / "speed_none.jpg"), "the file is empty")
    ]
    assert seen[0] == BulkProgress(0, 3, 0, 13, 0, 0)
    assert seen[-1] == BulkProgress(3, 3, 13, 13, 13, 1)
    assert sorted({now.images for now in seen}) == list(range(14))
    assert [now.images for now in seen] == sorted(now.images for now in seen)
    assert {now.images for now in seen if now.parts == 1} == {5, 6, 7, 8, 9, 10}


def test_a_finished_output_is_recognised_without_compiling(
    network: Path, images: Path, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = sorted(finished.folder.glob("part-*"))
    before = [path.stat() for path in parts]
    opened = counting(monkeypatch, preparation, "open_model")
    no_compiler(monkeypatch)
    again = bulk(network, images, finished.folder, settings=BY_FIVE, **F32)
    assert again.manifest.state == "complete"
    assert again.manifest.parts == finished.result.manifest.parts
    assert (again.images_now, again.images_per_second, again.failed_shards) == (0, None, ())
    assert len(opened) == 1
    assert [path.stat() for path in parts] == before


def test_the_model_is_opened_once(network: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = counting(monkeypatch, preparation, "open_model")
    read = counting(monkeypatch, model_package, "open_ir")
    bulk(network, images, tmp_path / "out")
    assert (len(opened), len(read)) == (1, 0)


def failing_part(monkeypatch: pytest.MonkeyPatch, index: int, error: BaseException) -> None:
    """The part of this index cannot be written."""
    close = PartWriter.close

    def fail(writer: PartWriter) -> PartFacts:
        if writer.shard.index == index:
            raise error
        return close(writer)

    monkeypatch.setattr(PartWriter, "close", fail)


@pytest.mark.parametrize("error", [OutputError("the disk is full"), KeyboardInterrupt()], ids=["full", "Ctrl-C"])
def test_a_run_that_ended_early_is_resumed(
    error: BaseException, network: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        failing_part(patch, 1, error)
        with pytest.raises(type(error)):
            bulk(network, images, out, settings=BY_FIVE)
    assert sources_of(out) == sorted(path.name for path in images.iterdir())[:5]
    document = json.loads((out / "_manifest.json").read_text())
    assert (document["state"], document["images"], len(document["parts"])) == ("incomplete", 5, 1)
    assert not (out / "_SUCCESS").exists()
    first = (out / "part-00000.parquet").stat()
    seen: list[BulkProgress] = []
    result = bulk(network, images, out, settings=BY_FIVE, on_progress=seen.append)
    assert (result.images_now, result.manifest.images, result.manifest.state) == (8, 13, "complete")
    assert seen[0] == BulkProgress(1, 3, 5, 13, 0, 0)
    assert sources_of(out) == sorted(path.name for path in images.iterdir())
    assert (out / "part-00000.parquet").stat() == first


def test_an_error_while_the_manifest_is_saved_does_not_hide_the_first_one(
    network: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failing_part(monkeypatch, 0, OutputError("the disk is full"))

    def on_progress(now: BulkProgress) -> None:
        monkeypatch.setattr(
            "ov_mobilenet.bulk_classification.output_state.OutputState.save", lambda state: _raise(OutputError("again"))
        )

    with pytest.raises(OutputError, match="the disk is full"):
        bulk(network, images, tmp_path / "out", settings=BY_FIVE, on_progress=on_progress)
    assert "again" in caplog.text


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    "change",
    [
        {"settings": BulkSettings(images_per_part=4)},
        {"settings": BulkSettings(images_per_part=5, top_k=4)},
        {"settings": BulkSettings(images_per_part=5, min_probability=0.1)},
        {"settings": BulkSettings(images_per_part=5, geometry="resize 128")},
        {"settings": BulkSettings(images_per_part=5, decode="exact")},
        {"settings": BulkSettings(images_per_part=5, labels=tuple("abcdefghijklmnop"))},
        {"settings": BulkSettings(images_per_part=5, source_column="name")},
        {"inference_precision": None},
        {"inference_precision": None, "properties": (("INFERENCE_PRECISION_HINT", "bf16"),)},
    ],
    ids=lambda change: "-".join(change),
)
def test_other_settings_are_refused_before_anything_is_compiled(
    change: dict[str, Any], network: Path, images: Path, unfinished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(unfinished)
    no_compiler(monkeypatch)
    with pytest.raises(OutputError, match="other settings"):
        bulk(network, images, unfinished, **{"settings": BY_FIVE, **F32, **change})
    assert content(unfinished) == before


@pytest.mark.parametrize(
    "same",
    [
        {"settings": BulkSettings(images_per_part=5, top_k=5, max_errors=9)},
        {"device": "AUTO"},
        {"streams": 1},
        {"inference_precision": None, "properties": (("INFERENCE_PRECISION_HINT", "f32"),)},
    ],
    ids=lambda same: "-".join(same),
)
def test_what_does_not_change_rows_may_differ(
    same: dict[str, Any], network: Path, images: Path, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_compiler(monkeypatch)
    assert bulk(network, images, finished.folder, **{"settings": BY_FIVE, **F32, **same}).images_now == 0


def test_a_plan_changes_nothing(
    network: Path, images: Path, unfinished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_compiler(monkeypatch)
    plan = plan_bulk(network, images, tmp_path / "new", settings=BY_FIVE)
    assert (plan.state, plan.inputs.parts, plan.inputs.images, plan.parts) == ("incomplete", 3, 13, ())
    assert not (tmp_path / "new").exists()
    before = content(unfinished)
    plan = plan_bulk(network, images, unfinished, settings=BY_FIVE, **F32)
    assert (plan.state, [part.name for part in plan.parts], plan.images) == ("incomplete", ["part-00000.parquet"], 5)
    assert content(unfinished) == before
    with pytest.raises(OutputError, match="other settings"):
        plan_bulk(network, images, unfinished, **F32)
    assert content(unfinished) == before


def test_max_errors_ends_the_run_at_once_and_it_can_be_resumed(network: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    images = shutil.copytree(images, tmp_path / "images")
    (images / "n.jpg").write_bytes(b"no image")  # number 2

    def settings(max_errors: int) -> BulkSettings:
        return BulkSettings(images_per_part=5, max_errors=max_errors)

    seen: list[BulkProgress] = []
    with pytest.raises(
        ovm.ImageError, match=r"expected at most 1, got 2, the last one .*speed_none\.jpg: the file is empty"
    ):
        bulk(network, images, out, settings=settings(1), on_progress=seen.append)
    # The second failed image is the last of 8 that were counted.
    assert (seen[-1].images, seen[-1].errors) == (7, 1)
    assert [path.name for path in sorted(out.glob("part-*"))] == ["part-00000.parquet"]
    with pytest.raises(ovm.ImageError, match="expected at most 0, got 1"):  # of the earlier part
        bulk(network, images, out, settings=settings(0))
    result = bulk(network, images, out, settings=settings(2))
    assert (result.manifest.errors, result.manifest.state, result.images_now) == (2, "complete", 9)


def test_a_shard_that_cannot_be_read_is_reported_and_done_by_the_next_run(
    network: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, out = read_items, tmp_path / "out"

    def lose_the_connection(shard: Any, settings: BulkSettings) -> Iterator[Any]:
        for number, item in enumerate(read(shard, settings)):
            if shard.index == 1 and number == 3:
                raise ShardReadError("connection lost\nby the server")
            yield item

    seen: list[BulkProgress] = []
    with monkeypatch.context() as patch:
        patch.setattr(run_here, "read_items", lose_the_connection)
        patch.setattr(run_here, "FIRST_PAUSE_S", 0.0)
        # One failed image is in the shard that is begun five times: it counts once.
        settings = BulkSettings(images_per_part=5, max_errors=1)
        result = bulk(network, images, out, settings=settings, on_progress=seen.append)
    (failed,) = result.failed_shards
    assert (failed.index, failed.part, failed.again) == (1, "part-00001.parquet", False)
    assert failed.reason == "connection lost\\nby the server"
    assert failed.source == str(sorted(images.iterdir())[5])
    assert (result.manifest.state, result.manifest.images, result.images_now) == ("incomplete", 8, 8)
    assert (seen[-1].images, seen[-1].errors, seen[-1].failed_parts) == (8, 0, 1)
    assert not (out / "_SUCCESS").exists()
    assert bulk(network, images, out, settings=BY_FIVE).manifest.state == "complete"
    assert sources_of(out) == sorted(path.name for path in images.iterdir())


def test_both_engines_give_their_parts_to_the_same_loop(
    network: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster in one function: parts in any order, an attempt that fails, a shard that fails."""
    out, packages = tmp_path / "out", []
    (tmp_path / "labels.txt").write_text("\n".join("abcdefghijklmnop"))

    def cluster(package: ModelPackage, places: Any, output: str, run: Any, ray: RaySettings) -> Iterator[Any]:
        assert (output, ray.workers, [place.index for place in places]) == (str(out), 3, [0, 1, 2])
        packages.append(package)
        (tmp_path / "worker").mkdir()
        classifier = package.load(tmp_path / "worker", 1)
        shutil.rmtree(tmp_path / "worker")

        def run_one(index: int) -> Any:
            shard = state_shards[index]

            def part(shard: Any) -> PartWriter:
                return PartWriter(run_here_store, shard, run, classifier.device, "f32")

            (ended,) = run_here.run_shards(classifier, [shard], package.settings, part, workers=1)
            return ended

        from ov_mobilenet.bulk_classification.shards import parse_shard
        from ov_mobilenet.bulk_classification.stores import open_store

        run_here_store = open_store(output)
        state_shards = [
            parse_shard(run_here_store.read("_shards.jsonl", place.offset, place.length)) for place in places
        ]
        again = FailedShard(index=1, part="part-00001.parquet", shard="x", source="s", reason="r", again=True)
        yield run_one(2)
        yield again
        yield run_one(0)
        yield FailedShard(index=1, part="part-00001.parquet", shard="x", source="s", reason="worker killed")

    monkeypatch.setattr(ray_run, "run_on_ray", cluster)
    monkeypatch.setattr(preparation, "find_spec", lambda name: name)
    settings = BulkSettings(images_per_part=5, labels=tmp_path / "labels.txt")
    seen: list[BulkProgress] = []
    result = bulk(
        network, images, out, settings=settings, ray=RaySettings("local", 3), on_progress=seen.append, device="CPU"
    )
    assert packages[0].settings.labels == tuple("abcdefghijklmnop")  # a worker may not have the file
    assert [failed.reason for failed in result.failed_shards] == ["worker killed"]
    assert [now.images for now in seen] == [0, 3, 3, 8, 8]
    assert (result.manifest.state, result.manifest.images) == ("incomplete", 8)
    assert {row["label"] for row in rows_of(out)} <= {*"abcdefghijklmnop", None}
    monkeypatch.undo()
    result = bulk(network, images, out, settings=settings, device="CPU")  # an output may change its engine
    assert (result.manifest.state, result.images_now) == ("complete", 5)
    assert sources_of(out) == sorted(path.name for path in images.iterdir())


@pytest.mark.parametrize(
    ("missing", "options", "extra"),
    [("pyarrow", {}, "parquet"), ("pyarrow", {"ray": RaySettings()}, "bulk"), ("ray", {"ray": RaySettings()}, "bulk")],
)
def test_a_missing_package_is_an_error_before_any_work(
    missing: str, options: dict[str, Any], extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation, "find_spec", lambda name: None if name == missing else name)
    with pytest.raises(ovm.MissingDependencyError, match=rf"bulk needs {missing}, .*\[{extra}\]"):
        bulk("no-such-model", "no-such-image.jpg", tmp_path / "out", **options)
    assert not list(tmp_path.iterdir())


def test_a_network_without_a_classifier_is_refused(tmp_path: Path, images: Path) -> None:
    pytest.importorskip("onnx")
    from known_network import converted
    from small_networks import write_onnx

    features = converted(write_onnx(tmp_path / "features", end="pooled"), tmp_path / "converted")
    with pytest.raises(ovm.UsageError, match="the network has no classifier"):
        bulk(features, images, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_profile_gives_the_device_settings(
    network: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned = document(network)  # f32, two images per request
    result = bulk(network, images, tmp_path / "out", profile=written(tmp_path, tuned))
    assert result.manifest.settings["inference precision"] == "f32"
    assert result.manifest.ran_on[0]["inference_precision"] == "f32"
    no_compiler(monkeypatch)
    tuned["model"]["identity"]["weights"] = "0" * 16
    with pytest.raises(ovm.ConfigError, match="the profile was created for another network; different weights"):
        bulk(network, images, tmp_path / "other", profile=written(tmp_path, tuned))
    with pytest.raises(ovm.UsageError, match="device settings are given twice"):
        bulk(network, images, tmp_path / "other", profile=written(tmp_path, tuned), device="CPU")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(("save_s", "saved_at"), [(0.0, [30, 60, 90, 95]), (1.0, [30, 81, 97])])
def test_the_manifest_is_saved_every_30_s_but_never_for_more_than_a_fiftieth_of_the_time(
    save_s: float, saved_at: list[float]
) -> None:
    clock = FakeClock()
    saved: list[float] = []

    def save() -> None:
        saved.append(clock())
        clock.advance_to(clock() + save_s)

    state: Any = SimpleNamespace(store=SimpleNamespace(text=""), done={}, failed=[], add=lambda facts: None, save=save)

    def engine() -> Iterator[PartFacts]:
        for number in range(95):
            clock.advance_to(clock() + 1)
            yield PartFacts(name=str(number), shard="", images=1, errors=0)

    RunLoop(state, clock=clock).run(engine())
    assert saved == saved_at


def test_parts_that_a_pattern_for_inputs_matches_are_no_inputs(network: Path, images: Path, tmp_path: Path) -> None:
    """OUT is below the folder of the inputs, so a resumed run finds its own parts."""
    import pyarrow as pa

    data, out = tmp_path / "data", tmp_path / "data" / "out"
    data.mkdir()
    table = pa.table({"image": [path.read_bytes() for path in sorted(images.iterdir())[:6]]})
    pq.write_table(table, data / "part-00000.parquet", row_group_size=3)
    pattern, by_three = str(data / "**" / "*.parquet"), BulkSettings(images_per_part=3)
    first = bulk(network, pattern, out, settings=by_three, **F32)
    before = rows_of(out)
    assert first.images_now == 6
    assert bulk(network, pattern, out, settings=by_three, **F32).images_now == 0
    (out / "part-00001.parquet").unlink()
    assert bulk(network, pattern, out, settings=by_three, **F32).images_now == 3
    assert [row["source"] for row in rows_of(out)] == [row["source"] for row in before]
    # In another output they are what they are: Parquet files without images.
    with pytest.raises(ovm.UsageError, match="no column with images"):
        bulk(network, pattern, tmp_path / "other", settings=by_three, **F32)
