"""Which parts of an output are done, what is refused, and what a run writes and deletes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bulk_output_cases import RUN, SHARDS, content, opened, with_settings, write_output, write_part

from ov_mobilenet.bulk_classification.output_differences import BulkIdentity, shard_difference
from ov_mobilenet.bulk_classification.output_state import OutputState
from ov_mobilenet.bulk_classification.shards import Shard, failed_shard, parse_shard
from ov_mobilenet.errors import OutputError

pq = pytest.importorskip("pyarrow.parquet")

NAMES = [f"part-0000{index}.parquet" for index in range(4)]
ALL = sorted([*NAMES, "_SUCCESS", "_manifest.json", "_shards.jsonl"])
OTHER_MODEL = replace(RUN, model="other", model_digest="b" * 64, settings={**RUN.settings, "network weights": "5678"})


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def pending(state: OutputState) -> list[int]:
    return [place.index for place in state.pending]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "_manifest.json").read_bytes())
    return found


def test_a_new_output_has_its_manifest_and_list_of_shards_before_the_first_part(tmp_path: Path) -> None:
    with opened(tmp_path / "out") as state:
        assert pending(state) == [0, 1, 2, 3]
        written = content(tmp_path / "out")
        shards = [parse_shard(line) for line in written["_shards.jsonl"].splitlines()]
        assert tuple(shards) == SHARDS
        line = state.store.read("_shards.jsonl", state.pending[2].offset, state.pending[2].length)
        assert parse_shard(line) == SHARDS[2]
    assert names(tmp_path / "out") == ["_manifest.json", "_shards.jsonl"]
    found = manifest(tmp_path / "out")
    assert (found["state"], found["parts"], found["inputs"]["parts"], found["inputs"]["images"]) == (
        "incomplete", [], 4, 8,
    )  # fmt: skip


def test_a_complete_output_is_only_read(tmp_path: Path) -> None:
    write_output(tmp_path)
    assert names(tmp_path) == ALL
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    with opened(tmp_path) as state:
        assert pending(state) == []
        assert state.manifest().encode() == (tmp_path / "_manifest.json").read_bytes()
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_a_killed_run_is_resumed_with_the_parts_that_the_manifest_does_not_have(tmp_path: Path) -> None:
    write_output(tmp_path, (0, 1, 3), recorded=lambda index: index == 0)
    assert [part["name"] for part in manifest(tmp_path)["parts"]] == NAMES[:1]
    with opened(tmp_path) as state:
        assert pending(state) == [2]
        assert (state.done[NAMES[1]].images, state.done[NAMES[1]].errors) == (2, 1)
        assert [part["name"] for part in manifest(tmp_path)["parts"]] == [NAMES[0], NAMES[1], NAMES[3]]
        state.add(write_part(state, 2))
        state.save()
    assert names(tmp_path) == ALL
    found = manifest(tmp_path)
    assert [part["name"] for part in found["parts"]] == NAMES
    assert (found["state"], found["images"], found["errors"]) == ("complete", 8, 1)


def test_a_run_killed_between_its_last_part_and_success_is_completed(tmp_path: Path) -> None:
    write_output(tmp_path, recorded=lambda index: index < 3)
    assert not (tmp_path / "_SUCCESS").exists()
    with opened(tmp_path, dry_run=True) as state:
        assert pending(state) == []
        assert state.manifest().state == "complete"
    assert not (tmp_path / "_SUCCESS").exists()
    with opened(tmp_path) as state:
        assert pending(state) == []
    assert names(tmp_path) == ALL
    assert manifest(tmp_path)["state"] == "complete"
    (tmp_path / "_SUCCESS").unlink()
    with opened(tmp_path):
        assert (tmp_path / "_SUCCESS").exists()


def test_damaged_and_missing_parts_are_done_again_and_success_is_removed_first(tmp_path: Path) -> None:
    write_output(tmp_path)
    (tmp_path / NAMES[1]).write_bytes((tmp_path / NAMES[1]).read_bytes()[:-1])
    (tmp_path / NAMES[2]).unlink()
    with opened(tmp_path) as state:
        assert pending(state) == [1, 2]
        assert not (tmp_path / "_SUCCESS").exists()
        assert manifest(tmp_path)["state"] == "incomplete"


def test_parts_of_other_shards_and_other_settings_are_done_again(tmp_path: Path) -> None:
    write_output(tmp_path / "out", ())
    with opened(tmp_path / "other", run=with_settings(top_k="3")) as state:
        write_part(state, 0)
    shutil.copy(tmp_path / "other" / NAMES[0], tmp_path / "out")  # the same shard with other settings
    write_output(tmp_path / "same")
    shutil.copy(tmp_path / "same" / NAMES[1], tmp_path / "out" / NAMES[2])  # the part of another shard
    shutil.copy(tmp_path / "same" / NAMES[3], tmp_path / "out")
    with opened(tmp_path / "out") as state:
        assert pending(state) == [0, 1, 2]


def test_a_part_of_another_size_than_recorded_is_done_if_its_footer_says_so(tmp_path: Path) -> None:
    """Two runs into one bucket: the part is of one of them, the manifest of the other."""
    write_output(tmp_path)
    found = manifest(tmp_path)
    found["parts"][0]["bytes"] += 7
    (tmp_path / "_manifest.json").write_text(json.dumps(found))
    with opened(tmp_path) as state:
        assert pending(state) == []
    assert manifest(tmp_path)["parts"][0]["bytes"] == (tmp_path / NAMES[0]).stat().st_size


@pytest.mark.parametrize(
    ("run", "shards", "recorded", "given"),
    [
        (OTHER_MODEL, SHARDS, "model mobilenet (aaaaaaaaaaaa)", "model other (bbbbbbbbbbbb)"),
        (with_settings(top_k="3", geometry="resize 9"), SHARDS, "top-k 5, geometry resize 8",
         "top-k 3, geometry resize 9"),
        (RUN, SHARDS[:3], "8 images in 4 parts, part-00003.parquet from in/3-0",
         "6 images in 3 parts, no part-00003.parquet"),
        (RUN, (*SHARDS, Shard(4, "tar", ("a.tar",), size=5)), "8 images in 4 parts, no part-00004.parquet",
         "5 parts, part-00004.parquet from a.tar"),
        (RUN, (*SHARDS[:3], replace(SHARDS[3], paths=("in/3-0.png", "in/new.png"))),
         "8 images in 4 parts, image 1 of part-00003.parquet from in/3-0x", "8 images in 4 parts, in/3-0.png"),
        (with_settings(images_per_part="1"), (SHARDS[0], replace(SHARDS[1], paths=(SHARDS[1].paths[0], "in/new.png"))),
         "images-per-part not set, 8 images in 4 parts, image 2 of part-00001.parquet from in/1-1",
         "images-per-part 1, 4 images in 2 parts, in/new.png"),
    ],
)  # fmt: skip
def test_another_model_settings_or_inputs_are_refused_with_each_difference(
    run: BulkIdentity, shards: tuple[Shard, ...], recorded: str, given: str, tmp_path: Path
) -> None:
    write_output(tmp_path, (0, 1))
    before = content(tmp_path)
    for dry_run in (True, False):
        with pytest.raises(OutputError) as caught:
            opened(tmp_path, shards, run, dry_run=dry_run)
        error = caught.value
        assert (error.expected or "").startswith(recorded)
        assert (error.got or "").startswith(given)
        assert "network weights" not in str(error)
        assert "or delete its parts and start again with --overwrite" in str(error)
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("recorded", "given", "words"),
    [
        (Shard(0, "tar", ("a.tar",), 100), Shard(0, "tar", ("a.tar",), 120), ("a.tar with bytes 100", "bytes 120")),
        (Shard(0, "parquet", ("a",), 9, (0, 2), 5), Shard(0, "parquet", ("a",), 9, (0, 3), 5),
         ("a with row groups (0, 2)", "row groups (0, 3)")),
        (Shard(7, "images", ("a", "b"), images=2), Shard(7, "images", ("a",), images=1),
         ("2 images in part-00007.parquet", "1")),
        (Shard(0, "tar", ("b.tar",)), Shard(0, "tar", ("c.tar",)), ("part-00000.parquet from b.tar", "c.tar")),
        (Shard(0, "images", ("x" * 5000,)), None, (f"part-00000.parquet from …{'x' * 200}", "no part-00000.parquet")),
    ],
)  # fmt: skip
def test_differences_of_a_shard_in_words(recorded: Shard, given: Shard | None, words: tuple[str, str]) -> None:
    assert shard_difference(recorded, given) == words


def test_other_inputs_are_refused_without_the_list_of_shards_too(tmp_path: Path) -> None:
    write_output(tmp_path, (0,))
    (tmp_path / "_shards.jsonl").unlink()
    with pytest.raises(OutputError, match="expected 8 images in 4 parts, got 2 images in 1 part. Use"):
        opened(tmp_path, SHARDS[:1])


def test_relative_inputs_from_another_folder_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    relative, absolute = (Shard(0, "images", (path,), images=1) for path in ("1.jpg", "/photos/1.jpg"))
    for name, shard in (("out", relative), ("out2", absolute)):
        monkeypatch.chdir(tmp_path / "a")
        write_output(tmp_path / name, (), [shard])
        monkeypatch.chdir(tmp_path / "b")
        if shard is absolute:
            opened(tmp_path / name, [shard]).__exit__(None, None, None)
        else:
            with pytest.raises(
                OutputError, match=f"expected paths from the folder {tmp_path}/a, got from {tmp_path}/b"
            ):
                opened(tmp_path / name, [shard])


@pytest.mark.parametrize("damaged", [None, b"", b"{}\n" * 4])
def test_a_list_of_shards_that_is_not_of_this_run_is_written_again(damaged: bytes | None, tmp_path: Path) -> None:
    write_output(tmp_path, (0,))
    path = tmp_path / "_shards.jsonl"
    whole = path.read_bytes()
    path.unlink()
    if damaged is not None:
        path.write_bytes(damaged.ljust(len(whole)))
    with opened(tmp_path):
        assert path.read_bytes() == whole


@pytest.mark.parametrize("name", ["data.parquet", "part-00004.parquet", "part-1.parquet", "_metadata", "sub/x.png"])
def test_other_files_are_refused_and_kept_by_overwrite(name: str, tmp_path: Path) -> None:
    write_output(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"precious")
    (tmp_path / ".hidden").write_bytes(b"left alone")
    with pytest.raises(OutputError, match=f"files that are not of this run.* got {name.replace('x.png', '')}"):
        opened(tmp_path)
    with opened(tmp_path, SHARDS[:1], with_settings(top_k="9"), overwrite=True) as state:
        assert pending(state) == [0]
    is_part = name == "part-00004.parquet"
    kept = {"_manifest.json", "_shards.jsonl", ".hidden", *(() if is_part else (name.split("/")[0],))}
    assert set(names(tmp_path)) == kept


def test_a_run_beside_files_that_overwrite_has_kept_is_resumed(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"precious")
    with opened(tmp_path, overwrite=True) as state:
        state.add(write_part(state, 0))
        state.save()
    with opened(tmp_path) as state:
        assert pending(state) == [1, 2, 3]
        state.save()
    with opened(tmp_path) as state:
        assert pending(state) == [1, 2, 3]
    with pytest.raises(OutputError, match="other settings"):
        opened(tmp_path, run=with_settings(top_k="9"))
    assert (tmp_path / "notes.txt").read_bytes() == b"precious"


@pytest.mark.parametrize("dry_run", [False, True])
def test_overwrite_does_not_delete_inputs_with_the_name_of_a_part(dry_run: bool, tmp_path: Path) -> None:
    path = tmp_path / "part-00000.parquet"
    path.write_bytes(b"images")
    (tmp_path / "link").symlink_to(tmp_path)
    for spelling in (path, tmp_path / "link" / path.name):
        shard = Shard(0, "parquet", (str(spelling),), size=6, row_groups=(0, 1), images=1)
        with pytest.raises(OutputError, match=r"part-00000\.parquet: an input is in the output"):
            opened(tmp_path, (shard,), overwrite=True, dry_run=dry_run)
    assert path.read_bytes() == b"images"


def test_overwrite_deletes_parts_with_the_names_of_inputs_in_another_folder(tmp_path: Path) -> None:
    write_output(tmp_path / "out")
    shard = Shard(0, "parquet", (str(tmp_path / "part-00000.parquet"),), size=6, row_groups=(0, 1), images=1)
    with opened(tmp_path / "out", (shard,), overwrite=True) as state:
        assert pending(state) == [0]


def test_a_folder_with_other_files_is_not_touched(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.jpg").write_bytes(b"x")
    with pytest.raises(OutputError, match=r"got 0\.jpg, 1\.jpg, 2\.jpg and 2 more\. Select an empty or new output"):
        opened(tmp_path)
    assert names(tmp_path) == [f"{number}.jpg" for number in range(5)]


def test_overwrite_deletes_a_finished_output_of_another_run(tmp_path: Path) -> None:
    write_output(tmp_path)
    (tmp_path / "_manifest.json").write_bytes(b"damaged")
    with pytest.raises(OutputError, match="the manifest is damaged"):
        opened(tmp_path)
    with opened(tmp_path, overwrite=True, dry_run=True) as state:
        assert pending(state) == [0, 1, 2, 3]
    assert names(tmp_path) == ALL
    with opened(tmp_path, overwrite=True) as state:
        assert pending(state) == [0, 1, 2, 3]
    assert names(tmp_path) == ["_manifest.json", "_shards.jsonl"]


def test_without_a_manifest_only_parts_of_this_run_are_taken(tmp_path: Path) -> None:
    write_output(tmp_path, (0, 2))
    (tmp_path / "_manifest.json").unlink()
    with pytest.raises(OutputError, match=r"part-00000.parquet: .* expected top-k 5, got top-k 3"):
        opened(tmp_path, run=with_settings(top_k="3"))
    with pytest.raises(OutputError, match=r"part-00000.parquet: .* expected the images of this part, got others"):
        opened(tmp_path, (replace(SHARDS[0], paths=("new.png",)), *SHARDS[1:]))
    (tmp_path / NAMES[1]).write_bytes(b"of another program")
    with pytest.raises(OutputError, match=r"part-00001.parquet: .* got a file that is not a part, or a damaged one"):
        opened(tmp_path)
    (tmp_path / NAMES[1]).unlink()
    assert "_manifest.json" not in names(tmp_path)
    with opened(tmp_path) as state:
        assert pending(state) == [1, 3]


def test_a_dry_run_needs_no_lock_and_changes_nothing(tmp_path: Path) -> None:
    with opened(tmp_path / "new" / "out", dry_run=True) as state:
        assert pending(state) == [0, 1, 2, 3]
    assert not (tmp_path / "new").exists()
    with opened(tmp_path / "out") as running:
        write_part(running, 0)
        with opened(tmp_path / "out", dry_run=True) as state:
            assert pending(state) == [1, 2, 3]
        with pytest.raises(OutputError, match="another run is writing to this folder"):
            opened(tmp_path / "out")
    assert names(tmp_path / "out") == ["_manifest.json", "_shards.jsonl", NAMES[0]]


def test_times_and_throughput_are_recorded(tmp_path: Path) -> None:
    clock = Clock()
    with opened(tmp_path, clock=clock) as state:
        assert (manifest(tmp_path)["started"], manifest(tmp_path)["images_per_second"]) == (
            "2023-11-14T22:13:20Z",
            None,
        )
        clock.now += 8
        state.add(write_part(state, 0))
        state.add(write_part(state, 1))
        state.save()
    found = manifest(tmp_path)
    assert (found["started"], found["saved"]) == ("2023-11-14T22:13:20Z", "2023-11-14T22:13:28Z")
    assert found["images_per_second"] == 0.5
    clock.now += 3600
    with opened(tmp_path, clock=clock) as state:
        clock.now += 1
        state.add(write_part(state, 2))
        state.save()
    found = manifest(tmp_path)
    assert (found["started"], found["saved"]) == ("2023-11-14T22:13:20Z", "2023-11-14T23:13:29Z")
    assert found["images_per_second"] == 2


def test_failed_shards_stand_in_the_manifest_until_the_next_run(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        for index in (0, 1, 3):
            state.add(write_part(state, index))
        state.add_failed(failed_shard(SHARDS[2], "the connection was lost"))
        state.save()
    assert not (tmp_path / "_SUCCESS").exists()
    assert manifest(tmp_path)["failed_parts"] == [
        {"index": 2, "part": NAMES[2], "shard": SHARDS[2].digest, "source": SHARDS[2].paths[0],
         "reason": "the connection was lost"},
    ]  # fmt: skip
    with opened(tmp_path) as state:
        assert pending(state) == [2]
        state.add(write_part(state, 2))
        state.save()
    assert manifest(tmp_path)["failed_parts"] == []
    assert names(tmp_path) == ALL


def test_other_versions_are_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_output(tmp_path, (0,))
    found = manifest(tmp_path)
    found["versions"]["openvino"] = "2024.6.0"
    (tmp_path / "_manifest.json").write_text(json.dumps(found))
    with opened(tmp_path):
        assert "made with other versions, the results may differ: openvino 2024.6.0, now openvino " in caplog.text


def test_parts_of_many_shards_are_in_the_order_of_their_shards(tmp_path: Path) -> None:
    shards = tuple(Shard(index, "images", (f"{index}.png",), images=1) for index in (99998, 99999, 100000))
    write_output(tmp_path, range(3), shards)
    order = ["part-99998.parquet", "part-99999.parquet", "part-100000.parquet"]
    assert [part["name"] for part in manifest(tmp_path)["parts"]] == order
    with opened(tmp_path, shards) as state:
        assert pending(state) == []
