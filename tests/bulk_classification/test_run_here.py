"""Shards on this machine, on a simulated device: every image is in its own part, or the part is not there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fake_classifier import CLASSES, classifier, frame
from fake_device import Behaviour

from ov_mobilenet.bulk_classification import run_here as module
from ov_mobilenet.bulk_classification.failed_shards import FailedShard
from ov_mobilenet.bulk_classification.parts import PartFacts, PartWriter
from ov_mobilenet.bulk_classification.run_here import run_here, run_shards
from ov_mobilenet.bulk_classification.settings import BulkSettings
from ov_mobilenet.bulk_classification.shard_items import ShardReadError
from ov_mobilenet.bulk_classification.shard_list import ShardPlace
from ov_mobilenet.bulk_classification.shards import Shard
from ov_mobilenet.bulk_classification.stores import LocalFolder
from ov_mobilenet.errors import DeviceError, ImageError
from ov_mobilenet.runtime.items import Item

pq = pytest.importorskip("pyarrow.parquet")

SETTINGS = BulkSettings(top_k=1)


class Sources:
    """Shards of frames; shard 3 with 2 images has the sources 3/0 and 3/1, whose classes are known.

    Attributes:
        broken: shard index to (number of images before the connection is lost, number of attempts that lose it).
        attempts: how often each shard was begun.
        open: number of shards that are open now.
    """

    def __init__(self, counts: list[int], broken: dict[int, tuple[int, int]] | None = None) -> None:
        self.counts = counts
        self.broken = broken or {}
        self.attempts = [0] * len(counts)
        self.open = 0
        self.places = [ShardPlace(index, 0, 0, "") for index in range(len(counts))]

    def shard(self, place: ShardPlace) -> Shard:
        return Shard(place.index, "images", (f"{place.index}/0",))

    def read(self, shard: Shard, settings: BulkSettings) -> Iterator[Item]:
        self.attempts[shard.index] += 1
        self.open += 1
        try:
            yield from self._items(shard)
        finally:
            self.open -= 1

    def _items(self, shard: Shard) -> Iterator[Item]:
        after, times = self.broken.get(shard.index, (0, 0))
        for number in range(self.counts[shard.index]):
            if number == after and self.attempts[shard.index] <= times:
                raise ShardReadError("connection lost")
            source = f"{shard.index}/{number}"
            if number == 5:
                yield Item(ImageError("the file is empty"), source)
            else:
                yield Item(frame(mark_of(source)), source)


def mark_of(source: str) -> int:
    shard, number = map(int, source.split("/"))
    return (3 * shard + number) % CLASSES


def use(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> Sources:
    monkeypatch.setattr(module, "read_items", sources.read)
    return sources


def part_opener(folder: Path) -> Any:
    return lambda shard: PartWriter(LocalFolder(str(folder)), shard, {}, "CPU", "f32")


def assert_whole(folder: Path, index: int, count: int) -> None:
    """The part has the images of its shard in order, each with the class of its own frame."""
    rows = pq.read_table(folder / f"part-{index:05}.parquet").to_pylist()
    assert [row["source"] for row in rows] == [f"{index}/{number}" for number in range(count)]
    for number, row in enumerate(rows):
        if number == 5:
            assert (row["class_id"], row["error"]) == (None, "the file is empty")
        else:
            assert (row["class_id"], row["error"]) == (mark_of(row["source"]), None)


@pytest.mark.parametrize("counts", [[7, 1, 0, 30, 0, 0, 2], [0, 0], [1], [40]])
def test_parts_are_cut_by_counting(counts: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = use(Sources(counts), monkeypatch)
    shards = map(sources.shard, sources.places)
    ends = list(run_shards(classifier(batch=4), shards, SETTINGS, part_opener(tmp_path), workers=3))
    assert [(end.name, end.images, end.errors) for end in ends if isinstance(end, PartFacts)] == [
        (f"part-{index:05}.parquet", count, int(count > 5)) for index, count in enumerate(counts)
    ]
    for index, count in enumerate(counts):
        assert_whole(tmp_path, index, count)


def test_a_shard_that_cannot_be_read_is_begun_again_after_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 0 loses its connection before the first image, 2 in the middle, 3 always and after all of its images were read.
    sources = use(Sources([4, 3, 6, 5], {0: (0, 1), 2: (4, 2), 3: (4, 99)}), monkeypatch)
    pauses: list[float] = []
    ends = list(
        run_here(
            classifier(), sources.places, sources.shard, SETTINGS, part_opener(tmp_path), sleep=pauses.append
        )
    )  # fmt: skip
    failed = [end for end in ends if isinstance(end, FailedShard)]
    assert [(end.index, end.again) for end in failed] == [
        (0, True), (2, True), (3, True), (2, True), (3, True), (3, True), (3, True), (3, False),
    ]  # fmt: skip
    assert (failed[-1].part, failed[-1].source, failed[-1].reason) == ("part-00003.parquet", "3/0", "connection lost")
    assert [end.name for end in ends if isinstance(end, PartFacts)] == [f"part-0000{n}.parquet" for n in (1, 0, 2)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"part-0000{n}.parquet" for n in range(3)]
    for index in range(3):
        assert_whole(tmp_path, index, sources.counts[index])
    assert sources.attempts == [2, 1, 3, 5]
    assert pauses == [1, 2, 4, 8]


def test_images_that_a_device_lost_are_no_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = use(Sources([3, 3, 3]), monkeypatch)
    shards = map(sources.shard, sources.places)
    model = classifier(Behaviour(fails={4}))
    ends = list(run_shards(model, shards, SETTINGS, part_opener(tmp_path), workers=1))
    assert [type(end) for end in ends] == [PartFacts, FailedShard, PartFacts]
    assert "device failed" in str(ends[1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part-00000.parquet", "part-00002.parquet"]


def test_a_lost_device_ends_the_run_and_leaves_whole_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = use(Sources([5] * 2000), monkeypatch)
    ends = []
    with pytest.raises(DeviceError, match="stopped working"):
        for end in run_here(
            classifier(Behaviour(dies_after=300)), sources.places, sources.shard, SETTINGS, part_opener(tmp_path),
            sleep=lambda seconds: pytest.fail("there is nothing to wait for"),
        ):  # fmt: skip
            ends.append(end)
    parts = [end for end in ends if isinstance(end, PartFacts)]
    assert 0 < len(parts) <= 60
    assert len(list(tmp_path.iterdir())) == len(parts)
    for index in range(len(parts)):
        assert_whole(tmp_path, index, 5)


class Stop(BaseException):
    pass


def test_an_exception_in_the_middle_of_a_part_leaves_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = use(Sources([4] * 1000), monkeypatch)
    seen = 0

    def stop_at_the_tenth(result: object) -> None:
        nonlocal seen
        seen += 1
        if seen == 10:
            raise Stop

    before = threading.active_count()
    runs = run_here(
        classifier(), sources.places, sources.shard, SETTINGS, part_opener(tmp_path), on_image=stop_at_the_tenth
    )
    with pytest.raises(Stop), closing(runs):
        for _ in runs:
            pass
    assert threading.active_count() == before  # the stream is closed, not left to the garbage collection
    assert sources.open == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part-00000.parquet", "part-00001.parquet"]


def test_a_caller_that_stops_closes_the_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = use(Sources([4] * 1000), monkeypatch)
    before = threading.active_count()
    runs = run_here(classifier(), sources.places, sources.shard, SETTINGS, part_opener(tmp_path))
    next(runs)
    assert threading.active_count() > before
    runs.close()
    assert threading.active_count() == before
    assert max(sources.attempts[100:]) == 0  # it did not read all inputs


def test_a_multi_label_network_gives_all_classes_from_one_half_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    values = np.array([0.9, 0.1, 0.5, 0.499, 0.7, 0.52, 0.6, 0.55], np.float32)
    model = classifier(Behaviour(answer=lambda frames, classes: np.tile(values, (len(frames), 1))))
    model.output_kind = "multilabel"
    sources = use(Sources([1]), monkeypatch)

    def classes(settings: BulkSettings) -> list[int]:
        list(run_shards(model, map(sources.shard, sources.places), settings, part_opener(tmp_path)))
        return [row["class_id"] for row in pq.read_table(tmp_path / "part-00000.parquet").to_pylist()]

    assert classes(BulkSettings()) == [0, 4, 6, 7, 5, 2]
    assert classes(BulkSettings(top_k=2)) == [0, 4]
    assert classes(BulkSettings(min_probability=0.65)) == [0, 4]
    assert classes(BulkSettings(min_probability=0.0)) == [0, 4, 6, 7, 5, 2, 3, 1]
    model.output_kind = "classes"
    assert classes(BulkSettings()) == [0, 4, 6, 7, 5]
    assert classes(BulkSettings(min_probability=0.65)) == [0, 4]
